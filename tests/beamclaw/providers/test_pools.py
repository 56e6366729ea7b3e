"""Connections to a provider, each in a pool of its own."""

import httpx2
import pytest
import trio

from beamclaw.providers._pools import KEPT, SECONDS, Pools


class Transport(httpx2.AsyncHTTPTransport):
    """Opens nothing; tells whether it was closed."""

    closed = False

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()


@pytest.fixture
def pools() -> Pools:
    return Pools(lambda: Transport(verify=False))


def closed(pool: httpx2.AsyncHTTPTransport) -> bool:
    assert isinstance(pool, Transport)
    return pool.closed


def taken(pools: Pools, count: int) -> list[httpx2.AsyncHTTPTransport]:
    return [pools.take() for _ in range(count)]


def test_each_call_has_its_own(pools: Pools):
    calls = taken(pools, 3)
    assert len(set(calls)) == len(pools) == 3


async def test_the_one_that_was_used_last_is_taken_first(pools: Pools):
    first, _, last = taken(pools, 3)
    await pools.give_back(last)
    await pools.give_back(first)
    assert pools.take() is first
    assert pools.take() is last


async def test_of_what_a_rush_has_opened_the_last_are_kept(pools: Pools):
    calls = taken(pools, 5 * KEPT)
    for pool in calls:
        await pools.give_back(pool)
    assert len(pools) == KEPT
    assert all(map(closed, calls[:-KEPT]))
    assert not any(map(closed, calls[-KEPT:]))


async def test_what_nobody_has_used_for_long_is_closed_with_the_next_call(
    pools: Pools, autojump_clock
):
    used, *unused = taken(pools, 3)
    for pool in (*unused, used):
        await pools.give_back(pool)
    for _ in range(2):
        await trio.sleep(SECONDS / 2)
        assert pools.take() is used
        await pools.give_back(used)
    assert all(map(closed, unused))
    assert not closed(used)
    assert len(pools) == 1


async def test_closing_closes_all(pools: Pools):
    calls = taken(pools, 3)
    await pools.give_back(calls[0])
    await pools.aclose()
    assert all(map(closed, calls))
    await pools.give_back(calls[1])
    assert not len(pools)
    assert pools.take() not in calls
