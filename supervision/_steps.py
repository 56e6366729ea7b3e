"""Steps of a parked task, taken by another one: what makes a call to an idle server cheap.

A call over a mailbox costs two switches of tasks and two parkings. When the server is
idle, its loop parked and its mailbox empty, the caller can take the first step of the
handler itself, *as the server*: Trio is told that the server's task is the running one,
and the step runs in that task's context. So ``self_pid()``, scopes, nurseries and
everything that parks belong to the server, and nothing of the caller is seen.

If the handler returns, the caller has its reply without any switch. If it has to wait,
what it waits for becomes what the server's task is parked in, at once, as if it had gone
there itself; from then on it goes on in its own task, and the caller waits. If it raises,
the server's task is woken to raise that in its loop.

This is, beside ``_trio_parts``, the only module that touches private parts of Trio. They are
looked for at import; without them, or with ``SUPERVISION_QUEUED_CALLS=1``, every call
goes over the mailbox, and nothing else changes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from types import CoroutineType, FrameType
from typing import Any, Final, NoReturn, cast

import attrs
import trio
from trio.lowlevel import Task, reschedule

# In another Trio they stay None, and every call goes over the mailbox.
_context: Any = None
_Park: Any = None
_Yield: Any = None
with suppress(ImportError, AttributeError):
    from trio._core import _run, _traps  # pyright: ignore[reportPrivateUsage]

    _context = _run.GLOBAL_RUN_CONTEXT
    _Park = _traps.WaitTaskRescheduled
    _Yield = _traps.CancelShieldedCheckpoint

# However many steps are taken in a row, every so often one waits for its turn; and they
# are not stacked higher than this, because the stack is the caller's.
_IN_A_ROW: Final = 511
_STACKED: Final = 16


def _private_parts_are_there() -> bool:
    """Look for the parts of Trio that taking a step needs, without running anything."""
    if None in (_context, _Park, _Yield):
        return False
    try:
        fields = {field.name for field in attrs.fields(Task)}
    except (TypeError, ValueError):
        return False
    return (
        {"_abort_func", "_cancel_status", "_cancel_points", "context"} <= fields
        and hasattr(Task, "_attempt_delivery_of_any_pending_cancel")
        and "abort_func" in _Park.__init__.__code__.co_varnames
        and isinstance(_Yield, type)
    )


INLINE: bool = (
    os.environ.get("SUPERVISION_QUEUED_CALLS", "") in ("", "0")
    and _private_parts_are_there()
)
"""Whether the caller of an idle server takes the first step of its handler."""


class _Turns:
    """Counts the steps that were taken without a switch of tasks."""

    __slots__ = ("stacked", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.stacked = 0


_turns: Final = _Turns()


def may_take() -> bool:
    """Say whether one more step may be taken now, and count it."""
    _turns.taken += 1
    return bool(_turns.taken & _IN_A_ROW) and _turns.stacked < _STACKED


LATER: Final = object()
"""What `take_step` returns when the server's own task goes on."""


class _Ended:
    """Stands in for a handler that has come to its end: returns or raises that."""

    __slots__ = ("error", "value")

    def __init__(self, value: object, error: BaseException | None) -> None:
        self.value = value
        self.error = error

    def send(self, _: object) -> NoReturn:
        error, self.error = self.error, None
        if error is not None:
            raise error
        raise StopIteration(self.value)

    throw = send

    def close(self) -> None:
        """Nothing is open."""


class Rest:
    """Where the loop of an idle server is parked, and gets a step to go on with.

    Awaiting it parks the task. It returns ``None`` when the task was woken for its
    mailbox; else what the handler returns whose first step another task has taken.
    """

    __slots__ = ("_abort", "_going_on", "_trap", "begun")

    def __init__(self, abort: Callable[[Any], trio.lowlevel.Abort]) -> None:
        self._abort = abort
        self._trap: Any = None
        # What goes on in the server's task when it is woken.
        self._going_on: Any = None
        # Whose handler that is; set and cleared by those who use us.
        self.begun: Any = None

    def __await__(self) -> Generator[Any, Any, Any]:
        return cast("Generator[Any, Any, Any]", self)

    def __iter__(self) -> Rest:
        return self

    def __next__(self) -> object:
        # Made anew each time, because an idle server would keep it.
        return _Park(self._abort)

    def send(self, outcome: Any) -> object:
        """Be resumed by Trio."""
        if self._going_on is None:
            outcome.unwrap()
            raise StopIteration
        return self._resume(self._going_on.send, outcome)

    def throw(self, error: BaseException, *_: object) -> object:
        """Be thrown into, which happens when the whole run is abandoned."""
        if self._going_on is None:
            raise error
        return self._resume(self._going_on.throw, error)

    def _resume(self, how: Callable[[Any], object], argument: object) -> object:
        try:
            return how(argument)
        except BaseException:
            self._going_on = None
            raise

    def close(self) -> None:
        """Give up."""
        going_on, self._going_on = self._going_on, None
        if going_on is not None:
            going_on.close()

    # For `Task.iter_await_frames`, which asks each awaitable for these.

    @property
    def cr_frame(self) -> FrameType | None:
        """The frame of the handler."""
        return getattr(self._going_on, "cr_frame", None)

    @property
    def cr_await(self) -> object:
        """What the handler waits for."""
        return getattr(self._going_on, "cr_await", None)

    # --- by others

    @trio.lowlevel.enable_ki_protection
    def take_step(
        self,
        task: Task,
        handler: Callable[[Any, Any], object],
        request: object,
        sender: object,
    ) -> object:
        """Call *handler* as *task*, which is parked in us, until it returns or waits.

        Returns:
            What the handler returned, and *task* is as it was; or `LATER`.
        """
        parked: Any = task
        caller: Task = _context.task
        abort, parked._abort_func = parked._abort_func, None  # noqa: SLF001
        failure: BaseException | None = None
        result: object = None
        _context.task = task
        _turns.stacked += 1
        try:
            result = task.context.run(self._first_step, handler, request, sender)
        except BaseException as error:  # noqa: BLE001 - raised again in its own task
            failure = error
        finally:
            _turns.stacked -= 1
            _context.task = caller
        if failure is not None:
            self._going_on = _Ended(None, _as_if_alone(failure))
            del failure
            reschedule(task)
            return LATER
        if result is not LATER:
            parked._abort_func = abort  # noqa: SLF001
            return result
        self._park_in_trap(task)
        return LATER

    @trio.lowlevel.disable_ki_protection
    def _first_step(
        self,
        handler: Callable[[Any, Any], object],
        request: object,
        sender: object,
    ) -> object:
        made = handler(request, sender)
        if type(made) is not CoroutineType:
            return made
        coroutine = cast("Coroutine[Any, Any, object]", made)
        try:
            self._trap = coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        self._going_on = coroutine
        return LATER

    def _park_in_trap(self, task: Task) -> None:
        """Have *task* wait for what the handler waits for, as Trio does it."""
        parked: Any = task
        trap, self._trap = self._trap, None
        if trap is _Yield:
            reschedule(task)
        elif type(trap) is _Park:
            parked._cancel_points += 1  # noqa: SLF001
            parked._abort_func = trap.abort_func  # noqa: SLF001
            parked._attempt_delivery_of_any_pending_cancel()  # noqa: SLF001
        else:
            self._going_on.close()
            self.hand_over(task, None, TypeError(f"Trio has no use for {trap!r}"))

    def hand_over(
        self,
        task: Task,
        value: object,
        error: BaseException | None = None,
    ) -> None:
        """Wake *task* with the result of a handler that has ended."""
        self._going_on = _Ended(value, error)
        reschedule(task)


def _as_if_alone(error: BaseException) -> BaseException:
    """Remove from *error* what it has only because the caller took the step."""
    traceback = error.__traceback__
    for _ in range(2):
        traceback = traceback and traceback.tb_next
    outer = sys.exc_info()[1]
    inner = error
    while outer is not None and inner.__context__ is not None:
        if inner.__context__ is outer:
            inner.__context__ = None
            break
        inner = inner.__context__
    return error.with_traceback(traceback)


def is_cancelled(task: Task) -> bool:
    """Say whether the next checkpoint of *task* would raise ``Cancelled``."""
    status: Any = task._cancel_status  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return status.effectively_cancelled
