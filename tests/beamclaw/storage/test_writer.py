"""What ends an access to a database, how it is closed, and when its log is worked in."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from beamclaw.contracts.store import DataFolderError
from beamclaw.storage import (
    CommitFailed,
    Damaged,
    Rounds,
    Schema,
    StatementFailed,
    Writes,
    _log,
    _suspects,
    open_database,
    open_guard,
    open_reader,
    statements,
    suspect,
)
from tests.support.ledgers import connect_with, disk_error, disk_full

SCHEMA = Schema(
    what="ledger",
    application_id=0x1234,
    migrations=(statements("CREATE TABLE things (name TEXT NOT NULL)"),),
)


@attrs.define
class Things:
    """The book of a table of names."""

    connection: sqlite3.Connection
    forgotten: int = 0

    def apply(self, jobs: Sequence[str]) -> list[object]:
        for job in jobs:
            self.connection.execute("INSERT INTO things VALUES (?)", (job,))
        return list(jobs)

    def forget(self) -> None:
        self.forgotten += 1


@attrs.define
class Disk:
    """Lets statements that begin so fail."""

    errors: dict[str, Exception] = attrs.field(factory=dict)
    seen: list[str] = attrs.field(factory=list)

    def __call__(self, sql: str) -> None:
        self.seen.append(sql)
        for beginning, error in self.errors.items():
            if sql.startswith(beginning):
                raise error


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "things.db"


def log_of(path: Path) -> Path:
    return path.with_name("things.db-wal")


def opened(path: Path, disk: Disk) -> Writes[str]:
    connect = connect_with(disk)
    connection = open_database(path, SCHEMA, connect)
    return Writes(
        connection,
        Things(connection),
        rounds=Rounds(log_of(path)),
        guard=open_guard(path, connect),
    )


def names(path: Path) -> list[str]:
    with closing(open_database(path, SCHEMA)) as connection:
        rows = connection.execute("SELECT name FROM things ORDER BY rowid").fetchall()
    return [row[0] for row in rows]


def io_error(which: str) -> Exception:
    return disk_error(f"SQLITE_IOERR_{which}", 10, "disk I/O error")


CORRUPT = disk_error("SQLITE_CORRUPT_VTAB", 267, "database disk image is malformed")
BUSY = disk_error("SQLITE_BUSY", 5, "database is locked")


@pytest.mark.parametrize(
    "at, error, outcome",
    [
        ("BEGIN", BUSY, StatementFailed),
        ("BEGIN", CORRUPT, Damaged),
        ("INSERT", disk_full(), StatementFailed),
        ("INSERT", io_error("READ"), StatementFailed),
        ("INSERT", io_error("WRITE"), StatementFailed),
        ("INSERT", io_error("FSYNC"), CommitFailed),
        ("INSERT", CORRUPT, Damaged),
        ("COMMIT", disk_full(), StatementFailed),
        ("COMMIT", io_error("WRITE"), CommitFailed),
        ("COMMIT", io_error("FSYNC"), CommitFailed),
        ("COMMIT", BUSY, CommitFailed),
        ("COMMIT", CORRUPT, CommitFailed),
    ],
)
def test_what_an_error_means(path, disk, at, error, outcome):
    writes = opened(path, disk)
    writes.serve(["before"])
    disk.errors[at] = error
    if outcome is StatementFailed:
        for failed in writes.serve(["one", "two"]):
            assert isinstance(failed, StatementFailed)
            assert failed.full == (error.sqlite_errorname == "SQLITE_FULL")
        disk.errors.clear()
        assert writes.serve(["after"]) == ["after"]
    else:
        with pytest.raises(outcome):
            writes.serve(["one"])
        disk.errors.clear()
    writes.close()
    assert names(path) == ["before", *(["after"] * (outcome is StatementFailed))]


def test_a_rollback_that_fails_ends_it(path, disk):
    writes = opened(path, disk)
    disk.errors |= {"INSERT": io_error("WRITE"), "ROLLBACK": io_error("WRITE")}
    with pytest.raises(CommitFailed):
        writes.serve(["one"])


def test_closed_in_order_the_log_is_worked_in(path, disk):
    writes = opened(path, disk)
    writes.serve(["one"])
    assert log_of(path).stat().st_size > 0
    writes.close()
    assert not log_of(path).exists()


def test_after_a_failure_the_log_stays_for_whoever_opens_the_file_next(path, disk):
    writes = opened(path, disk)
    writes.serve(["one"])
    disk.errors["COMMIT"] = io_error("FSYNC")
    with pytest.raises(CommitFailed):
        writes.serve(["two"])
    size = log_of(path).stat().st_size
    writes.close()
    assert log_of(path).stat().st_size == size > 0
    # All of it is written anew before anything else is.
    with closing(open_database(path, SCHEMA)):
        assert log_of(path).stat().st_size == 0
    assert names(path) == ["one"]


def test_a_reader_that_is_closed_last_leaves_the_log_alone(path, disk):
    writes = opened(path, disk)
    writes.serve(["one"])
    reader = open_reader(path)
    reader.execute("SELECT * FROM things").fetchall()
    disk.errors["COMMIT"] = io_error("FSYNC")
    with pytest.raises(CommitFailed):
        writes.serve(["two"])
    writes.close()
    reader.close()
    assert log_of(path).stat().st_size > 0


def test_the_log_is_worked_in_from_time_to_time(path, disk, monkeypatch):
    monkeypatch.setattr(_log, "ROUND", 32)
    writes = opened(path, disk)
    for number in range(100):
        writes.serve([f"{number}"])
    assert sum("wal_checkpoint(PASSIVE)" in sql for sql in disk.seen) == 3
    writes.close()


def test_it_is_worked_in_sooner_when_it_is_large(path, disk, monkeypatch):
    monkeypatch.setattr(_log, "LARGE", 100_000)
    writes = opened(path, disk)
    for _ in range(_log.LOOK):
        writes.serve(["x" * 50_000])
    assert any("wal_checkpoint(PASSIVE)" in sql for sql in disk.seen)
    writes.close()


@pytest.mark.parametrize(
    "error, outcome",
    [
        (io_error("FSYNC"), CommitFailed),
        (io_error("WRITE"), CommitFailed),
        (CORRUPT, Damaged),
        (disk_full(), None),
    ],
)
def test_a_log_that_cannot_be_worked_in_is_no_secret(
    path, disk, monkeypatch, error, outcome
):
    monkeypatch.setattr(_log, "ROUND", _log.LOOK)
    writes = opened(path, disk)
    for number in range(_log.LOOK - 1):
        writes.serve([f"{number}"])
    disk.errors["PRAGMA wal_checkpoint"] = error
    if outcome is None:  # there is no room: it grows until there is some
        assert writes.serve(["more"]) == ["more"]
    else:
        with pytest.raises(outcome):
            writes.serve(["more"])
    disk.errors.clear()
    writes.close()


# --- files that are suspected


def test_a_suspected_file_is_looked_through_once(path, disk):
    opened(path, disk).close()
    suspect(path)
    connect = connect_with(disk)
    for _ in range(2):
        open_database(path, SCHEMA, connect).close()
    assert sum("quick_check" in sql for sql in disk.seen) == 1


def test_what_was_found_in_it_is_remembered_until_it_is_another_file(path, disk):
    writes = opened(path, disk)
    writes.serve([f"{'x' * 3000} {number}" for number in range(50)])
    writes.close()
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[8192:12288] = bytes(4096)
    path.write_bytes(damaged)
    suspect(path)
    for _ in range(3):
        with pytest.raises(DataFolderError, match="is damaged"):
            open_database(path, SCHEMA, connect_with(disk))
    assert sum("quick_check" in sql for sql in disk.seen) == 1
    path.unlink()
    path.write_bytes(whole)
    assert len(names(path)) == 50
    assert path.resolve() not in _suspects._suspects
