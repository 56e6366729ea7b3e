"""Task supervisors: functions as temporary children, and their results."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, TypeVar

import trio

from ._child_spec import ChildSpec
from ._dynamic_supervisor import DynamicEngine, DynamicSupervisor
from ._engine import engine_of
from ._errors import ChildError, TaskFailed, TaskTimeout
from ._pid import Dest, Pid
from ._process import Process, notify_end
from ._signals import Down

T = TypeVar("T")


class TaskSupervisor(DynamicSupervisor):
    """A dynamic supervisor whose children are functions that run once.

    Args:
        max_children: The most tasks at a time.
    """

    __slots__ = ()

    def __init__(self, *, max_children: int | None = None) -> None:
        super().__init__(max_children=max_children)


class Task(Generic[T]):
    """A function that runs under a task supervisor, and the place of its result.

    Attributes:
        pid: Its process.
    """

    __slots__ = ("_done", "_down", "_value", "pid")

    def __init__(self) -> None:
        self.pid: Pid = Pid()
        self._done: trio.Event = trio.Event()
        self._value: list[T] = []
        self._down: Down | None = None

    async def run(self, fn: Callable[..., Awaitable[T]], *args: object) -> None:
        """Run the function and keep what it returns."""
        self._value.append(await fn(*args))

    def finished(self, down: Down) -> None:
        """Note the end of the process."""
        self._down = down
        self._done.set()

    async def result(self, *, timeout: float | None = None) -> T:
        """Wait for the function and return what it returned.

        May be called by any task, and again.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TaskFailed: It ended without a value; with the reason.
            TaskTimeout: It is still running.
        """
        with trio.move_on_after(float("inf") if timeout is None else timeout):
            await self._done.wait()
        if self._down is None:
            raise TaskTimeout(f"the task {self.pid} is still running")
        if not self._value:
            raise TaskFailed(self._down.reason)
        return self._value[0]


def _start(
    sup: Dest, start: Callable[[], Any], label: str, name: str | None
) -> Process:
    engine = engine_of(sup)
    if not isinstance(engine, DynamicEngine):
        raise ChildError("only a dynamic supervisor takes tasks")
    spec = ChildSpec(label, start, name=name, restart="temporary")
    process = engine.start_now(spec, sup).process
    assert process is not None
    return process


def _label(fn: Callable[..., object], name: str | None) -> str:
    return name or getattr(fn, "__qualname__", None) or repr(fn)


def start_task(
    sup: Dest,
    fn: Callable[..., Awaitable[object]],
    *args: object,
    name: str | None = None,
) -> Pid:
    """Run ``fn(*args)`` as a temporary child, and forget about it.

    Args:
        sup: A task supervisor, or any dynamic one.
        fn: An async function.
        args: Its arguments.
        name: Registered while it runs.

    Raises:
        MaxChildren: There are too many.
        AlreadyStarted: A process of that name is running.
        NoProcess: There is no such supervisor, or it is ending.
    """
    return _start(sup, partial(fn, *args), _label(fn, name), name).pid


def async_nolink(
    sup: Dest,
    fn: Callable[..., Awaitable[T]],
    *args: object,
    name: str | None = None,
) -> Task[T]:
    """Run ``fn(*args)`` as a temporary child, for its result; its crash is its own.

    Raises what `start_task` does.
    """
    task: Task[T] = Task()
    process = _start(sup, partial(task.run, fn, *args), _label(fn, name), name)
    task.pid = process.pid
    notify_end(process, task.finished)
    return task
