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
from typing import Any, Final, TypeVar, overload

import attrs
import trio
from trio.lowlevel import wait_task_rescheduled

from ._errors import ReceiveTimeout
from ._mailbox import Match, as_predicate, as_types
from ._pid import Dest, Pid
from ._process import (
    IN_RECEIVE,
    RUNS,
    Process,
    by_task,
    current_process,
    find,
)
from ._signals import Signal
from ._trio_parts import begin_newest, running

T = TypeVar("T")

_PRUNE_ABOVE: Final = 64
_FOREVER: Final = float("inf")


class Alarm:
    """One entry of the heap: a function to call at a time, unless it is cancelled."""

    __slots__ = ("fire", "timers")

    def __init__(self, fire: Callable[[], object], timers: Timers) -> None:
        self.fire: Callable[[], object] | None = fire
        self.timers: Timers = timers

    def cancel(self) -> None:
        """Make the alarm do nothing; harmless when it has fired."""
        if self.fire is not None:
            self.fire = None
            self.timers.note_cancelled()


class Timers:
    """The heap of one Trio run."""

    __slots__ = ("_cancelled", "_earliest", "_heap", "_order", "_scope", "_to")

    def __init__(self) -> None:
        # Tuples, because they are compared in C; the number keeps them in order.
        self._heap: list[tuple[float, int, Alarm]] = []
        self._cancelled = 0
        self._order = count()
        self._scope = trio.CancelScope()
        # Invariant: the deadline of the scope, which costs more to ask and to set.
        self._earliest = _FOREVER
        # Messages on their way to one process: they end with it.
        self._to: dict[Process, dict[Timer, None]] = {}
        trio.lowlevel.spawn_system_task(self._drive, name="supervision timers")

    def at(self, when: float, fire: Callable[[], object]) -> Alarm:
        """Call *fire* at *when*, on Trio's clock; it must neither wait nor raise."""
        alarm = Alarm(fire, self)
        heapq.heappush(self._heap, (when, next(self._order), alarm))
        if when < self._earliest:
            self._scope.deadline = self._earliest = when
        return alarm

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
            self._earliest = self._heap[0][0] if self._heap else _FOREVER
            self._scope = trio.CancelScope(deadline=self._earliest)

    def _fire_due(self, now: float) -> None:
        heap = self._heap
        while heap and (heap[0][0] <= now or heap[0][2].fire is None):
            alarm = heapq.heappop(heap)[2]
            fire, alarm.fire = alarm.fire, None
            if fire is None:
                self._cancelled -= 1
            else:
                fire()
                heap = self._heap  # the function may have cancelled many

    # --- messages

    def begin(self, timer: Timer, process: Process) -> None:
        """Have *timer* end with *process*."""
        self._to.setdefault(process, {})[timer] = None
        if process.tables is None:
            process.tables = {}
        process.tables[self] = None

    def done(self, timer: Timer, process: Process) -> None:
        """Forget *timer*, which has nothing more to send."""
        of_process = self._to.get(process)
        if of_process is None:
            return
        of_process.pop(timer, None)
        if not of_process:
            del self._to[process]
            if process.tables is not None:
                process.tables.pop(self, None)

    def drop(self, process: Process) -> None:
        """Cancel what was to be sent to *process*; called in its exit step."""
        for timer in self._to.pop(process):
            timer.cancel()


_timers: trio.lowlevel.RunVar[Timers] = trio.lowlevel.RunVar("supervision timers")


def timers() -> Timers:
    """The timers of the Trio run that we are in."""
    try:
        return _timers.get()
    except LookupError:
        made = Timers()
        _timers.set(made)
        return made


class Timer:
    """A message on its way: what `send_after` and its like return.

    One to a pid ends when the process does; one to a name waits for whoever holds it
    then. That its own maker ends means nothing to it, as in Erlang.
    """

    __slots__ = ("_alarm", "_dest", "_every", "_process", "_when", "message")

    def __init__(self, dest: Dest, message: object, every: float | None) -> None:
        self._dest = dest
        # What it sends.
        self.message: object = message
        self._every = every
        self._when = _FOREVER
        # Invariant: the alarm is None when nothing is to come any more.
        self._alarm: Alarm | None = None
        # The process with which it ends.
        self._process: Process | None = None

    def cancel(self) -> float | None:
        """Take the message back, or the messages that are still to come.

        Returns:
            The seconds that were left, or ``None`` when there was nothing to take back:
            the message is in the mailbox, or was, or its process has ended.
        """
        alarm, left = self._alarm, self.remaining()
        if alarm is not None:
            alarm.cancel()
            self._finish(alarm.timers)
        return left

    def remaining(self) -> float | None:
        """Return the seconds until the next message, or ``None`` when none will come."""
        if self._alarm is None:
            return None
        return max(0.0, self._when - trio.current_time())

    def begin(self, when: float, process: Process | None) -> None:
        """Send at *when*; not any more when *process* has ended."""
        heap = timers()
        self._process = process
        if process is not None:
            heap.begin(self, process)
        self._when = when
        self._alarm = heap.at(when, self._send)

    def _finish(self, heap: Timers) -> None:
        self._alarm = None
        if self._process is not None:
            heap.done(self, self._process)
            self._process = None

    def _send(self) -> None:
        process = self._process or find(self._dest)
        heap = timers()
        if self._every is None:
            self._finish(heap)
        else:
            self._when = _next_beat(self._when, self._every, trio.current_time())
            self._alarm = heap.at(self._when, self._send)
        if process is not None:
            process.deliver(self.message)


def _next_beat(last: float, every: float, now: float) -> float:
    """The first beat after *now*: what was missed while the loop was late is left out."""
    if last + every > now:
        return last + every
    return last + every * (1 + (now - last) // every)


@attrs.frozen
class TimedOut(Signal):
    """What `start_timer` sends.

    Attributes:
        timer: The timer, by which a late one is told from the one that counts.
        message: What it was given.
    """

    timer: Timer
    message: object


def _begin(timer: Timer, seconds: float, dest: Dest) -> Timer:
    if not seconds >= 0:
        raise ValueError(f"a time must be 0 or more seconds, not {seconds!r}")
    process: Process | None = None
    if isinstance(dest, Pid):
        process = dest.process
        if process is None:
            return timer
    timer.begin(trio.current_time() + seconds, process)
    return timer


def send_after(seconds: float, dest: Dest, message: object) -> Timer:
    """Send *message* later.

    Args:
        seconds: How much later.
        dest: A name is looked up then, not now; that nobody holds it is no error. When
            the process of a pid ends, so does the timer.
        message: What to send.

    Returns:
        The timer; its ``cancel()`` takes the message back if it has not been sent.
    """
    return _begin(Timer(dest, message, None), seconds, dest)


def start_timer(seconds: float, dest: Dest, message: object) -> Timer:
    """Send `TimedOut` with *message* and the timer itself later.

    For whoever starts timers anew: a `TimedOut` of one that was cancelled when its
    message waited in the mailbox already can be told from the one that is expected.

    Args:
        seconds: How much later.
        dest: As for `send_after`.
        message: What ``TimedOut.message`` shall be.
    """
    timer = Timer(dest, None, None)
    timer.message = TimedOut(timer, message)
    return _begin(timer, seconds, dest)


def send_interval(seconds: float, dest: Dest, message: object) -> Timer:
    """Send *message* every so many seconds, for the first time after as many.

    It ends by its ``cancel()``, or with the process. Beats do not drift; those that a
    busy program has missed are left out, where Erlang would send them all at once.

    Args:
        seconds: The time between two messages.
        dest: A name stands for the process that holds it now.
        message: What to send.
    """
    if not 0 < seconds < _FOREVER:
        raise ValueError(f"an interval must be more than 0 seconds, not {seconds!r}")
    timer = Timer(dest, message, seconds)
    process = find(dest)
    if process is not None:
        timer.begin(trio.current_time() + seconds, process)
    return timer


@overload
async def receive(match: type[T], *, timeout: float | None = None) -> T: ...
@overload
async def receive(match: tuple[type[T], ...], *, timeout: float | None = None) -> T: ...
@overload
async def receive(match: Match = None, *, timeout: float | None = None) -> Any: ...
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
    try:
        here = by_task[running.task]
    except (KeyError, AttributeError, RuntimeError):
        here = current_process()
    left = here.left
    mailbox = here.mailbox
    if left and mailbox and match is None:
        here.left = left - 1
        return mailbox.popleft()
    if not left:
        await trio.lowlevel.checkpoint()
        here.take_turn()
    # What is waited for may come from what was just started; a poll does not wait.
    while timeout != 0 and not here.mailbox and begin_newest(RUNS):
        pass
    if match is not None or timeout is not None:
        message = await _wait(here, match, timeout)
    else:
        # Process.park, here because every coroutine in between costs.
        here.accept = None
        while not here.mailbox:
            here.waiting = IN_RECEIVE
            await wait_task_rescheduled(here.abort)
        message = here.mailbox.popleft()
    here.left -= 1
    return message


async def _wait(here: Process, match: Match, timeout: float | None) -> object:
    if here.mailbox:
        found, message = here.mailbox.take(as_predicate(match))
        if found:
            return message
    if timeout is not None and timeout <= 0:
        await trio.lowlevel.checkpoint_if_cancelled()
        raise ReceiveTimeout(match, timeout)
    accepts = as_predicate(match)
    types = as_types(match)
    # What has been looked at is never looked at again.
    seen = 0 if here.mailbox is None else here.mailbox.mark()
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
                seen = mailbox.mark()
            if trio.current_time() >= deadline:
                raise ReceiveTimeout(match, timeout)
    finally:
        if timer is not None:
            timer.cancel()
