"""The disk under a node: SQLite on a real file, with every fault that it can have.

A node's connections die with it. What a crash leaves is the file as of its last COMMIT,
because the ledger and node.db write with ``synchronous=FULL``: nothing that was not
synced can be lost, and nothing that was is.
"""

import errno
import random
import sqlite3
from collections.abc import Callable
from typing import Any, Literal, NoReturn

import attrs
import trio

from tests.simulation.trace import Trace

DiskFault = Literal[
    "commit-lost", "commit-unknown", "commit-crash", "committed-crash", "statement"
]


# The same of node.db, which stays due until something is written there.
StoreFault = Literal[
    "store-commit-lost",
    "store-commit-unknown",
    "store-commit-crash",
    "store-committed-crash",
    "store-statement",
]


FileFault = Literal["file-crash", "file-fails"]


def failed(name: str, code: int, text: str) -> sqlite3.OperationalError:
    """An error as SQLite reports it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname, error.sqlite_errorcode = name, code
    return error


@attrs.define(eq=False)
class Disk:
    """What the connections of one life of a node have in common.

    Attributes:
        crash: Kills the node, now.
        due: What the next transaction of the ledger fails with.
        store: What the next ones of node.db fail with, also in later lives: little is
            written there, most of it when a node starts.
        slow: Until when (Trio's clock) work takes a while, and how long at most.
        pace: Seconds that all of its work takes, in a world with such a disk.
    """

    trace: Trace
    random: random.Random
    crash: Callable[[str], None]
    store: list[DiskFault] = attrs.field(factory=list[DiskFault])
    due: DiskFault | None = None
    slow: tuple[float, float] = (0.0, 0.0)
    pace: float = 0.0
    dead: bool = False
    commits: int = 0
    _connections: list["Faulty"] = attrs.field(factory=list["Faulty"])

    def connect(self, uri: str) -> "Faulty":
        """A connection, as the node asks for one."""
        if self.dead:
            raise failed("SQLITE_IOERR", 10, "disk I/O error")
        made = sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=Faulty,
        )
        made.disk = self
        made.is_ledger = "ledger.db" in uri
        made.is_store = "node.db" in uri
        self._connections.append(made)
        return made

    def pull(self) -> None:
        """The power is gone: nothing more is read or written."""
        self.dead = True
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def later(self, nursery: trio.Nursery) -> Callable[[Callable[[], None]], None]:
        """Has the disk's work done when the disk comes to it."""
        token = trio.lowlevel.current_trio_token()

        async def work(seconds: float, fn: Callable[[], None]) -> None:
            await trio.sleep(seconds)
            fn()

        def soon(fn: Callable[[], None]) -> None:
            until, most = self.slow
            if trio.current_time() < until:
                nursery.start_soon(work, self.random.uniform(0, most), fn)
            elif self.pace:
                nursery.start_soon(work, self.pace, fn)
            else:
                token.run_sync_soon(fn)

        return soon


@attrs.define(eq=False)
class Files:
    """What becomes of the work on files in one life of a node.

    Attributes:
        crash: Kills the node, now.
        due: What it comes to, when *steps* more of it are done.
    """

    trace: Trace
    crash: Callable[[str], None]
    due: FileFault | None = None
    steps: int = 0

    def step(self, name: str) -> None:
        """The work is at this point."""
        if self.due is None or (self.due == "file-fails" and name.endswith(".after")):
            return
        self.steps -= 1
        if self.steps > 0:
            return
        due, self.due = self.due, None
        self.trace.note("disk", f"{due} at {name}")
        if due == "file-crash":
            self.crash(name)
        else:
            raise OSError(errno.EIO, "Input/output error")


class Faulty(sqlite3.Connection):
    """A connection of the node's."""

    disk: Disk
    is_ledger: bool
    is_store: bool

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run *sql*, or fail as the disk is about to."""
        disk = self.disk
        if disk.dead:
            raise failed("SQLITE_IOERR", 10, "disk I/O error")
        if sql == "COMMIT" and self.is_ledger and self.total_changes:
            return self._commit(disk)
        if self.is_store and disk.store:
            return self._in_store(disk, sql, parameters)
        if disk.due == "statement" and self.is_ledger and sql.startswith("INSERT"):
            disk.due = None
            self._full(disk, "a statement fails")
        return super().execute(sql, parameters)

    def _in_store(self, disk: Disk, sql: str, parameters: Any) -> sqlite3.Cursor:
        """Something in node.db, which is about to fail."""
        (due, *_), verb = disk.store, sql.split(maxsplit=1)[0]
        if due == "statement" and verb == "INSERT":
            disk.store.pop(0)
            self._full(disk, "a statement fails in node.db")
        if due != "statement" and sql == "COMMIT" and self.total_changes:
            disk.store.pop(0)
            self._fail(disk, due, "node.db")
        return super().execute(sql, parameters)

    def _full(self, disk: Disk, words: str) -> NoReturn:
        disk.trace.note("disk", words)
        raise failed("SQLITE_FULL", 13, "database or disk is full")

    def _commit(self, disk: Disk) -> sqlite3.Cursor:
        due = disk.due
        if due is not None and due != "statement":
            disk.due = None
            self._fail(disk, due, str(self.total_changes))
        done = super().execute("COMMIT")
        disk.commits += 1
        disk.trace.note("disk", f"commit {self.total_changes}")
        return done

    def _fail(self, disk: Disk, due: DiskFault, what: str) -> NoReturn:
        disk.trace.note("disk", f"{due} {what}")
        super().execute(
            "ROLLBACK" if due in {"commit-lost", "commit-crash"} else "COMMIT"
        )
        if due.endswith("crash"):
            disk.crash(due)
        raise failed("SQLITE_IOERR_FSYNC", 1034, "disk I/O error")
