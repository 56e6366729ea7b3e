"""Threads and their order: what is taken together, how it ends, who comes after whom."""

import queue
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.lowlevel

from beamclaw.storage import Broken, Driver, StillOpen, _driver


@attrs.define
class Recorder:
    """An access that notes what is done with it, and does as it is told."""

    name: str = "one"
    log: list[str] = attrs.field(factory=list)
    batches: list[list[Any]] = attrs.field(factory=list)
    gate: threading.Event | None = None
    threads: set[str] = attrs.field(factory=set)

    def open(self) -> "Recorder":
        self.log.append(f"{self.name} opens")
        if self.name == "fails":
            raise LookupError("no such thing")
        return self

    def serve(self, jobs: Sequence[Any]) -> list[object]:
        self.threads.add(threading.current_thread().name)
        self.batches.append(list(jobs))
        if self.gate is not None:
            assert self.gate.wait(20)
        if "broken" in jobs:
            raise Broken("the disk is gone")
        if "bug" in jobs:
            raise LookupError("never expected")
        return [f"done {job}" for job in jobs]

    def close(self) -> None:
        self.log.append(f"{self.name} closes")


@attrs.define
class Owner:
    """What the process in front of a driver sees."""

    answers: list[tuple[object, object]] = attrs.field(factory=list)
    failures: list[Broken] = attrs.field(factory=list)
    alive: bool = True
    changed: trio.Event = attrs.field(factory=trio.Event)

    def answer(self, ticket: object, outcome: object) -> None:
        self.answers.append((ticket, outcome))
        self._tell()

    def broken(self, cause: Broken) -> None:
        self.failures.append(cause)
        self._tell()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def wait(self, answers: int, failures: int = 0) -> None:
        with trio.fail_after(60):
            while len(self.answers) < answers or len(self.failures) < failures:
                await self.changed.wait()


def driver(path: Path, access: Recorder, owner: Owner, **options: Any) -> Driver[Any]:
    return Driver(
        path / "file.db",
        "writer",
        access=access.open,
        answer=owner.answer,
        broken=owner.broken,
        wanted=lambda: owner.alive,
        **options,
    )


@pytest.fixture(params=[True, False], ids=["in a thread", "inline"])
def made(request, tmp_path):
    return partial(driver, tmp_path, threads=request.param)


async def test_each_job_gets_its_answer(made):
    access, owner = Recorder(), Owner()
    running = made(access, owner)
    await running.open()
    for number in range(5):
        running.submit(number, f"ticket {number}")
    await owner.wait(5)
    assert owner.answers == [(f"ticket {n}", f"done {n}") for n in range(5)]
    running.close()
    assert await running.wait_closed(20)
    assert access.log == ["one opens", "one closes"]
    assert running.path.resolve() not in _driver._undone


async def test_what_waits_is_taken_together_up_to_a_bound(tmp_path):
    gate = threading.Event()
    access, owner = Recorder(gate=gate), Owner()
    running = driver(tmp_path, access, owner, most=4)
    await running.open()
    running.submit("first", 0)
    while not access.batches:
        await trio.lowlevel.checkpoint()
    for number in range(10):
        running.submit(number, number)
    assert running.waiting == 10
    gate.set()
    await owner.wait(11)
    assert access.batches == [["first"], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    running.close()


async def test_inline_what_comes_in_one_step_is_taken_together(tmp_path):
    access, owner = Recorder(), Owner()
    running = driver(tmp_path, access, owner, threads=False)
    await running.open()
    for number in range(3):
        running.submit(number, number)
    assert owner.answers == []
    await owner.wait(3)
    assert access.batches == [[0, 1, 2]]
    assert access.threads == {threading.main_thread().name}


async def test_what_was_queued_is_done_before_it_closes(made):
    access, owner = Recorder(), Owner()
    running = made(access, owner)
    await running.open()
    for number in range(3):
        running.submit(number, number)
    running.close()
    running.close()
    assert await running.wait_closed(20)
    await owner.wait(3)
    assert [outcome for _, outcome in owner.answers] == ["done 0", "done 1", "done 2"]
    running.submit("late", "late")
    assert isinstance(owner.answers[-1][1], Broken)


@pytest.mark.parametrize("job", ["broken", "bug"])
async def test_a_broken_access_fails_all_who_wait_and_is_closed_first(made, job):
    access, owner = Recorder(), Owner()
    running = made(access, owner)
    await running.open()
    running.submit(job, 1)
    running.submit("beside it", 2)
    await owner.wait(2, failures=1)
    running.submit("after it", 3)
    await owner.wait(3)
    assert all(isinstance(outcome, Broken) for _, outcome in owner.answers)
    assert len(owner.failures) == 1
    assert access.log == ["one opens", "one closes"]
    assert await running.wait_closed(20)


async def test_what_came_while_it_broke_fails_too(tmp_path):
    gate = threading.Event()
    access, owner = Recorder(gate=gate), Owner()
    running = driver(tmp_path, access, owner)
    await running.open()
    running.submit("broken", 1)
    while not access.batches:
        await trio.lowlevel.checkpoint()
    running.submit("late", 2)
    gate.set()
    await owner.wait(2, failures=1)
    assert access.batches == [["broken"]]


async def test_an_error_while_opening_is_the_openers(made):
    running = made(Recorder("fails"), Owner())
    with pytest.raises(LookupError, match="no such thing"):
        await running.open()
    assert await running.wait_closed(20)
    again = made(Recorder(), Owner())
    await again.open()
    again.close()


async def test_a_file_in_use_is_not_opened_a_second_time(made):
    access, owner = Recorder(), Owner()
    running = made(access, owner)
    await running.open()
    with pytest.raises(StillOpen, match="in use"):
        await made(Recorder("two"), Owner()).open()
    running.submit(1, 1)
    await owner.wait(1)
    running.close()


async def test_the_next_generation_opens_when_the_dead_one_has_closed(tmp_path):
    """Its process is gone and could not close it; its thread is at the disk."""
    log: list[str] = []
    gate = threading.Event()
    dead, owner = Recorder("one", log, gate=gate), Owner()
    running = driver(tmp_path, dead, owner)
    await running.open()
    running.submit("slow", 1)
    while not dead.batches:
        await trio.lowlevel.checkpoint()
    owner.alive = False
    heir = driver(tmp_path, Recorder("two", log), Owner())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(heir.open)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert log == ["one opens"]
        gate.set()
    assert log == ["one opens", "one closes", "two opens"]
    heir.close()


async def test_a_dead_generation_that_does_not_end_is_told(tmp_path):
    gate = threading.Event()
    stuck, owner = Recorder(gate=gate), Owner()
    running = driver(tmp_path, stuck, owner)
    await running.open()
    running.submit("stuck", 1)
    while not stuck.batches:
        await trio.lowlevel.checkpoint()
    owner.alive = False
    for name in ("two", "three"):
        heir = driver(tmp_path, Recorder(name), Owner(), patience=0.02)
        with pytest.raises(StillOpen, match=r"has not answered for 0\.02 s"):
            await heir.open()
        assert not await heir.wait_closed(0.02)
    gate.set()
    last = driver(tmp_path, Recorder("four"), Owner())
    await last.open()
    last.close()


async def test_an_opening_that_is_cancelled_closes_what_it_opened(tmp_path):
    gate, access = threading.Event(), Recorder()

    def slowly() -> Recorder:
        assert gate.wait(20)
        return access.open()

    running: Driver[Any] = Driver(
        tmp_path / "file.db",
        "writer",
        access=slowly,
        answer=Owner().answer,
        broken=Owner().broken,
        wanted=lambda: True,
    )
    with trio.CancelScope() as scope:
        scope.cancel()
        await running.open()
    gate.set()
    assert await running.wait_closed(20)
    assert access.log == ["one opens", "one closes"]


def test_a_thread_ends_with_the_event_loop(tmp_path):
    access, owner = Recorder(), Owner()
    kept: queue.SimpleQueue[Driver[Any]] = queue.SimpleQueue()

    async def main() -> None:
        running = driver(tmp_path, access, owner)
        await running.open()
        kept.put(running)

    trio.run(main)
    assert not kept.get().in_use()

    async def again() -> None:  # and the next loop may have the file
        heir = driver(tmp_path, Recorder("two", access.log), Owner())
        await heir.open()
        heir.close()
        assert await heir.wait_closed(20)

    trio.run(again)
    assert access.log == ["one opens", "one closes", "two opens", "two closes"]


async def test_a_writer_waits_for_the_reader_of_the_generation_before(tmp_path):
    """A log that somebody still reads is not read anew by who opens it."""
    gate, log = threading.Event(), list[str]()
    owner = Owner()
    writer = driver(tmp_path, Recorder("writer", log), owner)
    await writer.open()
    slow = Recorder("reader", log, gate=gate)
    reader = driver(tmp_path, slow, owner, beside=writer)
    await reader.open()
    reader.submit("a long read", 1)
    while not slow.batches:
        await trio.lowlevel.checkpoint()
    owner.alive = False
    heir = driver(tmp_path, Recorder("heir", log), Owner())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(heir.open)
        while "writer closes" not in log:
            await trio.lowlevel.checkpoint()
        assert "heir opens" not in log
        gate.set()
    assert log[-2:] == ["reader closes", "heir opens"]
    heir.close()


async def test_a_close_that_fails_is_a_close(made):
    class Stuck(Recorder):
        def close(self) -> None:
            raise OSError(5, "Input/output error")

    access, owner = Stuck(), Owner()
    running = made(access, owner)
    await running.open()
    running.submit("broken", 1)
    await owner.wait(1, failures=1)
    assert await running.wait_closed(20)


async def test_without_a_thread_nobody_holds_the_file(tmp_path, monkeypatch):
    def none_left(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError, match="can't start"):
            await driver(tmp_path, Recorder(), Owner()).open()
    running = driver(tmp_path, Recorder("two"), Owner())
    await running.open()
    running.close()
    assert await running.wait_closed(20)
