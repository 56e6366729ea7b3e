"""Group commit: all jobs that wait become one transaction, and one sync of the disk.

There is no savepoint per job. What a job may be refused for is decided before anything
is written; when a statement fails nevertheless, the transaction is rolled back and the
jobs are done again one by one, so that only the one at fault gets the error. An error
at COMMIT is another matter: whether it was written is unknown, nothing is tried again,
and the access is over.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import attrs

from beamclaw.contracts.points import reach
from beamclaw.storage._driver import Broken
from beamclaw.storage._words import why

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
    """This job could not be written; the others were, and none of it was."""


class CommitFailed(Broken):
    """The disk failed at commit: whether it was written is unknown until read again."""


@attrs.define
class Writes(Generic[K]):
    """The writing access to a database; see the module.

    Attributes:
        transactions: Transactions that were committed.
    """

    _connection: sqlite3.Connection
    _book: Book[K]
    transactions: int = 0

    def serve(self, jobs: Sequence[K]) -> list[object]:
        """See :class:`~beamclaw.storage.Access`."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:  # locked from outside, say: no one's fault
            return [_failed(error) for _ in jobs]
        try:
            return self._transaction(jobs)
        except _OF_THE_JOB as error:
            if len(jobs) == 1:
                return [_failed(error)]
        return [outcome for job in jobs for outcome in self.serve([job])]

    def close(self) -> None:
        """See :class:`~beamclaw.storage.Access`."""
        self._connection.close()

    def _transaction(self, jobs: Sequence[K]) -> list[object]:
        try:
            outcomes = self._book.apply(jobs)
        except BaseException:
            self._undo()
            raise
        try:
            reach("storage.commit.before")
            self._connection.execute("COMMIT")
            reach("storage.commit.after")
        except sqlite3.Error as error:
            raise CommitFailed(why(error)) from error
        self.transactions += 1
        return outcomes

    def _undo(self) -> None:
        self._book.forget()
        # Some errors (a full disk among them) have rolled it back already.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _failed(error: Exception) -> StatementFailed:
    failed = StatementFailed(why(error))
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
            return _failed(error)
        finally:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
