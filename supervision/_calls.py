"""The caller's side of servers: calls, casts, replies, and the order to stop.

A call's time-out is an entry in the timer heap, and its wait is one parking: a cancel
scope around each call would cost more than the call.
"""

from __future__ import annotations

from typing import Any, TypeVar

import trio
from trio.lowlevel import current_task, wait_task_rescheduled

from ._errors import CallingSelf, CallTimeout, NoProcess, ServerExited
from ._pid import Dest
from ._process import IDLE, Process, find, forget, notify_end, process_of_task
from ._reasons import NORMAL, ExitReason, as_reason
from ._signals import Cast, Down, From, StopOrder
from ._timers import timers
from ._trio_parts import is_cancelled
from .abc import Call

T = TypeVar("T")


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
        Overloaded: Its mailbox has a limit and is full.

    When the caller is cancelled the server is not told; its reply finds nobody. It is a
    cancellation point, but lets other tasks run only when the server is busy, when its
    handler waits, and once in 512 calls.
    """
    server = find(dest)
    if server is None:
        raise NoProcess(dest)
    task = current_task()
    caller = process_of_task(task)
    if caller is server:
        raise CallingSelf(dest)
    slot = From(None if caller is None else caller.pid, request, server, task)
    if server.waiting == IDLE and server.loop.begin(slot):
        if slot.state != From.BEGUN:
            if is_cancelled(task):
                await trio.lowlevel.checkpoint()
            return outcome(slot, dest, timeout)
        slot.state = From.WAITING
        expect(server, slot)
    else:
        expect(server, slot)
        server.deliver(slot)
        if slot.task is None:
            # Refused, but whoever tries again and again has to let others run.
            await trio.lowlevel.checkpoint()
            return outcome(slot, dest, timeout)
    await wait_for(slot, timeout)
    return outcome(slot, dest, timeout)


def expect(server: Process, slot: From) -> None:
    """Have *slot* told when *server* ends before it replies."""
    if not server.pending:
        server.pending = set()
    server.pending.add(slot)


async def wait_for(slot: From, timeout: float | None) -> None:
    """Wait until *slot*, whose task is the calling one, is settled."""
    if timeout is None:
        await wait_task_rescheduled(slot.abort)
        return
    timer = timers().at(trio.current_time() + timeout, slot.expire)
    try:
        await wait_task_rescheduled(slot.abort)
    finally:
        timer.cancel()


def outcome(slot: From, dest: Dest, timeout: float | None) -> Any:
    """Return what a settled slot holds, or raise it.

    Raises:
        ServerExited: The server ended before it replied.
        CallTimeout: It did not reply in time.
    """
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
        CallingSelf: The caller is that process.
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
