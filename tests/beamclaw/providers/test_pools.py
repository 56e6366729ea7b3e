"""Many small pools of connections in the place of a large one."""

import httpx2
import pytest

from beamclaw.providers._pools import KEPT, SIZE, Pool, Pools


class Transport(httpx2.AsyncHTTPTransport):
    """Opens nothing; tells whether it was closed."""

    closed = False

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()


@pytest.fixture
def pools() -> Pools:
    return Pools(lambda: Transport(verify=False))


def closed(pool: Pool) -> bool:
    assert isinstance(pool.transport, Transport)
    return pool.transport.closed


def taken(pools: Pools, count: int) -> list[Pool]:
    return [pools.take() for _ in range(count)]


def test_a_pool_is_opened_when_the_others_are_full(pools: Pools):
    calls = taken(pools, 3 * SIZE)
    assert len(set(calls)) == len(pools) == 3


async def test_the_first_pool_with_room_is_taken(pools: Pools):
    first, *_, last = taken(pools, 3 * SIZE)
    await pools.give_back(last)
    await pools.give_back(first)
    assert pools.take() is first
    assert pools.take() is last


async def test_what_a_rush_has_opened_is_closed_behind_it(pools: Pools):
    calls = taken(pools, 50 * SIZE)
    assert len(pools) == 50
    for pool in reversed(calls):
        await pools.give_back(pool)
    assert len(pools) == KEPT
    kept = set(calls[: KEPT * SIZE])
    assert not any(map(closed, kept))
    assert all(map(closed, set(calls) - kept))


async def test_closing_closes_all(pools: Pools):
    calls = taken(pools, 3 * SIZE)
    await pools.aclose()
    assert all(map(closed, calls))
    assert not len(pools)
