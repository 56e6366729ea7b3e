"""Ends of runs that their session writes: stopped, put aside, or never begun.

Each is a decision without I/O: what stands in the journal afterwards, what else is
written in the same commit, and what is told to whoever follows the run.
"""

from functools import reduce

import attrs

from beamclaw.contracts import tokens
from beamclaw.contracts.announcements import Place
from beamclaw.contracts.budgets import cut_short
from beamclaw.contracts.ends import end_run, run_over, trace_of
from beamclaw.contracts.intake import taken
from beamclaw.contracts.journal import Answered, Body, InboundTaken, ToolEnded
from beamclaw.contracts.ledger_ops import Op, Settle, Take
from beamclaw.contracts.ledger_rows import Outcome
from beamclaw.contracts.messages import Usage, said
from beamclaw.contracts.open_turn import Call, told
from beamclaw.contracts.results import ended
from beamclaw.contracts.sessions import RunEnded
from beamclaw.contracts.subagents import Spend
from beamclaw.contracts.transcript import Transcript
from beamclaw.contracts.turn_events import goes_on
from beamclaw.sessions.lane import Pending
from beamclaw.values import frozen


@frozen
class End:
    """One end: (run id, body) pairs for the journal, the rest of the commit, the news."""

    bodies: tuple[tuple[str | None, Body], ...]
    ops: tuple[Op, ...]
    told: RunEnded


def closed(
    transcript: Transcript,
    outcome: Outcome,
    text: str = "",
    *,
    at: float,
    place: Place,
    error: str | None = None,
    received: int | None = None,
) -> End:
    """The open turn is ended in its run's place.

    *text* is what there is of the answer that was under way, of *received* tokens at
    most with all that a person does not see; None: how far that call had come nobody knows.
    If a person stopped it, and that is known, it is settled by what was reserved for its
    prompt, and what came: it may have been billed; else by all that it could cost. Tool
    calls without a result get one.
    """
    turn = transcript.turn
    assert turn is not None
    spent, cost = Usage(), 0
    ops: list[Op] = []
    if turn.asking:
        reserved, came = turn.reserved, None
        if outcome == "aborted" and received is not None:
            came = max(tokens.most_of_text(text), received)
        # Where nobody knows how far it had come, it counts as all it could cost.
        output = reserved.bound.output if came is None else came
        spent, cost = cut_short(reserved.bound, reserved.cost, output)
        settle = Settle(turn.run_id, turn.attempt, at, None, told=came)
        ops.append(settle)
    reason = "aborted" if outcome == "aborted" else "error"
    cut = [_cut_off(call, outcome) for call in turn.open_calls]
    after = reduce(lambda before, body: goes_on(before, body, at), cut, turn)
    end = RunEnded(
        run_id=turn.run_id,
        outcome=outcome,
        stop_reason=reason,
        text=told(after.text, text),
        usage=turn.usage + spent,
        error_kind=None if error is None else "server",
        error=error,
    )
    # As after any death: what was behind its last event counts for nobody. A day in
    # which the node was down is none that it has worked, and its parent would pay.
    spend = turn.spent(turn.touched_at)
    # Of the call that is cut nobody knows what it costs: what was reserved, at most.
    spend += Spend(tokens=spent.input + spent.output, cost=turn.reserved.cost)
    ops.append(
        end_run(
            end,
            at=at,
            place=place,
            parent=turn.parent,
            spend=spend,
            seconds=turn.own_seconds(turn.touched_at),
            tainted=transcript.tainted,
            trace=trace_of(turn),
        )
    )
    bodies: list[Body] = [*cut]
    if text:
        bodies.append(
            Answered(
                attempt=turn.attempt,
                message=said("assistant", text),
                stop_reason=reason,
                usage=spent,
                cost=cost,
            )
        )
    bodies.append(run_over(end))
    return End(tuple((turn.run_id, body) for body in bodies), tuple(ops), end)


def _cut_off(call: Call, outcome: Outcome) -> ToolEnded:
    """The result of a tool call whose turn is over before it has come to one."""
    id_ = call.asked.id
    if call.child is not None:
        words = "the turn was ended, and with it the sub-agent that did this"
        return ended(id_, "stopped", words)
    if call.begun is None:
        return ended(id_, "refused", "it was not carried out: the turn was ended")
    if outcome == "aborted":
        words = "stopped by the person; what it had done by then is not known"
        return ended(id_, "stopped", words)
    words = "the turn was given up; whether this was carried out is not known"
    return ended(id_, "unknown", words)


def withdrawn(pending: Pending, *, at: float, place: Place) -> End:
    """A waiting message is stopped: it was never said, so no event tells of it."""
    end = RunEnded(
        run_id=pending.inbound.run_id,
        outcome="aborted",
        stop_reason="aborted",
        text="",
    )
    inbound = pending.inbound
    over = end_run(
        end, at=at, place=place, parent=inbound.parent, trace=trace_of(inbound)
    )
    return End((), (Take((pending.inbox_id,)), over), end)


def refused(
    transcript: Transcript, pending: Pending, error: str, *, at: float, place: Place
) -> End:
    """A message that can have no run: it stands in the transcript, and why."""
    inbound = pending.inbound
    kept = InboundTaken(
        messages=taken(inbound, fresh=transcript.seq == 0, owed=transcript.owed),
        inbox_id=pending.inbox_id,
        child=inbound.child,
        tainted=inbound.tainted,
    )
    end = turned_away(pending, error, at=at, place=place)
    bodies = (None, kept), (inbound.run_id, run_over(end.told))
    return attrs.evolve(end, bodies=bodies)


def turned_away(pending: Pending, error: str, *, at: float, place: Place) -> End:
    """A message that cannot be said where it was to be: what was said stays as it is.

    Results that nobody waits for would stand in there without their calls, which a
    provider refuses each time; and the calls that wait for others would be over.
    """
    inbound = pending.inbound
    end = RunEnded(
        run_id=inbound.run_id,
        outcome="error",
        stop_reason="error",
        text="",
        error_kind="invalid",
        error=error,
    )
    over = end_run(
        end, at=at, place=place, parent=inbound.parent, trace=trace_of(inbound)
    )
    return End((), (Take((pending.inbox_id,)), over), end)
