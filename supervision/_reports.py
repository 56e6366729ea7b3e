"""What processes report of themselves and of others, as telemetry events."""

from __future__ import annotations

from ._life import Process
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
            "stack": wait_points(process),
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
    if process.task is None:
        return []
    return [
        f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
        for frame, line in process.task.iter_await_frames()
    ]
