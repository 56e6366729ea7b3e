"""What a session does next: one run at a time, in the order of its inbox.

A decision without I/O over the journal, the inbox and what is in progress.
"""

import attrs

from beamclaw.contracts.messages import Message
from beamclaw.contracts.sessions import Inbound
from beamclaw.contracts.transcript import Transcript


@attrs.frozen
class Pending:
    """A message in the inbox that the session has not taken yet."""

    inbox_id: int
    inbound: Inbound


@attrs.frozen(kw_only=True)
class Lane:
    """A session at one moment.

    Attributes:
        running: A run process works for the open turn.
        resting: A successor is to be started later (back-off).
        intake: Runs may be started (False while the node drains).
        revivals: How often the open turn was revived so far.
    """

    transcript: Transcript
    pending: tuple[Pending, ...]
    running: bool
    resting: bool
    intake: bool
    revivals: int


@attrs.frozen
class Begin:
    """Take this message and start its run."""

    pending: Pending


@attrs.frozen
class Revive:
    """Start a successor for the open turn."""


@attrs.frozen
class Quarantine:
    """Close the open turn: it was revived too often."""

    revivals: int


@attrs.frozen
class Wait:
    """Something is in progress, or nothing may be started: a message will come."""


@attrs.frozen
class Idle:
    """There is nothing to do; the session may fall asleep."""


Step = Begin | Revive | Quarantine | Wait | Idle


def decide(lane: Lane, *, revive_limit: int) -> Step:
    """The session's next step, one case per rule."""
    match lane:
        case Lane(running=True) | Lane(resting=True):
            return Wait()
        case Lane(transcript=Transcript(turn=turn)) if turn is not None:
            if lane.revivals >= revive_limit and not turn.moves:
                return Quarantine(lane.revivals)
            return Revive() if lane.intake else Wait()
        case Lane(pending=(first, *_)):
            return Begin(first) if lane.intake else Wait()
        case _:
            return Idle()


def taken(transcript: Transcript, inbound: Inbound) -> tuple[Message, ...]:
    """Which of the given messages become part of the transcript.

    All of them where the session is new; the last message of the user where it has a
    history of its own, which the sender's copy of it must not repeat.
    """
    if transcript.seq == 0:
        return inbound.messages
    for message in reversed(inbound.messages):
        if message.role == "user":
            return (message,)
    return inbound.messages[-1:]


def back_off(revivals: int, *, first: float, most: float) -> float:
    """Seconds before the next revival after that many."""
    return min(most, first * 2.0 ** max(0, min(revivals - 1, 30)))
