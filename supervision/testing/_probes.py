"""Seeing what is sent, and what happens: probes, taps and recorders."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Self, TypeVar, cast, overload

import attrs
import trio

from supervision._errors import NoProcess
from supervision._links import tie
from supervision._monitors import watch
from supervision._pid import Dest, Name, Pid, Ref
from supervision._process import Process, current_process, find, spawn
from supervision._signals import Exit, SystemMessage
from supervision._sys import SysEvent, event_of
from supervision._telemetry import Event, attach
from supervision._timers import receive

from ._mailboxes import queue_calls, watched

T = TypeVar("T")


def _existing(dest: Dest) -> Process:
    process = find(dest)
    if process is None:
        raise NoProcess(dest)
    return process


class Probe:
    """A process that only keeps what it gets, and says when that was not what it should.

    It stands where the code under test sends to: for a server, a subscriber, the owner of
    a socket. A call is a `supervision.From`, to be answered by `supervision.reply`:

    >>> import supervision, trio
    >>> async def main():
    ...     async with supervision.open_supervisor():
    ...         probe = supervision.testing.Probe("sink")
    ...         supervision.send("sink", "one")
    ...         supervision.send("sink", 2)
    ...         print(await probe.expect(int), probe.unexpected)
    >>> trio.run(main)
    2 ['one']

    It ends with the tree that is open, or with `Probe.stop`.

    Args:
        name: Registered for it.
        trap_exits: Get exit signals as `supervision.Exit` messages.

    Attributes:
        pid: Its pid.
        messages: Everything that it has got, in order.
        unexpected: Of that what no `expect` has taken.
    """

    def __init__(self, name: Name | None = None, *, trap_exits: bool = False) -> None:
        self.messages: list[Any] = []
        self.unexpected: list[Any] = []
        self._changed = trio.Event()
        self.pid: Pid = spawn(self._run, name=name)
        process = _existing(self.pid)
        process.trapping = trap_exits
        watched(process).arrived.append(self._note)

    def _note(self, message: object) -> None:
        self.messages.append(message)
        self.unexpected.append(message)
        self._changed.set()

    async def _run(self) -> None:
        home = current_process().parent_pid
        try:
            while True:
                message = await receive()
                if isinstance(message, Exit) and message.pid is home:
                    return
        finally:
            self._changed.set()

    def __repr__(self) -> str:
        return f"<Probe {self.pid}>"

    @overload
    async def expect(self, match: type[T], *, timeout: float = ...) -> T: ...
    @overload
    async def expect(
        self, match: tuple[type[T], ...], *, timeout: float = ...
    ) -> T: ...
    @overload
    async def expect(self, match: object, *, timeout: float = ...) -> Any: ...
    async def expect(self, match: object, *, timeout: float = 5.0) -> Any:
        """Take the oldest message that fits and was not taken before, or wait for one.

        Messages that do not fit stay, as with a selective receive.

        Args:
            match: A type, a tuple of types, a function of a message, or a value that the
                message has to be equal to.
            timeout: Seconds to wait at most.

        Returns:
            The message.

        Raises:
            AssertionError: It did not come in time, or the probe has ended; the message
                says what came instead.
        """
        fits = _as_test(match)
        with trio.move_on_after(timeout):
            while True:
                self._changed = trio.Event()
                for index, message in enumerate(self.unexpected):
                    if fits(message):
                        return self.unexpected.pop(index)
                if self.pid.process is None:
                    break
                await self._changed.wait()
        what = f"not within {timeout:g} s" if self.pid.process else "and has ended"
        came = "".join(f"\n  {message!r}" for message in self.unexpected)
        wanted = match.__name__ if isinstance(match, type) else repr(match)
        raise AssertionError(
            f"{self!r} got no {wanted}, {what}; "
            f"it got{':' if came else ' nothing else'}{came}",
        )

    def link(self, dest: Dest) -> None:
        """Link the probe to a process; without *trap_exits* it falls with it."""
        tie(_existing(self.pid), _existing(dest))

    def monitor(self, dest: Dest) -> Ref:
        """Have the probe get a `supervision.Down` when a process ends."""
        name = dest if isinstance(dest, str) else None
        return watch(_existing(self.pid), _existing(dest), name)

    def stop(self) -> None:
        """End it; nothing happens when it has ended."""
        process: Process | None = self.pid.process
        if process is not None:
            process.kill()


def _as_test(match: object) -> Callable[[object], bool]:
    if isinstance(match, type | tuple):
        types = cast("type", match)
        return lambda message: isinstance(message, types)
    if callable(match):
        return cast("Callable[[object], bool]", match)
    return lambda message: message == match


@attrs.define
class Tap:
    """Hears what a process is sent, as it is sent; nothing else changes, nor its order.

    >>> async def sink():
    ...     while True:
    ...         await supervision.receive()
    >>> import supervision, trio
    >>> async def main():
    ...     async with supervision.open_supervisor():
    ...         supervision.spawn(sink, name="sink")
    ...         with supervision.testing.Tap.attached("sink") as tap:
    ...             supervision.send("sink", "one")
    ...             supervision.cast("sink", 2)
    ...         print([(event.kind, event.message) for event in tap.events])
    >>> trio.run(main)
    [('info', 'one'), ('cast', 2)]

    Of a call it hears when it is queued: while it listens no caller takes the first step
    of a handler itself. Another incarnation of a child needs another tap.

    Attributes:
        events: What was sent, in order; not what the runtime itself asks.
    """

    events: list[SysEvent] = attrs.field(factory=list[SysEvent])

    @classmethod
    @contextmanager
    def attached(cls, dest: Dest) -> Generator[Self]:
        """Listen for the length of a block.

        Raises:
            NoProcess: There is no such process.
        """
        tap = cls()
        process = _existing(dest)
        queue_calls(process)
        arrived = watched(process).arrived

        def note(message: object) -> None:
            if not isinstance(message, SystemMessage):
                tap.events.append(event_of("in", message))

        arrived.append(note)
        try:
            yield tap
        finally:
            arrived.remove(note)

    @property
    def messages(self) -> list[object]:
        """What was sent, without saying how."""
        return [event.message for event in self.events]


@attrs.define
class Recorder:
    """Keeps the telemetry events of a block, in order.

    >>> with Recorder.attached() as recorder:
    ...     pass
    >>> recorder.names()
    []

    Attributes:
        events: The events, in order.
    """

    events: list[Event] = attrs.field(factory=list[Event])

    @classmethod
    @contextmanager
    def attached(cls) -> Generator[Recorder]:
        """Record for the length of a block."""
        recorder = cls()
        detach = attach(recorder.events.append)
        try:
            yield recorder
        finally:
            detach()

    def names(self) -> list[str]:
        """The names of the events."""
        return [event.name for event in self.events]

    def named(self, name: str) -> list[Event]:
        """The events of one name."""
        return [event for event in self.events if event.name == name]
