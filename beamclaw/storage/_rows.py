"""Many rows with one statement.

A step of a statement lets go of the interpreter lock and then has to get it back,
which takes up to the interpreter's switch interval while the event loop is busy. So
what counts is how many statements a transaction has, not how many rows.
"""

import functools
import sqlite3
from collections.abc import Sequence
from typing import Any

from beamclaw.values import frozen

# Rows of one statement at most: bounds the parameters and, as each number of rows is a
# statement of its own, how many prepared ones there are.
_CHUNK = 32


@frozen
class Rows:
    """A statement around ``VALUES``, for any number of rows.

    Attributes:
        head: What stands before the rows, ending in ``VALUES``.
        width: Parameters of one row.
        tail: What stands after them.
        shared: Parameters at the beginning of each row that are the same in all.
    """

    head: str
    width: int
    tail: str = ""
    shared: int = 0

    def write(
        self,
        connection: sqlite3.Connection,
        shared: tuple[Any, ...],
        rows: Sequence[Any],
    ) -> int:
        """Run it over the flat *rows*; how many rows it changed."""
        step = self.width * _CHUNK
        if len(rows) <= step:
            return self._run(connection, shared, rows)
        return sum(
            self._run(connection, shared, rows[start : start + step])
            for start in range(0, len(rows), step)
        )

    def _run(
        self,
        connection: sqlite3.Connection,
        shared: tuple[Any, ...],
        rows: Sequence[Any],
    ) -> int:
        sql = _sql(self, len(rows) // self.width)
        return connection.execute(sql, (*shared, *rows)).rowcount

    def read(
        self, connection: sqlite3.Connection, rows: Sequence[Any]
    ) -> list[tuple[Any, ...]]:
        """Run it as a query over the flat *rows*."""
        step = self.width * _CHUNK
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            sql = _sql(self, len(part) // self.width)
            found += connection.execute(sql, part).fetchall()
        return found


@functools.cache
def _sql(rows: Rows, count: int) -> str:
    shared = [f"?{number + 1}" for number in range(rows.shared)]
    own = rows.shared + 1
    lines: list[str] = []
    for _ in range(count):
        columns = [*shared, *(f"?{own + offset}" for offset in range(rows.width))]
        lines.append(f"({','.join(columns)})")
        own += rows.width
    return f"{rows.head} {','.join(lines)} {rows.tail}"
