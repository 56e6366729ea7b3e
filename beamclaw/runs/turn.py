"""The turn machine: what comes next in a turn, decided from the journal alone.

``evolve`` is in :mod:`beamclaw.contracts.journal`; here is ``decide``. Both are pure, so
that recovery after a crash is the same code as progress without one.
"""

import attrs

from beamclaw.contracts.journal import Transcript
from beamclaw.contracts.ledger import Outcome
from beamclaw.contracts.messages import Message, ModelParams, said
from beamclaw.contracts.providers import StopReason


@attrs.frozen(kw_only=True)
class Ask:
    """Call the model."""

    attempt: int
    messages: tuple[Message, ...]
    params: ModelParams


@attrs.frozen(kw_only=True)
class Finish:
    """Commit the end of the turn."""

    outcome: Outcome
    stop_reason: StopReason
    text: str


Step = Ask | Finish


class NoOpenTurnError(Exception):
    """There is nothing to decide: the journal has no turn in progress."""


def decide(state: Transcript, *, system: str | None) -> Step:
    """The next step of the open turn, one case per rule.

    Raises:
        NoOpenTurnError: The turn is over.
    """
    turn = state.turn
    if turn is None:
        raise NoOpenTurnError
    if turn.answer is not None:
        return Finish(
            outcome="ok",
            stop_reason=turn.stop_reason or "stop",
            text=turn.answer.text,
        )
    # Also when a call was cut by a crash (``asking``): its answer is nowhere, so it is
    # made again, as the next attempt.
    return Ask(
        attempt=turn.attempt + 1,
        messages=prompt(state.messages, system),
        params=turn.params,
    )


def prompt(messages: tuple[Message, ...], system: str | None) -> tuple[Message, ...]:
    """What is sent: the agent's own instructions before everything said."""
    return messages if system is None else (said("system", system), *messages)
