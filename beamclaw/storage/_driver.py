"""Who runs blocking database work: a thread of its own, or, in a test, the event loop.

Work goes in from the event loop without waiting, is taken together (all that waits, up
to a bound), and what came of it is handed back to the loop in one callback.

The order of generations is kept here. A database that is opened again, because the
process that owned it died, is opened in the new driver's thread, and only when the old
driver's thread has ended and its connection is closed.
"""

import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import attrs
import trio

J_contra = TypeVar("J_contra", contravariant=True)
K = TypeVar("K")


class Access(Protocol[J_contra]):
    """An open database and what is done with it; used from one thread only."""

    def serve(self, jobs: Sequence[J_contra]) -> Sequence[object]:
        """What came of each job: its answer, or the exception for who asked.

        Raises:
            Broken: The database must not be used any more.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Broken(Exception):  # noqa: N818 -- a situation
    """This access to the database is over; *cause* says why."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class StillOpen(Exception):  # noqa: N818 -- a situation
    """The file is open elsewhere in this process, and nothing is opened beside it.

    Either it is in use, or the thread of a generation that died did not end: a disk
    that does not answer. It may end yet, then a new attempt works.
    """


class StillInUse(StillOpen):
    """By a process that lives."""


class _Close:
    """The last thing in a driver's queue."""


_CLOSE = _Close()

# A thread that wants the interpreter lock back asks for it after this many seconds. An
# event loop that is never idle gives the lock away at each look for I/O and takes it
# back at once; with the default of 5 ms the thread is woken by that before it asks, in
# vain, and begins to wait anew. Measured: commits took up to 15 seconds.
_SWITCH_INTERVAL = 0.0005

# Drivers that are not done with their file, by its path, the oldest first.
# Process-wide, because threads are: they outlive the supervised process that started
# them, and the next generation has to find them, whichever supervisor started it.
_undone: dict[Path, list["Driver[Any]"]] = {}
_table = threading.Lock()


@attrs.define(eq=False)
class Driver(Generic[K]):
    """Runs an :class:`Access`; made, opened, used and closed on the event loop.

    Args:
        path: The database file.
        role: ``writer`` or ``reader``: names the thread.
        access: Opens the database; runs where the work runs.
        answer: Called on the event loop with a ticket and what came of its job.
        broken: Called on the event loop, once, after the last answers.
        wanted: Whether the process that owns this driver still lives.
        threads: Whether to use a thread.
        later: Without one: has the work done, a moment later; None: in the next step
            of the event loop.
        most: Jobs taken together at most.
        patience: How long to wait for the generation before, in seconds.
        beside: A driver of the same generation, which has the file open as well. All
            others must be done with it: a log that somebody still reads is not read
            anew by who opens it.
    """

    path: Path
    role: str
    _access: Callable[[], Access[K]] = attrs.field(kw_only=True, alias="access")
    _answer: Callable[[Any, object], None] = attrs.field(kw_only=True, alias="answer")
    _broken: Callable[[Broken], None] = attrs.field(kw_only=True, alias="broken")
    _wanted: Callable[[], bool] = attrs.field(kw_only=True, alias="wanted")
    _threads: bool = attrs.field(kw_only=True, alias="threads", default=True)
    _later: Callable[[Callable[[], None]], object] | None = attrs.field(
        kw_only=True, alias="later", default=None
    )
    _most: int = attrs.field(kw_only=True, alias="most", default=512)
    _patience: float = attrs.field(kw_only=True, alias="patience", default=10.0)
    _beside: "Driver[Any] | None" = attrs.field(
        kw_only=True, alias="beside", default=None
    )
    _key: Path = attrs.field(init=False)
    _jobs: "queue.SimpleQueue[tuple[Any, Any]]" = attrs.field(init=False)
    _open: Access[K] | None = attrs.field(init=False, default=None)
    _failure: Broken | None = attrs.field(init=False, default=None)
    _before: "tuple[Driver[Any], ...]" = attrs.field(init=False, default=())
    _closing: bool = attrs.field(init=False, default=False)
    _scheduled: bool = attrs.field(init=False, default=False)
    _token: trio.lowlevel.TrioToken = attrs.field(init=False)
    _done: threading.Event = attrs.field(init=False, factory=threading.Event)

    def __attrs_post_init__(self) -> None:
        self._key = self.path.resolve()
        self._jobs = queue.SimpleQueue()
        self._token = trio.lowlevel.current_trio_token()

    # --- on the event loop

    async def open(self) -> None:
        """Open the database; whatever ``access`` raises is raised here.

        Cancelling closes the driver.

        Raises:
            StillOpen: Another driver is not done with the file.
        """
        self._succeed()
        opened = trio.Event()
        result: list[BaseException | None] = []

        def report(error: BaseException | None) -> None:
            result.append(error)
            opened.set()

        try:
            if self._threads:
                sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL))
                self._start(report)
            else:
                await trio.lowlevel.checkpoint()
                report(self._open_access())
            await opened.wait()
        except BaseException:
            self.close()
            raise
        if result[0] is not None:
            self.close()
            raise result[0]

    def _start(self, report: Callable[[BaseException | None], None]) -> None:
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL))
        thread = threading.Thread(
            target=self._main,
            args=(report,),
            name=f"{self.role} of {self.path.name}",
            # At the end of the interpreter nothing is waited for: what was not
            # committed was not acknowledged.
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads: nobody will be done with the file
            self._end()
            raise

    def _succeed(self) -> None:
        """Take the place of the generation before, and have it close."""
        with _table:
            before = [d for d in _undone.get(self._key, ()) if d is not self._beside]
            if any(driver.in_use() for driver in before):
                raise StillInUse(f"{self.path} is in use in this process already")
            _undone.setdefault(self._key, []).append(self)
            self._before = tuple(before)
        for driver in before:
            driver.close()

    def in_use(self) -> bool:
        """Whether it is open, and the process that owns it lives."""
        if self._closing or self._failure is not None or not self._wanted():
            return False
        try:  # an event loop that has ended takes its processes with it
            self._token.run_sync_soon(lambda: None)
        except trio.RunFinishedError:
            return False
        return True

    def submit(self, job: K, ticket: object) -> None:
        """Have *job* done; the answer comes later. Never blocks."""
        if self._failure is not None or self._closing:
            self._answer(ticket, self._failure or Broken("the database is closed"))
            return
        self._jobs.put((job, ticket))
        if not self._threads and not self._scheduled:
            self._scheduled = True
            later = self._later or self._token.run_sync_soon
            later(self._work_inline)

    @property
    def waiting(self) -> int:
        """Jobs that nobody has taken yet."""
        return self._jobs.qsize()

    def close(self) -> None:
        """Do what is waiting, then close the database; a second time is nothing."""
        if self._closing:
            return
        self._closing = True
        if self._threads:
            self._jobs.put((_CLOSE, None))
        else:
            self._work_inline()
            self._end()

    async def wait_closed(self, seconds: float) -> bool:
        """Whether it was closed in time; cancelling leaves it closing."""
        if self.wait_done(0) or not self._threads:
            await trio.lowlevel.checkpoint()
            return self.wait_done(0)
        return await trio.to_thread.run_sync(
            self.wait_done, seconds, abandon_on_cancel=True
        )

    def wait_done(self, seconds: float) -> bool:
        """Whether this driver is done with the file, and with it all before it."""
        return self._done.wait(seconds) and all(
            before.wait_done(seconds) for before in self._before
        )

    def _deliver(
        self, tickets: Sequence[Any], outcomes: Sequence[object], end: Broken | None
    ) -> None:
        for ticket, outcome in zip(tickets, outcomes, strict=True):
            self._answer(ticket, outcome)
        if end is None:
            return
        self._failure = end
        # Whoever came between the failure and this callback.
        while True:
            try:
                job, ticket = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is not _CLOSE:
                self._answer(ticket, end)
        self._broken(end)

    def _work_inline(self) -> None:
        self._scheduled = False
        while (taken := self._take(wait=False)) is not None and taken[1]:
            if not self._serve(*taken, post=self._call):
                self._end()
                return

    def _call(self, fn: Callable[..., None], *args: object) -> None:
        fn(*args)

    # --- where the work is

    def _main(self, report: Callable[[BaseException | None], None]) -> None:
        error = self._open_access()
        with contextlib.suppress(trio.RunFinishedError):
            self._post(report, error)
            if error is None:
                while (taken := self._take(wait=True)) is not None:
                    if not self._serve(*taken, post=self._post):
                        break
        self._end()

    def _post(self, fn: Callable[..., None], *args: object) -> None:
        self._token.run_sync_soon(fn, *args)

    def _open_access(self) -> BaseException | None:
        for before in self._before:
            if not before.wait_done(self._patience if self._threads else 0):
                return StillOpen(
                    f"the {before.role} of {self.path} has not answered for "
                    f"{self._patience:g} s; look at the disk"
                )
        self._before = ()
        try:
            self._open = self._access()
        except Exception as error:  # noqa: BLE001 -- raised again by open()
            return error
        return None

    def _take(self, *, wait: bool) -> tuple[list[K], list[Any]] | None:
        """Jobs and tickets, as many as wait; None: the queue is closed."""
        jobs: list[K] = []
        tickets: list[Any] = []
        try:
            job, ticket = self._jobs.get(block=wait)
            while job is not _CLOSE:
                jobs.append(job)
                tickets.append(ticket)
                if len(jobs) == self._most:
                    return jobs, tickets
                job, ticket = self._jobs.get_nowait()
        except queue.Empty:
            return jobs, tickets
        if not jobs:
            return None
        self._jobs.put((_CLOSE, None))
        return jobs, tickets

    def _serve(
        self,
        jobs: list[K],
        tickets: list[Any],
        *,
        post: Callable[..., None],
    ) -> bool:
        """Do the jobs and hand the answers over; whether it can go on."""
        assert self._open is not None
        try:
            outcomes = self._open.serve(jobs)
        except Exception as error:  # noqa: BLE001 -- an unexpected one breaks it too
            end = error if isinstance(error, Broken) else _unexpected(error)
            # Closed before anybody hears of it: who is told reads what is there.
            self._close_access()
            post(self._deliver, tickets, [end] * len(tickets), end)
            return False
        post(self._deliver, tickets, outcomes, None)
        return True

    def _close_access(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            # A connection whose close fails is closed nevertheless; and who waits for
            # an answer must get it, whatever else is wrong with the disk.
            with contextlib.suppress(Exception):
                opened.close()

    def _end(self) -> None:
        try:
            self._close_access()
        finally:
            self._leave()
            self._done.set()

    def _leave(self) -> None:
        with _table:
            undone = _undone.get(self._key, [])
            if self in undone:
                undone.remove(self)
            if not undone:
                _undone.pop(self._key, None)


def _unexpected(error: Exception) -> Broken:
    broken = Broken(f"{type(error).__name__}: {error}")
    broken.__cause__ = error
    return broken
