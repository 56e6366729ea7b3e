"""Task supervisors."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import KILL, KILLED, Crash, TaskSupervisor
from supervision.testing import wait_exit
from tests.supervision.stage import OnPurpose, child, crash, tree, wait

TASKS = child("tasks", TaskSupervisor, type="supervisor")


async def double(number):
    await trio.lowlevel.checkpoint()
    return number * 2


async def test_a_task_runs_and_is_forgotten():
    async with tree(TASKS):
        seen = []

        async def note(what):
            seen.append((what, supervision.whereis("noter")))

        pid = supervision.start_task("tasks", note, "it", name="noter")
        await wait_exit(pid)
        assert seen == [("it", pid)]
        assert await supervision.which_children("tasks") == []


async def test_a_result_can_be_awaited_by_anyone_and_again():
    async with tree(TASKS):
        task = supervision.async_nolink("tasks", double, 21)
        assert await task.result() == 42
        assert await task.result(timeout=0) == 42


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


async def test_a_result_that_takes_too_long(autojump_clock):
    async with tree(TASKS):

        async def slow():
            await trio.sleep(5)
            return "late"

        task = supervision.async_nolink("tasks", slow)
        with pytest.raises(supervision.TaskTimeout):
            await task.result(timeout=1)
        assert await task.result() == "late"


async def test_a_full_supervisor_refuses_at_once():
    full = supervision.ChildSpec(
        "full", lambda: TaskSupervisor(max_children=1), name="full", type="supervisor"
    )
    async with tree(full, child("plain")):
        supervision.start_task("full", wait)
        with pytest.raises(supervision.MaxChildren):
            supervision.start_task("full", wait)
        with pytest.raises(supervision.NoProcess):
            supervision.start_task("nobody", wait)
        with pytest.raises(supervision.SupervisionError):
            supervision.start_task("plain", wait)


async def test_a_static_supervisor_takes_no_tasks():
    async with tree() as root:
        with pytest.raises(supervision.ChildError):
            supervision.start_task(root, wait)
