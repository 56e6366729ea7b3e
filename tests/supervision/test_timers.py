"""The timer heap."""

import pytest
import trio

import supervision
from supervision import TimedOut
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


async def test_a_timer_to_a_pid_ends_with_its_process(autojump_clock):
    async with actor() as here:
        pid = supervision.spawn(wait)
        timer = supervision.send_after(5, pid, "too late")
        beat = supervision.send_interval(5, pid, "too late")
        assert timer.remaining() == 5
        supervision.exit(pid, "x")
        await wait_exit(pid)
        assert (timer.remaining(), beat.remaining()) == (None, None)
        assert (timer.cancel(), beat.cancel()) == (None, None)
        assert supervision.send_after(1, pid, "dead").remaining() is None
        supervision.send_after(1, here, "mine")
        assert await supervision.receive() == "mine"
        assert not timers()._to


async def test_a_timer_to_a_name_is_for_whoever_holds_it_then(autojump_clock):
    async with actor():
        pid = supervision.spawn(wait, name="a")
        timer = supervision.send_after(5, "a", "hello")
        supervision.exit(pid, "x")
        await wait_exit(pid)
        assert timer.remaining() == 5
        supervision.register("a")
        assert await supervision.receive() == "hello"


async def test_a_timer_outlives_its_maker(autojump_clock):
    async with actor() as here:

        async def maker():
            supervision.send_after(5, here, "hello")

        await wait_exit(supervision.spawn(maker))
        assert await supervision.receive() == "hello"


async def test_cancelling_says_how_much_was_left(autojump_clock):
    async with actor() as here:
        timer = supervision.send_after(5, here, "hello")
        await trio.sleep(2)
        assert timer.remaining() == pytest.approx(3)
        assert timer.cancel() == pytest.approx(3)
        assert timer.cancel() is None
        fired = supervision.send_after(1, here, "hello")
        await supervision.receive()
        assert (fired.remaining(), fired.cancel()) == (None, None)


async def test_a_started_timer_says_which_one_it_was(autojump_clock):
    async with actor() as here:
        first = supervision.start_timer(1, here, "first")
        second = supervision.start_timer(1, here, "second")
        assert first != second
        assert await supervision.receive() == TimedOut(first, "first")
        assert await supervision.receive() == TimedOut(second, "second")


async def test_an_interval_goes_on_until_it_is_cancelled(autojump_clock):
    async with actor() as here:
        begin = trio.current_time()
        beat = supervision.send_interval(2, here, "tick")
        for number in (1, 2, 3):
            assert await supervision.receive() == "tick"
            assert trio.current_time() - begin == pytest.approx(2 * number)
        assert beat.remaining() == pytest.approx(2)
        assert beat.cancel() == pytest.approx(2)
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=10)


async def test_an_interval_to_a_name_ends_with_the_process_that_held_it(
    autojump_clock,
):
    async with actor() as here:
        pid = supervision.spawn(wait, name="a")
        beat = supervision.send_interval(2, "a", "tick")
        supervision.exit(pid, "x")
        await wait_exit(pid)
        supervision.register("a", pid=here)
        assert beat.remaining() is None
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=10)
        assert supervision.send_interval(2, "nobody", "tick").remaining() is None


async def test_beats_that_were_missed_are_left_out(mock_clock):
    async with actor() as here:
        begin = trio.current_time()
        supervision.send_interval(2, here, "tick")
        mock_clock.jump(7)
        assert await supervision.receive() == "tick"
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)
        mock_clock.jump(1)
        assert await supervision.receive() == "tick"
        assert trio.current_time() - begin == pytest.approx(8)


async def test_a_time_is_not_negative_and_an_interval_takes_some():
    async with actor() as here:
        for seconds in (-1, float("nan")):
            with pytest.raises(ValueError, match="seconds"):
                supervision.send_after(seconds, here, "x")
        for seconds in (0, -1, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="seconds"):
                supervision.send_interval(seconds, here, "x")
