"""Recognising a database file: made, opened, migrated, or refused and left alone."""

import errno
import hashlib
import os
import sqlite3
import stat
from pathlib import Path

import attrs
import pytest

from beamclaw.contracts.store import DataFolderError
from beamclaw.storage import (
    Schema,
    _database,
    _examining,
    integrity,
    open_database,
    open_reader,
)
from tests.support.ledgers import disk_full


def first(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE things (name TEXT NOT NULL)")


def second(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 1")


def broken(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE more (name TEXT)")
    connection.execute("this is no statement")


ONE = Schema(what="ledger", application_id=0x1234, migrations=(first,))
TWO = Schema(what="ledger", application_id=0x1234, migrations=(first, second))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "things.db"


def fill(path: Path, schema: Schema = ONE, rows: int = 3) -> None:
    connection = open_database(path, schema)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO things (name) VALUES (?)", [(f"{n}",) for n in range(rows)]
    )
    connection.execute("COMMIT")
    connection.close()


def crash(path: Path, schema: Schema, work) -> None:
    """Leave the files as a node does that was killed after *work*."""
    beside = path.with_name("crashed")
    beside.mkdir()
    connection = open_database(path, schema)
    work(connection)
    for file in path.parent.glob(f"{path.name}*"):
        (beside / file.name).write_bytes(file.read_bytes())
    connection.close()
    for file in beside.iterdir():
        file.replace(path.parent / file.name)
    beside.rmdir()


def fingerprint(path: Path) -> dict[str, str]:
    """Each file beside *path*, it included, by name and content."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.parent.iterdir()
        if file.is_file()
    }


def refused(path: Path, schema: Schema = ONE) -> str:
    """The words; and that nothing was touched."""
    before = fingerprint(path)
    with pytest.raises(DataFolderError) as caught:
        open_database(path, schema)
    assert fingerprint(path) == before
    assert str(path) in str(caught.value)
    return str(caught.value)


# --- opened


def test_a_new_file_is_complete_and_private(path):
    old = os.umask(0)
    try:
        connection = open_database(path, TWO)
        connection.execute("INSERT INTO things (name) VALUES ('a')")
        reader = open_reader(path)
        assert reader.execute("SELECT * FROM things").fetchall() == [("a", 1)]
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == [
            "things.db",
            "things.db-shm",
            "things.db-wal",
        ]
        modes = {stat.S_IMODE(file.stat().st_mode) for file in files}
        assert modes == {0o600}
        reader.close()
        connection.close()
    finally:
        os.umask(old)


def test_the_file_is_private_whatever_the_umask_takes_away(path):
    old = os.umask(0o777)
    try:
        open_database(path, ONE).close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_commit_is_synced(path):
    connection = open_database(path, ONE)
    settings = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "user_version", "application_id")
    }
    connection.close()
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "user_version": 1,
        "application_id": 0x1234,
    }


def test_content_is_there_when_it_is_opened_again(path):
    fill(path)
    connection = open_database(path, ONE)
    assert connection.execute("SELECT count(*) FROM things").fetchone() == (3,)
    connection.close()


def test_content_is_there_after_a_kill(path):
    crash(path, ONE, lambda c: c.execute("INSERT INTO things VALUES ('a')"))
    assert (path.parent / "things.db-wal").stat().st_size > 0
    connection = open_database(path, ONE)
    assert connection.execute("SELECT * FROM things").fetchall() == [("a",)]
    connection.close()


def test_a_log_that_cannot_be_got_onto_the_disk_is_not_worked_in(path, monkeypatch):
    """What a failed sync has lost of it can be read, and must stay there to be written."""
    crash(path, ONE, lambda c: c.execute("INSERT INTO things VALUES ('a')"))
    log = path.parent / "things.db-wal"
    before = path.read_bytes(), log.read_bytes()

    def fails(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(_database, "sync", fails)
        with pytest.raises(DataFolderError, match="error"):
            open_database(path, ONE)
    assert (path.read_bytes(), log.read_bytes()) == before
    connection = open_database(path, ONE)
    assert connection.execute("SELECT * FROM things").fetchall() == [("a",)]
    connection.close()


def test_what_a_kill_left_of_making_the_file_does_not_matter(path):
    for left in ("things.db.new", "things.db.new-wal", "things.db.new-journal"):
        (path.parent / left).write_bytes(b"half")
    open_database(path, ONE).close()
    assert [file.name for file in path.parent.iterdir()] == ["things.db"]


def test_a_reader_cannot_write(path):
    fill(path)
    reader = open_reader(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM things")
    reader.close()


# --- migrated


def test_an_older_file_is_migrated(path):
    fill(path, ONE)
    connection = open_database(path, TWO)
    assert connection.execute("SELECT * FROM things").fetchone() == ("0", 1)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    # In the file itself, not only in the log beside it.
    assert int.from_bytes(path.read_bytes()[60:64], "big") == 2
    connection.close()


def test_a_migration_is_done_as_a_whole_or_not_at_all(path):
    fill(path, ONE)
    bad = Schema(what="ledger", application_id=0x1234, migrations=(first, broken))
    with pytest.raises(DataFolderError, match="syntax error"):
        open_database(path, bad)
    connection = open_database(path, ONE)
    tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("things",)]
    connection.close()


def test_a_first_migration_that_fails_leaves_no_file(path):
    bad = Schema(what="ledger", application_id=0x1234, migrations=(broken,))
    with pytest.raises(DataFolderError):
        open_database(path, bad)
    assert not path.exists()
    open_database(path, ONE).close()


# --- refused


def test_a_newer_file_is_refused_untouched(path):
    fill(path, TWO)
    words = refused(path)
    assert "newer version of BeamClaw (schema 2; this one knows up to 1)" in words
    assert "install that version again" in words


def test_a_newer_file_is_recognised_by_its_log_alone(path):
    """The newer version was killed before its log went into the file."""
    fill(path, ONE)

    def newer(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA user_version=2")

    crash(path, ONE, newer)
    (path.parent / "things.db-shm").unlink()
    assert int.from_bytes(path.read_bytes()[60:64], "big") == 1
    assert "newer version" in refused(path)


def test_a_file_of_another_program_is_refused_untouched(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    assert "belongs to another program" in refused(path)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def scramble(data: bytes) -> bytes:
    """The page with the list of tables, but for its header."""
    return data[:100] + b"\xff" * (4096 - 100) + data[4096:]


DAMAGED = {
    "empty": (lambda data: b"", "it is empty"),
    "text": (lambda data: b"hello, I am a text\n" * 50, "not a database"),
    "short": (lambda data: data[:50], "not a database"),
    "cut off": (cut, "bytes of it are missing"),
    "scrambled": (scramble, "damaged"),
}


@pytest.mark.parametrize("damage, words", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_refused_untouched(path, damage, words):
    fill(path, ONE, rows=5000)
    path.write_bytes(damage(path.read_bytes()))
    said = refused(path)
    assert words in said
    assert "is damaged" in said
    assert "put a backup in its place" in said


def test_a_text_where_a_number_rises_is_damage(path):
    """As by a page of another table: for the file, or for the log that is newer."""
    rises = "SELECT CASE count(*) WHEN 1 THEN name ELSE count(*) END FROM things"
    rising = attrs.evolve(ONE, rises=rises)
    fill(path, rows=1)
    assert "where a number should be is something else" in refused(path, rising)

    crash(path, ONE, lambda c: c.execute("INSERT INTO things VALUES ('a')"))
    open_database(path, rising).close()


def test_a_log_without_its_file_is_refused_untouched(path):
    crash(path, ONE, lambda c: c.execute("INSERT INTO things VALUES ('a')"))
    path.unlink()
    assert "it is missing, but things.db-wal is there" in refused(path)


def test_a_file_that_cannot_be_read_is_refused_in_words(path, monkeypatch):
    fill(path)

    def closed(self: Path, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)  # root, say in CI, may read everything
    with pytest.raises(DataFolderError, match="Permission denied"):
        open_database(path, ONE)


def test_a_file_that_is_not_there_cannot_be_checked(path):
    with pytest.raises(DataFolderError, match="cannot be checked"):
        integrity(path)


def test_an_older_sqlite_is_refused_in_words(path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 26, 0))
    with pytest.raises(DataFolderError, match=r"needs 3\.35 or newer"):
        open_database(path, ONE)


# --- looked at


def test_integrity_finds_nothing_in_a_whole_file(path):
    fill(path)
    assert integrity(path) == []


def test_integrity_finds_what_opening_does_not_look_at(path, monkeypatch):
    monkeypatch.setattr(_examining, "LOOKED_THROUGH", 0)  # as in a large file
    fill(path, ONE, rows=5000)
    data = bytearray(path.read_bytes())
    data[8192:9000] = b"\xee" * 808
    path.write_bytes(data)
    open_database(path, ONE).close()
    assert integrity(path)


# --- room that becomes free


def mode_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    connection.close()
    return mode


def of_before(path: Path, rows: int = 3) -> None:
    """A file as releases made it whose files could not give room back."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA application_id=4660")
    connection.execute("PRAGMA user_version=1")
    first(connection)
    names = [(f"{n}" * 100,) for n in range(rows)]
    connection.executemany("INSERT INTO things (name) VALUES (?)", names)
    connection.close()


def test_a_new_file_gives_room_back(path):
    fill(path)
    assert mode_of(path) == 2


def test_a_file_of_before_is_made_so_when_its_schema_moves_up(path):
    of_before(path)
    open_database(path, ONE).close()
    assert mode_of(path) == 0
    connection = open_database(path, TWO)
    assert connection.execute("SELECT count(*) FROM things").fetchone() == (3,)
    connection.close()
    assert mode_of(path) == 2
    assert integrity(path) == []


def test_a_large_one_stays_as_it_is(path, monkeypatch):
    monkeypatch.setattr("beamclaw.storage._database._REWRITTEN", 100)
    of_before(path)
    open_database(path, TWO).close()
    assert mode_of(path) == 0


def test_one_that_has_no_room_to_be_rewritten_is_opened_nevertheless(path):
    class Full(sqlite3.Connection):
        def execute(self, sql, *rest):
            if sql == "VACUUM":
                raise disk_full()
            return super().execute(sql, *rest)

    def connect(uri: str) -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, isolation_level=None, factory=Full)

    of_before(path)
    connection = open_database(path, TWO, connect)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()
