"""What every streamed answer does with what is published of its run, in whatever words."""

from abc import ABC, abstractmethod
from typing import Final

from beamclaw.contracts.follow import Shown
from beamclaw.contracts.sessions import Delta, Reset, RunEnded, TopicValue
from beamclaw.gateway.problem import Problem

LOST_PLACE: Final = Problem(
    status=502,
    type="api_error",
    message="the answer was begun anew after a failure, and what was sent of it cannot "
    "be taken back; ask again",
    code="answer_restarted",
)


class Streamed(ABC):
    """One answer as server-sent events; most of :class:`beamclaw.gateway.api.Events`.

    Give it what :func:`~beamclaw.contracts.follow.follow` gives, also from several
    tries one after the other: text that was shown is not shown again. What was shown
    cannot be taken back, so an attempt that begins anew ends the stream.

    Attributes:
        ended: The last event was given.
    """

    def __init__(self, run_id: str) -> None:
        self.ended = False
        self._shown = Shown(run_id)

    def feed(self, value: TopicValue) -> bytes:
        """The events for *value*, possibly none; sets ``ended`` after the last."""
        if self.ended:
            return b""
        match value:
            case Delta() | Reset():
                return b"".join(map(self._pass_on, self._shown.sees(value) or ()))
            case RunEnded():
                return self._end(value)
            case _:
                return b""

    @abstractmethod
    def fail(self, problem: Problem) -> bytes:
        """The stream ends with an error."""

    @abstractmethod
    def _say(self, text: str) -> bytes:
        """More of the answer."""

    @abstractmethod
    def _end(self, end: RunEnded) -> bytes:
        """What is missing of the answer, and its end."""

    def _pass_on(self, value: TopicValue) -> bytes:
        if self.ended:
            return b""
        if isinstance(value, Delta):
            return self._say(value.text)
        return self.fail(LOST_PLACE)
