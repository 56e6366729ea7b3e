"""Looking through a database for ``beamclaw doctor``: all that SQLite can tell of it."""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from beamclaw.storage._connecting import Connect, connect_sqlite, set_pragmas, uri_of
from beamclaw.storage._examining import read_only, refuse_others
from beamclaw.storage._refusals import in_words
from beamclaw.storage._words import is_disk, why
from beamclaw.values import frozen

# Of the same sort; the first are enough to know what is wrong.
_MOST = 10


@frozen(kw_only=True)
class Survey:
    """What was found in a database.

    Attributes:
        version: Of its schema.
        damage: What is wrong with its pages and indexes, in SQLite's words; ten at most.
        dangling: Rows that name a row of another table which is not there, by
            ``table → other``.
        counts: The answers to what was asked beside.
    """

    version: int
    damage: tuple[str, ...]
    dangling: Mapping[str, int]
    counts: Mapping[str, int]


def survey(
    path: Path,
    questions: Mapping[str, str],
    connect: Connect = connect_sqlite,
    *,
    alone: bool = False,
) -> Survey:
    """Read all of the database at *path*; blocks as long as that takes.

    Args:
        path: The database.
        questions: Queries for one number each, by name; one whose table an older file
            has not is left out.
        connect: How a database is connected to.
        alone: Nobody has it open: no file is made beside it.

    Raises:
        DataFolderError: It cannot be opened at all.
    """
    refuse_others(path)
    with (
        in_words(path, "database"),
        contextlib.closing(connect(read_only(path, alone=alone))) as connection,
    ):
        set_pragmas(connection, cache_size=-4_000)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        damage = _damage(connection)
        if damage:  # what else it says is not to be believed
            return Survey(version=version, damage=damage, dangling={}, counts={})
        return Survey(
            version=version,
            damage=(),
            dangling=_dangling(connection),
            counts=_counts(connection, questions),
        )


def _damage(connection: sqlite3.Connection) -> tuple[str, ...]:
    try:
        rows = connection.execute(f"PRAGMA integrity_check({_MOST})").fetchall()
    except sqlite3.DatabaseError as error:
        if is_disk(error):
            raise
        return (why(error),)  # too much is wrong to go on looking
    return tuple(str(row[0]) for row in rows if row[0] != "ok")


def _dangling(connection: sqlite3.Connection) -> dict[str, int]:
    found: dict[str, int] = {}
    for table, _, other, _ in connection.execute("PRAGMA foreign_key_check"):
        name = f"{table} → {other}"
        found[name] = found.get(name, 0) + 1
    return found


def _counts(
    connection: sqlite3.Connection, questions: Mapping[str, str]
) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, query in questions.items():
        with contextlib.suppress(sqlite3.OperationalError):
            (found[name],) = connection.execute(query).fetchone()
    return found


def reindex(path: Path, connect: Connect = connect_sqlite) -> None:
    """Make all indexes of the database anew, from its tables; nobody else has it open.

    Raises:
        DataFolderError: It cannot be done; nothing was changed.
    """
    with (
        in_words(path, "database"),
        contextlib.closing(connect(uri_of(path, "rw"))) as connection,
    ):
        set_pragmas(connection, synchronous="full")
        connection.execute("REINDEX")


def sqlite_version() -> tuple[int, ...]:
    """Of the library that this Python has."""
    return sqlite3.sqlite_version_info
