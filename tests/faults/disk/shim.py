"""The library that stands between a program and its disk: built, told, read.

``shim.c`` says what it does. A test builds it once, starts a program with
:func:`environment`, and says through :class:`Control` which calls are to fail.
"""

import errno
import mmap
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import attrs

from tests.peers.plugin import which

SOURCE = Path(__file__).with_name("shim.c")
_CONTROL = struct.Struct("=iiiiii104s")
_RECORD = struct.Struct("=IIqc7x")

Call = Literal["write", "sync", "truncate", "open", "unlink"]
CALLS: dict[Call, int] = {
    "write": 1,
    "sync": 2,
    "truncate": 4,
    "open": 8,
    "unlink": 16,
}
How = Literal["fail", "short", "lie"]
HOWS: tuple[How, ...] = ("fail", "short", "lie")


def build(folder: Path) -> Path:
    """Compile it into *folder*."""
    compiler = which("cc")
    assert compiler is not None, "a test that takes the shim is marked peer('cc')"
    library = folder / "shim.so"
    options = ["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run(
        [compiler, *options, str(SOURCE), "-ldl", "-lpthread"],
        check=True,
        capture_output=True,
    )
    return library


def environment(
    library: Path,
    root: Path,
    *,
    control: "Control | None" = None,
    log: Path | None = None,
) -> dict[str, str]:
    """What a program that is to have this disk below *root* is started with."""
    given = {"LD_PRELOAD": str(library), "DISK_ROOT": str(root)}
    if control is not None:
        given["DISK_CONTROL"] = str(control.path)
    if log is not None:
        given["DISK_LOG"] = str(log)
    return given


class Control:
    """Says which calls fail; the program looks at it before each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(_CONTROL.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _CONTROL.size)

    def fail(
        self,
        *calls: Call,
        files: str = "",
        error: int = errno.EIO,
        skip: int = 0,
        times: int = -1,
        how: How = "fail",
    ) -> None:
        """From now on *calls* on files whose path ends in *files* fail.

        The first *skip* do not, and after *times* none does any more (-1: all do).
        """
        mask = sum(CALLS[call] for call in calls)
        self._put(mask, HOWS.index(how), error, skip, times, 0, files.encode())

    def work(self) -> None:
        """Nothing fails any more."""
        self._put(0, 0, 0, 0, 0, self.hits, b"")

    @property
    def hits(self) -> int:
        """How many have failed since :meth:`fail`."""
        return _CONTROL.unpack(self._memory[:])[5]

    def _put(self, *values: int | bytes) -> None:
        self._memory[:4] = bytes(4)  # off while it changes
        self._memory[4:] = _CONTROL.pack(*values)[4:]
        self._memory[:4] = _CONTROL.pack(*values)[:4]


@attrs.frozen
class Record:
    """Something that was done to a file, or said on standard output (``A``).

    ``C`` made, ``W`` written at *number*, ``T`` cut to *number* bytes, ``S`` synced,
    ``F`` a sync that failed, ``U`` removed, ``R`` renamed and ``L`` linked to the name
    in *content*, ``M`` a folder made.
    """

    what: str
    path: str
    content: bytes
    number: int


def read_log(log: Path) -> Iterator[Record]:
    """Everything that was done, in order; a last one that is not whole is left out."""
    data = log.read_bytes()
    place = 0
    while place + _RECORD.size <= len(data):
        path, more, number, what = _RECORD.unpack_from(data, place)
        place += _RECORD.size
        if place + path + more > len(data):
            return
        name = os.fsdecode(data[place : place + path])
        content = data[place + path : place + path + more]
        place += path + more
        yield Record(what.decode(), name, content, number)
