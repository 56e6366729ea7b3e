"""Crashes on purpose: now, or at a point of the code, without a line in that code."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import attrs
from trio.lowlevel import current_task

from supervision._children import Child
from supervision._engine import Engine
from supervision._errors import NoProcess
from supervision._pid import Dest
from supervision._process import (
    Process,
    current_process,
    find,
    process_of_task,
)
from supervision._reasons import Crash, ProcessExit
from supervision._signals import Cast, From, SystemMessage
from supervision._telemetry import CRASH, Event, attach, emit
from supervision.abc import Behaviour, Server

from ._mailboxes import watched

Point: TypeAlias = str | type | tuple[type, ...]


class CrashOnPurpose(Exception):  # noqa: N818 - named by its situation
    """What a process is crashed with unless another exception is given."""


def _existing(dest: Dest) -> Process:
    process = find(dest)
    if process is None:
        raise NoProcess(dest)
    return process


# --- now


class _Raise(SystemMessage):
    """Has the loop of a behaviour raise."""

    __slots__ = ("_error",)

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def handle(self, process: Any) -> None:
        """Raise, as a callback could."""
        raise self._error


def crash(dest: Dest, error: BaseException | None = None) -> None:
    """Have a process crash now; it cannot trap that.

    A server or state machine raises *error* in its loop, ahead of what waits in its
    mailbox, and so calls its ``terminate``; one that is in a callback does so when that
    has returned. Any other process is cancelled where it waits, and ends with
    ``Crash(error)``. To take a supervisor away send it ``supervision.KILL``.

    Args:
        dest: The process.
        error: A new `CrashOnPurpose` when ``None``.

    Raises:
        NoProcess: There is no such process.
        ValueError: It is a supervisor: those run no code that could crash.
    """
    process = _existing(dest)
    if process.engine is not None:
        raise ValueError(f"{dest!r} is a supervisor: use supervision.exit(pid, KILL)")
    error = CrashOnPurpose("on purpose") if error is None else error
    if process.behaviour is not None:
        process.deliver(_Raise(error))
        mailbox = process.mailbox
        assert mailbox is not None
        mailbox.rotate(1)
        return
    reason = Crash(error)
    emit(
        CRASH,
        {"messages": process.handled},
        {
            "pid": process.pid,
            "name": process.name,
            "id": process.label,
            "reason": reason,
        },
    )
    process.end(reason)


# --- at a point


class CrashPoint:
    """A point at which a process crashes.

    Attributes:
        dest: Whose point it is.
        point: Which one.
        times: How often it crashes.
        hits: How often it has.
    """

    def __init__(
        self, dest: Dest, point: Point, times: int, error: BaseException | None
    ) -> None:
        self.dest: Dest = dest
        self.point: str | type | tuple[type, ...] = point
        self.times: int = times
        self.hits: int = 0
        self._error = error
        # What takes back what was set up, last one first.
        self._undo: list[Callable[[], object]] = []

    def _due(self) -> BaseException | None:
        """What to raise now; counts it."""
        if self.hits >= self.times:
            return None
        self.hits += 1
        return self._error or CrashOnPurpose(f"at {self.point!r}")

    def _hit(self) -> None:
        error = self._due()
        if error is not None:
            raise error

    def set(self) -> None:
        """Set the point up, for the process that runs and for those that follow it."""
        if isinstance(self.point, str) and "." in self.point:
            self._set_event(self.point)
            return
        process = _existing(self.dest)
        if process.engine is not None:
            raise ValueError(
                f"{self.dest!r} is a supervisor, which has no points to crash at"
            )
        if self.point != "init":
            self._arm(process, process.behaviour)
        child = _child_of(process)
        if child is not None:
            self._set_start(child)
        elif self.point == "init":
            raise ValueError(
                f"{self.dest!r} has no supervisor that would start it again"
            )

    def unset(self) -> None:
        """Take everything back."""
        while self._undo:
            self._undo.pop()()

    def _set_event(self, name: str) -> None:
        if name.startswith("supervision."):
            raise ValueError(f"{name} is emitted by supervision, not by a process")

        def crash_it(event: Event) -> None:
            if event.name == name and _is_here(self.dest):
                error = self._due()
                if error is not None:
                    # Nothing less than this gets out of `emit`.
                    raise ProcessExit(Crash(error)) from error

        self._undo.append(attach(crash_it))

    def _set_start(self, child: Child) -> None:
        spec = child.spec

        def start() -> object:
            if self.point == "init":
                self._hit()
            body = spec.start()
            if self.point != "init" and self.hits < self.times:
                self._arm(current_process(), body)
            return body

        child.spec = attrs.evolve(spec, start=cast("Any", start))

        def restore() -> None:
            child.spec = attrs.evolve(child.spec, start=spec.start)

        self._undo.append(restore)

    def _arm(self, process: Process, body: object) -> None:
        if isinstance(self.point, str):
            self._patch(body, self.point, lambda _: True)
            return
        if isinstance(body, Server):
            # Not over the mailbox: a call to an idle server does not come that way.
            for callback in ("handle_call", "handle_cast", "handle_info"):
                self._patch(body, callback, self._is_meant)
            return
        taken = watched(process).taken

        def crash_it(message: object) -> None:
            if self._is_meant(_content(message)):
                self._hit()

        taken.append(crash_it)
        self._undo.append(lambda: taken.remove(crash_it))

    def _is_meant(self, message: object) -> bool:
        return isinstance(message, cast("type", self.point))

    def _patch(self, body: object, name: str, meant: Callable[[object], bool]) -> None:
        original = getattr(body, name, None)
        if not (isinstance(body, Behaviour) and callable(original)):
            raise ValueError(f"{self.dest!r} has no method {name!r} to crash in")  # noqa: TRY004 - the name is wrong

        def crash_it(*args: Any) -> object:
            if meant(args[0] if args else None):
                self._hit()
            return original(*args)

        try:
            setattr(body, name, crash_it)
        except AttributeError:
            raise ValueError(
                f"{type(body).__name__} has slots only: its methods cannot be replaced"
            ) from None
        self._undo.append(lambda: body.__dict__.pop(name, None))


def _child_of(process: Process) -> Child | None:
    keeper = process.keeper
    return keeper.by_process.get(process) if isinstance(keeper, Engine) else None


def _is_here(dest: Dest) -> bool:
    try:
        here = process_of_task(current_task())
    except RuntimeError:  # a thread
        return False
    return here is not None and here is find(dest)


def _content(message: object) -> object:
    if isinstance(message, From):
        return message.request
    return message.message if isinstance(message, Cast) else message


@contextmanager
def crash_at(
    dest: Dest,
    point: str | type | tuple[type, ...],
    *,
    error: BaseException | None = None,
    times: int = 1,
) -> Generator[CrashPoint]:
    """Have a process crash when it comes to a point, inside a block.

    The code of the process needs nothing for that. The points are:

    - a type, or several: it takes the next message of that type; the requests of calls
      and what was cast are meant, too;
    - the name of a method of a server or state machine: that is called, for example
      ``handle_cast`` or ``terminate``;
    - ``"init"``: its supervisor starts it the next time;
    - the name of a telemetry event (it has a dot): it emits the event itself. Then the
      exception cannot be caught by ``except Exception``.

    A child that was restarted meanwhile is meant, too: its supervisor starts it with the
    same points.

    Args:
        dest: The process; for the points of one that may have been restarted, its name.
        point: Where.
        error: What it crashes with; a new `CrashOnPurpose` each time when ``None``.
        times: How often.

    Yields:
        The point, which counts its hits.

    Raises:
        AssertionError: The block has ended well, and the point was never reached.
        NoProcess: There is no such process.
        ValueError: It has no such point.
    """
    found = CrashPoint(dest, point, times, error)
    try:
        found.set()
        yield found
    finally:
        found.unset()
    if not found.hits:
        raise AssertionError(f"{dest!r} never came to {point!r}")
