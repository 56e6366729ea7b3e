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

What that needs of Trio's private parts is in ``_trio_parts``. Without them, or with
``SUPERVISION_QUEUED_CALLS=1``, every call goes over the mailbox, and nothing else changes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Generator
from types import CoroutineType, FrameType
from typing import Any, Final, NoReturn, cast

import trio
from trio.lowlevel import Task, reschedule

from ._trio_parts import Parking, after_step, step_of_parked

# However many steps are taken in a row, every so often one waits for its turn; and they
# are not stacked higher than this, because the stack is the caller's.
_IN_A_ROW: Final = 511
_STACKED: Final = 16


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


def count_anew() -> None:
    """Count the steps from nought, as in a new interpreter: for what is repeated."""
    _turns.taken = 0


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
        return Parking(self._abort)

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
        failure: BaseException | None = None
        result: object = None
        _turns.stacked += 1
        try:
            result = step_of_parked(
                task, LATER, self._first_step, handler, request, sender
            )
        except BaseException as error:  # noqa: BLE001 - raised again in its own task
            failure = error
        finally:
            _turns.stacked -= 1
        if failure is not None:
            self._going_on = _Ended(None, _as_if_alone(failure))
            del failure
            reschedule(task)
            return LATER
        if result is LATER:
            # It waits for what the handler waits for, as if it had gone there itself.
            trap, self._trap = self._trap, None
            after_step(task, trap)
        return result

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
    for _ in range(3):
        traceback = traceback and traceback.tb_next
    outer = sys.exc_info()[1]
    inner = error
    while outer is not None and inner.__context__ is not None:
        if inner.__context__ is outer:
            inner.__context__ = None
            break
        inner = inner.__context__
    return error.with_traceback(traceback)
