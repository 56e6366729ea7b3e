"""The loop that runs a server.

It takes one message after the other and hands it to the callback for its kind. Its one
wait is a parking: no cancel scope per message, and time-outs are entries in the timer
heap.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import CoroutineType
from typing import Any, cast

import trio
from trio.lowlevel import reschedule, wait_task_rescheduled

from ._attributes import attributes, replace_attributes
from ._calls import call, reply, reply_error
from ._ending import Stopping, reason_to_terminate, terminate
from ._errors import BadReturn
from ._process import (
    IDLE,
    IN_LOOP,
    NOT_WAITING,
    Process,
    driven_by,
    report_dropped,
)
from ._reasons import ProcessExit
from ._signals import TIMEOUT, Cast, Exit, From, SystemMessage
from ._steps import LATER, Rest, may_take
from ._timers import timers
from ._trio_parts import INLINE
from .abc import (
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

__all__ = ["call", "reply", "reply_error"]


async def serve(process: Process, server: Server) -> Coroutine[Any, Any, None] | None:
    """Bring *server* up as *process*; returns what runs it to its ``terminate``."""
    process.kind = "server"
    process.trapping = server.trap_exit
    loop = _Loop(process, server)
    first = cast("object", await server.init())
    if first is None:
        pass  # the most common one
    elif isinstance(first, Ignore):
        process.ignore()
        return None
    elif isinstance(first, Stop):
        raise ProcessExit(first.reason)
    elif isinstance(first, Continue | Timeout):
        loop.take(first, "init")
    else:
        raise BadReturn("init", first)
    if process.reason is not None:
        # It was ended before it was there, and must not be said to have started.
        raise ProcessExit(process.reason)
    process.acknowledge()
    process.loop = loop
    return loop.run()


class _Loop(Rest):
    """Takes messages and calls callbacks, until something raises; rests in itself."""

    __slots__ = ("_process", "_timeout", "_todo", "server")

    def __init__(self, process: Process, server: Server) -> None:
        super().__init__(process.abort)
        self._process = process
        self._use(server)
        # What the last callback asked for: a continuation, or a time-out in seconds.
        self._todo: Continue | None = None
        self._timeout: float | None = None

    def _use(self, server: Server) -> None:
        server._cell = self  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self.server = server

    def stop_if_idle(self) -> bool:
        """Free the name and accept nothing more, if no message waits."""
        process = self._process
        if process.mailbox:
            return False
        process.home.runtime.free_names(process)
        process.leave_tables()
        process.pid.process = None
        return True

    # --- messages

    async def run(self) -> None:  # noqa: C901, PLR0912 - one coroutine, see below
        """Handle messages until something raises, and then ``terminate``.

        It is one coroutine, because every one in between costs time and memory. Nobody
        pays for `supervision.sys` before it is used: a suspension, a watcher and another
        server all come with a system message, and only after one are they looked for.
        """
        process, server, inline = self._process, self.server, INLINE
        try:
            while process.reason is None:
                mailbox = process.mailbox
                if self._todo is not None:
                    await self._go_on()
                    continue
                if mailbox:
                    if not process.left:
                        await trio.lowlevel.checkpoint()
                    message = mailbox.popleft()
                elif self._timeout is not None:
                    message = await self._wait()
                else:
                    process.accept = None
                    if not inline:
                        process.waiting = IN_LOOP
                        await wait_task_rescheduled(process.abort)
                        continue
                    process.waiting = IDLE
                    result = await self
                    if self.begun is not None:
                        sender, self.begun = self.begun, None
                        self._take_from_call(sender, result)
                    continue
                # Process.count
                process.left = (process.left or process.take_turn()) - 1
                if isinstance(message, From):
                    self._timeout = None
                    result = server.handle_call(message.request, message)
                    if type(result) is CoroutineType:
                        result = await cast("Awaitable[Any]", result)
                    if isinstance(result, Result) or process.reason is not None:
                        self._take_from_call(message, result)
                    else:
                        message.settle(From.REPLIED, result)
                elif isinstance(message, Cast):
                    self._timeout = None
                    self.take(await server.handle_cast(message.message), "handle_cast")
                elif isinstance(message, SystemMessage):
                    await self._obey(message)
                    await self._run_watched()
                    server = self.server
                else:
                    await self._handle_info(message)
        except BaseException as error:
            await self._end(error)
            raise

    async def _end(self, error: BaseException) -> None:
        """Run ``terminate``, if *error* is an end that has it."""
        process, server = self._process, self.server
        last = None if type(server).terminate is Server.terminate else server
        if isinstance(error, Stopping):
            await terminate(process, last, error.reason, error.after)
            raise ProcessExit(error.reason) from None
        if last is None:
            return
        reason = reason_to_terminate(process, error)
        if reason is not None:
            await terminate(process, last, reason)

    def begin(self, sender: From) -> bool:
        """Handle a call in the task of its caller, as far as it goes without waiting.

        The server is idle. What it does when its handler asks for more than a reply, and
        what it does after the handler has waited or raised, it does in its own task.

        Returns:
            Whether that was done; if not, the call has to go over the mailbox.
        """
        process = self._process
        if not may_take():
            return False
        task = process.task
        assert task is not None
        process.waiting = NOT_WAITING
        process.left = (process.left or process.take_turn()) - 1
        sender.state = From.BEGUN
        handler = self.server.handle_call
        result = self.take_step(task, handler, sender.request, sender)
        if result is LATER:
            self.begun = sender
        elif isinstance(result, Result) or process.reason is not None:
            self.begun = sender
            self.hand_over(task, result)
        else:
            sender.settle(From.REPLIED, result)
            if process.mailbox:
                reschedule(task)
            else:
                process.waiting = IDLE
        return True

    async def _run_watched(self) -> None:
        """Handle messages, and tell of each one, until nobody watches any more."""
        process = self._process
        while process.debug is not None:
            if process.reason is not None:
                raise ProcessExit(process.reason)
            if self._todo is not None:
                await self._go_on()
                continue
            if process.mailbox and not process.left:
                await trio.lowlevel.checkpoint()
            message = await self._wait()
            process.count()
            process.debug("in", message)
            if isinstance(message, SystemMessage):
                await self._obey(message)
            elif isinstance(message, From):
                self._timeout = None
                result = self.server.handle_call(message.request, message)
                if type(result) is CoroutineType:
                    result = await cast("Awaitable[Any]", result)
                self._take_from_call(message, result)
            elif isinstance(message, Cast):
                self._timeout = None
                next_ = await self.server.handle_cast(message.message)
                self.take(next_, "handle_cast")
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
                if process.mailbox:
                    return process.mailbox.popleft()
                if trio.current_time() >= deadline:
                    return TIMEOUT
                await process.park(IN_LOOP)
        finally:
            if timer is not None:
                timer.cancel()

    async def _go_on(self) -> None:
        todo, self._todo = cast("Continue", self._todo), None
        self.take(await self.server.handle_continue(todo.term), "handle_continue")

    async def _handle_info(self, message: object) -> None:
        self._timeout = None
        if self._is_parents_exit(message):
            raise Stopping(cast("Exit", message).reason, None)
        try:
            result = await self.server.handle_info(message)
        except Unhandled:
            report_dropped(self._process, message)
        else:
            self.take(result, "handle_info")

    def _is_parents_exit(self, message: object) -> bool:
        return isinstance(message, Exit) and message.pid is self._process.parent_pid

    # --- results

    def _take_from_call(self, sender: From, result: object) -> None:
        """Reply with what ``handle_call`` returned, or note what it asked for instead."""
        if self._process.reason is not None:
            # The handler has ended its own process: as in Erlang that is before the reply.
            raise ProcessExit(self._process.reason)
        match result:
            case Reply(value, then):
                self._reply(sender, value)
                self.take(then, "handle_call")
            case NoReply(then):
                self.take(then, "handle_call")
            case Stop(reason):
                raise Stopping(reason, self._replying(sender, result))
            case Result():
                raise BadReturn("handle_call", result)
            case _:
                self._reply(sender, result)

    def _reply(self, sender: From, value: object) -> None:
        if self._process.debug is not None:
            self._process.debug("out", (sender, value))
        sender.settle(From.REPLIED, value)

    def _replying(self, sender: From, stop: Stop) -> Callable[[], None] | None:
        if not stop.has_reply:
            return None
        return lambda: self._reply(sender, stop.reply)

    def take(self, result: object, callback: str) -> None:
        """Note what a callback asked for."""
        if result is None:
            return
        if isinstance(result, Continue):
            self._todo = result
        elif isinstance(result, Timeout):
            self._timeout = result.seconds
        elif isinstance(result, Stop):
            raise Stopping(result.reason, None)
        else:
            raise BadReturn(callback, result)

    # --- system messages

    async def _obey(self, message: SystemMessage) -> None:
        """Handle a system message, and stay here while it leaves us suspended.

        A time-out that was running begins anew, as in OTP.
        """
        process = self._process
        self._handle_system(message)
        while process.suspended:
            if process.reason is not None:
                raise ProcessExit(process.reason)
            mailbox = process.mailbox
            found, got = (
                (False, None) if mailbox is None else mailbox.take(self._passes)
            )
            if not found:
                await process.park(IN_LOOP, (SystemMessage, Exit))
            elif isinstance(got, SystemMessage):
                self._handle_system(got)
            else:
                raise Stopping(cast("Exit", got).reason, None)

    def _passes(self, message: object) -> bool:
        return isinstance(message, SystemMessage) or self._is_parents_exit(message)

    def _handle_system(self, message: SystemMessage) -> None:
        reason = message.handle(self._process)
        if reason is not None:
            raise Stopping(reason, None)

    def get_state(self) -> dict[str, object]:
        """Return the attributes of the server."""
        return attributes(self.server)

    def replace_state(self, state: Mapping[str, object]) -> None:
        """Replace the attributes of the server, all of them or none."""
        replace_attributes(self.server, state)

    def change_code(self, behaviour: Any) -> None:
        """Go on with another server."""
        if not isinstance(behaviour, Server):
            raise TypeError(f"a server goes on as a server, not as {behaviour!r}")
        self._use(behaviour)


driven_by(Server, serve)
