"""The bus: what crosses the borders of a tenant, and later of a node.

Everything handed to it is a value that cattrs encodes; the test bus encodes and decodes
each one to prove it. ``publish`` may lose: a subscriber that does not keep up gets
:class:`Lost` in place of what it missed, and reads the state again.
"""

from typing import Any, Protocol, Self, TypeVar

import supervision
from beamclaw.values import frozen

T = TypeVar("T")
# Of values.
Kinds = tuple[type, ...]


@frozen
class Lost:
    """In a subscription: *count* values were dropped here, or the bus restarted."""

    count: int


@frozen
class Under:
    """In a subscription to many topics: *value* was published to *topic*."""

    topic: str
    value: Any


class Subscription(Protocol):
    """Values of one topic, in order, from ``subscribe`` on; a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

    async def receive(self) -> Any:
        """The next value, or :class:`Lost`. Cancelling loses nothing."""
        ...

    def receive_nowait(self) -> Any:
        """The next value at once; raises ``trio.WouldBlock`` when there is none."""
        ...


class Bus(Protocol):
    """See the module."""

    async def call(
        self,
        endpoint: str,
        request: supervision.Call[T],
        *,
        timeout: float | None = 5.0,
    ) -> T:
        """Ask the server registered as *endpoint*; errors as ``supervision.call``."""
        ...

    def cast(self, endpoint: str, message: object) -> None:
        """Tell the server registered as *endpoint*; may be lost."""
        ...

    def publish(self, topic: str, value: object) -> int:
        """Give *value* to whoever is subscribed now; the number of them."""
        ...

    def interrupt(self, prefix: str) -> None:
        """Tell whoever is subscribed to a topic that begins so that it may miss something.

        For whoever comes after a publisher that has died: what that had written and not
        published any more is found by reading.
        """
        ...

    def subscribe(
        self, topic: str, *, buffer: int = 256, without: Kinds = ()
    ) -> Subscription:
        """Values published to *topic* from now on, at most *buffer* unread.

        Whoever does *without* some kinds of them is not woken for those.
        """
        ...

    def subscribe_under(self, *prefixes: str, buffer: int = 4096) -> Subscription:
        """What is published to any topic that begins so, each value as :class:`Under`.

        All of them come in the order in which they were published. An interruption of
        some of these topics only comes as :class:`Under` with a :class:`Lost`.
        """
        ...
