"""A new file is made in one go, and is what all migrations come to, one after the other."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest

from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import Schema, open_database, statements
from beamclaw.store.schema import NODE

ROOT = Path(__file__).parents[3]

# Whatever a migration may do.
ANY = Schema(
    what="ledger",
    application_id=0x1234,
    migrations=(
        statements(
            "CREATE TABLE things (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)",
            "CREATE TABLE plain (a TEXT PRIMARY KEY, b BLOB) WITHOUT ROWID",
            "INSERT INTO things (name) VALUES ('it''s one')",
            "INSERT INTO plain VALUES ('x', x'0001')",
        ),
        statements(
            "ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 7",
            "ALTER TABLE plain RENAME COLUMN b TO c",
            "CREATE UNIQUE INDEX by_name ON things (name) WHERE size > 0",
        ),
        statements(
            "UPDATE things SET size = 8",
            "CREATE VIEW large AS SELECT name FROM things WHERE size > 7",
            "ALTER TABLE plain RENAME TO pairs",
        ),
    ),
)


def step_by_step(path: Path, schema: Schema) -> None:
    """As it came to be on a machine that had every release."""
    for version in range(1, schema.version + 1):
        of_then = attrs.evolve(
            schema, migrations=schema.migrations[:version], rises=None
        )
        open_database(path, of_then).close()


def seen(path: Path) -> dict[str, Any]:
    """All that a program can see of a file."""
    with contextlib.closing(sqlite3.connect(path)) as connection:

        def rows(query: str) -> list[Any]:
            return connection.execute(query).fetchall()

        of_schema = rows("SELECT name, type, tbl_name, sql FROM sqlite_master")
        tables = [name for name, kind, *_ in of_schema if kind in {"table", "view"}]
        indexes = [name for name, kind, *_ in of_schema if kind == "index"]
        pragmas = ("user_version", "application_id", "auto_vacuum", "journal_mode")
        return {
            "schema": sorted(of_schema),
            "rows": {name: rows(f"SELECT * FROM {name}") for name in tables},
            "columns": {name: rows(f"PRAGMA table_xinfo({name})") for name in tables},
            "keys": {name: rows(f"PRAGMA foreign_key_list({name})") for name in tables},
            "indexed": {name: rows(f"PRAGMA index_xinfo({name})") for name in indexes},
            "pragmas": {name: rows(f"PRAGMA {name}") for name in pragmas},
        }


@pytest.mark.parametrize("schema", [LEDGER, NODE, ANY], ids=["ledger", "node", "any"])
def test_a_new_file_is_what_the_migrations_come_to(tmp_path: Path, schema: Schema):
    step_by_step(tmp_path / "old.db", schema)
    open_database(tmp_path / "new.db", schema).close()

    assert seen(tmp_path / "new.db") == seen(tmp_path / "old.db")


@pytest.mark.parametrize("schema", [LEDGER, NODE], ids=["ledger", "node"])
def test_the_page_says_which_version_it_is(schema: Schema):
    page = (ROOT / "docs" / "reference" / "data-folder.md").read_text()
    rows = [
        line for line in page.splitlines() if f"0x{schema.application_id:X}" in line
    ]
    assert [row.split("|")[-2].strip() for row in rows] == [str(schema.version)]
