"""What a request sees of its run: what is published, silence, and the node's end."""

from typing import Any, Self

import trio

from beamclaw.contracts.bus import Subscription
from beamclaw.gateway.exchange import Exchange
from beamclaw.values import frozen


# Neither is told of a run: whoever follows one passes them on, whichever it is by now.
@frozen
class Nothing:
    """Nothing was published for a while."""

    run_id: str = ""


@frozen
class Finish:
    """The node stops."""

    run_id: str = ""


class Watch:
    """A subscription that also tells of silence and of the node's end.

    Both come as values in the order of the others, because a generator that follows a
    run must not be cancelled to look up: it would be over.

    Args:
        inner: The subscription itself.
        exchange: Says when the node stops.
        beat: Seconds of silence after which :class:`Nothing` comes.
    """

    def __init__(self, inner: Subscription, exchange: Exchange, beat: float) -> None:
        self._inner = inner
        self._exchange = exchange
        self._beat = beat
        self._next: Any = None
        self._waits = trio.CancelScope()

    def __enter__(self) -> Self:
        self._inner.__enter__()
        self._exchange.on_finish = self._wake
        return self

    def __exit__(self, *exc: object) -> None:
        self._exchange.on_finish = None
        self._inner.__exit__(*exc)

    def _wake(self) -> None:
        self._waits.cancel()

    @property
    def more(self) -> bool:
        """Whether another value waits already."""
        if self._next is None:
            try:
                self._next = self._inner.receive_nowait()
            except trio.WouldBlock:
                return False
        return True

    def receive_nowait(self) -> Any:
        """See the Protocol."""
        value, self._next = self._next, None
        return self._inner.receive_nowait() if value is None else value

    async def receive(self) -> Any:
        """See the Protocol."""
        if self._exchange.finishing:
            # However often it is asked: nobody else may be held up by that.
            await trio.lowlevel.checkpoint()
            return Finish()
        if self._next is not None:
            value, self._next = self._next, None
            return value
        if self.more:
            await trio.lowlevel.checkpoint()
            value, self._next = self._next, None
            return value
        with trio.move_on_after(self._beat) as self._waits:
            return await self._inner.receive()
        return Finish() if self._exchange.finishing else Nothing()

    async def pause(self, seconds: float) -> bool:
        """Wait; ``False``: the node stops meanwhile."""
        if not self._exchange.finishing:
            with trio.move_on_after(seconds) as self._waits:
                await trio.sleep_forever()
        return not self._exchange.finishing
