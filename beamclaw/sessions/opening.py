"""How a turn begins: in which conversation, by which model. Decisions without I/O."""

from collections.abc import Callable

import attrs

from beamclaw.contracts.announcements import Place
from beamclaw.contracts.ends import end_run, trace_of
from beamclaw.contracts.intake import taken
from beamclaw.contracts.journal import (
    Answered,
    Body,
    InboundTaken,
    ResetReason,
    SessionReset,
)
from beamclaw.contracts.ledger_ops import Op, Take
from beamclaw.contracts.ledger_session_ops import ArchiveSession, RenewSession
from beamclaw.contracts.messages import Message, ModelParams, Usage
from beamclaw.contracts.resets import ResetRule, Typed, due, typed
from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.contracts.sessions import Inbound, RunEnded
from beamclaw.contracts.transcript import Transcript
from beamclaw.contracts.wanted import Wanted
from beamclaw.sessions.alike import params_of, wanted
from beamclaw.sessions.ends import End
from beamclaw.sessions.lane import Pending
from beamclaw.values import frozen

BEGUN = "A new conversation begins."


@frozen(kw_only=True)
class Opening:
    """What a turn begins with.

    Attributes:
        before: What stands in the journal before its messages.
        ops: What else is written with it.
        kept: Its messages, as they stand in the journal.
        word_alone: Nothing was said but that a new conversation begins.
        wanted: What it was asked for, the model in place of the agent's among that.
    """

    before: tuple[Body, ...]
    ops: tuple[Op, ...]
    kept: tuple[InboundTaken, ...]
    word_alone: bool
    wanted: Wanted
    params: ModelParams


def opening(
    together: tuple[Pending, ...],
    state: Transcript,
    meta: SessionMeta,
    *,
    rule: ResetRule,
    archived: bool,
    now: float,
    new_id: Callable[[], str],
) -> Opening:
    """How the turn of *together* begins; the first one's word and settings hold."""
    inbound = together[0].inbound
    word = typed(inbound) if inbound.follows is None else None
    reason = _reason(inbound, state, word, rule, now)
    before, ops = _reset(reason, new_id)
    if archived:
        # Whoever goes on with it wants it back.
        ops = (*ops, ArchiveSession(None))
    fresh = state.seq == 0
    # In a new conversation nobody waits for anything of the one before.
    owed = () if reason is not None else state.owed
    kept = tuple(
        InboundTaken(
            messages=taken(
                each.inbound,
                fresh=fresh and each is together[0],
                # Whoever owes results of calls may give them after a summary, too.
                owed=owed if each is together[0] and not inbound.compacts else (),
            ),
            inbox_id=each.inbox_id,
            child=each.inbound.child,
            tainted=each.inbound.tainted,
            joins=None if each is together[0] else each.inbound.run_id,
        )
        for each in together
    )
    if word is not None and word.message is not None:
        said = (*kept[0].messages[:-1], word.message)
        kept = (attrs.evolve(kept[0], messages=said), *kept[1:])
    return Opening(
        before=before,
        ops=ops,
        kept=kept,
        word_alone=word is not None and word.message is None,
        wanted=wanted(inbound, meta),
        params=params_of(inbound, meta),
    )


def _reason(
    inbound: Inbound,
    state: Transcript,
    word: Typed | None,
    rule: ResetRule,
    now: float,
) -> ResetReason | None:
    """Why the conversation before is over, if it is.

    What a sub-agent announces belongs to the conversation that has ordered it, and what
    another session says ends none; nor does what says itself what it goes on with, or a
    tool call that a client orders.
    """
    if state.is_new or inbound.ephemeral or not inbound.is_of_person:
        return None
    if inbound.follows is not None or inbound.brings_results:
        return None
    if inbound.call is not None or inbound.compacts:  # nobody has said anything
        return None
    if word is not None:
        return word.reason
    return due(rule, state.at, now) if state.messages else None


def _reset(
    reason: ResetReason | None, new_id: Callable[[], str]
) -> tuple[tuple[Body, ...], tuple[Op, ...]]:
    if reason is None:
        return (), ()
    session_id = new_id()
    reset = SessionReset(reason=reason, session_id=session_id)
    return (reset,), (RenewSession(session_id),)


def ordered(inbound: Inbound) -> tuple[Answered, ...]:
    """What stands in the place of a model's answer, where a client orders a tool call."""
    if inbound.call is None:
        return ()
    call = Message("assistant", (inbound.call,))
    return (Answered(attempt=0, message=call, stop_reason="tool_calls", usage=Usage()),)


def renewed(pending: Pending, opened: Opening, *, at: float, place: Place) -> End:
    """The word alone was said: a new conversation, and no model is asked."""
    inbound = pending.inbound
    end = RunEnded(run_id=inbound.run_id, outcome="ok", stop_reason="stop", text=BEGUN)
    return End(
        tuple((None, body) for body in opened.before),
        (
            *opened.ops,
            Take((pending.inbox_id,)),
            end_run(
                end, at=at, place=place, parent=inbound.parent, trace=trace_of(inbound)
            ),
        ),
        end,
    )
