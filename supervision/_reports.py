"""What processes report of themselves and of others, as telemetry events."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final, Literal, TypeAlias

import trio

from ._life import Process, process_of_task
from ._telemetry import DROPPED, UNKILLABLE, emit
from ._trio_parts import is_shielded

Hold: TypeAlias = Literal["busy", "shield", "thread"]
"""What keeps a killed process: it goes on by itself, under a shield, or in a thread."""

_IN_THREAD: Final = getattr(trio.to_thread.run_sync, "__code__", None)


def report_unkillable(process: Process) -> None:
    """Say that a killed process still runs, what holds it, and where."""
    emit(
        UNKILLABLE,
        {},
        {
            "pid": process.pid,
            "name": process.name,
            "id": process.label,
            "held_by": holds_of(process),
            "stack": stack_of(process),
        },
    )


def report_dropped(process: Process, message: object) -> None:
    """Report a message that nobody has a use for."""
    emit(
        DROPPED,
        {},
        {"pid": process.pid, "name": process.name, "message": type(message).__name__},
    )


def wait_points(process: Process) -> list[str]:
    """Where the task of *process* waits, outermost first, as ``file:line function``."""
    return [] if process.task is None else list(_points(process.task))


def stack_of(process: Process) -> list[str]:
    """What keeps *process*: where it waits, and its inner tasks and threads, too."""
    return [] if process.task is None else list(_everything_in(process.task))


def holds_of(process: Process) -> list[Hold]:
    """What keeps *process* from ending, sorted; of its inner tasks, too."""
    return [] if process.task is None else sorted(set(_holds_in(process.task)))


def _holds_in(task: trio.lowlevel.Task) -> Iterator[Hold]:
    inner = list(_inner_tasks(task))
    if _thread_frame(task) is not None:
        yield "thread"
    elif is_shielded(task):
        yield "shield"
    elif not inner or not _waits_for_inner(task):
        # The cancellation reaches it, and it goes on all the same.
        yield "busy"
    for each in inner:
        yield from _holds_in(each)


def _inner_tasks(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    for nursery in task.child_nurseries:
        for inner in nursery.child_tasks:
            if process_of_task(inner) is None:
                yield inner


def _waits_for_inner(task: trio.lowlevel.Task) -> bool:
    """Whether *task* is at the end of a nursery, whose tasks have not ended."""
    return any(
        frame.f_code.co_name == "_nested_child_finished"
        for frame, _ in task.iter_await_frames()
    )


def _points(task: trio.lowlevel.Task) -> Iterator[str]:
    for frame, line in task.iter_await_frames():
        yield f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"


def _everything_in(task: trio.lowlevel.Task) -> Iterator[str]:
    yield from _points(task)
    yield from _thread_of(task)
    for inner in _inner_tasks(task):
        for point in _everything_in(inner):
            yield f"in task {inner.name}: {point}"


def _thread_frame(task: trio.lowlevel.Task) -> FrameType | None:
    """The frame in which *task* waits for a thread."""
    for frame, _ in task.iter_await_frames():
        if frame.f_code is _IN_THREAD:
            return frame
    return None


def _thread_of(task: trio.lowlevel.Task) -> Iterator[str]:
    """Where the thread is that *task* waits for."""
    waiting = _thread_frame(task)
    if waiting is None:
        return
    name = waiting.f_locals.get("thread_name")
    # The only way to look at a thread from another one.
    frames = sys._current_frames()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    for thread in threading.enumerate():
        if thread.name == name and thread.ident in frames:
            for point in points_of_frame(frames[thread.ident]):
                yield f"in thread {name}: {point}"


def points_of_frame(frame: FrameType) -> list[str]:
    """The stack that ends with *frame*, outermost first, as ``file:line function``."""
    points: list[str] = []
    inner: FrameType | None = frame
    while inner is not None:
        code = inner.f_code
        points.append(f"{code.co_filename}:{inner.f_lineno} {code.co_name}")
        inner = inner.f_back
    return points[::-1]
