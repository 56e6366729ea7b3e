"""Requests whose replies are waited for later, one or many, or come as messages.

A `RequestId` is an alias: what comes after it was given up, or a second time, finds
nobody and never reaches a mailbox.

    ids = supervision.RequestIds[int]()
    for name in ("a", "b", "c"):
        ids.send(name, Get(), label=name)
    while ids:
        response = await ids.receive(timeout=5)
        print(response.label, response.result())
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import trio
from trio.lowlevel import Abort, current_task, wait_task_rescheduled

from ._calls import expect, outcome
from ._errors import CallingSelf, CallTimeout, NoProcess, SupervisionError
from ._life import current_process, forget
from ._monitors import notify_end
from ._pid import Dest, Pid
from ._process import Process, find, process_of_task
from ._signals import From
from ._timers import timers
from .abc import Call

T = TypeVar("T")


class _Slot(From):
    """A request on its way for which nobody is parked."""

    __slots__ = ("told",)

    # Invariant: state is WAITING until the one settling; told is called by that, and is
    # None while nobody waits.
    told: Callable[[], object] | None

    def __init__(
        self, pid: Pid | None, request: object, server: Process | None
    ) -> None:
        super().__init__(pid, request, server, None)
        self.told = None

    def settle(self, state: int, result: object) -> None:
        """Keep the outcome, and tell whoever waits for it."""
        if self.state != From.WAITING:
            return
        self.state = state
        self.result = result
        if self.server is not None:
            self.server.pending.discard(self)
        told, self.told = self.told, None
        if told is not None:
            told()


class RequestId(Generic[T]):
    """One request that was sent; the parameter is the type of its reply.

    Attributes:
        dest: Where it was sent.
    """

    __slots__ = ("__weakref__", "_slot", "dest")

    def __init__(self, dest: Dest, slot: _Slot) -> None:
        self.dest: Dest = dest
        self._slot = slot

    def __repr__(self) -> str:
        return f"<request {self._slot.request!r} to {self.dest!r}>"

    def __del__(self) -> None:
        # Nobody can ask for it any more, so the server need not remember it.
        self._slot.settle(From.EXPIRED, None)

    @property
    def answered(self) -> bool:
        """Whether `receive_response` would return or raise at once."""
        return self._slot.state != From.WAITING


def send_request(dest: Dest, request: Call[T]) -> RequestId[T]:
    """Ask a server without waiting; `receive_response` waits for the reply.

    Works from any task. That there is no such process is told by `receive_response`.

    Args:
        dest: The server.
        request: What to ask.
    """
    server = find(dest)
    here = process_of_task(current_task())
    slot = _Slot(None if here is None else here.pid, request, server)
    if server is None:
        slot.settle(From.FAILED, NoProcess(dest))
    else:
        expect(server, slot)
        server.deliver(slot)
    return RequestId(dest, slot)


async def receive_response(
    request_id: RequestId[T],
    *,
    timeout: float | None = None,
) -> T:
    """Wait for the reply to a request; the same outcomes as `supervision.call`.

    Args:
        request_id: What `send_request` returned.
        timeout: Seconds to wait, or ``None`` for as long as the server lives. When they
            have passed the request is given up: its reply is dropped.

    Raises:
        NoProcess: There was no such process.
        ServerExited: It ended before it replied.
        CallTimeout: It did not reply in time, or the request was given up before.
        CallingSelf: The caller is the server, and has not replied.

    When the caller is cancelled the request stays, and can be waited for again.
    """
    slot = request_id._slot  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    if slot.state == From.WAITING:
        if slot.server is process_of_task(current_task()):
            raise CallingSelf(request_id.dest)
        if slot.told is not None:
            raise SupervisionError("somebody waits for this response already")
        if not await _wait(slot, timeout):
            slot.settle(From.EXPIRED, None)
    else:
        await trio.lowlevel.checkpoint()
    return outcome(slot, request_id.dest, timeout)


async def _wait(slot: _Slot, timeout: float | None) -> bool:
    """Wait until *slot* is settled; whether it was in time."""
    signal = _Signal()
    slot.told = signal.wake
    try:
        return await signal.wait(timeout)
    finally:
        slot.told = None


class _Signal:
    """Wakes one task, once."""

    __slots__ = ("_in_time", "_task")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._in_time = True

    def wake(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    async def wait(self, timeout: float | None) -> bool:
        self._task = current_task()
        if timeout is None:
            await wait_task_rescheduled(self._abort)
            return True
        timer = timers().at(trio.current_time() + timeout, self._expire)
        try:
            await wait_task_rescheduled(self._abort)
        finally:
            timer.cancel()
        return self._in_time

    def _expire(self) -> None:
        self._in_time = self._task is None
        self.wake()

    def _abort(self, raise_cancel: object) -> Abort:
        del raise_cancel
        self._task = None
        return Abort.SUCCEEDED


class Response(Generic[T]):
    """What became of one request of a `RequestIds`, or of `deliver_response`.

    Attributes:
        request_id: The request.
        label: What it was labelled with.
    """

    __slots__ = ("label", "request_id")

    def __init__(self, request_id: RequestId[T], label: object) -> None:
        self.request_id: RequestId[T] = request_id
        self.label: object = label

    def __repr__(self) -> str:
        return f"<response to {self.request_id!r}, label {self.label!r}>"

    def result(self) -> T:
        """Return the reply, or raise what `supervision.call` would have raised.

        Raises:
            NoProcess: There was no such process.
            ServerExited: It ended before it replied.
        """
        slot = self.request_id._slot  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        return outcome(slot, self.request_id.dest, None)

    @property
    def error(self) -> Exception | None:
        """What `result` would raise, or ``None``."""
        try:
            self.result()
        except Exception as error:  # noqa: BLE001 - it is the value
            return error
        return None


def deliver_response(request_id: RequestId[T], *, label: object = None) -> None:
    """Have the response come as a message of this process: a `Response`.

    For a server that asks another one and does not stand still meanwhile: the response
    reaches its ``handle_info``, like those of OTP's ``send_request``. That the other
    server has died, or was not there, is a response, too.

    Args:
        request_id: What `send_request` returned. Keep it: a request whose id nobody
            has, or whose process has ended, is given up, and its reply is dropped. A
            response that is in the mailbox by then comes all the same, and is told by
            its label.
        label: What the response is labelled with.

    Raises:
        NotAProcess: The caller is none.
        SupervisionError: Somebody waits for its response already.
    """
    slot = request_id._slot  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    here = current_process()
    if slot.told is not None:
        raise SupervisionError("somebody waits for this response already")
    if slot.state != From.WAITING:
        here.deliver(Response(request_id, label))
        return
    # The server holds the slot: through it, it must not hold the id.
    weakly = weakref.ref(request_id)

    def arrived() -> None:
        forget(ending)
        known = weakly()
        # One that is given up as its id goes: the reference is still good in that moment.
        if known is not None and slot.state != From.EXPIRED:
            here.deliver(Response(known, label))

    slot.told = arrived
    # Who is killed does not let go of the id: a traceback, or a cycle, may keep it.
    ending = notify_end(here, lambda _: slot.settle(From.EXPIRED, None))


class RequestIds(Generic[T]):
    """Requests that wait together; the parameter is the type of their replies.

    Responses come in the order in which they arrive, each in constant time however many
    requests are open. ``len(ids)`` is how many have not been received.
    """

    __slots__ = ("__weakref__", "_answered", "_open", "_signal")

    def __init__(self) -> None:
        # Invariant: the answered ones are among the keys.
        self._open: dict[_Slot, Response[T]] = {}
        self._answered: deque[_Slot] = deque()
        self._signal: _Signal | None = None

    def __len__(self) -> int:
        return len(self._open)

    def __repr__(self) -> str:
        return f"<{len(self)} requests, {len(self._answered)} answered>"

    def send(
        self, dest: Dest, request: Call[T], *, label: object = None
    ) -> RequestId[T]:
        """Send a request, as `supervision.send_request` does, and add it."""
        request_id = send_request(dest, request)
        self.add(request_id, label=label)
        return request_id

    def add(self, request_id: RequestId[T], *, label: object = None) -> None:
        """Add a request that nobody waits for.

        Raises:
            SupervisionError: Somebody waits for its response already.
        """
        slot = request_id._slot  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        if slot.told is not None:
            raise SupervisionError("somebody waits for this response already")
        self._open[slot] = Response(request_id, label)
        if slot.state != From.WAITING:
            self._answered.append(slot)
            return
        # The server holds the slot: through it, it must not hold us.
        weakly = weakref.ref(self)

        def arrived() -> None:
            ids = weakly()
            if ids is not None:
                ids._arrived(slot)  # noqa: SLF001 - our own

        slot.told = arrived

    def _arrived(self, slot: _Slot) -> None:
        self._answered.append(slot)
        if self._signal is not None:
            self._signal.wake()

    async def receive(self, *, timeout: float | None = None) -> Response[T]:
        """Wait for the next response, and take it out.

        Args:
            timeout: Seconds to wait. When they have passed the requests stay; `clear`
                gives them up.

        Raises:
            CallTimeout: No response came in time.
            SupervisionError: There is no request, or another task waits here already.

        Failures of single requests are raised by `Response.result`, not here. Nothing is
        lost when the caller is cancelled.
        """
        if self._answered:
            await trio.lowlevel.checkpoint()
        while not self._answered:
            await self._wait(timeout)
        return self._open.pop(self._answered.popleft())

    async def _wait(self, timeout: float | None) -> None:
        if not self._open:
            raise SupervisionError("there is no request to wait for")
        if self._signal is not None:
            raise SupervisionError("another task waits for these responses")
        self._signal = _Signal()
        try:
            in_time = await self._signal.wait(timeout)
        finally:
            self._signal = None
        if not in_time:
            raise CallTimeout(next(iter(self._open.values())).request_id.dest, timeout)

    def clear(self) -> None:
        """Give all requests up; what is still replied to them is dropped."""
        for slot in self._open:
            slot.told = None
            slot.settle(From.EXPIRED, None)
        self._open.clear()
        self._answered.clear()
