"""What can be seen of a write-ahead log without writing: whether all of it is there.

SQLite reads its log up to the first frame that is not whole and takes that for the end:
so it must, because after a crash the last transaction may be half written. But each
transaction is synced before the next one is begun. Where a transaction that cannot be
read has another behind it, it was whole once, and was acknowledged: then the log is
damaged, and going on without it would lose what was promised.

Not all that stands behind it was written after it. A longer transaction that was taken
back, because the disk was full or failed, leaves its frames there, and the next one is
written over the first of them. But the sums of a frame go on from those of the frame
before: those of another transaction fit to the end of the one that it was begun behind.

The layout is the documented one: https://sqlite.org/walformat.html.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import attrs

from beamclaw.values import frozen

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
# Of a frame's own header, what its sums are of, beside its page.
_SUMMED = 8
# The beginning of the log's index: version, flags, page size, frames, pages.
_INDEX = struct.Struct("=IIIBBHII")
_VERSION = 3_007_000
# By the log's first word, the order of the bytes in the words that are summed.
_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}

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
    head = _read_head(content)
    if head is None:
        # Synced before the first frame is written, so without it there is none.
        return "the beginning of its log cannot be read" if any(content[32:]) else None
    frames = list(_frames(content, head.page_bytes))
    counted, others = frames[: index.frames], frames[index.frames :]
    if _goes_on(head, counted[-1].sums if counted else head.sums, others):
        return "its log cannot be read to the end, and what is missing was whole once"
    there = file_bytes // head.page_bytes
    logged = {frame.page for frame in counted}
    missing = [n for n in range(there + 1, index.pages + 1) if n not in logged]
    if not missing:
        return None
    return f"{len(missing) * head.page_bytes} bytes of it are missing"


_Sums = tuple[int, int]


@frozen
class _Head:
    page_bytes: int
    salts: tuple[int, int]
    sums: _Sums
    order: str


@frozen
class _Frame:
    """A page as a transaction left it.

    Attributes:
        page: Its number.
        pages: Of the whole database, where the transaction ends; otherwise 0.
        salts: Those of its log, which are others each time it is begun anew.
        sums: Of all since the log's beginning, this frame with it.
        content: The whole frame.
    """

    page: int
    pages: int
    salts: tuple[int, int]
    sums: _Sums
    content: memoryview


def _read_head(content: bytes) -> _Head | None:
    """The log's header, if it is whole."""
    if len(content) < _HEADER.size:
        return None
    magic, version, page_bytes, _, *salts, first, second = _HEADER.unpack_from(content)
    order = _ORDERS.get(magic)
    if order is None or version != _VERSION:
        return None
    sums = _add((0, 0), content[: _HEADER.size - 8], order)
    if sums != (first, second):
        return None
    return _Head(page_bytes, (salts[0], salts[1]), sums, order)


def _frames(content: bytes, page_bytes: int) -> Iterator[_Frame]:
    """All that stands there, also what is left of an earlier log."""
    view, size = memoryview(content), _FRAME.size + page_bytes
    for start in range(_HEADER.size, len(content) - size + 1, size):
        page, pages, *salts, first, second = _FRAME.unpack_from(content, start)
        frame = view[start : start + size]
        yield _Frame(page, pages, (salts[0], salts[1]), (first, second), frame)


def _add(sums: _Sums, content: bytes | memoryview, order: str) -> _Sums:
    """The log's sums, when *content* follows."""
    first, second = sums
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for place in range(0, len(words), 2):
        first = (first + words[place] + second) % 2**32
        second = (second + words[place + 1] + first) % 2**32
    return first, second


def _goes_on(head: _Head, sums: _Sums, frames: Sequence[_Frame]) -> bool:
    """Whether a transaction ends in *frames*, which follow *sums*, and one follows it.

    What the end says of its sums may be the damage: what they should be counts, too.
    """

    def after(sums: _Sums, frame: _Frame) -> _Sums:
        sums = _add(sums, frame.content[:_SUMMED], head.order)
        return _add(sums, frame.content[_FRAME.size :], head.order)

    for end, behind in pairwise(frames):
        if end.pages and behind.salts == head.salts:
            for said in (end.sums, after(sums, end)):
                if after(said, behind) == behind.sums:
                    return True
        sums = end.sums
    return False


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
