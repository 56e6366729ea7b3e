"""The process ``telemetry/audit``: writes down what somebody has done, and keeps it.

Which events those are stands in the contract. A line is written and synced by a thread of
its own, so nobody who acts waits for a disk; what cannot be written is counted, and the
next line that can be says how many are missing before it.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final

import attrs

import supervision
from beamclaw.config.redactor import Redactor
from beamclaw.contracts import audit
from beamclaw.telemetry.contract import EVENTS
from beamclaw.telemetry.events import level_of
from beamclaw.telemetry.lines import Line, as_json, items
from beamclaw.telemetry.sink import InlineWriter, ThreadWriter, Writer
from beamclaw.telemetry.undoing import Undo

# Characters of a field: what somebody has run in the node stands there whole.
MAX_FIELD: Final = 20_000

_undo = Undo()


@attrs.define(eq=False)
class Book:
    """The files. Written to by one thread.

    Attributes:
        keep: Months that are kept, the one that goes on included.
        written: Lines since it was opened; *lost*: those that could not be written.
    """

    data: Path
    redactor: Redactor
    keep: int
    written: int = 0
    lost: int = 0
    _untold: int = attrs.field(init=False, default=0)
    _month: str = attrs.field(init=False, default="")

    def write(self, line: Line) -> None:
        """Append *line*; it is on the disk then."""
        if self._untold:
            line = attrs.evolve(line, fields={**line.fields, "missing": self._untold})
        month = f"{datetime.fromtimestamp(line.at, UTC):%Y-%m}"
        try:
            if month != self._month:
                self._turn_to(month)
            self._append(month, as_json(line, self.redactor, MAX_FIELD).encode())
        except OSError:
            self.lost += 1
            self._untold += 1
        else:
            self.written += 1
            self._untold = 0

    def _turn_to(self, month: str) -> None:
        self._month = month
        for old in [file for file in audit.files(self.data) if file.stem < month][
            : -(self.keep - 1) or None
        ]:
            with suppress(OSError):  # what is kept too long costs no line
                old.unlink()

    def _append(self, month: str, row: bytes) -> None:
        folder = audit.folder(self.data)
        # At each line: a folder that somebody has taken away is missed by nobody else.
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{month}.jsonl"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # A row that a full disk has cut must not spoil the next one.
            size = os.fstat(file).st_size
            if os.write(file, row) != len(row):
                os.ftruncate(file, size)
                raise OSError("the disk is full")
            os.fdatasync(file)
        finally:
            os.close(file)


class AuditServer(supervision.Server):
    """Owns the listener and the thread.

    Args:
        book: Where it is written.
        wall: Seconds since the epoch.
        threads: Whether there may be a thread.
    """

    trap_exit: ClassVar[bool] = True

    def __init__(self, book: Book, wall: Callable[[], float], *, threads: bool) -> None:
        self._book = book
        self._wall = wall
        self._threads = threads

    async def init(self) -> None:
        """Begin to listen, in the place of a predecessor."""
        _undo.run()
        made = ThreadWriter if self._threads else InlineWriter
        self._writer: Writer = made(self._book.write)
        _undo.by(supervision.telemetry.attach(self._take), self._writer.close)

    def _take(self, event: supervision.Event) -> None:
        spec = EVENTS.get(event.name)
        if spec is None or not spec.audit:
            return
        fields = {**event.metadata, **event.measurements}
        self._writer.put(
            Line(
                at=self._wall(),
                level=level_of(event),
                event=event.name,
                fields={key: _plain(value) for key, value in fields.items()},
            )
        )

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Write what is there."""
        _undo.run()

    def describe(self) -> Mapping[str, object]:
        """Figures."""
        return {
            "written": self._book.written,
            "lost": self._book.lost + self._writer.dropped,
        }


def _plain(value: object) -> object:
    """As it is now: what it says is written a moment later."""
    listed = items(value)
    if listed is not None:
        return tuple(_plain(each) for each in listed)
    return value if isinstance(value, int | float | None) else str(value)
