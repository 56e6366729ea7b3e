"""Everything that waits with a limit: the timer heap of a Trio run, and `receive`.

A cancel scope per call costs more than the call. Here a time-out is an entry in one heap
per Trio run; one system task sleeps until the earliest of them. A cancelled entry stays
in the heap until it is due or until half of the heap is cancelled, so both setting and
cancelling cost next to nothing when, as usual, the reply comes in time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import trio
from trio.lowlevel import current_task, wait_task_rescheduled

from ._errors import ReceiveTimeout
from ._mailbox import Match, as_predicate, as_types
from ._pid import Dest
from ._process import (
    BURST,
    IN_RECEIVE,
    Process,
    current_process,
    find,
    process_of_task,
)

_PRUNE_ABOVE: Final = 64
_FOREVER: Final = float("inf")


class Timer:
    """One entry of the heap: a function to call at a time, unless it is cancelled."""

    __slots__ = ("fire", "timers")

    def __init__(self, fire: Callable[[], object], timers: Timers) -> None:
        self.fire: Callable[[], object] | None = fire
        self.timers: Timers = timers

    def cancel(self) -> None:
        """Make the timer do nothing; harmless when it has fired."""
        if self.fire is not None:
            self.fire = None
            self.timers.note_cancelled()


class Timers:
    """The heap of one Trio run."""

    __slots__ = ("_cancelled", "_heap", "_order", "_scope")

    def __init__(self) -> None:
        # Tuples, because they are compared in C; the number keeps them in order.
        self._heap: list[tuple[float, int, Timer]] = []
        self._cancelled = 0
        self._order = count()
        self._scope = trio.CancelScope()
        trio.lowlevel.spawn_system_task(self._drive, name="supervision timers")

    def at(self, when: float, fire: Callable[[], object]) -> Timer:
        """Call *fire* at *when*, on Trio's clock; it must neither wait nor raise."""
        timer = Timer(fire, self)
        heapq.heappush(self._heap, (when, next(self._order), timer))
        self._scope.deadline = min(self._scope.deadline, when)
        return timer

    def note_cancelled(self) -> None:
        """Count a cancelled entry, and drop them all when they are the majority."""
        self._cancelled += 1
        if self._cancelled > _PRUNE_ABOVE and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].fire is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def _drive(self) -> None:
        while True:
            with self._scope:
                await trio.sleep_forever()
            self._fire_due(trio.current_time())
            deadline = self._heap[0][0] if self._heap else _FOREVER
            self._scope = trio.CancelScope(deadline=deadline)

    def _fire_due(self, now: float) -> None:
        heap = self._heap
        while heap and (heap[0][0] <= now or heap[0][2].fire is None):
            timer = heapq.heappop(heap)[2]
            fire, timer.fire = timer.fire, None
            if fire is None:
                self._cancelled -= 1
            else:
                fire()
                heap = self._heap  # the function may have cancelled many


_timers: trio.lowlevel.RunVar[Timers] = trio.lowlevel.RunVar("supervision timers")


def timers() -> Timers:
    """The timers of the Trio run that we are in."""
    try:
        return _timers.get()
    except LookupError:
        made = Timers()
        _timers.set(made)
        return made


def send_after(seconds: float, dest: Dest, message: object) -> Timer:
    """Send *message* later.

    Args:
        seconds: How much later.
        dest: A name is looked up then, not now; that nobody holds it is no error.
        message: What to send.

    Returns:
        The timer; its ``cancel()`` takes the message back if it has not been sent.
    """

    def deliver() -> None:
        process = find(dest)
        if process is not None:
            process.deliver(message)

    return timers().at(trio.current_time() + seconds, deliver)


async def receive(match: Match = None, *, timeout: float | None = None) -> Any:
    """Take the oldest message that *match* accepts out of the mailbox, or wait for one.

    Messages that it does not accept stay, in their order, for later receives.

    Args:
        match: A type, a tuple of types, a predicate, or ``None`` for any message.
        timeout: Seconds to wait at most; ``0`` looks once and never waits.

    Raises:
        ReceiveTimeout: Nothing acceptable came in time; no message is lost.
        NotAProcess: The calling task is no process.
    """
    here = process_of_task(current_task()) or current_process()
    here.handled += 1
    if not here.handled & BURST:
        await trio.lowlevel.checkpoint()
    mailbox = here.mailbox
    if mailbox:
        if match is None:
            return mailbox.popleft()
        found, message = mailbox.take(as_predicate(match))
        if found:
            return message
    try:
        if match is not None or timeout is not None:
            return await _wait(here, match, timeout)
        # Process.park, here because every coroutine in between costs.
        here.accept = None
        while not here.mailbox:
            here.waiting = IN_RECEIVE
            await wait_task_rescheduled(here.abort)
        return here.mailbox.popleft()
    except BaseException:
        here.handled -= 1
        raise


async def _wait(here: Process, match: Match, timeout: float | None) -> object:
    if timeout is not None and timeout <= 0:
        await trio.lowlevel.checkpoint_if_cancelled()
        raise ReceiveTimeout
    accepts = as_predicate(match)
    types = as_types(match)
    # What has been looked at is never looked at again.
    seen = len(here.mailbox or ())
    timer = None
    deadline = _FOREVER
    if timeout is not None:
        deadline = trio.current_time() + timeout
        timer = timers().at(deadline, here.wake)
    try:
        while True:
            await here.park(IN_RECEIVE, types)
            mailbox = here.mailbox
            if mailbox is not None:
                found, message = mailbox.take(accepts, seen)
                if found:
                    return message
                seen = len(mailbox)
            if trio.current_time() >= deadline:
                raise ReceiveTimeout
    finally:
        if timer is not None:
            timer.cancel()
