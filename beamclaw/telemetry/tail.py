"""The last lines of the log, kept in memory for whoever looks from outside."""

import threading
from collections import deque
from itertools import islice

from beamclaw.contracts.logs import LogRead, ReadLog


class Tail:
    """Lines as they were written, secrets left out; at most *limit* bytes of them.

    Written to by the log's thread, read by the loop.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        # Invariant: their bytes, line ends included, are `_size - _first`.
        self._lines: deque[str] = deque()
        self._first = 0
        self._size = 0

    def add(self, text: str) -> None:
        """Keep *text*, a line or several."""
        with self._lock:
            for line in text.rstrip("\n").split("\n"):
                self._lines.append(line)
                self._size += _bytes(line)
            while self._size - self._first > self._limit:
                self._first += _bytes(self._lines.popleft())

    def read(self, request: ReadLog) -> LogRead:
        """See :class:`~beamclaw.contracts.logs.ReadLog`."""
        with self._lock:
            lines, first, size = tuple(self._lines), self._first, self._size
        reset = request.cursor is not None and request.cursor > size
        after = request.cursor
        if after is None or reset:
            after = first
        found = _last(lines, size, max(after, first), request)
        start = size - sum(map(_bytes, found))
        return LogRead(
            lines=tuple(found),
            cursor=size,
            size=size,
            skipped=0 if request.cursor is None else max(0, start - after),
            reset=reset,
        )


def _last(lines: tuple[str, ...], size: int, after: int, request: ReadLog) -> list[str]:
    """The last lines that begin behind *after*, as many as are wanted."""
    found: list[str] = []
    taken = 0
    for line in islice(reversed(lines), request.lines):
        taken += _bytes(line)
        if size - taken < after or taken > request.size:
            break
        found.append(line)
    return found[::-1]


def _bytes(line: str) -> int:
    return len(line.encode("utf-8", "replace")) + 1
