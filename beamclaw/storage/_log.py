"""What can be seen of a write-ahead log without writing: whether all of it is there.

SQLite reads its log up to the first frame that is not whole and takes that for the end:
so it must, because after a crash the last transaction may be half written. But each
transaction is synced before the next one is begun. Where a transaction that cannot be
read has others behind it, it was whole once, and was acknowledged: then the log is
damaged, and going on without it would lose what was promised.

The layout is the documented one: https://sqlite.org/walformat.html.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import attrs

from beamclaw.values import frozen

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">4I")
_FRAME_BYTES = 24
# The beginning of the log's index: version, flags, page size, frames, pages.
_INDEX = struct.Struct("=IIIBBHII")
_VERSION = 3_007_000
_LITTLE_ENDIAN, _BIG_ENDIAN = 0x377F0682, 0x377F0683

# A page that changes at each commit goes to the file once per round: after so many
# transactions, or sooner if the log grows beyond so many bytes.
ROUND = 512
LARGE = 16 * 1024 * 1024
# Transactions between two looks at its size.
LOOK = 16


@frozen
class Index:
    """What SQLite made of a log: frames that count, and pages of the whole database."""

    frames: int
    pages: int


def read_index(path: Path) -> Index | None:
    """The index at *path*, while a connection has it open; None: there is none yet.

    Not to be called while this process has another connection to the database: closing
    a file gives up all locks that the process holds on it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_INDEX.size)
    except FileNotFoundError:
        return None
    if len(head) < _INDEX.size:
        return None
    version, _, _, is_made, _, _, frames, pages = _INDEX.unpack(head)
    return Index(frames, pages) if version == _VERSION and is_made else None


def damage(log: Path, file_bytes: int, index: Index) -> str | None:
    """What is missing of *log*, or of its file, which is so long; None: nothing is."""
    content = log.read_bytes()
    if not any(content):  # made, and never written before the power failed
        return None
    page = _page_size(content)
    if page is None:
        # Synced before the first frame is written, so without it there is none.
        return "the beginning of its log cannot be read" if any(content[32:]) else None
    frames = list(_frames(content, page))
    if _ends(frames[index.frames :]):
        return "its log cannot be read to the end, and what is missing was whole once"
    there = file_bytes // page
    logged = {number for number, _ in frames[: index.frames]}
    missing = [n for n in range(there + 1, index.pages + 1) if n not in logged]
    return f"{len(missing) * page} bytes of it are missing" if missing else None


def _page_size(content: bytes) -> int | None:
    """Bytes of a page, if the log's header is whole."""
    if len(content) < _HEADER.size:
        return None
    magic, version, page, *_, first, second = _HEADER.unpack_from(content)
    if magic not in (_LITTLE_ENDIAN, _BIG_ENDIAN) or version != _VERSION:
        return None
    order = "<" if magic == _LITTLE_ENDIAN else ">"
    words = struct.unpack_from(f"{order}6I", content)
    sums = [0, 0]
    for number, word in enumerate(words):
        sums[number % 2] = (sums[number % 2] + word + sums[1 - number % 2]) % 2**32
    return page if sums == [first, second] else None


def _frames(content: bytes, page: int) -> Iterator[tuple[int, int]]:
    """Page and, for the last one of a transaction, pages of the whole; of this log.

    What is left of an earlier one has other salts, and ends it.
    """
    salts = _HEADER.unpack_from(content)[4:6]
    for start in range(_HEADER.size, len(content) - _FRAME_BYTES + 1, page + 24):
        number, pages, *own = _FRAME.unpack_from(content, start)
        if tuple(own) == salts:
            yield number, pages
        else:
            yield 0, 0


def _ends(frames: list[tuple[int, int]]) -> bool:
    """Whether a transaction ends in *frames*, and another one was begun behind it."""
    ends = [place for place, (_, pages) in enumerate(frames) if pages]
    return bool(ends) and any(number for number, _ in frames[ends[0] + 1 :])


@attrs.define
class Rounds:
    """When the log is to be worked into its file, after which it begins anew."""

    _log: Path
    _transactions: int = 0
    _size: int = 0

    def is_due(self) -> bool:
        """To be asked once per transaction."""
        self._transactions += 1
        if self._transactions % LOOK:
            return False
        return self._transactions >= ROUND or self._bytes() > max(LARGE, self._size)

    def begin(self) -> None:
        """It was worked in, or that was tried."""
        self._transactions, self._size = 0, self._bytes()

    def _bytes(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0
