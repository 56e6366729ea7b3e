"""Connections to one provider, in many small pools.

The HTTP client's pool looks at all its connections whenever a call begins or ends, so
that with thousands of calls open each costs milliseconds. Calls here fill the first pool
that has room: none is ever large, and after a rush those that came last are empty first.
"""

from collections.abc import Callable

import attrs
import httpx2

# Calls in one pool; connections of as many are kept for the next ones.
SIZE = 16
# Pools that stay when they are empty.
KEPT = 6


@attrs.define(eq=False)
class Pool:
    """One pool, and how many calls are open in it."""

    transport: httpx2.AsyncHTTPTransport
    calls: int = 0


@attrs.define(eq=False)
class Pools:
    """All of them, opened by *open_pool* as they are needed. Permits are the limit."""

    open_pool: Callable[[], httpx2.AsyncHTTPTransport]
    _pools: list[Pool] = attrs.field(init=False, factory=list[Pool])

    def __len__(self) -> int:
        return len(self._pools)

    def take(self) -> Pool:
        """Where the next call goes; to be given back."""
        for pool in self._pools:
            if pool.calls < SIZE:
                break
        else:
            pool = Pool(self.open_pool())
            self._pools.append(pool)
        pool.calls += 1
        return pool

    async def give_back(self, pool: Pool) -> None:
        """The call is over; what it leaves idle is closed where there is enough."""
        pool.calls -= 1
        if not pool.calls and len(self._pools) > KEPT:
            self._pools.remove(pool)
            await pool.transport.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, []
        for pool in pools:
            await pool.transport.aclose()
