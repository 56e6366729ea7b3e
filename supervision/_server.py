"""The loop that runs a server, and the calls that reach it.

The loop takes one message after the other and hands it to the callback for its kind. Its
one wait is `Process.park`: no cancel scope per message, and a call's time-out is an entry
in the timer heap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import trio
from trio.lowlevel import current_task, wait_task_rescheduled

from ._errors import BadReturn, CallingSelf, CallTimeout, NoProcess, ServerExited
from ._pid import Dest
from ._process import (
    BURST,
    IN_LOOP,
    Process,
    driven_by,
    find,
    forget,
    notify_end,
    process_of_task,
    report_dropped,
)
from ._reasons import NORMAL, SHUTDOWN, Crash, ExitReason, ProcessExit, as_reason
from ._signals import TIMEOUT, Cast, Down, Exit, From, StopOrder, without_cancelled
from ._timers import timers
from .abc import (
    Call,
    Continue,
    Ignore,
    NoReply,
    Reply,
    Result,
    Server,
    Stop,
    Timeout,
    Unhandled,
)

T = TypeVar("T")

# --- the caller's side


async def call(
    dest: Dest,
    request: Call[T],
    *,
    timeout: float | None = 5.0,
) -> T:
    """Ask a server and wait for its reply; works from any task of the Trio run.

    Args:
        dest: The server.
        request: What to ask.
        timeout: Seconds to wait, or ``None`` for as long as it lives. When they have
            passed the server goes on, and its reply is dropped.

    Raises:
        NoProcess: There is no such process.
        ServerExited: It ended before it replied; its own fault, with the reason.
        CallTimeout: It did not reply in time.
        CallingSelf: The caller is the server.

    When the caller is cancelled the server is not told; its reply finds nobody.
    """
    server = find(dest)
    if server is None:
        raise NoProcess(dest)
    task = current_task()
    caller = process_of_task(task)
    if caller is server:
        raise CallingSelf(dest)
    slot = From(None if caller is None else caller.pid, request, server, task)
    if not server.pending:
        server.pending = set()
    server.pending.add(slot)
    server.deliver(slot)
    if timeout is None:
        await wait_task_rescheduled(slot.abort)
    else:
        timer = timers().at(trio.current_time() + timeout, slot.expire)
        try:
            await wait_task_rescheduled(slot.abort)
        finally:
            timer.cancel()
    if slot.state == From.REPLIED:
        return slot.result
    if slot.state == From.FAILED:
        raise slot.result
    if slot.state == From.DIED:
        raise ServerExited(dest, slot.result)
    raise CallTimeout(dest, timeout)


def cast_(dest: Dest, message: object) -> None:
    """Send *message* to a server's ``handle_cast``; never waits and never fails."""
    server = find(dest)
    if server is not None:
        server.deliver(Cast(message))


def reply(sender: From, value: object) -> None:
    """Answer a call, from anywhere and at any time after it was received.

    A second reply, and one that comes after the caller has left, is dropped.
    """
    sender.settle(From.REPLIED, value)


def reply_error(sender: From, error: Exception) -> None:
    """Have the caller's `call` raise *error*; the server itself goes on."""
    sender.settle(From.FAILED, error)


async def stop(
    dest: Dest,
    reason: object = NORMAL,
    *,
    timeout: float | None = None,
) -> None:
    """Have a server or supervisor end through its ``terminate``, and wait for that.

    Any other process gets *reason* as an exit signal instead.

    Args:
        dest: The process.
        reason: Its exit reason.
        timeout: Seconds to wait; it is not killed when they have passed.

    Raises:
        NoProcess: It has ended already.
        ServerExited: It ended with another reason.
        CallTimeout: It has not ended in time.
    """
    process = find(dest)
    if process is None:
        raise NoProcess(dest)
    if process is process_of_task(current_task()):
        raise CallingSelf(dest)
    wanted = as_reason(reason)
    down = await _order_stop(process, wanted, timeout)
    if down is None:
        raise CallTimeout(dest, timeout)
    if down.reason != wanted:
        raise ServerExited(dest, down.reason)


async def _order_stop(
    process: Process,
    reason: ExitReason,
    timeout: float | None,
) -> Down | None:
    ended = trio.Event()
    downs: list[Down] = []

    def note(down: Down) -> None:
        downs.append(down)
        ended.set()

    ref = notify_end(process, note)
    if process.behaviour is None:
        process.end(reason)
    else:
        process.deliver(StopOrder(reason))
    with trio.move_on_after(float("inf") if timeout is None else timeout):
        await ended.wait()
    forget(ref)
    return downs[0] if downs else None


# --- the server's side


class _Cell:
    """The side of the process that its server may use."""

    __slots__ = ("_process",)

    def __init__(self, process: Process) -> None:
        self._process = process

    def stop_if_idle(self) -> bool:
        process = self._process
        if process.mailbox:
            return False
        process.home.runtime.free_names(process)
        process.leave_tables()
        process.pid.process = None
        return True


class _Stopping(Exception):  # noqa: N818 - control flow inside the loop
    """Leaves the loop with a reason, after ``terminate``."""

    def __init__(self, reason: ExitReason, after: Callable[[], None] | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


async def serve(process: Process, server: Server) -> None:
    """Run *server* as *process*, from its ``init`` to its ``terminate``."""
    process.kind = "server"
    process.trapping = server.trap_exit
    server._cell = _Cell(process)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    first = cast("object", await server.init())
    if isinstance(first, Ignore):
        process.ignore()
        return
    if isinstance(first, Stop):
        raise ProcessExit(first.reason)
    if not isinstance(first, Continue | Timeout | None):
        raise BadReturn("init", first)
    process.acknowledge()
    loop = _Loop(process, server)
    try:
        loop.take(first, "init")
        await loop.run()
    except _Stopping as stopping:
        await _terminate(process, server, stopping.reason, stopping.after)
        raise ProcessExit(stopping.reason) from None
    except BaseException as error:
        reason = _reason_to_terminate(process, error)
        if reason is not None:
            await _terminate(process, server, reason, None)
        raise


def _reason_to_terminate(process: Process, error: BaseException) -> ExitReason | None:
    """Say with which reason ``terminate`` has to run, or ``None`` if it must not."""
    if process.reason is not None or isinstance(error, GeneratorExit):
        return None
    cause = without_cancelled(error)
    if cause is None:
        # A nursery around us was cancelled, which is a shutdown from outside.
        return SHUTDOWN if process.trapping else None
    if isinstance(cause, ProcessExit):
        return cause.reason
    return Crash(cause)


async def _terminate(
    process: Process,
    server: Server,
    reason: ExitReason,
    after: Callable[[], None] | None,
) -> None:
    process.reason = reason
    if type(server).terminate is Server.terminate:
        # Nothing to run, so nothing to shield.
        if after is not None:
            after()
        return
    seconds = process.shutdown if process.shutdown is not None else float("inf")
    try:
        with trio.CancelScope(shield=True, relative_deadline=seconds) as shield:
            process.shield = shield
            await server.terminate(reason)
        if shield.cancelled_caught:
            process.kill()
    except Exception:
        # Its own failure replaces the reason.
        if process.reason is reason:
            process.reason = None
        raise
    finally:
        process.shield = None
        if after is not None:
            after()


class _Loop:
    """Takes messages and calls callbacks, until something raises."""

    __slots__ = ("_process", "_server", "_timeout", "_todo")

    def __init__(self, process: Process, server: Server) -> None:
        self._process = process
        self._server = server
        # What the last callback asked for: a continuation, or a time-out in seconds.
        self._todo: Continue | None = None
        self._timeout: float | None = None

    async def run(self) -> None:
        process, server = self._process, self._server
        while True:
            if process.reason is not None:
                raise ProcessExit(process.reason)
            mailbox = process.mailbox
            if self._todo is not None:
                todo, self._todo = self._todo, None
                self.take(await server.handle_continue(todo.term), "handle_continue")
                continue
            if process.suspended or (not mailbox and self._timeout is not None):
                message = await self._wait()
            elif mailbox:
                if not process.handled & BURST:
                    await trio.lowlevel.checkpoint()
                message = mailbox.popleft()
            else:
                # Process.park, here because every coroutine in between costs.
                process.accept = None
                process.waiting = IN_LOOP
                await wait_task_rescheduled(process.abort)
                continue
            process.handled += 1
            self._timeout = None
            if isinstance(message, From):
                result = await server.handle_call(message.request, message)
                if isinstance(result, Result):
                    self._take_from_call(message, result)
                else:
                    message.settle(From.REPLIED, result)
            elif isinstance(message, Cast):
                self.take(await server.handle_cast(message.message), "handle_cast")
            else:
                await self._handle_info(message)

    async def _wait(self) -> object:
        """Wait for a message, for the time-out, or for the signal that ends us."""
        process = self._process
        timer, deadline = None, float("inf")
        if self._timeout is not None:
            deadline = trio.current_time() + self._timeout
            timer = timers().at(deadline, process.wake)
        try:
            while True:
                if process.reason is not None:
                    raise ProcessExit(process.reason)
                mailbox = process.mailbox
                if mailbox and not process.suspended:
                    return mailbox.popleft()
                if process.suspended and mailbox is not None:
                    found, message = mailbox.take(self._passes_suspension)
                    if found:
                        return message
                if trio.current_time() >= deadline:
                    return TIMEOUT
                await process.park(IN_LOOP)
        finally:
            if timer is not None:
                timer.cancel()

    def _passes_suspension(self, message: object) -> bool:
        return isinstance(message, StopOrder) or self._is_parents_exit(message)

    def _is_parents_exit(self, message: object) -> bool:
        return isinstance(message, Exit) and message.pid is self._process.parent_pid

    def _take_from_call(self, sender: From, result: Result) -> None:
        """Note what ``handle_call`` asked for instead of simply replying."""
        match result:
            case Reply(value, then):
                sender.settle(From.REPLIED, value)
                self.take(then, "handle_call")
            case NoReply(then):
                self.take(then, "handle_call")
            case Stop(reason):
                raise _Stopping(reason, _replying(sender, result))
            case _:
                raise BadReturn("handle_call", result)

    async def _handle_info(self, message: object) -> None:
        if isinstance(message, StopOrder):
            raise _Stopping(message.reason, None)
        if self._is_parents_exit(message):
            raise _Stopping(cast("Exit", message).reason, None)
        try:
            result = await self._server.handle_info(message)
        except Unhandled:
            report_dropped(self._process, message)
        else:
            self.take(result, "handle_info")

    def take(self, result: object, callback: str) -> None:
        """Note what a callback asked for."""
        if result is None:
            return
        if isinstance(result, Continue):
            self._todo = result
        elif isinstance(result, Timeout):
            self._timeout = result.seconds
        elif isinstance(result, Stop):
            raise _Stopping(result.reason, None)
        else:
            raise BadReturn(callback, result)


def _replying(sender: From, stop: Stop) -> Callable[[], None] | None:
    if not stop.has_reply:
        return None
    return lambda: sender.settle(From.REPLIED, stop.reply)


driven_by(Server, serve)
