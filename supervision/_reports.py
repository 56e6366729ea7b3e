"""What processes report of themselves and of others, as telemetry events."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import FrameType

import trio

from ._life import Process, process_of_task
from ._telemetry import DROPPED, UNKILLABLE, emit


def report_unkillable(process: Process) -> None:
    """Say that a killed process still runs, and where."""
    emit(
        UNKILLABLE,
        {},
        {
            "pid": process.pid,
            "name": process.name,
            "id": process.label,
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


def _points(task: trio.lowlevel.Task) -> Iterator[str]:
    for frame, line in task.iter_await_frames():
        yield f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"


def _everything_in(task: trio.lowlevel.Task) -> Iterator[str]:
    yield from _points(task)
    yield from _thread_of(task)
    for nursery in task.child_nurseries:
        for inner in nursery.child_tasks:
            if process_of_task(inner) is None:
                for point in _everything_in(inner):
                    yield f"in task {inner.name}: {point}"


def _thread_of(task: trio.lowlevel.Task) -> Iterator[str]:
    """Where the threads are that *task* waits for; Trio names them after it."""
    # The only way to look at a thread from another one.
    frames = sys._current_frames()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    for thread in threading.enumerate():
        if thread.name.endswith(f" from {task.name}") and thread.ident in frames:
            for point in points_of_frame(frames[thread.ident]):
                yield f"in thread {thread.name}: {point}"


def points_of_frame(frame: FrameType) -> list[str]:
    """The stack that ends with *frame*, outermost first, as ``file:line function``."""
    points: list[str] = []
    inner: FrameType | None = frame
    while inner is not None:
        code = inner.f_code
        points.append(f"{code.co_filename}:{inner.f_lineno} {code.co_name}")
        inner = inner.f_back
    return points[::-1]
