"""What a session does next: one run at a time, in the order of its inbox.

A decision without I/O over the journal, the inbox and what is in progress.
"""

from collections.abc import Collection

from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.resets import typed
from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.contracts.sessions import Inbound, QueueMode
from beamclaw.contracts.transcript import Transcript
from beamclaw.sessions.alike import alike, answers_alike
from beamclaw.values import frozen


@frozen
class Pending:
    """A message in the inbox that the session has not taken yet."""

    inbox_id: int
    inbound: Inbound


@frozen(kw_only=True)
class Lane:
    """A session at one moment.

    Attributes:
        pending: In the order in which they came.
        running: A run process works for the open turn.
        resting: A successor is to be started later (back-off).
        intake: Runs may be started (False while the node drains).
        revivals: How often the open turn was revived so far.
        crashed: Its last run ended by an error of its own.
        answered: Ids of the questions that persons have answered.
        handed: Ids of the messages that the run was given already.
        stopping: The run was told to end.
        gathering: Messages came a moment ago, and more may follow.
        cancelled: Runs of this session that may not go on: whoever ordered them is over.
        meta: What is set for the session.
        preparing: A turn that is about to begin, and needs something that is on its way.
        prepared: That is there.
    """

    transcript: Transcript
    pending: tuple[Pending, ...]
    running: bool
    resting: bool
    intake: bool
    revivals: int
    crashed: bool = False
    answered: Collection[str] = ()
    handed: Collection[int] = ()
    stopping: bool = False
    gathering: bool = False
    cancelled: Collection[str] = ()
    meta: SessionMeta = SessionMeta()
    preparing: "Begin | None" = None
    prepared: bool = False


@frozen(kw_only=True)
class Rules:
    """How messages queue; see :data:`beamclaw.contracts.sessions.QueueMode`.

    Attributes:
        revive_limit: Revivals of one turn that gets no further.
        queue: The mode of messages that name none.
        collect_most: Messages that one turn may take together.
    """

    revive_limit: int
    queue: QueueMode = "followup"
    collect_most: int = 20


@frozen
class Begin:
    """Take this message, and *more* with it, and start their run."""

    pending: Pending
    more: tuple[Pending, ...] = ()


@frozen
class Hand:
    """Give these messages to the run in progress."""

    pending: tuple[Pending, ...]


@frozen
class Interrupt:
    """Stop the run in progress."""


@frozen
class Revive:
    """Start a successor for the open turn.

    Attributes:
        innocent: The death says nothing against the turn: those before are forgotten.
    """

    innocent: bool = False


@frozen
class Quarantine:
    """Close the open turn: it was revived too often."""

    revivals: int


@frozen
class Withdraw:
    """This message waits for nothing: nobody wants its answer any more."""

    pending: Pending


@frozen
class Close:
    """End the open turn as stopped."""


@frozen
class Wait:
    """Something is in progress, or nothing may be started: a message will come."""


@frozen
class Idle:
    """There is nothing to do; the session may fall asleep."""


Step = Begin | Hand | Interrupt | Revive | Quarantine | Withdraw | Close | Wait | Idle


def decide(lane: Lane, rules: Rules) -> Step:  # noqa: C901, PLR0911 -- a table
    """The session's next step, one case per rule."""
    for pending in lane.pending:
        if pending.inbound.run_id in lane.cancelled or _is_idle(pending, lane):
            return Withdraw(pending)
    match lane:
        case Lane(running=True):
            return _meanwhile(lane, rules)
        case Lane(transcript=Transcript(turn=turn)) if _is_cancelled(turn, lane):
            return Close()
        case Lane(resting=True):
            return Wait()
        case Lane(transcript=Transcript(turn=turn)) if turn is not None:
            innocent = _is_innocent(turn, lane)
            if lane.revivals >= rules.revive_limit and not innocent:
                return Quarantine(lane.revivals)
            return Revive(innocent) if lane.intake else Wait()
        case Lane(preparing=Begin() as turn):
            # What came meanwhile is dealt with as in a turn: by then it is one.
            return turn if lane.prepared and lane.intake else Wait()
        case Lane(pending=(first, *_)):
            more = _together(lane, rules)
            if not lane.intake or (lane.gathering and _may_grow(first, more, rules)):
                return Wait()
            return Begin(first, more)
        case _:
            return Idle()


def _is_idle(pending: Pending, lane: Lane) -> bool:
    """Whether it only says, without any words, that a turn is over nobody waits for."""
    turn, inbound = lane.transcript.turn, pending.inbound
    quiet = inbound.child is not None and not inbound.messages
    return quiet and (turn is None or _orderer(pending) != turn.run_id)


def _is_innocent(turn: OpenTurn, lane: Lane) -> bool:
    """Whether it got further since it was revived, or had nothing to do but wait.

    What it waits for may have come, and kill whoever takes it up.
    """
    if turn.progress:
        return True
    come = any(_orderer(each) == turn.run_id for each in lane.pending) or any(
        wait.id in lane.answered for wait in turn.open_waits
    )
    return turn.waits and not come and not lane.crashed


def _is_cancelled(turn: OpenTurn | None, lane: Lane) -> bool:
    return turn is not None and turn.run_id in lane.cancelled


def _meanwhile(lane: Lane, rules: Rules) -> Step:
    """A turn is in progress, and messages may have come."""
    turn = lane.transcript.turn
    if lane.stopping:
        return Wait()
    if _is_cancelled(turn, lane):
        return Interrupt()
    new = [each for each in lane.pending if each.inbox_id not in lane.handed]
    # What the turn itself has ordered goes to it before all others: it may wait for it.
    own = tuple(each for each in new if turn and _orderer(each) == turn.run_id)
    if own:
        return Hand(own)
    if any(_mode(each, rules) == "interrupt" for each in new):
        return Interrupt()
    # The order in which they came is kept: behind one that waits nobody steers.
    if new and all(_steers(each, lane, rules) for each in new):
        return Hand(tuple(new))
    return Wait()


def _steers(pending: Pending, lane: Lane, rules: Rules) -> bool:
    """Whether the turn in progress takes it: one that was asked otherwise never does."""
    state = lane.transcript
    if _mode(pending, rules) != "steer" or state.turn is None:
        return False
    return answers_alike(state.turn, pending.inbound, lane.meta, state.agent)


def _together(lane: Lane, rules: Rules) -> tuple[Pending, ...]:
    """Those behind the first that its turn takes, too."""
    first, *rest = lane.pending
    more: list[Pending] = []
    for each in rest:
        modes = {_mode(first, rules), _mode(each, rules)}
        if (
            not modes <= {"collect", "steer"}
            or not alike(first.inbound, each.inbound, lane.meta)
            or len(more) + 1 >= rules.collect_most
        ):
            break
        more.append(each)
    return tuple(more)


def _may_grow(first: Pending, more: tuple[Pending, ...], rules: Rules) -> bool:
    """Whether what comes next may be taken together with these.

    Else nobody waits for it, or those who write without a pause are never answered.
    """
    return _mode(first, rules) == "collect" and len(more) + 1 < rules.collect_most


def _orderer(pending: Pending) -> str | None:
    """The run that has ordered what this message announces."""
    child = pending.inbound.child
    return None if child is None else child.parent_run


def _mode(pending: Pending, rules: Rules) -> QueueMode:
    mode = pending.inbound.queue or rules.queue
    if mode in ("steer", "collect") and _stands_alone(pending.inbound):
        return "followup"
    return mode


def _stands_alone(inbound: Inbound) -> bool:
    """Whether it cannot be part of another message's turn.

    It begins a new conversation, or says itself what it goes on with, or has to be
    answered with tools of its own, or is no message to a model.
    """
    if inbound.call is not None or inbound.compacts or inbound.params.tools:
        return True
    if inbound.brings_results or inbound.follows is not None:
        return True
    return typed(inbound) is not None


def back_off(revivals: int, *, first: float, most: float) -> float:
    """Seconds before the next revival after that many."""
    return min(most, first * 2.0 ** max(0, min(revivals - 1, 30)))
