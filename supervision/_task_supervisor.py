"""Task supervisors, and everything that starts tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

import trio

from ._child_spec import ChildSpec, RestartKind, ShutdownValue
from ._dynamic_supervisor import DynamicEngine, DynamicSupervisor
from ._engine import engine_of
from ._errors import ChildError, TaskTimeout
from ._pid import Dest, Name, Pid
from ._process import (
    Process,
    current_home,
    current_process,
    forget,
    launch,
    not_callable,
    notify_end,
    process_of_task,
    tie,
)
from ._reasons import Exited
from ._signals import Down
from ._tasks import Task, TaskExit, TaskOk, context_for_task, run_in_context
from ._timers import Alarm, timers

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

OnTimeout: TypeAlias = Literal["exit", "kill_task"]

# What is left of a stream has this long, in seconds, before it is killed, and as long as
# that until nobody waits for it any more; by then it has been reported.
_GRACE: Final = 5.0
_PATIENCE: Final = _GRACE + 2.0


class TaskSupervisor(DynamicSupervisor):
    """A dynamic supervisor whose children are functions that run once.

    Args:
        max_children: The most tasks at a time.
    """

    __slots__ = ()

    def __init__(self, *, max_children: int | None = None) -> None:
        super().__init__(max_children=max_children)


def _start(sup: Dest, spec: ChildSpec) -> Process:
    engine = engine_of(sup)
    if not isinstance(engine, DynamicEngine):
        raise ChildError(
            f"{sup!r} takes no tasks: a TaskSupervisor does, or a dynamic supervisor",
        )
    process = engine.start_now(spec, sup).process
    assert process is not None
    return process


def _label(fn: Callable[..., object], name: Name | None) -> str:
    if not callable(fn):
        raise TypeError(not_callable(fn))
    if isinstance(name, str):
        return name
    return getattr(fn, "__qualname__", None) or repr(fn)


def start_task(
    sup: Dest,
    fn: Callable[..., Awaitable[object]],
    *args: object,
    name: Name | None = None,
    restart: RestartKind = "temporary",
    shutdown: ShutdownValue = 5.0,
) -> Pid:
    """Run ``fn(*args)`` as a child, and forget about it.

    It runs with the caller's context variables, as with ``nursery.start_soon``; see
    `callers`.

    Args:
        sup: A task supervisor, or any dynamic one.
        fn: An async function.
        args: Its arguments.
        name: Registered while it runs.
        restart: ``transient`` for what has to succeed once.
        shutdown: Seconds it has to clean up when the supervisor ends.

    Raises:
        MaxChildren: There are too many.
        AlreadyStarted: A process of that name is running.
        NoProcess: There is no such supervisor, or it is ending.
    """
    start = partial(run_in_context, context_for_task(), fn, *args)
    label = _label(fn, name)
    spec = ChildSpec(
        label, start, name=name, restart=restart, shutdown=shutdown, type="worker"
    )
    return _start(sup, spec).pid


def _supervised(
    sup: Dest,
    task: Task[T],
    fn: Callable[..., Awaitable[T]],
    args: tuple[Any, ...],
    name: Name | None,
) -> Process:
    start = partial(task.run, fn, *args)
    label = _label(fn, name)
    process = _start(sup, ChildSpec(label, start, name=name, restart="temporary"))
    task.pid = process.pid
    notify_end(process, task.finished)
    return process


def async_nolink(
    sup: Dest,
    fn: Callable[..., Awaitable[T]],
    *args: object,
    name: Name | None = None,
) -> Task[T]:
    """Run ``fn(*args)`` as a temporary child, for its result; its crash is its own.

    Any task may ask for the result. The task goes on when its caller ends.

    Raises what `start_task` does.
    """
    task: Task[T] = Task()
    _supervised(sup, task, fn, args, name)
    return task


def async_task(
    fn: Callable[..., Awaitable[T]],
    *args: object,
    supervisor: Dest | None = None,
    name: Name | None = None,
) -> Task[T]:
    """Run ``fn(*args)`` at the same time, for its result, as a part of the caller.

    It is linked to the caller: a crash of one ends the other, unless that one traps
    exits. Only the caller asks for its result.

        >>> async def add(x: int, y: int) -> int:
        ...     return x + y
        >>> async def caller() -> int:
        ...     first, second = async_task(add, 1, 2), async_task(add, 3, 4)
        ...     return await first.result() + await second.result()

    Args:
        fn: An async function.
        args: Its arguments.
        supervisor: The dynamic supervisor whose temporary child it shall be. Nobody
            supervises it when ``None``; it ends with the tree at the latest.
        name: Registered while it runs.

    Raises:
        NotAProcess: The caller is none. `async_nolink` works from any task.
        NameTaken: A process of that name is running; nobody was to supervise the task.

    With a supervisor it raises what `start_task` does.
    """
    here = current_process()
    task: Task[T] = Task(here)
    if supervisor is not None:
        tie(here, _supervised(supervisor, task, fn, args, name))
        return task
    home = current_home()
    start = partial(task.run, fn, *args)
    process = launch(home, home, home.pid, start, (), label=_label(fn, name), name=name)
    task.pid = process.pid
    notify_end(process, task.finished)
    tie(here, process)
    return task


# --- many at once


def stream(
    sup: Dest,
    fn: Callable[[I], Awaitable[T]],
    items: Iterable[I],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    timeout: float | None = None,
    on_timeout: OnTimeout = "exit",
) -> AsyncGenerator[TaskOk[T] | TaskExit]:
    """Run ``fn(item)`` for each item as a task, so many at a time, and yield the outcomes.

    As ``Task.Supervisor.async_stream_nolink``: a task that crashes is one `TaskExit`
    among the outcomes. Each outcome has ``unwrap()``, which raises what went wrong.
    Items are taken, and tasks started, only while somebody waits for the next outcome.

    Close it when you do not read it to its end, so that no task is left behind:

        >>> import supervision
        >>> from contextlib import aclosing
        >>> async def total(urls: list[str]) -> int:
        ...     lengths = 0
        ...     async with aclosing(stream("tasks", fetch, urls)) as outcomes:
        ...         async for outcome in outcomes:
        ...             lengths += len(outcome.unwrap())
        ...     return lengths

    Whether by its close, an exception, a cancellation, or the end of the process that
    reads it: the tasks that still run are told to end, are killed five seconds later,
    and closing waits for their end.

    Args:
        sup: A task supervisor, or any dynamic one.
        fn: An async function of one item.
        items: Any iterable; it may be endless.
        max_concurrency: The most tasks that run at the same time.
        ordered: Yield in the order of the items. What comes out early is kept until its
            turn; with ``False`` it is yielded as it comes.
        timeout: Seconds that each task has, or ``None``. (Elixir's default is 5.)
        on_timeout: What it means when one takes longer: ``"exit"`` raises `TaskTimeout`;
            ``"kill_task"`` kills that task, whose outcome is
            ``TaskExit(Exited("timeout"))``.

    Raises:
        TaskTimeout: A task took too long.
        MaxChildren: The supervisor is full.
        NoProcess: There is no such supervisor, or it is ending.
        ValueError: An option is not one of those above; at once, not while iterating.
    """
    if max_concurrency < 1:
        raise ValueError("max_concurrency must be at least 1")
    if on_timeout not in ("exit", "kill_task"):
        raise ValueError(
            f"on_timeout must be 'exit' or 'kill_task', not {on_timeout!r}"
        )
    flight = _Flight[T](ordered=ordered, timeout=timeout, on_timeout=on_timeout)
    return _outcomes(flight, partial(_begin, sup, fn), items, max_concurrency)


def _begin(
    sup: Dest, fn: Callable[[I], Awaitable[T]], item: I
) -> tuple[Task[T], Process]:
    task: Task[T] = Task()
    return task, _supervised(sup, task, fn, (item,), None)


async def _outcomes(
    flight: _Flight[T],
    begin: Callable[[I], tuple[Task[T], Process]],
    items: Iterable[I],
    max_concurrency: int,
) -> AsyncGenerator[TaskOk[T] | TaskExit]:
    reader = process_of_task(trio.lowlevel.current_task())
    told = None if reader is None else notify_end(reader, flight.abandon)
    source = iter(items)
    more = True
    try:
        while True:
            while more and len(flight.running) < max_concurrency:
                try:
                    item = next(source)
                except StopIteration:
                    more = False
                else:
                    flight.add(*begin(item))
            outcome = flight.take()
            if outcome is not None:
                yield outcome
            elif more or flight.waiting:
                await flight.change()
            else:
                return
    finally:
        if told is not None:
            forget(told)
        with trio.CancelScope(shield=True):
            await flight.close()


class _Started(Generic[T]):
    """One task of a stream."""

    __slots__ = ("alarm", "outcome", "process", "task")

    def __init__(self, task: Task[T], process: Process) -> None:
        self.task = task
        self.process = process
        self.alarm: Alarm | None = None
        self.outcome: TaskOk[T] | TaskExit | None = None


class _Flight(Generic[T]):
    """The tasks of one stream between their start and the yield of their outcome."""

    def __init__(
        self, *, ordered: bool, timeout: float | None, on_timeout: OnTimeout
    ) -> None:
        self._ordered = ordered
        self._timeout = timeout
        self._on_timeout: OnTimeout = on_timeout
        # Those whose exit step is still to come.
        self.running: dict[_Started[T], None] = {}
        # Those whose outcome is still to be yielded, in the order of their start, or, if
        # that does not count, without those in `_out`.
        self.waiting: dict[_Started[T], None] = {}
        self._out: deque[_Started[T]] = deque()
        self._late: Task[T] | None = None
        self._changed = trio.Event()

    def add(self, task: Task[T], process: Process) -> None:
        """Follow a task that has been started."""
        started = _Started(task, process)
        self.running[started] = self.waiting[started] = None
        notify_end(process, lambda down: self._ended(started, down))
        if self._timeout is not None:
            when = trio.current_time() + self._timeout
            started.alarm = timers().at(when, lambda: self._expired(started))

    def _ended(self, started: _Started[T], down: Down) -> None:
        del self.running[started]
        if started.alarm is not None:
            started.alarm.cancel()
        if started.outcome is None:
            self._come_out(started, started.task.outcome() or TaskExit(down.reason))
        self._changed.set()

    def _expired(self, started: _Started[T]) -> None:
        if self._on_timeout == "exit":
            self._late = started.task
        else:
            self._come_out(started, TaskExit(Exited("timeout")))
            started.process.kill()
        self._changed.set()

    def _come_out(self, started: _Started[T], outcome: TaskOk[T] | TaskExit) -> None:
        started.outcome = outcome
        if not self._ordered:
            del self.waiting[started]
            self._out.append(started)

    def take(self) -> TaskOk[T] | TaskExit | None:
        """Take the next outcome, if it is there.

        Raises:
            TaskTimeout: A task is late, and that is the end.
        """
        if self._late is not None:
            late = f"the task {self._late.pid} ran for more than {self._timeout} s"
            raise TaskTimeout(late)
        if self._out:
            return self._out.popleft().outcome
        for first in self.waiting:
            if first.outcome is None:
                return None
            del self.waiting[first]
            return first.outcome
        return None

    async def change(self) -> None:
        """Wait until a task has come out or has ended."""
        self._changed = trio.Event()
        await self._changed.wait()

    def abandon(self, down: Down | None = None) -> None:
        """Tell everything that still runs to end."""
        del down
        for started in self.running:
            if started.alarm is not None:
                started.alarm.cancel()
            started.task.order_end(_GRACE)

    async def close(self) -> None:
        """End everything that still runs, and wait for that."""
        self.abandon()
        with trio.move_on_after(_PATIENCE):
            while self.running:
                await self.change()
