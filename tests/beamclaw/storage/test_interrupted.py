"""Making a file, and moving it up to a newer schema: cut off at each statement.

Whatever was being done, an earlier release finds its file as it was, and this one goes
on from there.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import attrs
import pytest

from beamclaw.contracts.store import DataFolderError
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import Connect, Schema, integrity, open_database
from beamclaw.store.schema import NODE
from tests.support.ledgers import connect_with, disk_broken, disk_full

pytestmark = pytest.mark.slow

SCHEMAS = [
    pytest.param(schema, id=schema.what.replace(" ", "-")) for schema in (LEDGER, NODE)
]
FAILURES: list[Callable[[], Exception]] = [disk_full, disk_broken]


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


def earlier(schema: Schema, version: int) -> Schema:
    return attrs.evolve(schema, migrations=schema.migrations[:version], rises=None)


@attrs.define
class Fault:
    """Something happens at statement number *at*; afterwards nothing does."""

    do: Callable[[], BaseException]
    at: int
    number: int = 0

    def connect(self) -> Connect:
        return connect_with(self)

    def __call__(self, sql: str) -> None:
        self.number += 1
        if self.number == self.at:
            raise self.do()


def statements(path: Path, schema: Schema) -> int:
    """How many it takes to open the file."""
    count = Fault(Killed, -1)
    open_database(path, schema, count.connect()).close()
    return count.number


def content(path: Path, schema: Schema) -> list[tuple[str, str]]:
    with closing(open_database(path, schema)) as connection:
        names = "SELECT name, type FROM sqlite_master ORDER BY name"
        return connection.execute(names).fetchall()


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_new_file_is_there_as_a_whole_or_not_at_all(tmp_path, schema, failure):
    for at in range(1, statements(tmp_path / "whole.db", schema) + 1):
        path = tmp_path / f"{at}.db"
        with suppress(DataFolderError):
            open_database(path, schema, Fault(failure, at).connect()).close()
        if not path.exists() and at % 8:  # what is left of it matters little
            continue
        assert content(path, schema) == content(tmp_path / "whole.db", schema)
        assert integrity(path) == []


@pytest.mark.parametrize("failure", [*FAILURES, Killed])
@pytest.mark.parametrize("before", range(1, LEDGER.version))
def test_a_migration_that_is_cut_off_leaves_a_file_that_opens(
    tmp_path, before, failure
):
    old = tmp_path / "old.db"
    open_database(old, earlier(LEDGER, before)).close()
    shutil.copy(old, tmp_path / "whole.db")
    whole = tmp_path / "whole.db"
    for at in range(1, statements(whole, LEDGER) + 1):
        path = tmp_path / f"{at}.db"
        shutil.copy(old, path)
        cut(path, Fault(failure, at))
        assert as_earlier(path, before, tmp_path / "copy") or version(path) > before
        assert content(path, LEDGER) == content(whole, LEDGER)
        assert integrity(path) == []


def cut(path: Path, fault: Fault) -> None:
    """Open it and fail, or die, on the way."""
    with suppress(DataFolderError, Killed):
        open_database(path, LEDGER, fault.connect()).close()


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def as_earlier(path: Path, before: int, copy: Path) -> bool:
    """Whether the earlier release opens it, too (a copy: opening may change it)."""
    for side in ("", "-wal"):
        if (there := path.with_name(path.name + side)).exists():
            shutil.copy(there, copy.with_name(copy.name + side))
    try:
        open_database(copy, earlier(LEDGER, before)).close()
    except DataFolderError as refused:
        if "newer version" not in str(refused):
            raise
        return False
    finally:
        for side in ("", "-wal", "-shm"):
            copy.with_name(copy.name + side).unlink(missing_ok=True)
    return True
