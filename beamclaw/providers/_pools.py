"""Connections to one provider, each in a pool of its own.

The HTTP client's pool looks at all its connections whenever a call begins or ends, and
asks the system for each idle one whether it is still there. So none holds more than one.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import attrs
import httpx2
import trio

# Connections that are kept for the next calls, at most, and for how many seconds: as
# long as the HTTP client would use them again.
KEPT: Final = 96
SECONDS: Final = 5.0

Transport = httpx2.AsyncHTTPTransport


@attrs.define(eq=False)
class Pools:
    """All of them, opened by *open_pool* as they are needed. Permits are the limit."""

    open_pool: Callable[[], Transport]
    # In the order in which they were opened.
    _open: dict[Transport, None] = attrs.field(
        init=False, factory=dict[Transport, None]
    )
    # Those that no call has, and since when; the one that was used last is the last.
    _idle: deque[tuple[Transport, float]] = attrs.field(
        init=False, factory=deque[tuple[Transport, float]]
    )

    def __len__(self) -> int:
        return len(self._open)

    def take(self) -> Transport:
        """Where the next call goes; to be given back."""
        if self._idle:
            return self._idle.pop()[0]
        pool = self.open_pool()
        self._open[pool] = None
        return pool

    async def give_back(self, pool: Transport) -> None:
        """The call is over; what has been idle for long, or is too many, is closed."""
        now = trio.current_time()
        if pool in self._open:  # else all were closed meanwhile
            self._idle.append((pool, now))
        while self._idle:
            oldest, since = self._idle[0]
            if len(self._idle) <= KEPT and since > now - SECONDS:
                break
            self._idle.popleft()
            self._open.pop(oldest, None)
            await oldest.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._open = self._open, {}
        self._idle.clear()
        for pool in pools:
            await pool.aclose()
