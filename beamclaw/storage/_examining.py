"""Recognising a database file before it is opened: whole, ours, of a version we know.

Nothing here changes the file.
"""

import contextlib
import os
import sqlite3
from pathlib import Path

from beamclaw.contracts.store import DataFolderError
from beamclaw.storage import _log, _suspects
from beamclaw.storage._connecting import (
    Connect,
    beside,
    connect_sqlite,
    uri_of,
)
from beamclaw.storage._refusals import damaged, unreadable
from beamclaw.storage._schema import Schema, model_of
from beamclaw.storage._words import why

_HEADER = 100
_MAGIC = b"SQLite format 3\0"
# Bytes of a file that is looked through at each start: ten milliseconds for the largest.
LOOKED_THROUGH = 8 * 1024 * 1024


def integrity(
    path: Path, connect: Connect = connect_sqlite, *, quick: bool = False
) -> list[str]:
    """Everything SQLite finds wrong with the file; reads all of it, so on demand only.

    With *quick* what it finds first, and without a look at the indexes.

    Raises:
        DataFolderError: It cannot be opened at all.
    """
    try:
        connection = connect(uri_of(path, "ro"))
    except sqlite3.Error as error:
        raise DataFolderError(f"{path} cannot be checked: {why(error)}") from error
    with contextlib.closing(connection):
        try:
            pragma = "quick_check(1)" if quick else "integrity_check"
            rows = connection.execute(f"PRAGMA {pragma}").fetchall()
        except sqlite3.Error as error:  # too much is wrong to go on looking
            return [why(error)]
    return [row[0] for row in rows if row[0] != "ok"]


def examine(path: Path, schema: Schema, connect: Connect) -> int | None:
    """The version of the file; None: there is none. Changes nothing."""
    log = beside(path, "-wal")
    pending = is_pending(path)
    if not path.exists():
        if pending:
            raise damaged(path, schema, f"it is missing, but {log.name} is there")
        return None
    refuse_others(path)
    with path.open("rb") as file:
        header = file.read(_HEADER)
        size = os.fstat(file.fileno()).st_size
    _check_header(path, schema, header, 0 if pending else size)
    found = _suspects.verdict(path, lambda: integrity(path, connect, quick=True))
    if found is not None:
        raise damaged(path, schema, found)
    return _look_inside(path, schema, connect, size, pending=pending)


def refuse_others(path: Path) -> None:
    """Refuse what is there and no file: to open a pipe, say, waits for who writes to it.

    Raises:
        DataFolderError: It is a folder, a pipe or a device.
    """
    if path.exists() and not path.is_file():
        raise DataFolderError(
            f"{path} is not a file; move it away or choose another data folder with "
            "--data. Nothing in it was changed"
        )


def is_pending(path: Path) -> bool:
    """Whether there is a log that may have to be worked into the file."""
    try:
        return beside(path, "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def read_only(path: Path, *, alone: bool) -> str:
    """What SQLite opens *path* by to read it.

    With *alone*, where nobody else has it open, no file is made beside it; a log that
    is there is read all the same.
    """
    return uri_of(path, "ro", "&immutable=1" if alone and not is_pending(path) else "")


def _check_header(path: Path, schema: Schema, header: bytes, size: int) -> None:
    if not header:
        raise damaged(path, schema, "it is empty")
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise damaged(path, schema, "it is not a database")
    _check_owner(path, schema, int.from_bytes(header[68:72], "big"))
    _check_version(path, schema, int.from_bytes(header[60:64], "big"))
    pages = int.from_bytes(header[28:32], "big")
    page = int.from_bytes(header[16:18], "big")
    whole = pages * (65_536 if page == 1 else page)
    # With a log that was not worked in yet, the file may rightly be shorter.
    if size and size < whole:
        raise damaged(path, schema, f"{whole - size} bytes of it are missing")


def _check_owner(path: Path, schema: Schema, application_id: int) -> None:
    if application_id != schema.application_id:
        raise DataFolderError(
            f"{path} belongs to another program, not to the {schema.what} of BeamClaw; "
            "move it away or choose another data folder with --data. Nothing in it was "
            "changed"
        )


def _check_version(path: Path, schema: Schema, version: int) -> None:
    if version > schema.version:
        raise DataFolderError(
            f"{path} was written by a newer version of BeamClaw (schema {version}; "
            f"this one knows up to {schema.version}); install that version again, or "
            "choose another data folder with --data. Nothing in it was changed"
        )


def _look_inside(
    path: Path, schema: Schema, connect: Connect, size: int, *, pending: bool
) -> int:
    # Without a log to read, "immutable" keeps SQLite from making any file beside it.
    # With one, the index of that log (-shm) has to be made: it holds nothing of its own
    # and is removed again if it was not there.
    index = beside(path, "-shm")
    existed = index.exists()
    try:
        uri = uri_of(path, "ro", "" if pending else "&immutable=1")
        with contextlib.closing(connect(uri)) as connection:
            try:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
            finally:
                # The log first: what it lacks would be found wrong elsewhere.
                if pending:
                    _check_log(path, schema, size)
            _check_content(path, schema, connection, version)
            if size <= LOOKED_THROUGH:
                _check_all(path, schema, connection)
            risen = _risen(connection, schema)
    except sqlite3.DatabaseError as error:
        raise unreadable(path, schema, error) from error
    finally:
        if not existed:
            index.unlink(missing_ok=True)
    if pending and risen < _risen_alone(path, schema, connect):
        raise damaged(path, schema, "the log beside it is from earlier days")
    return version


def _check_content(
    path: Path, schema: Schema, connection: sqlite3.Connection, version: int
) -> None:
    query = connection.execute
    _check_owner(path, schema, query("PRAGMA application_id").fetchone()[0])
    _check_version(path, schema, version)
    tables = {row[0] for row in query("SELECT name FROM sqlite_master")}
    if version < 1 or not tables:
        raise damaged(path, schema, "it has no tables")
    lacking = model_of(schema, version).tables - tables
    if lacking:
        raise damaged(path, schema, f"it has no {', '.join(sorted(lacking))}")


def _check_all(path: Path, schema: Schema, connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise damaged(path, schema, found.removeprefix("*** in database main ***\n"))


def _check_log(path: Path, schema: Schema, size: int) -> None:
    """While the log is open: SQLite has just read as much of it as it can."""
    index = _log.read_index(beside(path, "-shm"))
    if index is None:
        return
    cause = _log.damage(beside(path, "-wal"), size, index)
    if cause is not None:
        raise damaged(path, schema, cause)


def _risen(connection: sqlite3.Connection, schema: Schema) -> int:
    if schema.rises is None:
        return 0
    row = connection.execute(schema.rises).fetchone()
    risen = 0 if row is None or row[0] is None else row[0]
    if not isinstance(risen, int):  # a page of another table, where this one's was
        raise sqlite3.DatabaseError("where a number should be is something else")
    return risen


def _risen_alone(path: Path, schema: Schema, connect: Connect) -> int:
    """What the file says without its log."""
    try:
        with contextlib.closing(connect(uri_of(path, "ro", "&immutable=1"))) as alone:
            return _risen(alone, schema)
    except sqlite3.DatabaseError:  # killed while the log was worked in: rightly so
        return 0
