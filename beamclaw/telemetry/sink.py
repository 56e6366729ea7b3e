"""The sink: takes events at once, writes them in a thread of its own.

Whoever emits must not wait for a terminal that is stopped or a pipe that nobody reads.
What does not fit into the queue is dropped, and counted in the next line.
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Literal, Protocol, TextIO

import attrs

import supervision
from beamclaw.config.redactor import Redactor
from beamclaw.config.schema import Level
from beamclaw.contracts.tracing import Tracing
from beamclaw.telemetry.belonging import Belonging
from beamclaw.telemetry.events import (
    READY,
    Tracebacks,
    is_mistake,
    level_of,
    of_event,
    of_record,
)
from beamclaw.telemetry.lines import LEVELS, Line, as_json, as_text
from beamclaw.telemetry.tail import Tail
from beamclaw.values import frozen

MAX_WAITING = 10_000
# Seconds that the last lines get at the end.
LAST_SECONDS = 1.0


@frozen(kw_only=True)
class LogSettings:
    """How the log is written.

    Attributes:
        keep: Bytes of the last lines that can be looked at from outside.
        tracing: Whether there are traces, and to which a line belongs.
    """

    level: Level
    format: Literal["auto", "text", "json"]
    redactor: Redactor
    wall: Callable[[], float]
    threads: bool = True
    keep: int = 1_048_576
    tracing: Tracing = attrs.field(factory=Tracing)


class Writer(Protocol):
    """Takes lines and never waits."""

    dropped: int

    def put(self, line: Line, /) -> None:
        """Have *line* written, or count it as dropped."""
        ...

    def close(self) -> None:
        """Write what is there, and stop."""
        ...


class InlineWriter:
    """Writes in the caller's thread, for tests."""

    def __init__(self, write: Callable[[Line], None]) -> None:
        self.dropped = 0
        self.put = write

    def close(self) -> None:
        """Nothing waits here."""


class ThreadWriter:
    """Writes in a thread."""

    def __init__(
        self, write: Callable[[Line], object], limit: int = MAX_WAITING
    ) -> None:
        self.dropped = 0
        self._write = write
        self._limit = limit
        self._queue: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: Line) -> None:
        """See :class:`Writer`."""
        if self._queue.qsize() >= self._limit:
            self.dropped += 1
        else:
            self._queue.put(line)

    def close(self) -> None:
        """See :class:`Writer`."""
        self._queue.put(None)
        self._thread.join(LAST_SECONDS)

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            self._write(line)


class Log(logging.Handler):
    """Listens to telemetry and to the standard library's logging."""

    def __init__(self, settings: LogSettings, stream: TextIO) -> None:
        super().__init__()
        self._settings = settings
        self._stream = stream
        text = settings.format == "text" or (
            settings.format == "auto" and stream.isatty()
        )
        self._render = as_text if text else as_json
        self._tracebacks = Tracebacks()
        self._belonging = Belonging(settings.tracing)
        self._least = LEVELS[settings.level]
        # Libraries tell of every request at `info`; that is our `debug`.
        self.setLevel(logging.DEBUG if settings.level == "debug" else logging.WARNING)
        writer = ThreadWriter if settings.threads else InlineWriter
        self.writer: Writer = writer(self._write)
        self.lines = 0
        self.tail = Tail(settings.keep)
        # Whether the node was up once; until then a person's mistake ends the start,
        # and it is not for the log to tell.
        self.started = False
        self._mistaken = False
        self._told = 0

    def take(self, event: supervision.Event) -> None:
        """Handle a telemetry event."""
        self.started = self.started or event.name == READY
        self._mistaken = not self.started and (self._mistaken or is_mistake(event))
        # Also of an event without a line: it may be a turn's beginning.
        trace = self._belonging.take(event)
        # Most events are for figures only: no line is made that nobody will see.
        if self._mistaken or LEVELS[level_of(event)] < self._least:
            return
        now = self._settings.wall()
        self._put(of_event(event, now, self._tracebacks, trace))

    def emit(self, record: logging.LogRecord) -> None:
        """Handle a record of the standard library."""
        self._put(of_record(record, self._settings.wall(), self._tracebacks))

    def _put(self, line: Line) -> None:
        if LEVELS[line.level] >= self._least:
            self.lines += 1
            self.writer.put(line)

    def _write(self, line: Line) -> None:
        lost = self.writer.dropped - self._told
        if lost:
            self._told += lost
            line = attrs.evolve(line, fields={**line.fields, "lines_dropped": lost})
        text = self._render(line, self._settings.redactor)
        # For programs, also where people read the log on a terminal.
        plain = self._render is as_json
        self.tail.add(text if plain else as_json(line, self._settings.redactor))
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads; there is nobody to tell
            self.writer.dropped += 1
