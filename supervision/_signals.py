"""Signals: what the runtime puts into mailboxes, and what is left of an exception."""

from __future__ import annotations

from typing import Any, Final, cast

import attrs
import trio

from ._pid import Pid, Ref
from ._reasons import ExitReason

# --- messages


class Signal:
    """What the runtime itself puts into mailboxes.

    A limited mailbox never drops one: whoever waits for it would wait for ever.
    """

    __slots__ = ()


@attrs.frozen
class Exit(Signal):
    """An exit signal that a trapping process received, as a message.

    Attributes:
        pid: The process that ended, or that sent the signal.
        reason: Its reason.
    """

    pid: Pid
    reason: ExitReason


@attrs.frozen
class Down(Signal):
    """What a monitor says, once, when the process it watches has ended.

    Attributes:
        ref: The monitor.
        pid: The process that ended; ``None`` if the monitored name had no holder.
        reason: The reason with which it ended.
        name: The name that was monitored, or ``None`` if it was a pid.
    """

    ref: Ref
    pid: Pid | None
    reason: ExitReason
    name: str | None = None


@attrs.frozen
class GroupJoined(Signal):
    """Processes have joined a group that somebody monitors.

    Attributes:
        ref: The monitor.
        group: The name of the group.
        pids: Who has joined.
    """

    ref: Ref
    group: str
    pids: tuple[Pid, ...]


@attrs.frozen
class GroupLeft(Signal):
    """Processes have left a group that somebody monitors, or have ended as members.

    Attributes:
        ref: The monitor.
        group: The name of the group.
        pids: Who has left.
    """

    ref: Ref
    group: str
    pids: tuple[Pid, ...]


class Timeout_:  # noqa: N801 - the name without underscore is the result of a callback
    """The type of `TIMEOUT`."""

    def __repr__(self) -> str:
        return "TIMEOUT"


TIMEOUT: Final = Timeout_()
"""The message that ``handle_info`` gets when a `supervision.Timeout` has passed."""


class Cast:
    """The envelope of a message that was sent with `supervision.cast`.

    Attributes:
        message: What was sent.
    """

    __slots__ = ("message",)

    # By hand: freezing a value costs more than sending it.
    def __init__(self, message: object) -> None:
        self.message: object = message

    def __repr__(self) -> str:
        return f"Cast({self.message!r})"


class SystemMessage(Signal):
    """A request to the loop itself; user code never sees it, suspension does not hold it.

    Every behaviour's loop, a supervisor's too, calls `handle` in its own task, in the
    order of its mailbox.
    """

    __slots__ = ()

    def handle(self, process: Any) -> ExitReason | None:
        """Do it; a reason ends the process, through its ``terminate``."""
        raise NotImplementedError


@attrs.frozen
class StopOrder(SystemMessage):
    """Asks a behaviour to end with *reason*, through its ``terminate``."""

    reason: ExitReason

    def handle(self, process: Any) -> ExitReason:
        """End the loop."""
        return self.reason


class From:
    """A call on its way: the request, and the place where its reply is waited for.

    A server gets it as ``sender`` and hands it to `supervision.reply`, now or later. A
    plain process finds it in its mailbox and can answer it in the same way.

    Attributes:
        pid: The process that calls, or ``None`` when a plain task does.
        request: What is asked.
    """

    __slots__ = ("pid", "request", "result", "server", "state", "task")

    # Invariant: task is the parked caller while it waits, and None ever after, so a late
    # or second reply finds nobody and is dropped.
    task: trio.lowlevel.Task | None
    pid: Pid | None
    request: Any
    result: Any
    server: Any
    state: int

    WAITING = 0
    REPLIED = 1
    FAILED = 2
    DIED = 3
    EXPIRED = 4
    # The caller takes the first step of the handler, so it is not parked.
    BEGUN = 5

    def __init__(
        self,
        pid: Pid | None,
        request: object,
        server: object,
        task: trio.lowlevel.Task | None,
    ) -> None:
        self.pid = pid
        self.request = request
        self.server = server
        self.task = task
        self.result = None
        self.state = 0

    def __repr__(self) -> str:
        return f"<From {self.pid} {self.request!r}>"

    def settle(self, state: int, result: object) -> None:
        """Wake the caller with an outcome; nothing happens when it waits no more."""
        task = self.task
        if task is None:
            return
        self.task = None
        parked = self.state != From.BEGUN
        self.state = state
        self.result = result
        if parked:
            self.server.pending.discard(self)
            trio.lowlevel.reschedule(task)

    def refuse(self, error: Exception) -> None:
        """Fail a call that was just sent, so that nobody waits for it yet."""
        self.task = None
        self.state = From.FAILED
        self.result = error
        self.server.pending.discard(self)

    def expire(self) -> None:
        """End the wait because the time-out of the call has passed."""
        self.settle(From.EXPIRED, None)

    def abort(self, raise_cancel: object) -> trio.lowlevel.Abort:
        """Drop the slot because its caller was cancelled."""
        del raise_cancel
        self.task = None
        self.server.pending.discard(self)
        return trio.lowlevel.Abort.SUCCEEDED


# --- exceptions


def without_cancelled(error: BaseException) -> BaseException | None:
    """Reduce *error* to what went wrong, or ``None`` when all of it is ``Cancelled``.

    Inner nurseries wrap errors in groups. A group of one is its leaf; several stay a
    group; a cancellation beside a real error is a consequence and is dropped.
    """
    if isinstance(error, trio.Cancelled):
        return None
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    reduced = map(without_cancelled, group.exceptions)
    left = [kept for kept in reduced if kept is not None]
    if len(left) <= 1:
        return left[0] if left else None
    return group.derive(left).with_traceback(group.__traceback__)


def fatal(error: BaseException) -> BaseException | None:
    """Find what has to end the whole program: an interrupt or a SystemExit."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return error
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return next(filter(None, map(fatal, group.exceptions)), None)
    return None
