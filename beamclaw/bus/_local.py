"""Topics as a table, subscriptions as bounded buffers, one process that owns both."""

from collections import deque
from typing import Any, Self, TypeVar

import attrs
import trio

import supervision
from beamclaw.contracts.bus import Kinds, Lost, Under

T = TypeVar("T")
NAME = "bus"


class Topics:
    """Who is subscribed to what, in this Trio run."""

    def __init__(self) -> None:
        self.open: dict[str, list[LocalSubscription]] = {}
        self.under: list[WideSubscription] = []
        self.published = 0
        self.dropped = 0

    def interrupt(self, prefix: str = "") -> None:
        """Tell every subscriber that values may have been missed."""
        for topic, subscriptions in self.open.items():
            for subscription in subscriptions if topic.startswith(prefix) else ():
                subscription.miss(1)
        for wide in self.under:
            if any(each.startswith(prefix) for each in wide.prefixes):
                wide.miss(1)
            elif prefix.startswith(wide.prefixes):
                wide.push(Under(prefix, Lost(1)))


_topics: trio.lowlevel.RunVar[Topics] = trio.lowlevel.RunVar("beamclaw.bus.topics")


def topics() -> Topics:
    """The table of this Trio run."""
    try:
        return _topics.get()
    except LookupError:
        table = Topics()
        _topics.set(table)
        return table


@attrs.define(eq=False)
class LocalSubscription:
    """See :class:`beamclaw.contracts.bus.Subscription`."""

    topic: str
    limit: int
    _table: Topics
    without: Kinds = ()
    _waiting: deque[Any] = attrs.field(factory=deque[Any], init=False)
    # Invariant: > 0 only while the buffer is full or the next value will be a Lost;
    # it is put in front of the first value that arrives after the gap.
    _missed: int = attrs.field(default=0, init=False)
    _reader: trio.lowlevel.Task | None = attrs.field(default=None, init=False)

    def __enter__(self) -> Self:
        self._table.open.setdefault(self.topic, []).append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        subscribed = self._table.open[self.topic]
        subscribed.remove(self)
        if not subscribed:
            del self._table.open[self.topic]

    def push(self, value: object) -> None:
        """Give the subscriber *value*; the newest is dropped when it does not keep up."""
        if len(self._waiting) >= self.limit:
            self.miss(1)
            return
        if self._missed:
            self._waiting.append(Lost(self._missed))
            self._missed = 0
        self._waiting.append(value)
        self._wake()

    def miss(self, count: int) -> None:
        """Note that *count* values did not reach the subscriber."""
        self._missed += count
        self._table.dropped += count
        self._wake()

    def receive_nowait(self) -> Any:
        """See the Protocol."""
        if self._waiting:
            return self._waiting.popleft()
        if self._missed:
            lost, self._missed = Lost(self._missed), 0
            return lost
        raise trio.WouldBlock

    async def receive(self) -> Any:
        """See the Protocol."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            try:
                value = self.receive_nowait()
            except trio.WouldBlock:
                await self._park()
            else:
                await trio.lowlevel.cancel_shielded_checkpoint()
                return value

    async def _park(self) -> None:
        if self._reader is not None:
            msg = "a subscription has one reader"
            raise trio.BusyResourceError(msg)
        self._reader = trio.lowlevel.current_task()

        def forget(_: object) -> trio.lowlevel.Abort:
            self._reader = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(forget)

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            trio.lowlevel.reschedule(reader)


@attrs.define(eq=False)
class WideSubscription(LocalSubscription):
    """See :meth:`beamclaw.contracts.bus.Bus.subscribe_under`."""

    prefixes: tuple[str, ...] = attrs.field(default=(), kw_only=True)

    def __enter__(self) -> Self:
        self._table.under.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        self._table.under.remove(self)


class LocalBus:
    """A handle without state: every part of the node may have one."""

    async def call(
        self,
        endpoint: str,
        request: supervision.Call[T],
        *,
        timeout: float | None = 5.0,
    ) -> T:
        """See :class:`beamclaw.contracts.bus.Bus`."""
        return await supervision.call(endpoint, request, timeout=timeout)

    def cast(self, endpoint: str, message: object) -> None:
        """See :class:`beamclaw.contracts.bus.Bus`."""
        supervision.cast(endpoint, message)

    def publish(self, topic: str, value: object) -> int:
        """See :class:`beamclaw.contracts.bus.Bus`."""
        table = topics()
        subscribed = table.open.get(topic, ())
        wide = [each for each in table.under if topic.startswith(each.prefixes)]
        if not (subscribed or wide) or supervision.whereis(NAME) is None:
            return 0
        table.published += 1
        given = len(wide)
        for subscription in subscribed:
            if not isinstance(value, subscription.without):
                subscription.push(value)
                given += 1
        for subscription in wide:
            subscription.push(Under(topic, value))
        return given

    def interrupt(self, prefix: str) -> None:
        """See :class:`beamclaw.contracts.bus.Bus`."""
        topics().interrupt(prefix)

    def subscribe(
        self, topic: str, *, buffer: int = 256, without: Kinds = ()
    ) -> LocalSubscription:
        """See :class:`beamclaw.contracts.bus.Bus`."""
        return LocalSubscription(topic, buffer, topics(), without)

    def subscribe_under(self, *prefixes: str, buffer: int = 4096) -> WideSubscription:
        """See :class:`beamclaw.contracts.bus.Bus`."""
        return WideSubscription("", buffer, topics(), prefixes=prefixes)


class BusServer(supervision.Server):
    """The process ``bus``: while it lives, values are carried."""

    async def init(self) -> None:
        """Tell those who were subscribed before this start that they missed something."""
        topics().interrupt()

    def describe(self) -> dict[str, object]:
        """Topics with readers, values published and dropped."""
        table = topics()
        return {
            "topics": len(table.open),
            "published": table.published,
            "dropped": table.dropped,
        }
