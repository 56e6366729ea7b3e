"""Connections to a database file, and the files that SQLite has beside it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal

Connection = sqlite3.Connection
Connect = Callable[[str], sqlite3.Connection]


def connect_sqlite(uri: str) -> sqlite3.Connection:
    """A connection in autocommit mode: transactions are always written out."""
    return sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def uri_of(path: Path, mode: Literal["rw", "ro"], extra: str = "") -> str:
    """What SQLite opens *path* by, *extra* of its parameters included."""
    return f"{path.absolute().as_uri()}?mode={mode}{extra}"


def set_pragmas(connection: sqlite3.Connection, **pragmas: int | str) -> None:
    """Set each, and take what it answers."""
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name}={value}").fetchall()


def beside(path: Path, suffix: str) -> Path:
    """A file of the same name beside it: ``-wal``, ``-shm``, ``.new``."""
    return path.with_name(path.name + suffix)
