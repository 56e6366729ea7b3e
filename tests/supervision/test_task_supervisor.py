"""Task supervisors: tasks that nobody waits for, and many at once."""

from contextlib import aclosing
from itertools import count

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import Crash, Exited, TaskExit, TaskOk, TaskSupervisor
from supervision.testing import settle, wait_exit
from tests.supervision.stage import OnPurpose, child, tree, wait

TASKS = child("tasks", TaskSupervisor, type="supervisor")


async def running():
    return (await supervision.count_children("tasks")).active


# --- fire and forget


@pytest.mark.otp("102")
async def test_a_task_runs_and_is_forgotten():
    async with tree(TASKS):
        seen = []

        async def note(what):
            seen.append((what, supervision.whereis("noter")))

        pid = supervision.start_task("tasks", note, "it", name="noter")
        await wait_exit(pid)
        assert seen == [("it", pid)]
        assert await supervision.which_children("tasks") == []


@pytest.mark.otp("102")
async def test_a_task_is_temporary_unless_it_is_to_succeed_once():
    async with tree(TASKS):
        tries = []

        async def third_time():
            tries.append(len(tries))
            if len(tries) < 3:
                raise OnPurpose

        await wait_exit(supervision.start_task("tasks", third_time))
        await settle()
        assert tries == [0]
        supervision.start_task("tasks", third_time, restart="transient")
        await settle()
        assert tries == [0, 1, 2]
        assert await running() == 0


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


# --- streams


class Work:
    """Takes as long as the item says, and watches how many run at a time."""

    def __init__(self):
        self.now = 0
        self.most = 0
        self.started = []

    async def __call__(self, seconds):
        self.started.append(seconds)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await trio.sleep(seconds)
            if seconds == 13:
                raise OnPurpose
            return seconds
        finally:
            self.now -= 1


async def values(outcomes):
    return [outcome.unwrap() async for outcome in outcomes]


@pytest.mark.otp("102")
async def test_a_stream_keeps_the_order_and_the_bound(autojump_clock):
    async with tree(TASKS):
        work, items = Work(), [5, 1, 3, 1, 1]
        stream = supervision.stream("tasks", work, items, max_concurrency=2)
        assert await values(stream) == items
        assert work.most == 2
        # 5 beside 1, 3 and 1; then 1: nobody waits for the first to come out.
        assert trio.current_time() == pytest.approx(6)


@pytest.mark.otp("102")
async def test_a_stream_without_order_yields_what_comes_out(autojump_clock):
    async with tree(TASKS):
        stream = supervision.stream(
            "tasks", Work(), [5, 1, 3, 0], max_concurrency=3, ordered=False
        )
        assert await values(stream) == [1, 0, 3, 5]


@pytest.mark.otp("102")
async def test_a_task_of_a_stream_that_crashes_is_one_of_its_outcomes(autojump_clock):
    async with tree(TASKS):
        stream = supervision.stream("tasks", Work(), [1, 13, 2])
        outcomes = [outcome async for outcome in stream]
        assert (outcomes[0], outcomes[2]) == (TaskOk(1), TaskOk(2))
        assert isinstance(outcomes[1], TaskExit)
        assert isinstance(outcomes[1].reason, Crash)
        with pytest.raises(supervision.TaskFailed):
            outcomes[1].unwrap()


@pytest.mark.otp("102")
async def test_a_task_that_is_late_ends_its_stream(autojump_clock):
    async with tree(TASKS):
        stream = supervision.stream("tasks", Work(), [1, 9, 2, 3], timeout=5)
        assert await anext(stream) == TaskOk(1)
        with pytest.raises(supervision.TaskTimeout):
            await anext(stream)
        assert await running() == 0
        assert trio.current_time() == pytest.approx(5)


@pytest.mark.otp("102")
@pytest.mark.parametrize("ordered", [True, False])
async def test_a_task_that_is_late_can_be_killed_alone(autojump_clock, ordered):
    async with tree(TASKS):
        stream = supervision.stream(
            "tasks",
            Work(),
            [1, 9, 2],
            timeout=5,
            on_timeout="kill_task",
            ordered=ordered,
        )
        outcomes = [outcome async for outcome in stream]
        late = TaskExit(Exited("timeout"))
        ok = [TaskOk(1), TaskOk(2)]
        assert outcomes == ([ok[0], late, ok[1]] if ordered else [*ok, late])
        assert await running() == 0


async def test_items_are_taken_as_outcomes_are_wanted(autojump_clock):
    async with tree(TASKS):
        work = Work()
        endless = supervision.stream("tasks", work, count(1), max_concurrency=3)
        async with aclosing(endless) as stream:
            assert work.started == []
            assert await anext(stream) == TaskOk(1)
            await trio.sleep(100)
            assert sorted(work.started) == [1, 2, 3, 4]
            assert await anext(stream) == TaskOk(2)
        assert await running() == 0


@pytest.mark.otp("102")
async def test_a_stream_that_is_closed_leaves_nothing():
    async with tree(TASKS):
        async with aclosing(supervision.stream("tasks", Work(), [0, 99, 99])) as stream:
            async for _ in stream:
                break
            assert await running() == 2
        assert await running() == 0


@pytest.mark.otp("102")
async def test_a_stream_whose_reader_is_cancelled_leaves_nothing(autojump_clock):
    async with tree(TASKS):
        with trio.move_on_after(1):
            async with aclosing(
                supervision.stream("tasks", Work(), [99, 99])
            ) as stream:
                await values(stream)
        assert await running() == 0


@pytest.mark.otp("102")
async def test_a_stream_ends_with_the_process_that_reads_it():
    async def reader():
        stream = supervision.stream("tasks", Work(), [0, 99, 99])
        kept.append(stream)
        await anext(stream)
        await wait()

    kept = []
    async with tree(TASKS):
        pid = supervision.spawn(reader)
        await wait_all_tasks_blocked()
        assert await running() == 2
        supervision.exit(pid, "x")
        await wait_exit(pid)
        await settle()
        assert await running() == 0
        await kept[0].aclose()


async def test_a_task_that_does_not_obey_is_killed_as_its_stream_closes(autojump_clock):
    async def trapping(_):
        supervision.trap_exits(True)
        await wait()

    async with tree(TASKS):
        stream = supervision.stream("tasks", trapping, [1], timeout=1)
        with pytest.raises(supervision.TaskTimeout):
            await anext(stream)
        assert await running() == 0
        assert trio.current_time() == pytest.approx(6)


async def test_closing_does_not_wait_for_ever(autojump_clock, events):
    async def shielded(_):
        with trio.CancelScope(shield=True):
            await trio.sleep(60)

    async with tree(TASKS):
        stream = supervision.stream("tasks", shielded, [1], timeout=1)
        with pytest.raises(supervision.TaskTimeout):
            await anext(stream)
        assert trio.current_time() == pytest.approx(8)
        assert "supervision.child.unkillable" in events.names()
        await trio.sleep(60)
        assert await running() == 0


async def test_what_goes_wrong_at_a_start_ends_the_stream():
    full = supervision.ChildSpec(
        "tasks", lambda: TaskSupervisor(max_children=1), name="tasks", type="supervisor"
    )
    async with tree(full):
        with pytest.raises(supervision.MaxChildren):
            await anext(supervision.stream("tasks", Work(), [99, 99]))
        assert await running() == 0
        one = supervision.stream("tasks", Work(), [0, 0, 0], max_concurrency=1)
        assert await values(one) == [0, 0, 0]

        def broken():
            yield 99
            raise OnPurpose

        with pytest.raises(OnPurpose):
            await anext(supervision.stream("tasks", Work(), broken()))
        assert await running() == 0


async def test_a_stream_of_nothing():
    assert await values(supervision.stream("nobody", Work(), [])) == []


def test_options_are_checked_at_once():
    with pytest.raises(ValueError, match="max_concurrency"):
        supervision.stream("tasks", Work(), [1], max_concurrency=0)
    with pytest.raises(ValueError, match="on_timeout"):
        supervision.stream("tasks", Work(), [1], on_timeout="never")  # pyright: ignore[reportArgumentType]
