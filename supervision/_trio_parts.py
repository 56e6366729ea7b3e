"""Private parts of Trio: beside ``testing``'s seeds, only we touch them.

*Ending a task.* An exit signal for a process that waits somewhere in Trio is the
cancellation of that process alone. Opening a cancel scope around every process would
cost each of them 0.8 kB and half the rate of spawning, for the few that are ever ended
this way; so a cancelled scope is *spliced in* at the moment of the signal, between the
nursery's cancel status and the outermost scope that the task has open by then. Trio then
does what it does for any cancelled scope: shields hold, ``finally`` runs, every later
await is cancelled too. (Calling the task's abort function directly looks simpler and is
wrong for nurseries, shields and everything that is not at a checkpoint right now.)

*Beginning a task.* `start_task` does what ``Nursery.start_soon`` does, without the checks
that our own arguments pass anyway. `begin_task` also takes the first step of the task
then and there instead of one turn of Trio's loop later: for whoever waits for that step
anyway, a supervisor or the caller of ``start_child``. What is done after that step is
what Trio's loop does after any. Each is a task of its own, in its nursery, with its
context; its step runs as that task.

*A step of a parked task*, taken by another one, is `step_of_parked`; what it is good for
is told in ``_steps``.

What is needed is looked for at import, down to the names that the functions of Trio use,
so another Trio is left to itself: each process then has its scope from its first moment
(also with ``SUPERVISION_EAGER_SCOPES=1``), tasks are started by their nursery (also with
``SUPERVISION_PLAIN_TASKS=1``), calls go over mailboxes (also with
``SUPERVISION_QUEUED_CALLS=1``), and nothing else changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from contextvars import Context
from importlib import import_module
from types import CodeType
from typing import Any, Final

import attrs
import trio


def _find(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:  # another Trio
        return None


_run: Final = _find("trio._core._run")
_traps: Final = _find("trio._core._traps")
CancelStatus: Final[Any] = getattr(_run, "CancelStatus", None)
GLOBAL_RUN_CONTEXT: Final[Any] = getattr(_run, "GLOBAL_RUN_CONTEXT", None)
Task: Final[Any] = getattr(_run, "Task", None)


class _Running:
    """Stands in for Trio's own, of which ``current_task`` is a check away."""

    @property
    def task(self) -> trio.lowlevel.Task:
        return trio.lowlevel.current_task()


running: Final[Any] = GLOBAL_RUN_CONTEXT or _Running()
"""Its ``task`` is the running one; `AttributeError` or `RuntimeError` where none is."""


def _asked(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")


# --- ending a task that runs


def splicing_is_possible() -> bool:
    """Look for the parts of Trio that splicing needs, without running anything."""
    if CancelStatus is None:
        return False
    try:
        fields = {field.name for field in attrs.fields(CancelStatus) if field.init}
        return (
            {"_scope", "_parent", "effectively_cancelled"} <= fields
            and CancelStatus.parent.fset is not None
            and callable(CancelStatus.close)
            and hasattr(trio.lowlevel.Task, "_activate_cancel_status")
            and "_cancel_status" in trio.Nursery.__init__.__code__.co_names
        )
    except (AttributeError, TypeError, ValueError):
        return False


EAGER_SCOPES: bool = _asked("SUPERVISION_EAGER_SCOPES") or not splicing_is_possible()
"""Whether every process carries a cancel scope from its start."""


class Splice:
    """A cancelled scope put around everything that a task does from now on."""

    __slots__ = ("_status", "_task")

    def __init__(self, task: trio.lowlevel.Task, cause: str) -> None:
        nursery: Any = task.parent_nursery
        inner: Any = task
        outside: Any = nursery._cancel_status  # noqa: SLF001
        current: Any = inner._cancel_status  # noqa: SLF001
        scope = trio.CancelScope()
        scope.cancel(reason=cause)
        self._task = inner
        self._status: Any = CancelStatus(scope=scope, parent=outside)
        if current is outside:
            inner._activate_cancel_status(self._status)  # noqa: SLF001
            return
        while current.parent is not None and current.parent is not outside:
            current = current.parent
        current.parent = self._status

    def remove(self) -> None:
        """Take the scope out again; called by the task itself, at its very end."""
        if self._task._cancel_status is self._status:  # noqa: SLF001
            self._task._activate_cancel_status(self._status.parent)  # noqa: SLF001
        self._status.close()


def is_shielded(task: trio.lowlevel.Task) -> bool:
    """Whether a task that was cancelled is out of reach, inside of a shield.

    ``False`` in a Trio that does not tell.
    """
    status: Any = getattr(task, "_cancel_status", None)
    return status is not None and not status.effectively_cancelled


# --- beginning a task

# What ``Runner.spawn_impl`` of the Trio that we know uses; `start_task` leaves out what
# is about foreign arguments.
_OF_SPAWN: Final = frozenset(
    {
        "AttributeError", "RuntimeError", "Task", "__module__", "__qualname__",
        "_activate_cancel_status", "_cancel_status", "_children", "_closed", "_create",
        "add", "call", "copy", "copy_context", "coroutine_or_error", "cr_frame", "func",
        "functools", "getattr", "init_task", "instruments", "isinstance", "partial",
        "repr", "reschedule", "run", "str", "system_context", "tasks",
    },
)  # fmt: skip
# What its loop does with a task that has taken a step.
_OF_STEP: Final = frozenset(
    {
        "CancelShieldedCheckpoint", "Error", "PermanentlyDetachCoroutineObject", "Value",
        "WaitTaskRescheduled", "_abort_func", "_attempt_delivery_of_any_pending_cancel",
        "_attempt_delivery_of_pending_ki", "_cancel_points", "_next_send",
        "_next_send_fn", "_schedule_points", "abort_func", "context", "final_outcome",
        "ki_pending", "main_task", "reschedule", "run", "task", "task_exited",
    },
)  # fmt: skip


def starting_is_known() -> bool:
    """Say whether this Trio starts a task, and takes its steps, in the way we know."""
    try:
        fields = {field.name for field in attrs.fields(Task) if field.init}
        return (
            frozenset[str](_run.Runner.spawn_impl.__code__.co_names) == _OF_SPAWN
            and frozenset[str](_run.unrolled_run.__code__.co_names) >= _OF_STEP
            and {"coro", "_parent_nursery", "_runner", "name", "context"} <= fields
            and hasattr(_run, "Value")
            and hasattr(_run, "Error")
            and {"runq", "instruments"} <= {f.name for f in attrs.fields(_run.Runner)}
            and hasattr(_traps, "PermanentlyDetachCoroutineObject")
        )
    except (AttributeError, TypeError, ValueError):
        return False


PLAIN_TASKS: bool = _asked("SUPERVISION_PLAIN_TASKS") or not starting_is_known()
"""Whether tasks are started by their nursery, like everybody's."""

# Steps within steps: a first step that begins another task, and so on.
_MOST_NESTED: Final = 8
_nested = 0


def start_task(
    nursery: Any,
    context: Context,
    name: str,
    async_fn: Callable[..., Coroutine[Any, Any, object]],
    *args: object,
) -> None:
    """Start a task that takes its first step when Trio comes to it.

    Args:
        nursery: Where it lives.
        context: Becomes the context of the task.
        name: The name of the task.
        async_fn: An async function.
        args: Its arguments.
    """
    if PLAIN_TASKS or nursery._closed:  # noqa: SLF001
        context.run(nursery.start_soon, async_fn, *args, name=name)
        return
    task = _make(nursery, context, name, async_fn(*args))
    task._runner.reschedule(task, None)  # noqa: SLF001


def begin_task(
    nursery: Any,
    context: Context,
    name: str,
    async_fn: Callable[..., Coroutine[Any, Any, object]],
    *args: object,
) -> None:
    """Start a task, and take its first step now if that is possible.

    The arguments are those of `start_task`.
    """
    if _may_begin() and not nursery._closed:  # noqa: SLF001
        _take_first_step(_make(nursery, context, name, async_fn(*args)))
    else:
        start_task(nursery, context, name, async_fn, *args)


def begin_newest(code: CodeType) -> bool:
    """Take the first step of the task that was started last, if that is possible.

    For whoever is about to wait: what it waits for may come from there, and then nobody
    has to wait. It is a step that Trio would take next, or nearly so, as its order is
    left to chance.

    Args:
        code: Of the function that the task runs; one that runs another is left alone.

    Returns:
        Whether there was such a task.
    """
    if not _may_begin():
        return False
    runq = GLOBAL_RUN_CONTEXT.runner.runq
    if not runq:
        return False
    task = runq[-1]
    # Only its very first step is given None, and not an outcome.
    if task._next_send is not None or task.coro.cr_code is not code:  # noqa: SLF001
        return False
    runq.pop()
    task._next_send_fn = None  # noqa: SLF001
    _take_first_step(task)
    return True


def _may_begin() -> bool:
    return not (
        PLAIN_TASKS
        or _nested >= _MOST_NESTED
        or GLOBAL_RUN_CONTEXT.runner.instruments.data["_all"]
    )


def _take_first_step(task: Any) -> None:
    """Do what Trio's loop does, in the middle of another task's step."""
    # Of the thread that is in a step of Trio. Where there are several they may see each
    # other's, which costs a switch of tasks and nothing else.
    global _nested  # noqa: PLW0603
    outside = GLOBAL_RUN_CONTEXT.task
    GLOBAL_RUN_CONTEXT.task = task
    _nested += 1
    final = message = None
    try:
        message = task.context.run(task.coro.send, None)
    except StopIteration as stop:
        final = _run.Value(stop.value)
    except BaseException as error:  # noqa: BLE001 - as in Trio's loop
        final = _run.Error(error)
    finally:
        _nested -= 1
        GLOBAL_RUN_CONTEXT.task = outside
    if final is not None:
        task._runner.task_exited(task, final)  # noqa: SLF001
    else:
        after_step(task, message)


def _make(
    nursery: Any,
    context: Context,
    name: str,
    coroutine: Coroutine[Any, Any, object],
) -> Any:
    runner = GLOBAL_RUN_CONTEXT.runner
    task = Task._create(  # noqa: SLF001
        coro=coroutine,
        parent_nursery=nursery,
        runner=runner,
        name=name,
        context=context,
        ki_protected=False,
    )
    runner.tasks.add(task)
    nursery._children.add(task)  # noqa: SLF001
    task._activate_cancel_status(nursery._cancel_status)  # noqa: SLF001
    if "task_spawned" in runner.instruments:
        runner.instruments.call("task_spawned", task)
    return task


def after_step(task: Any, message: Any) -> None:
    """Do what Trio's loop does with what a step has yielded."""
    task._schedule_points += 1  # noqa: SLF001
    runner = task._runner  # noqa: SLF001
    if type(message) is _traps.WaitTaskRescheduled:
        task._cancel_points += 1  # noqa: SLF001
        task._abort_func = message.abort_func  # noqa: SLF001
        task._attempt_delivery_of_any_pending_cancel()  # noqa: SLF001
    elif message is _traps.CancelShieldedCheckpoint:
        runner.reschedule(task)
    elif type(message) is _traps.PermanentlyDetachCoroutineObject:
        runner.task_exited(task, message.final_outcome)
    else:
        error = TypeError(
            f"trio.run received unrecognized yield message {message!r}: are you using "
            "a library written for some other framework?",
        )
        runner.reschedule(task, error)
        task._next_send_fn = task.coro.throw  # noqa: SLF001


# --- a step of a parked task


def stepping_is_known() -> bool:
    """Say whether a parked task of this Trio is as we know it."""
    try:
        fields = {field.name for field in attrs.fields(Task)}
        return (
            {"_abort_func", "_cancel_status", "_cancel_points", "context"} <= fields
            and frozenset[str](_run.unrolled_run.__code__.co_names) >= _OF_STEP
            and hasattr(Task, "_attempt_delivery_of_any_pending_cancel")
            and "abort_func" in _traps.WaitTaskRescheduled.__init__.__code__.co_varnames
            and isinstance(_traps.CancelShieldedCheckpoint, type)
            and GLOBAL_RUN_CONTEXT is not None
        )
    except (AttributeError, TypeError, ValueError):
        return False


INLINE: bool = not _asked("SUPERVISION_QUEUED_CALLS") and stepping_is_known()
"""Whether the caller of an idle server takes the first step of its handler."""

Parking: Final[Any] = getattr(_traps, "WaitTaskRescheduled", None)
"""Yielded by a task that parks, with the function that aborts that."""


def step_of_parked(
    task: Any, later: object, function: Callable[..., object], *args: object
) -> object:
    """Call *function* as *task*, which is parked, in the middle of another task's step.

    Args:
        task: It stays parked where it is when *function* returns.
        later: What *function* returns when *task* is not to be parked there any more; nor
            is it when *function* raises. Whoever called has to see to it.
        function: A plain function.
        args: Its arguments.
    """
    abort, task._abort_func = task._abort_func, None  # noqa: SLF001
    outside = GLOBAL_RUN_CONTEXT.task
    GLOBAL_RUN_CONTEXT.task = task
    try:
        result = task.context.run(function, *args)
    finally:
        GLOBAL_RUN_CONTEXT.task = outside
    if result is not later:
        task._abort_func = abort  # noqa: SLF001
    return result


def is_cancelled(task: trio.lowlevel.Task) -> bool:
    """Say whether the next checkpoint of *task* would raise ``Cancelled``."""
    status: Any = task._cancel_status  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return status.effectively_cancelled
