"""The timer heap."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision._timers import timers
from supervision.testing import wait_exit
from tests.supervision.stage import Ask, Echo, actor, child, tree, wait


async def test_timers_fire_in_order_of_time_and_then_of_setting(autojump_clock):
    fired = []
    begin = trio.current_time()
    heap = timers()
    for seconds, what in [(3, "c"), (1, "a"), (2, "b"), (1, "also a")]:
        heap.at(begin + seconds, lambda what=what: fired.append(what))
    await trio.sleep(1.5)
    assert fired == ["a", "also a"]
    await trio.sleep(5)
    assert fired == ["a", "also a", "b", "c"]


async def test_a_timer_set_by_a_timer_fires(autojump_clock):
    fired = []
    heap = timers()
    heap.at(
        trio.current_time() + 1,
        lambda: heap.at(trio.current_time() + 1, lambda: fired.append(1)),
    )
    await trio.sleep(3)
    assert fired == [1]


async def test_cancelled_timers_do_nothing_and_do_not_pile_up(autojump_clock):
    heap = timers()
    for _ in range(10_000):
        heap.at(trio.current_time() + 5, lambda: pytest.fail("cancelled")).cancel()
    assert len(heap._heap) < 200
    timer = heap.at(trio.current_time() + 5, lambda: None)
    await trio.sleep(6)
    timer.cancel()
    timer.cancel()
    assert not heap._heap


async def test_calls_leave_no_timers():
    async with tree(child("echo", Echo)):
        for _ in range(1000):
            await supervision.call("echo", Ask(1))
        assert len(timers()._heap) < 200


async def test_send_after(autojump_clock):
    async with actor() as here:
        begin = trio.current_time()
        supervision.send_after(2, here, "late")
        supervision.send_after(1, here, "early")
        supervision.send_after(1, here, "never").cancel()
        supervision.send_after(1, "nobody", "dropped")
        assert await supervision.receive() == "early"
        assert await supervision.receive() == "late"
        assert trio.current_time() - begin == pytest.approx(2)
        pid = supervision.spawn(wait)
        supervision.send_after(1, pid, "too late")
        await wait_all_tasks_blocked()
        supervision.exit(pid, "x")
        await wait_exit(pid)
        await trio.sleep(2)
