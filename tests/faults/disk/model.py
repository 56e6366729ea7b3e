"""What a disk holds after a power cut: what was synced, and a part of what was not.

Nothing is assumed in favour of the program. What was written to a file since its last
sync is on the disk in part: each sector for itself, in any order. A sync that failed
has lost what it should have written, for good, although the program can still read it.
A name is durable when its folder was synced; before, those of a folder are there up to
some point.
"""

import random
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import attrs

from tests.faults.disk.shim import Record

SECTOR = 512
# Not on the disk in any sense: memory that is shared through a file, locks, sockets.
_MEMORY = ("-shm", ".lock", ".sock")


@attrs.define(eq=False)
class File:
    """A file, or a folder, whatever it is called.

    Attributes:
        is_folder: Its names are kept by the disk.
        durable: What is certainly on the disk.
        pending: What was done since: (offset, content), or (size, None) for a cut.
    """

    is_folder: bool = False
    durable: bytearray = attrs.field(factory=bytearray)
    pending: list[tuple[int, bytes | None]] = attrs.field(factory=list)

    def write(self, offset: int, content: bytes) -> None:
        self.pending.append((offset, content))

    def cut(self, size: int) -> None:
        self.pending.append((size, None))

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.durable, *change)
        self.pending.clear()

    def fail(self, rng: random.Random, share: float) -> None:
        """A sync that failed: what was pending is on the disk in part, and lost."""
        self.durable = self.after_cut(rng, share)
        self.pending.clear()

    def after_cut(self, rng: random.Random, share: float) -> bytearray:
        """What is there after a power cut, when so large a *share* was written."""
        content = bytearray(self.durable)
        for place, data in self.pending:
            if data is None:
                if rng.random() < share:
                    _apply(content, place, None)
                continue
            for start, piece in _sectors(place, data):
                if rng.random() < share:
                    _apply(content, start, piece)
        return content


def _apply(content: bytearray, place: int, data: bytes | None) -> None:
    if data is None:
        del content[place:]
        content.extend(bytes(place - len(content)))
        return
    content.extend(bytes(max(0, place - len(content))))
    content[place : place + len(data)] = data


def _sectors(place: int, data: bytes) -> Iterable[tuple[int, bytes]]:
    end = place + len(data)
    while place < end:
        until = min(end, (place // SECTOR + 1) * SECTOR)
        yield place, data[len(data) - (end - place) : len(data) - (end - until)]
        place = until


@attrs.define(eq=False)
class Disk:
    """All below one folder, played from the records of a program.

    Attributes:
        names: What the program sees: path to file.
        said: What it has said on standard output.
    """

    root: str
    rng: random.Random
    share: float = 0.5
    names: dict[str, File] = attrs.field(factory=dict)
    said: bytearray = attrs.field(factory=bytearray)
    _durable: dict[str, File] = attrs.field(factory=dict)

    # Of each folder, what was done to its names since it was synced: name to file.
    _changes: dict[str, list[tuple[str, File | None]]] = attrs.field(factory=dict)

    def play(self, record: Record) -> None:
        path = record.path
        match record.what:
            case "A":
                self.said += record.content
            case "S" if not self._is_file(path):
                self._sync_folder(path)
            case "C" | "M":
                self._name(path, File(is_folder=record.what == "M"))
            case "U":
                self._name(path, None)
            case "R" | "L":
                self._name(record.content.decode(), self.names[path])
                if record.what == "R":
                    self._name(path, None)
            case _ if self._is_file(path):
                self._change(self.names[path], record)

    def _change(self, file: File, record: Record) -> None:
        match record.what:
            case "W":
                file.write(record.number, record.content)
            case "T":
                file.cut(record.number)
            case "S":
                file.sync()
            case _:
                file.fail(self.rng, self.share)

    def _is_file(self, path: str) -> bool:
        return path in self.names and not self.names[path].is_folder

    def _name(self, path: str, file: File | None) -> None:
        if file is None:
            self.names.pop(path, None)
        else:
            self.names[path] = file
        folder = str(PurePosixPath(path).parent)
        self._changes.setdefault(folder, []).append((path, file))

    def _sync_folder(self, folder: str) -> None:
        for change in self._changes.pop(folder, ()):
            _rename(self._durable, *change)

    def cut_power(self, into: Path) -> None:
        """Write what is left into the folder *into*."""
        names = dict(self._durable)
        for changes in self._changes.values():
            for change in changes[: self.rng.randint(0, len(changes))]:
                _rename(names, *change)
        for path, file in names.items():
            if file.is_folder or path.endswith(_MEMORY):
                continue
            above = [str(p) for p in PurePosixPath(path).parents]
            if not all(p in names for p in above[: above.index(self.root)]):
                continue
            target = into / PurePosixPath(path).relative_to(self.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.after_cut(self.rng, self.share))


def _rename(names: dict[str, File], path: str, file: File | None) -> None:
    if file is None:
        names.pop(path, None)
    else:
        names[path] = file
