"""Who holds up the loop: found on a stack, told in an event, and nothing is left."""

import logging
import sys
import threading
from functools import partial
from time import perf_counter
from typing import Any, cast

import pytest
import trio
import trio.lowlevel
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import KILL, DynamicSupervisor, Watchdog
from supervision._watchdog import Culprit, Late, Peaks, Sampler, find_culprit
from supervision.testing import Recorder, settle, wait_exit
from tests.supervision.stage import Ask, Echo, child, tree

LAG = "supervision.loop.lag"


def hold_the_loop(seconds: float) -> None:
    """Compute, so that nobody else runs."""
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass


def watchdogs() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "supervision watchdog"]


def look() -> Culprit:
    """What a watchdog would see if it looked now."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    return find_culprit(sys._getframe(), root)


def seen(culprit: Culprit) -> tuple[str | None, str | None, list[str]]:
    """Whose it is, the task, and the functions that are its own."""
    process = culprit.process
    functions = [point.split()[-1] for point in culprit.stack]
    if functions[0] == "_run_body":  # with a scope for each process
        del functions[0]
    return process and process.label, culprit.task, functions


# --- whose stack it is


class Looks(Echo):
    """Looks at the stack in the middle of its callbacks."""

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        if request.what == "inner task":
            return await in_an_inner_task()
        if request.what == "later":
            await trio.lowlevel.checkpoint()
        return look()

    async def handle_cast(self, message: Any) -> None:
        self.log.append(look())


async def in_an_inner_task() -> Culprit:
    found: list[Culprit] = []

    async def inner() -> None:
        found.append(look())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(inner, name="inner one")
    return found[0]


async def test_a_process_is_found_by_its_own_frames():
    found: list[Culprit] = []

    async def deep(depth: int) -> None:
        if depth:
            await deep(depth - 1)
        else:
            found.append(look())

    async with tree(child("it", deep, 2, restart="temporary")):
        await settle()
        # Nothing of the loop, and nothing of how processes are run.
        assert seen(found[0]) == ("it", "it", ["deep", "deep", "deep", "look"])


@pytest.mark.parametrize("how", ["at once", "later"])
async def test_a_server_is_found_not_its_caller(how):
    found: list[Culprit] = []

    async def caller() -> None:
        found.append(await supervision.call("server", Ask(how)))

    async with tree(
        child("server", Looks), child("caller", caller, restart="temporary")
    ):
        await settle()
        found.append(await supervision.call("server", Ask(how)))
        for culprit in found:
            assert culprit.process is not None
            assert culprit.process.label == "server"
            assert not any("caller" in point for point in culprit.stack)
            assert culprit.stack[-2].endswith("handle_call")


async def test_a_server_that_is_sent_something_is_found():
    log: list[Any] = []
    async with tree(child("server", Looks, log)):
        supervision.cast("server", "look")
        await settle()
        found = log[-1]
        assert found.process.label == "server"
        assert found.stack[-2].endswith("handle_cast")


async def test_a_task_inside_a_process_is_found_with_the_process():
    async with tree(child("server", Looks)):
        found = await supervision.call("server", Ask("inner task"))
        assert seen(found) == ("server", "inner one", ["inner", "look"])


async def test_an_adopted_task_is_found():
    async with tree(child("d", DynamicSupervisor, type="supervisor")):
        async with supervision.adopt("d", "guest"):
            found = look()
        assert found.process is not None
        assert found.process.label == "guest"


async def test_who_is_no_process_is_named_by_its_task():
    found = await in_an_inner_task()
    assert found.process is None
    assert found.task == "inner one"


async def test_a_child_that_begins_in_the_end_of_another_is_found():
    """It takes its first step inside the exit step of its predecessor."""
    found: list[Culprit] = []

    async def begins() -> None:
        found.append(look())
        await supervision.receive()

    async with tree(child("it", begins)):
        await wait_all_tasks_blocked()
        pid = supervision.whereis("it")
        assert pid is not None
        supervision.exit(pid, "why")
        await wait_all_tasks_blocked()
        assert [seen(each) for each in found] == [("it", "it", ["begins", "look"])] * 2
        pids = {each.process.pid for each in found if each.process is not None}
        assert len(pids) == 2


async def test_the_loop_itself_is_nobody():
    root = trio.lowlevel.current_root_task()
    assert root is not None
    frame = sys._getframe()
    while frame.f_code.co_name != "unrolled_run":
        frame = frame.f_back
        assert frame is not None
    found = find_culprit(frame, root)
    assert (found.process, found.task) == (None, None)
    assert found.stack[-1].endswith("unrolled_run")


# --- a real one


class Busy(Echo):
    async def handle_cast(self, message: Any) -> None:
        hold_the_loop(message)


@pytest.mark.slow
async def test_who_holds_the_loop_is_told_with_the_stack_of_that_moment(
    events: Recorder,
):
    # A machine that others use may hold it for a moment, too.
    def is_it(event: supervision.telemetry.Event) -> bool:
        return event.name == LAG and event.measurements["seconds"] > 0.2

    told = trio.Event()
    detach = supervision.telemetry.attach(lambda event: is_it(event) and told.set())
    async with tree(child("dog", Watchdog, 0.05), child("busy", Busy)):
        busy = supervision.whereis("busy")
        supervision.cast("busy", 0.3)
        await told.wait()
        state = supervision.state("dog")
        lags = [event.measurements["seconds"] for event in events.named(LAG)]
        assert (state["lags"], state["worst"]) == (len(lags), max(lags))
        assert state["minute"] >= state["worst"]  # pyright: ignore[reportOperatorIssue]
    detach()
    event = next(event for event in events.named(LAG) if is_it(event))
    assert event.metadata["pid"] is busy
    assert event.metadata["name"] == event.metadata["id"] == "busy"
    stack = event.metadata["stack"]
    assert isinstance(stack, list)
    assert [point.split()[-1] for point in stack][-2:] == [
        "handle_cast",
        "hold_the_loop",
    ]


@pytest.mark.slow
async def test_who_holds_the_loop_for_long_is_told_while_it_does(
    caplog: pytest.LogCaptureFixture,
):
    lines: list[str] = []

    def hold_until_it_is_told() -> None:
        end = perf_counter() + 5
        while len(caplog.records) < 2 and perf_counter() < end:
            pass
        lines.extend(record.getMessage() for record in caplog.records)

    class Stuck(Echo):
        async def handle_cast(self, message: Any) -> None:
            hold_until_it_is_told()

    dog = partial(Watchdog, 0.02, stuck=0.05)  # and again after 0.1 s
    with caplog.at_level(logging.CRITICAL, "supervision"):
        async with tree(child("dog", dog), child("stuck", Stuck)):
            supervision.cast("stuck", None)
            await settle()
    assert lines
    assert "more than 0.05 s by <process" in lines[0]
    assert "stuck" in lines[0]
    assert "more than 0.1 s by <process" in lines[1]
    assert any(line.endswith("hold_until_it_is_told") for line in lines[0].splitlines())


@pytest.mark.slow
async def test_who_does_not_hold_the_loop_is_not_told(events: Recorder):
    async with tree(child("dog", Watchdog, 0.05)):
        for _ in range(30):
            hold_the_loop(0.004)
            await trio.lowlevel.checkpoint()
        state = supervision.state("dog")
        assert state["lags"] == 0
        lag = state["lag"]
        assert isinstance(lag, float)
        assert 0 < lag < 0.05
    assert not events.named(LAG)


def test_the_worst_of_a_minute_is_forgotten_when_it_is_over():
    peaks = Peaks()
    assert peaks.of_minute(100.0) == 0.0
    for now, lag in ((100.2, 0.5), (100.7, 0.2), (130.0, 0.3), (130.1, 0.1)):
        peaks.add(now, lag)
    assert peaks.of_minute(159.0) == 0.5
    assert peaks.of_minute(162.0) == 0.3
    assert peaks.of_minute(200.0) == 0.0


def test_however_often_the_loop_answers_as_much_is_kept():
    peaks = Peaks()
    for beat in range(100_000):
        peaks.add(beat / 100, 1.0 if beat == 99_000 else 0.001)
    assert peaks.of_minute(1_000.0) == 1.0
    assert len(peaks._worst) == 61


# --- what is told


def late(seconds: float) -> Late:
    return Late(seconds, Culprit(None, "somebody", ["here"]))


async def test_lags_are_told_once_in_a_while_and_counted(
    events: Recorder, autojump_clock
):
    # Under load a real lag could come in between.
    dog = partial(Watchdog, 1e9, every=1.0)
    async with tree(child("dog", dog)):
        for seconds in (1, 2, 3):
            supervision.send("dog", late(seconds))
        await trio.sleep(1.5)
        for seconds in (5, 4):
            supervision.send("dog", late(seconds))
        await settle()
        told = [
            (event.measurements["seconds"], event.measurements["untold"])
            for event in events.named(LAG)
        ]
        assert told == [(1, 0), (5, 2)]
        assert events.named(LAG)[0].metadata == {
            "pid": None,
            "name": None,
            "id": None,
            "task": "somebody",
            "stack": ["here"],
        }
        state = supervision.state("dog")
        assert (state["lags"], state["worst"], state["threshold"]) == (5, 5, 1e9)


async def test_what_a_watchdog_does_not_know_it_drops(events: Recorder):
    async with tree(child("dog", Watchdog)):
        supervision.send("dog", "good boy")
        await settle()
    assert len(events.named("supervision.message.dropped")) == 1


@pytest.mark.parametrize(
    "options",
    [{"threshold": 0}, {"every": -1}, {"stuck": 0}],
    ids=lambda options: next(iter(options)),
)
def test_times_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="seconds"):
        Watchdog(**options)


# --- its thread


async def test_the_thread_ends_with_the_process():
    before = watchdogs()
    async with tree(child("dog", Watchdog)) as root:
        (first,) = [each for each in watchdogs() if each not in before]
        pid = supervision.whereis("dog")
        assert pid is not None
        supervision.exit(pid, KILL)
        await wait_exit(pid)
        assert not first.is_alive()
        await settle()
        (second,) = [each for each in watchdogs() if each not in before]
        assert second.daemon
        await supervision.terminate_child(root, "dog")
        assert not second.is_alive()
    assert watchdogs() == before


@pytest.mark.parametrize("ending", ["stop", "crash"])
async def test_however_it_ends_its_thread_does(ending):
    before = watchdogs()

    class Fragile(Watchdog):
        async def handle_cast(self, message: Any) -> None:
            raise RuntimeError

    async with tree(child("dog", Fragile, restart="temporary")):
        pid = supervision.whereis("dog")
        assert pid is not None
        if ending == "stop":
            await supervision.stop(pid)
        else:
            supervision.cast(pid, "die")
            await wait_exit(pid)
        assert watchdogs() == before


@pytest.mark.slow
async def test_a_thread_that_fails_crashes_its_process(monkeypatch):
    def fail(_: Sampler) -> Culprit:
        raise RuntimeError("on purpose")

    async with tree(child("dog", Watchdog, 0.01)):
        pid = supervision.whereis("dog")
        assert pid is not None
        with monkeypatch.context() as patched:
            patched.setattr(Sampler, "_look", fail)
            hold_the_loop(0.1)
            reason = await wait_exit(pid)
        assert isinstance(reason, supervision.Crash)
        assert isinstance(reason.error, RuntimeError)
        await settle()
        assert supervision.whereis("dog") is not None


def test_the_thread_ends_when_the_run_is_over_without_an_exit_step():
    samplers: list[Sampler] = []

    class Abandoned:
        tables: Any = None

        def deliver(self, message: object) -> None:
            """On a busy machine it hears of a late answer before the run is over."""

    async def main() -> None:
        samplers.append(Sampler(0.01, 5, cast("Any", Abandoned())))
        samplers[0].begin()

    before = watchdogs()
    trio.run(main)
    for thread in watchdogs():
        if thread not in before:
            thread.join(5)
    assert watchdogs() == before
