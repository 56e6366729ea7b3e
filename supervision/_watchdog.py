"""A process that notices when the loop is held up, and says by whom.

Everything here runs in one thread. A function that computes for a second, or waits for a
disk without ``await``, holds up every process of the program for that second, and none of
them can tell, because they do not run. So a watchdog has a thread of its own that asks
Trio every so often to call a function. When the answer is late, the thread looks at the
stack of Trio's thread, *while* it is held up: the innermost process on it is the culprit.

Nothing is measured per step of a task: a program with a watchdog runs as fast as without
one, apart from some ten tiny callbacks per second.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from time import monotonic
from types import FrameType
from typing import Any, Final

import attrs
import trio

from ._process import Process, current_process, process_of_task
from ._reasons import Crash
from ._reports import points_of_frame
from ._steps import Rest
from ._telemetry import LAG, emit
from .abc import Server

_OF_PROCESS: Final = Process.run.__code__
_OF_STEP: Final = Rest.take_step.__code__


# --- who holds the loop


@attrs.frozen
class Culprit:
    """What Trio's thread was doing when somebody looked.

    Attributes:
        process: The process that was running, or in one of whose inner tasks it was;
            ``None`` if that was neither.
        task: The name of the Trio task, or ``None`` when no task was running.
        stack: What it was doing there, outermost first, as ``file:line function``.
    """

    process: Process | None
    task: str | None
    stack: list[str]


def find_culprit(frame: FrameType, root: trio.lowlevel.Task) -> Culprit:
    """Find the task that a stack of Trio's thread belongs to, from any thread.

    Args:
        frame: The innermost frame.
        root: The root of all tasks.
    """
    frames = list(_outwards(frame))
    task, depth = _running(frames, root)
    # Frames further out belong to the loop, or to whoever called an idle server.
    stack = points_of_frame(frame)[len(frames) - depth :]
    if task is None:
        return Culprit(None, None, stack)
    return Culprit(_owner(task), task.name, stack)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _running(
    frames: list[FrameType], root: trio.lowlevel.Task
) -> tuple[trio.lowlevel.Task | None, int]:
    """The task that is running, and how many of the innermost frames are its own."""
    for depth, frame in enumerate(frames):
        if frame.f_code is _OF_PROCESS:
            process: Process = frame.f_locals["self"]
            return process.task, depth
        if frame.f_code is _OF_STEP:
            return frame.f_locals["task"], depth
    # A task that is no process: the one whose coroutine is on the stack.
    depth_of: dict[object, int] = {frame: at for at, frame in enumerate(frames)}
    for task in _all_tasks(root):
        depth = depth_of.get(getattr(task.coro, "cr_frame", None))
        if depth is not None:
            return task, depth + 1
    return None, len(frames)


def _all_tasks(root: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    left = [root]
    while left:
        task = left.pop()
        yield task
        for nursery in task.child_nurseries:
            left.extend(nursery.child_tasks)


def _owner(task: trio.lowlevel.Task) -> Process | None:
    """The process that *task* is, or in whose nursery it runs."""
    inside: trio.lowlevel.Task | None = task
    while inside is not None:
        process = process_of_task(inside)
        if process is not None:
            return process
        nursery = inside.parent_nursery
        inside = None if nursery is None else nursery.parent_task
    return None


# --- the thread


@attrs.frozen
class Late:
    """An answer of the loop that came late; a message to the watchdog."""

    seconds: float
    culprit: Culprit


@attrs.define
class Peaks:
    """The worst lag of each of the last seconds; the times ascend.

    For whoever looks once a minute: most lags are no event, and none is remembered.
    """

    # Invariant: one entry of a second, so that how often the loop is asked is all one.
    _worst: deque[tuple[int, float]] = attrs.field(
        factory=partial(deque[tuple[int, float]], maxlen=61)
    )

    def add(self, now: float, lag: float) -> None:
        """The loop has answered *now*, in seconds."""
        second = int(now)
        if self._worst and self._worst[-1][0] == second:
            lag = max(lag, self._worst.pop()[1])
        self._worst.append((second, lag))

    def of_minute(self, now: float) -> float:
        """The worst of the last minute; 0 if the loop has not answered in it."""
        return max((lag for at, lag in self._worst if at > now - 61), default=0.0)


_UNSEEN: Final = Culprit(None, None, [])
# Lags that a watchdog remembers.
_REMEMBERED: Final = 50


class Sampler:
    """The thread of one watchdog; ends in the exit step of its process."""

    def __init__(self, threshold: float, stuck: float, process: Process) -> None:
        self._threshold = threshold
        self._stuck = stuck
        self._process = process
        # How long the loop took for its last answer, in seconds.
        self.lag: float = 0.0
        self.peaks = Peaks()
        self._token = trio.lowlevel.current_trio_token()
        root = trio.lowlevel.current_root_task()
        assert root is not None
        self._root = root
        self._loop = threading.get_ident()
        self._answered = False
        self._stopped = threading.Event()
        # Of the answer that is waited for: what was seen when it was late.
        self._seen: Culprit | None = None
        self._thread = threading.Thread(
            target=self._run, name="supervision watchdog", daemon=True
        )

    def begin(self) -> None:
        """Start the thread, until the process ends."""
        if self._process.tables is None:
            self._process.tables = {}
        self._process.tables[self] = None
        self._thread.start()

    def drop(self, process: Process) -> None:
        """End the thread; called in the exit step of the process."""
        self._stopped.set()
        self._thread.join()

    # --- in the thread

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._beat()
        except trio.RunFinishedError:
            pass  # the whole run was abandoned, without an exit step
        except Exception as error:  # noqa: BLE001 - the edge of the thread
            # Its supervisor decides, as if it had happened in the process.
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._fail, error)

    def _beat(self) -> None:
        self._seen = None
        self._answered = False
        asked = monotonic()
        self._token.run_sync_soon(self._answer, asked)
        # Nobody wakes us for the answer: that would double what a beat costs.
        if self._stopped.wait(self._threshold) or self._answered:
            return
        self._seen = self._look()
        patience = self._stuck
        while not self._stopped.wait(self._threshold) and not self._answered:
            if monotonic() - asked >= patience:
                self._cry(patience)
                patience *= 2

    def _look(self) -> Culprit:
        # The only way to look at a thread from another one.
        frames = sys._current_frames()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        frame = frames.get(self._loop)
        # The loop's thread has ended, if whoever abandoned the run has ended it, too.
        return _UNSEEN if frame is None else find_culprit(frame, self._root)

    def _cry(self, seconds: float) -> None:
        """Say from here what the loop cannot say, because it does not go on."""
        culprit = self._look()
        process = culprit.process
        logging.getLogger("supervision").critical(
            "the loop has been held up for more than %s s by %s (task %s) in:\n%s",
            seconds,
            "no process" if process is None else repr(process),
            culprit.task,
            "\n".join(culprit.stack),
        )

    # --- in the loop

    def _fail(self, error: Exception) -> None:
        if not self._stopped.is_set():
            self._process.end(Crash(error))

    def _answer(self, asked: float) -> None:
        if self._stopped.is_set():
            return
        now = monotonic()
        self.lag = now - asked
        # As of now: one that took minutes has ended in this one.
        self.peaks.add(now, self.lag)
        seen, self._seen = self._seen, None
        self._answered = True
        if self.lag > self._threshold:
            self._process.deliver(Late(self.lag, seen or _UNSEEN))


# --- the process


class Watchdog(Server):
    """A server that reports whoever holds up the loop; make it a child of the tree.

    An answer of the loop that is late by more than *threshold* is a
    ``supervision.loop.lag`` event, with the time and with the stack of the process that
    ran in the middle of it. `supervision.state` of the watchdog shows the last lag and
    the worst one. Erlang has no need for this: it interrupts whoever runs for too long.

    Args:
        threshold: Seconds that are still tolerated. Whoever holds the loop for twice as
            long is found for certain.
        every: The fewest seconds between two events; those in between are counted.
        stuck: Seconds after which the thread of the watchdog says itself, on the logger
            ``supervision``, who holds up the loop, and again whenever that time has
            doubled: there may be no end after which an event could be emitted.

    The time is the real one, also under a test's clock.
    """

    def __init__(
        self,
        threshold: float = 0.1,
        *,
        every: float = 1.0,
        stuck: float = 5.0,
    ) -> None:
        if threshold <= 0 or every < 0 or stuck <= 0:
            raise ValueError("threshold and stuck must be > 0 seconds, and every >= 0")
        self._threshold = threshold
        self._every = every
        self._stuck = stuck
        self._sampler: Sampler | None = None
        self._worst = 0.0
        self._lags = 0
        self._told_at = -float("inf")
        self._untold = 0
        self._recent: deque[Mapping[str, object]] = deque(maxlen=_REMEMBERED)

    async def init(self) -> None:
        """Start the thread."""
        self._sampler = Sampler(self._threshold, self._stuck, current_process())
        self._sampler.begin()

    async def handle_info(self, message: Any) -> None:
        """Take note of a late answer."""
        if not isinstance(message, Late):
            await super().handle_info(message)
            return
        self._lags += 1
        self._worst = max(self._worst, message.seconds)
        now = trio.current_time()
        culprit, process = message.culprit, message.culprit.process
        lag = {
            "at": now,
            "seconds": message.seconds,
            "pid": None if process is None else process.pid,
            "name": None if process is None else process.name,
            "id": None if process is None else process.label,
            "task": culprit.task,
            "stack": culprit.stack,
        }
        self._recent.append(lag)
        if now - self._told_at < self._every:
            self._untold += 1
            return
        self._told_at = now
        untold, self._untold = self._untold, 0
        emit(
            LAG,
            {"seconds": message.seconds, "untold": untold},
            {
                "pid": lag["pid"],
                "name": lag["name"],
                "id": lag["id"],
                "task": culprit.task,
                "stack": culprit.stack,
            },
        )

    def describe(self) -> Mapping[str, object]:
        """Show ``lag`` and ``worst`` in seconds, and how many ``lags`` there were.

        ``minute`` is the worst of the last minute, also one that was tolerated.
        ``recent`` are the last fifty of them, as in the event; ``at`` is on Trio's clock.
        """
        sampler = self._sampler
        return {
            "lag": 0.0 if sampler is None else sampler.lag,
            "worst": self._worst,
            "minute": 0.0 if sampler is None else sampler.peaks.of_minute(monotonic()),
            "lags": self._lags,
            "threshold": self._threshold,
            "recent": list(self._recent),
        }
