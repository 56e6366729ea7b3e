"""What deleted sessions held leaves the file, in steps that nobody notices."""

import sqlite3
from pathlib import Path

import pytest

from beamclaw.contracts.ledger import Erase, Erased
from beamclaw.contracts.ledger_ops import Take
from beamclaw.contracts.ledger_session_ops import DropSession, SetMeta
from beamclaw.contracts.session_meta import SessionMeta
from tests.support.books import Opened, commit, open_book
from tests.support.ledgers import KEY, event, message

BIG = event(body=b"x" * 500_000)


def erase(book: Opened, at: float = 20.0) -> list[Erased]:
    """All steps until there is nothing to do."""
    steps: list[Erased] = []
    while not steps or steps[-1].more:
        (step,) = book.serve(Erase(at=at))
        assert isinstance(step, Erased)
        steps.append(step)
        assert len(steps) < 10_000
    return steps


def full(book: Opened, times: int, key: str = KEY, at: float = 10.0) -> None:
    """A session with so many large events, which is dropped."""
    book.serve(message(f"run of {key}", key))
    seq = 0
    for _ in range(times):
        (seq,) = book.serve(commit(seq, BIG, key=key))
        assert isinstance(seq, int)
    ids = [row[0] for row in book.book.connection.execute("SELECT id FROM inbox")]
    ops = (Take((ids[-1],)), DropSession(at))
    assert book.serve(commit(None, ops=ops, key=key)) == [seq]


def free(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA freelist_count").fetchone()[0]


def size(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA page_count").fetchone()[0]


def test_the_file_shrinks(tmp_path: Path) -> None:
    with open_book(tmp_path / "ledger.db") as book:
        connection = book.book.connection
        full(book, 8)
        before = size(connection)
        steps = erase(book)
        assert size(connection) < before / 3
        # A few pages stay for what comes next.
        assert 0 < free(connection) <= 256
        assert max(step.pages for step in steps) <= 16
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_step_erases_so_many_bytes_at_most(tmp_path: Path) -> None:
    with open_book(tmp_path / "ledger.db") as book:
        full(book, 8)
        assert max(step.rows for step in erase(book)) <= 3


def test_a_clock_that_is_put_on_in_a_round_does_not_put_off_the_next(
    tmp_path: Path,
) -> None:
    year, other = 365 * 86_400.0, "agent:main:other"
    with open_book(tmp_path / "ledger.db") as book:
        full(book, 1)
        # Its journal; then the round through the tables begins.
        for _ in range(2):
            book.serve(Erase(at=20.0))
        erase(book, at=year)
        full(book, 1, other, at=year + 1)
        erase(book, at=year + 2 * 3600)
        left = book.book.connection.execute(
            "SELECT count(*) FROM inbox WHERE body <> x''"
        )
        assert left.fetchone() == (0,)


def test_a_file_that_cannot_shrink_uses_its_room_again(tmp_path: Path) -> None:
    sizes: list[int] = []
    with open_book(tmp_path / "ledger.db") as book:
        connection = book.book.connection
        connection.execute("PRAGMA auto_vacuum=none")
        connection.execute("VACUUM")
    with open_book(tmp_path / "ledger.db") as book:
        connection = book.book.connection
        for round_ in range(6):
            full(book, 10, f"agent:main:{round_}")
            erase(book, 100.0 * (round_ + 1))
            sizes.append(size(connection))
    assert max(sizes[1:]) <= sizes[0] + 16, sizes


@pytest.mark.parametrize(
    "table", ["waits", "snapshots", "outputs", "outbox", "children"]
)
def test_every_table_with_a_session_is_looked_at(tmp_path: Path, table: str) -> None:
    with open_book(tmp_path / "ledger.db") as book:
        connection = book.book.connection
        full(book, 1)
        fill_row(connection, table)
        book.serve(message("r2", "agent:main:other"))
        erase(book)
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def fill_row(connection: sqlite3.Connection, table: str) -> None:
    """A row of session 1 in *table*, of whatever its columns demand."""
    columns = connection.execute(
        "SELECT name, type FROM pragma_table_info(?)", (table,)
    ).fetchall()
    given = {name: 1 if kind in ("INTEGER", "REAL") else "x" for name, kind in columns}
    names, marks = ", ".join(given), ", ".join("?" * len(given))
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
    connection.execute(statement, tuple(given.values()))


def test_erasing_beside_commits_of_others(tmp_path: Path) -> None:
    with open_book(tmp_path / "ledger.db") as book:
        full(book, 3)
        book.serve(message("r2", "agent:main:other"))
        seq, step = 0, Erased(more=True)
        while step.more:
            label = SetMeta(SessionMeta(label=str(seq)))
            job = commit(seq, event(), ops=(label,), key="agent:main:other")
            seq, step = book.serve(job, Erase(at=20.0))
            assert isinstance(seq, int)
            assert isinstance(step, Erased)
        rows = book.book.connection.execute("SELECT count(*) FROM events").fetchone()
    assert rows == (seq,)
