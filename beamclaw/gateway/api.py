"""What the APIs over HTTP differ in: how a request is read, and how an answer is written.

All of it is decided without I/O; who hands a message in and follows its run is
:mod:`beamclaw.gateway.turns`, the same for all of them.
"""

from collections.abc import Mapping
from typing import Protocol

from beamclaw.contracts.sessions import RunEnded, TopicValue
from beamclaw.gateway.ask import Ask
from beamclaw.gateway.problem import Problem


class Events(Protocol):
    """One streamed answer as server-sent events.

    Attributes:
        ended: The last event was given.
    """

    ended: bool

    def first(self) -> bytes:
        """The first events: their arrival means that the message is kept."""
        ...

    def feed(self, value: TopicValue) -> bytes:
        """The events for *value*, possibly none."""
        ...

    def fail(self, problem: Problem) -> bytes:
        """The stream ends with an error."""
        ...

    def beat(self) -> bytes:
        """What says that the stream lives, when there is nothing to say."""
        ...


class Api(Protocol):
    """An API. *created* is in seconds since the epoch."""

    @property
    def prefix(self) -> str:
        """What the ids of its answers begin with."""
        ...

    def read(self, body: object, headers: Mapping[str, str]) -> Ask | Problem:
        """What a request asks for; names of *headers* are in lower case."""
        ...

    def events(self, run_id: str, ask: Ask, created: int) -> Events:
        """For an answer that is streamed."""
        ...

    def whole(self, ask: Ask, end: RunEnded, created: int) -> bytes | Problem:
        """The answer in one piece, or why there is none."""
        ...

    def kept(self, run_id: str, ask: Ask, created: int) -> bytes:
        """What a client is told at once that does not wait for its answer."""
        ...
