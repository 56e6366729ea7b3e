"""Group commit: all jobs that wait become one transaction, and one sync of the disk.

There is no savepoint per job. What a job may be refused for is decided before anything
is written; when a statement fails nevertheless, the transaction is rolled back and the
jobs are done again one by one, so that only the one at fault gets the error. An error
at COMMIT is another matter: whether it was written is unknown, nothing is tried again,
and the access is over. So it is after a failed sync, wherever it fails, and with a file
that SQLite finds damaged.

One error at COMMIT is known: a full disk. SQLite writes all of a transaction to the end
of the log, last the one frame that makes it count, and only then syncs. Where there was
no room for a frame, the one that counts is not there.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import attrs

from beamclaw.contracts.points import point
from beamclaw.storage._driver import Broken
from beamclaw.storage._log import Rounds
from beamclaw.storage._words import is_damage, is_disk, is_full, is_lost_sync, why

J_contra = TypeVar("J_contra", contravariant=True)
K = TypeVar("K")

# What a statement raises for the values it was given, or for want of room.
_OF_THE_JOB = (sqlite3.Error, ValueError, TypeError, OverflowError)


class Book(Protocol[J_contra]):
    """Writes jobs of one kind into one database, inside a transaction that is open."""

    def apply(self, jobs: Sequence[J_contra]) -> list[object]:
        """Write; the answer for each job, or the exception it is refused with."""
        ...

    def forget(self) -> None:
        """The transaction was rolled back: drop everything remembered."""
        ...


class StatementFailed(Exception):  # noqa: N818 -- a situation
    """This job could not be written; the others were, and none of it was.

    Attributes:
        full: There was no room on the disk: it can be done when there is some.
        disk: It was the disk that failed, not the job.
    """

    def __init__(self, cause: str, *, full: bool = False, disk: bool = False) -> None:
        super().__init__(cause)
        self.full = full
        self.disk = disk


class CommitFailed(Broken):
    """The disk failed at commit: whether it was written is unknown until read again."""


class Damaged(Broken):
    """SQLite found the file damaged: nothing more is written to it."""


@attrs.define
class Writes(Generic[K]):
    """The writing access to a database; see the module.

    The log is worked in from here, not by SQLite: that would tell nobody when it fails.
    And it goes on after a failed sync of the file where it had stopped, while what it
    had written before may be lost.

    Args:
        rounds: When to work the log in; None: SQLite does.
        guard: A connection that only reads. It is closed last after a failure, for the
            last one to close works the log in, and then removes it; one that only reads
            does not. So the next who opens the file finds the whole log, and works all
            of it in.

    Attributes:
        transactions: Transactions that were committed.
    """

    _connection: sqlite3.Connection
    _book: Book[K]
    transactions: int = 0
    _rounds: Rounds | None = attrs.field(kw_only=True, alias="rounds", default=None)
    _guard: sqlite3.Connection | None = attrs.field(
        kw_only=True, alias="guard", default=None
    )
    _failed: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        if self._rounds is not None:
            self._connection.execute("PRAGMA wal_autocheckpoint=0").fetchall()

    def serve(self, jobs: Sequence[K]) -> list[object]:
        """See :class:`~beamclaw.storage.Access`."""
        try:
            if self._rounds is not None and self._rounds.is_due():
                self._work_in(self._rounds)
            return self._serve(jobs)
        except BaseException:
            self._failed = True
            raise

    def _serve(self, jobs: Sequence[K]) -> list[object]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:  # locked from outside, say: no one's fault
            _check(error)
            return [_failed(error) for _ in jobs]
        try:
            return self._transaction(jobs)
        except _OF_THE_JOB as error:
            _check(error)
            if len(jobs) == 1:
                return [_failed(error)]
        return [outcome for job in jobs for outcome in self._serve([job])]

    def close(self) -> None:
        """See :class:`~beamclaw.storage.Access`."""
        if self._guard is not None and not self._failed:
            self._guard.close()
        self._connection.close()
        if self._guard is not None:
            self._guard.close()

    def _transaction(self, jobs: Sequence[K]) -> list[object]:
        try:
            outcomes = self._book.apply(jobs)
        except BaseException:
            self._undo()
            raise
        try:
            with point("storage.commit"):
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if is_full(error):
                self._undo()
                raise
            raise CommitFailed(why(error)) from error
        self.transactions += 1
        return outcomes

    def _undo(self) -> None:
        self._book.forget()
        # Some errors (a full disk among them) have rolled it back already.
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                # Whatever came next would be written together with what failed.
                raise CommitFailed(why(error)) from error

    def _work_in(self, rounds: Rounds) -> None:
        rounds.begin()
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            _check(error)
            if not is_full(error):  # else it only grows until there is room
                raise CommitFailed(
                    f"the log cannot be worked into the file: {why(error)}"
                ) from error


def _check(error: Exception) -> None:
    """An error after which this access is over is raised."""
    if is_damage(error):
        raise Damaged(why(error)) from error
    if is_lost_sync(error):
        raise CommitFailed(why(error)) from error


def _failed(error: Exception) -> StatementFailed:
    failed = StatementFailed(why(error), full=is_full(error), disk=is_disk(error))
    failed.__cause__ = error
    return failed


@attrs.define
class Reads(Generic[K]):
    """The reading access: each job sees one consistent state of the database."""

    _connection: sqlite3.Connection
    _read: Callable[[sqlite3.Connection, K], object]

    def serve(self, jobs: Sequence[K]) -> list[object]:
        """See :class:`~beamclaw.storage.Access`."""
        return [self._one(job) for job in jobs]

    def close(self) -> None:
        """See :class:`~beamclaw.storage.Access`."""
        self._connection.close()

    def _one(self, job: K) -> object:
        try:
            self._connection.execute("BEGIN")
            return self._read(self._connection, job)
        except _OF_THE_JOB as error:
            _check(error)
            return _failed(error)
        finally:
            # Nothing was written; and who failed to read may fail to end it, too.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
