"""A ledger's book on a file, without a process around it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import attrs

from beamclaw.contracts.ledger import Claim, Commit, NewEvent
from beamclaw.contracts.ledger_ops import Op
from beamclaw.ledger.book import Job, LedgerBook
from beamclaw.ledger.reads import Read, read
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import Connect, Reads, Writes, connect_sqlite, open_database
from tests.support.ledgers import KEY


@attrs.define
class Opened:
    """Writes and reads one after the other, on one connection."""

    book: LedgerBook
    writes: Writes[Job]
    reads: Reads[Read]
    now: list[float]

    def serve(self, *jobs: Job) -> Sequence[object]:
        """One transaction; what came of each."""
        return self.writes.serve(jobs)

    def read(self, request: Read) -> object:
        return self.reads.serve([request])[0]


@contextmanager
def open_book(
    path: Path, *, inbox_limit: int = 10_000, connect: Connect = connect_sqlite
) -> Iterator[Opened]:
    connection = open_database(path, LEDGER, connect)
    connection.execute("BEGIN")
    connection.execute("DELETE FROM meta")
    connection.execute("INSERT INTO meta VALUES ('default', 1)")
    connection.execute("COMMIT")
    now, ids = [1000.0], count(1)
    book = LedgerBook(
        connection, "default", 1, inbox_limit, lambda: now[0], lambda: str(next(ids))
    )
    try:
        yield Opened(book, Writes(connection, book), Reads(connection, read), now)
    finally:
        connection.close()


def commit(
    seq: int | None,
    *events: NewEvent,
    ops: tuple[Op, ...] = (),
    key: str = KEY,
    run: str | None = None,
    run_epoch: int = 1,
) -> Commit:
    claim = Claim("default", 1, run, run_epoch if run else 0)
    return Commit(
        claim=claim, session_key=key, expected_seq=seq, events=events, ops=ops
    )
