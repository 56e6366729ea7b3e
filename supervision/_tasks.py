"""Tasks: functions that run as processes of their own, for their results.

What may live here: the task as its caller holds it, and how it came out. Who starts tasks
is in ``_task_supervisor``.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final, Generic, NoReturn, TypeAlias, TypeVar

import attrs
import trio
from trio.lowlevel import current_task

from ._child_spec import BrutalKill
from ._errors import NotTheOwner, TaskFailed, TaskTimeout
from ._pid import Pid
from ._process import Process, process_of_task, report_unkillable, unlink
from ._reasons import KILLED, SHUTDOWN, ExitReason
from ._signals import Down
from ._timers import Alarm, timers

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# A killed task is given this long, in seconds, before it is reported.
_UNKILLABLE_AFTER: Final = 1.0


# --- how it came out


@attrs.frozen
class TaskOk(Generic[T_co]):
    """A task has returned.

    Attributes:
        value: What it returned.
    """

    value: T_co

    def unwrap(self) -> T_co:
        """Return the value."""
        return self.value


@attrs.frozen
class TaskExit:
    """A task has ended without returning.

    Attributes:
        reason: The reason with which it ended.
    """

    reason: ExitReason

    def unwrap(self) -> NoReturn:
        """Raise `TaskFailed`, caused by what the task raised."""
        raise TaskFailed(self.reason)


# --- who asked for it

_callers: ContextVar[tuple[Pid, ...]] = ContextVar("supervision callers", default=())


def callers() -> tuple[Pid, ...]:
    """Return on whose behalf the calling task runs: its caller, that one's, and so on.

    Empty unless it is a task of `async_task`, `async_nolink`, `start_task` or `stream`.
    It says who asked, where the tree says who supervises: a test finds its own tasks
    that way, and a log the request behind them. Elixir calls it ``$callers``.
    """
    return _callers.get()


def context_for_task() -> contextvars.Context:
    """A copy of the context of the caller, who becomes the first of the callers."""
    context = contextvars.copy_context()
    here = process_of_task(current_task())
    if here is not None:
        context.run(_callers.set, (here.pid, *_callers.get()))
    return context


async def run_in_context(
    context: contextvars.Context, fn: Callable[..., Awaitable[T]], *args: object
) -> T:
    """Run a function with the values that *context* has.

    Processes inherit the context of their supervisor. A task works for its caller, so it
    has that one's, as with ``nursery.start_soon``.
    """
    for variable, value in context.items():
        variable.set(value)
    awaitable = fn(*args)
    if not hasattr(awaitable, "__await__"):
        raise TypeError(
            f"a task runs an async function, and {fn!r} is none: it returned "
            f"{awaitable!r}; what blocks goes through trio.to_thread.run_sync",
        )
    return await awaitable


# --- the task

Outcome: TypeAlias = TaskOk[T] | TaskExit


class Task(Generic[T]):
    """A function that runs as a process of its own, and the place of its result.

    The result stays here and takes no place in a mailbox. A server that must not wait for
    it monitors ``task.pid``, and asks ``await task.poll()`` when the `Down` comes.

    One from `async_task` is linked to the process that started it, and only that one asks
    for its result. One from `async_nolink` may be asked by any task.

    Attributes:
        pid: Its process.
    """

    __slots__ = ("_alarms", "_context", "_done", "_down", "_owner", "_value", "pid")

    def __init__(self, owner: Process | None = None) -> None:
        self.pid: Pid = Pid()
        self._owner = owner
        self._context = context_for_task()
        self._done: trio.Event = trio.Event()
        self._value: list[T] = []
        self._down: Down | None = None
        # What is to happen if it does not end when it has been told to.
        self._alarms: tuple[Alarm, ...] = ()

    async def run(self, fn: Callable[..., Awaitable[T]], *args: object) -> None:
        """Run the function and keep what it returns."""
        self._value.append(await run_in_context(self._context, fn, *args))

    def finished(self, down: Down) -> None:
        """Note the end of the process."""
        self._down = down
        self._done.set()
        for alarm in self._alarms:
            alarm.cancel()

    async def result(self, *, timeout: float | None = None) -> T:
        """Wait for the function and return what it returned.

        When the caller is linked to it and does not trap exits, a crash of the task is
        the end of the caller, too, before this returns. When the time is over the task
        goes on, and its result can be asked for again; but `TaskTimeout` that nobody
        catches is the end of the caller, and over the link of the task.

        Args:
            timeout: Seconds to wait at most. (Elixir's default is 5.)

        Raises:
            TaskFailed: It ended without a value; with the reason.
            TaskTimeout: It is still running.
            NotTheOwner: It is linked to another process than the calling one.
        """
        outcome = await self.poll(timeout=timeout)
        if outcome is None:
            raise TaskTimeout(f"the task {self.pid} is still running")
        return outcome.unwrap()

    async def poll(self, *, timeout: float | None = 0.0) -> TaskOk[T] | TaskExit | None:
        """Look how the task came out; ``None`` when it is still running.

        Elixir calls it ``yield``. It may be done again and again.

        Args:
            timeout: Seconds to wait for the end at most; ``None`` for ever.

        Raises:
            NotTheOwner: It is linked to another process than the calling one.
        """
        self._check_owner()
        if self._down is None:
            with trio.move_on_after(float("inf") if timeout is None else timeout):
                await self._done.wait()
        else:
            await trio.lowlevel.checkpoint()
        return self.outcome()

    async def shutdown(
        self, *, timeout: float | BrutalKill | None = 5.0
    ) -> TaskOk[T] | TaskExit | None:
        """End the task, wait for that, and return the result if it had arrived.

        A link to the caller is cut before. When the caller is cancelled meanwhile, the
        task has been told to end and does so by itself.

        Args:
            timeout: Seconds until it is killed; ``None`` for never, `BRUTAL_KILL` for at
                once.

        Returns:
            How it came out by itself, even at the last moment; ``None`` when it was this
            that ended it; ``TaskExit(KILLED)`` when it had to be killed in the end.

        Raises:
            NotTheOwner: It is linked to another process than the calling one.
        """
        self._check_owner()
        if self._down is not None:
            await trio.lowlevel.checkpoint()
            return self.outcome()
        if self._owner is not None:
            unlink(self.pid)
        ordered = self.order_end(timeout)
        await self._done.wait()
        outcome = self.outcome()
        return None if outcome == TaskExit(ordered) else outcome

    def outcome(self) -> TaskOk[T] | TaskExit | None:
        """How it came out, if it did."""
        if self._value:
            return TaskOk(self._value[0])
        return None if self._down is None else TaskExit(self._down.reason)

    def order_end(self, timeout: float | BrutalKill | None) -> ExitReason:
        """Tell the task to end, and have it killed when it has not in time.

        Returns:
            The reason with which it will have ended if it obeys.
        """
        process: Process | None = self.pid.process
        if process is None:
            return SHUTDOWN
        seconds = 0.0 if isinstance(timeout, BrutalKill) else timeout
        if isinstance(timeout, BrutalKill):
            process.kill()
        else:
            process.signal(process.parent_pid, SHUTDOWN)
        if seconds is not None:
            kill_at = trio.current_time() + seconds
            report_at = kill_at + _UNKILLABLE_AFTER
            self._alarms += (
                timers().at(kill_at, process.kill),
                timers().at(report_at, lambda: report_unkillable(process)),
            )
        return KILLED if isinstance(timeout, BrutalKill) else SHUTDOWN

    def _check_owner(self) -> None:
        owner = self._owner
        if owner is not None and process_of_task(current_task()) is not owner:
            raise NotTheOwner(
                f"the task {self.pid} is linked to {owner.pid}: only that one waits for "
                "it; use async_nolink() for a result that others ask for",
            )
