"""What Trio makes of OTP's rules: homes, tasks, order, time."""

import contextvars
import inspect
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio.lowlevel import current_task
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import ChildSpec, DynamicSupervisor, Server
from supervision.testing import wait_exit
from tests.supervision.stage import Ask, Echo, OnPurpose, actor, child, listen, tree

FLAG: contextvars.ContextVar[str] = contextvars.ContextVar("flag", default="unset")


@asynccontextmanager
async def forbidden_scopes(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncGenerator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a cancel scope was opened")

    with monkeypatch.context() as patch:
        for name in ("CancelScope", "move_on_after", "fail_after"):
            patch.setattr(trio, name, refuse)
        yield


# --- homes and tasks


@pytest.mark.otp("T1")
async def test_only_supervisors_have_a_nursery_and_nothing_outlives_the_tree():
    tasks: dict[str, trio.lowlevel.Task] = {}

    async def body(name: str) -> None:
        tasks[name] = current_task()
        await supervision.receive()

    def inner() -> supervision.Supervisor:
        return supervision.Supervisor([ChildSpec("deep", partial(body, "deep"))])

    children = [
        ChildSpec("inner", inner, type="supervisor"),
        ChildSpec("near", partial(body, "near")),
    ]
    async with supervision.open_supervisor(children) as root:
        pids = [supervision.spawn(body, "spawned"), root]
        await wait_all_tasks_blocked()
        found = supervision.tree(root)
        pids += [each.pid for each in found.children if each.pid is not None]
        homes = {name: task.parent_nursery for name, task in tasks.items()}
        assert len(set(homes.values())) == 3
        assert not any(task.child_nurseries for task in tasks.values())
    assert not any(map(supervision.is_alive, pids))
    assert supervision.statistics().processes == 0
    assert not any(nursery and nursery.child_tasks for nursery in homes.values())


@pytest.mark.otp("T17")
async def test_each_incarnation_is_a_task_of_its_own():
    tasks: list[trio.lowlevel.Task] = []

    async def body() -> None:
        tasks.append(current_task())
        await supervision.receive()
        raise OnPurpose

    async with tree(child("body", body)):
        for _ in range(3):
            await wait_all_tasks_blocked()
            supervision.send("body", "crash")
        await wait_all_tasks_blocked()
    assert len({id(task) for task in tasks}) == 4


@pytest.mark.otp("T16")
async def test_a_restart_comes_after_the_last_line_of_the_dead_and_not_from_it():
    log: list[str] = []

    async def body() -> None:
        log.append(f"start {FLAG.get()}")
        FLAG.set("of the dead")
        try:
            await supervision.receive()
            raise OnPurpose
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            log.append("last line")

    async with tree(child("body", body)):
        await wait_all_tasks_blocked()
        supervision.send("body", "crash")
        await wait_all_tasks_blocked()
        assert log == ["start unset", "last line", "start unset"]


# --- order


@pytest.mark.otp("T10")
@pytest.mark.parametrize("seed", range(20))
async def test_no_order_depends_on_which_task_trio_runs_first(seed, monkeypatch):
    scheduler = trio._core._run._r
    state = scheduler.getstate()
    scheduler.seed(seed)
    log: list[Any] = []

    class Noting(Server):
        def __init__(self, name: str) -> None:
            self.name = name

        async def init(self) -> None:
            await trio.lowlevel.checkpoint()
            log.append(self.name)

        async def handle_info(self, message: object) -> None:
            log.append(message)

    try:
        names = ["a", "b", "c", "d"]
        async with tree(*(child(name, Noting, name) for name in names)):
            assert log == names
            log.clear()
            for number in range(20):
                supervision.send("a", number)
            await wait_all_tasks_blocked()
            assert log == list(range(20))
    finally:
        scheduler.setstate(state)


@pytest.mark.otp("T11")
async def test_what_sends_a_signal_is_a_plain_function_and_done_when_it_returns():
    plain = (
        supervision.send,
        supervision.cast,
        supervision.exit,
        supervision.link,
        supervision.unlink,
        supervision.monitor,
        supervision.demonitor,
    )
    assert not any(map(inspect.iscoroutinefunction, plain))
    async with actor() as here:
        pid = supervision.spawn(listen)
        await wait_all_tasks_blocked()
        supervision.send(here, "first")
        supervision.send(here, "second")
        supervision.cast(here, "third")
        supervision.trap_exits(True)
        supervision.exit(here, "fourth")
        found = supervision.info(here)
        assert found is not None
        assert found.mailbox == 4
        supervision.monitor(pid)
        supervision.exit(pid, supervision.KILL)
        assert await supervision.receive() == "first"


@pytest.mark.otp("T11")
async def test_from_a_worker_thread_one_goes_through_trio():
    async with actor() as here:

        def work() -> None:
            trio.from_thread.run_sync(supervision.send, here, "from a thread")

        await trio.to_thread.run_sync(work)
        assert await supervision.receive() == "from a thread"


# --- time


@pytest.mark.otp("T15")
async def test_a_time_out_of_a_call_or_a_receive_opens_no_cancel_scope(monkeypatch):
    class Slow(Echo):
        async def handle_call(self, request: Any, sender: supervision.From) -> Any:
            await trio.lowlevel.checkpoint()
            return request.what

    async def tell(whom: supervision.Pid) -> None:
        await trio.lowlevel.checkpoint()
        supervision.send(whom, "one")

    async with actor() as here, tree(child("slow", Slow)):
        # What is made for the first time-out of all.
        await supervision.call("slow", Ask(1), timeout=5)
        async with forbidden_scopes(monkeypatch):
            assert await supervision.call("slow", Ask(2), timeout=5) == 2
            supervision.spawn(tell, here)
            assert await supervision.receive(str, timeout=5) == "one"


@pytest.mark.otp("T19")
async def test_a_window_of_a_day_passes_under_a_virtual_clock(autojump_clock):
    async def body() -> None:
        await supervision.receive()
        raise OnPurpose

    day = 24 * 3600.0
    async with tree(child("body", body), max_restarts=1, max_seconds=day) as root:
        for _ in range(5):
            await wait_all_tasks_blocked()
            supervision.send("body", "crash")
            await trio.sleep(day + 1)
        (found,) = supervision.tree(root).children
        assert found.restarts == 5
        assert trio.current_time() > 5 * day


# --- starting


class FailsToStart(Server):
    async def init(self) -> None:
        await trio.lowlevel.checkpoint()
        raise OnPurpose


@pytest.mark.otp("30")
async def test_a_failed_start_is_told_over_the_link():
    async with actor(trap=True):
        pid = supervision.spawn_link(FailsToStart)
        told = await supervision.receive(supervision.Exit)
        assert told.pid is pid
        assert isinstance(told.reason, supervision.Crash)


@pytest.mark.otp("30")
async def test_a_failed_start_ends_whoever_is_linked_and_does_not_trap():
    async def starter() -> None:
        supervision.spawn_link(FailsToStart)
        await supervision.receive()

    async with tree():
        reason = await wait_exit(supervision.spawn(starter))
        assert isinstance(reason, supervision.Crash)
        assert isinstance(reason.error, OnPurpose)


@pytest.mark.otp("31")
async def test_who_stops_waiting_for_a_start_does_not_end_the_child(autojump_clock):
    class Slow(Server):
        async def init(self) -> None:
            await trio.sleep(10)

    dynamic = ChildSpec("many", DynamicSupervisor, name="many", type="supervisor")
    async with supervision.open_supervisor([dynamic]):
        with trio.move_on_after(1) as scope:
            await supervision.start_child("many", child("slow", Slow))
        assert scope.cancelled_caught
        assert supervision.whereis("slow") is not None
        await trio.sleep(10)
        found = supervision.info("slow")
        assert found is not None
        assert found.status == "waiting"


@pytest.mark.otp("32")
async def test_a_child_knows_its_parent():
    async with tree(child("echo", Echo)) as root:
        status = await supervision.sys.get_status("echo")
        assert status.parent is root
