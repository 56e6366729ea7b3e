"""Tasks: one at a time."""

import contextvars
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import (
    BRUTAL_KILL,
    KILL,
    KILLED,
    SHUTDOWN,
    Crash,
    Down,
    Exit,
    Exited,
    TaskExit,
    TaskOk,
    TaskSupervisor,
)
from supervision.testing import settle, wait_exit
from tests.supervision.stage import OnPurpose, actor, child, crash, tree, wait

TASKS = child("tasks", TaskSupervisor, type="supervisor")


async def double(number):
    await trio.lowlevel.checkpoint()
    return number * 2


async def slow(seconds, value="late"):
    await trio.sleep(seconds)
    return value


# --- async, linked


@pytest.mark.otp("100")
async def test_a_task_runs_beside_its_caller_and_gives_its_result():
    async with actor():
        first, second = (supervision.async_task(double, n) for n in (1, 2))
        assert await second.result() == 4
        assert await first.result() == 2
        assert await first.result(timeout=0) == 2


@pytest.mark.otp("100")
async def test_a_crash_of_the_task_ends_its_caller():
    async def caller():
        await supervision.async_task(crash).result()
        pytest.fail("the caller should have ended")

    async with tree():
        reason = await wait_exit(supervision.spawn(caller))
        assert isinstance(reason, Crash)
        assert isinstance(reason.error, OnPurpose)


@pytest.mark.otp("100")
async def test_a_caller_that_traps_exits_is_told():
    async with actor(trap=True):
        task = supervision.async_task(crash)
        with pytest.raises(supervision.TaskFailed) as failed:
            await task.result()
        assert isinstance(failed.value.__cause__, OnPurpose)
        assert await supervision.receive() == Exit(task.pid, failed.value.reason)


@pytest.mark.otp("100")
async def test_the_end_of_the_caller_is_the_end_of_the_task():
    async with tree():
        tasks = []

        async def caller():
            tasks.append(supervision.async_task(wait))
            await wait()

        pid = supervision.spawn(caller)
        await settle()
        supervision.exit(pid, "x")
        assert await wait_exit(tasks[0].pid) == Exited("x")


@pytest.mark.otp("100")
async def test_only_the_owner_asks_for_the_result():
    async with actor():
        task = supervision.async_task(double, 1)

        async def other():
            for ask in (task.result, task.poll, task.shutdown):
                with pytest.raises(supervision.NotTheOwner):
                    await ask()

        assert await wait_exit(supervision.spawn(other)) == supervision.NORMAL
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
        assert await task.result() == 2
    with pytest.raises(supervision.NotAProcess):
        supervision.async_task(double, 1)


@pytest.mark.otp("100")
async def test_a_result_that_takes_too_long_ends_the_caller_and_so_the_task(
    autojump_clock,
):
    async with tree():
        tasks = []

        async def caller():
            tasks.append(supervision.async_task(slow, 10))
            await tasks[0].result(timeout=1)

        pid = supervision.spawn(caller)
        reason = await wait_exit(pid)
        assert isinstance(reason, Crash)
        assert isinstance(reason.error, supervision.TaskTimeout)
        assert not supervision.is_alive(tasks[0].pid) or (
            await wait_exit(tasks[0].pid) == reason
        )
        assert trio.current_time() < 5


@pytest.mark.otp("100")
async def test_polling_gives_nothing_until_there_is_something(autojump_clock):
    async with actor():
        task = supervision.async_task(slow, 5)
        assert await task.poll() is None
        assert await task.poll(timeout=1) is None
        assert await task.poll(timeout=10) == TaskOk("late")
        assert await task.poll(timeout=None) == TaskOk("late")
        assert await task.result() == "late"


async def test_a_task_can_be_supervised_and_linked():
    async with tree(TASKS), supervision.adopt("tasks", "test"):
        task = supervision.async_task(slow, 0, supervisor="tasks", name="t")
        assert supervision.whereis("t") is task.pid
        infos = await supervision.which_children("tasks")
        assert task.pid in [info.pid for info in infos]
        assert await task.result() == "late"


# --- shutdown


@pytest.mark.otp("100")
async def test_shutting_down_ends_the_task_and_not_the_caller():
    async with actor(trap=True):
        for timeout in (5.0, None, BRUTAL_KILL):
            task = supervision.async_task(wait)
            await settle()
            assert await task.shutdown(timeout=timeout) is None
            assert not supervision.is_alive(task.pid)
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)


@pytest.mark.otp("100")
async def test_shutting_down_returns_a_result_that_had_arrived():
    async with actor(trap=True):
        task = supervision.async_task(double, 1)
        await settle()
        assert await task.shutdown() == TaskOk(2)
        failed = supervision.async_task(crash)
        await settle()
        outcome = await failed.shutdown()
        assert isinstance(outcome, TaskExit)
        assert isinstance(outcome.reason, Crash)


@pytest.mark.otp("100")
async def test_a_result_at_the_last_moment_counts():
    async def stubborn():
        try:
            await wait()
        except trio.Cancelled:
            return "still"

    async with actor():
        task = supervision.async_task(stubborn)
        await settle()
        assert await task.shutdown() == TaskOk("still")


@pytest.mark.otp("100")
async def test_a_task_that_does_not_end_in_time_is_killed(autojump_clock, events):
    async def trapping():
        supervision.trap_exits(True)
        await wait()

    async with actor():
        task = supervision.async_task(trapping)
        await settle()
        begin = trio.current_time()
        assert await task.shutdown(timeout=2) == TaskExit(KILLED)
        assert trio.current_time() - begin == pytest.approx(2)
        await trio.sleep(10)
        assert "supervision.child.unkillable" not in events.names()


async def test_a_task_that_cannot_be_killed_is_reported(autojump_clock, events):
    async def shielded():
        with trio.CancelScope(shield=True):
            return await slow(10)

    async with actor():
        task = supervision.async_task(shielded)
        await settle()
        assert await task.shutdown(timeout=BRUTAL_KILL) == TaskOk("late")
        assert trio.current_time() == pytest.approx(10)
        assert "supervision.child.unkillable" in events.names()


# --- async_nolink


async def test_a_result_can_be_awaited_by_anyone_and_again():
    async with tree(TASKS):
        task = supervision.async_nolink("tasks", double, 21)
        assert await task.result() == 42
        assert await task.result(timeout=0) == 42


@pytest.mark.otp("101")
async def test_a_crash_is_the_tasks_own():
    async with tree(TASKS) as root:
        task = supervision.async_nolink("tasks", crash)
        with pytest.raises(supervision.TaskFailed) as failed:
            await task.result()
        assert isinstance(failed.value.reason, Crash)
        assert isinstance(failed.value.__cause__, OnPurpose)
        killed = supervision.async_nolink("tasks", wait)
        await wait_all_tasks_blocked()
        supervision.exit(killed.pid, KILL)
        with pytest.raises(supervision.TaskFailed) as failed:
            await killed.result()
        assert failed.value.reason == KILLED
        assert supervision.is_alive(root)


@pytest.mark.otp("101")
async def test_a_caller_that_must_not_wait_gets_a_down():
    async with actor(), tree(TASKS):
        good = supervision.async_nolink("tasks", double, 1)
        bad = supervision.async_nolink("tasks", crash)
        refs = {supervision.monitor(task.pid): task for task in (good, bad)}
        for _ in range(2):
            down = await supervision.receive(Down)
            outcome = await refs[down.ref].poll()
            assert outcome == (
                TaskOk(2) if refs[down.ref] is good else TaskExit(down.reason)
            )


@pytest.mark.otp("101")
async def test_a_task_without_link_outlives_its_caller():
    async with tree(TASKS):
        tasks = []

        async def caller():
            tasks.append(supervision.async_nolink("tasks", slow, 0))
            raise OnPurpose

        await wait_exit(supervision.spawn(caller))
        assert await tasks[0].result() == "late"


@pytest.mark.otp("101")
async def test_a_task_is_a_temporary_child_and_ends_with_its_supervisor():
    async with tree(TASKS):
        task = supervision.async_nolink("tasks", wait)
        (info,) = await supervision.which_children("tasks")
        spec = await supervision.get_child_spec("tasks", task.pid)
        assert (info.pid, spec.restart) == (task.pid, "temporary")
        await wait_all_tasks_blocked()
    assert (await task.poll()) == TaskExit(SHUTDOWN)


async def test_a_result_that_takes_too_long(autojump_clock):
    async with tree(TASKS):
        task = supervision.async_nolink("tasks", slow, 5)
        with pytest.raises(supervision.TaskTimeout):
            await task.result(timeout=1)
        assert await task.result() == "late"


async def test_any_task_shuts_one_down():
    async with tree(TASKS):
        task = supervision.async_nolink("tasks", wait)
        await wait_all_tasks_blocked()
        assert await task.shutdown() is None
        assert await supervision.which_children("tasks") == []


def test_outcomes_can_be_unwrapped():
    assert TaskOk(1).unwrap() == 1
    with pytest.raises(supervision.TaskFailed) as failed:
        TaskExit(KILLED).unwrap()
    assert failed.value.reason == KILLED


# --- on whose behalf

request = contextvars.ContextVar("request", default="none")


@pytest.mark.otp("103")
async def test_a_task_knows_on_whose_behalf_it_runs():
    async def note():
        return supervision.callers()

    async def middle():
        return await supervision.async_task(note).result(), supervision.self_pid()

    async with tree(TASKS), supervision.adopt("tasks", "test") as here:
        assert supervision.callers() == ()
        assert await supervision.async_nolink("tasks", note).result() == (here,)
        chain, middle_pid = await supervision.async_task(middle).result()
        assert chain == (middle_pid, here)
        assert supervision.callers() == ()


@pytest.mark.otp("103")
async def test_a_task_has_the_context_of_its_caller():
    async def note():
        return request.get()

    async with tree(TASKS), supervision.adopt("tasks", "test"):
        request.set("mine")
        assert await supervision.async_task(note).result() == "mine"
        assert await supervision.async_nolink("tasks", note).result() == "mine"
        seen = []

        async def fire():
            seen.append((request.get(), supervision.callers()))

        await wait_exit(supervision.start_task("tasks", fire))
        assert seen == [("mine", (supervision.self_pid(),))]


async def test_a_plain_task_is_nobodys_caller():
    async def note():
        return supervision.callers()

    async with tree(TASKS):
        assert await supervision.async_nolink("tasks", note).result() == ()


async def test_a_partial_is_a_function_too():
    async with actor():
        assert await supervision.async_task(partial(double, 4)).result() == 8
