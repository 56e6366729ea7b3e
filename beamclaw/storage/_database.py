"""Opening a database file: recognise it, or refuse it in words and leave it alone.

A new file is built beside its place and moved there when it is complete, so a file that
is there has always been whole once: one that is empty or cut off is damaged, and is
never replaced by a new one.
"""

import contextlib
import os
import sqlite3
from collections.abc import Generator
from pathlib import Path
from typing import Final

from beamclaw.contracts.points import point
from beamclaw.contracts.store import DataFolderError
from beamclaw.storage._connecting import (
    Connect,
    beside,
    connect_sqlite,
    set_pragmas,
    uri_of,
)
from beamclaw.storage._examining import examine, is_pending
from beamclaw.storage._folder import private_file, sync
from beamclaw.storage._refusals import in_words
from beamclaw.storage._schema import Schema, model_of
from beamclaw.storage._words import is_full

# Bytes of a file that is written anew when its schema moves up, at most.
_REWRITTEN = 256 * 1024 * 1024
# Bytes of a database that a connection holds in memory, if nobody says another number.
CACHED: Final = 8 * 1024**2
# The oldest with everything the statements here use (several targets of an upsert).
_OLDEST = (3, 35, 0)


def open_database(
    path: Path,
    schema: Schema,
    connect: Connect = connect_sqlite,
    *,
    cache_bytes: int = CACHED,
) -> sqlite3.Connection:
    """The file's one writing connection; an absent file is made, an older one migrated.

    The folder exists. *cache_bytes* of it are held in memory, at most. Blocks on the disk.

    Raises:
        DataFolderError: The file is damaged, another program's, from a newer version,
            or cannot be opened. It was not changed.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise DataFolderError(
            f"this Python's SQLite is {sqlite3.sqlite_version}, and {path} needs 3.35 "
            "or newer; use a Python that was built with a newer one"
        )
    with in_words(path, schema.what):
        version = examine(path, schema, connect)
        if version is None:
            _create(path, schema, connect)
            version = schema.version
        return _open(path, schema, connect, version, cache_bytes)


def open_reader(
    path: Path,
    connect: Connect = connect_sqlite,
    *,
    cache_bytes: int = CACHED,
) -> sqlite3.Connection:
    """A connection that only reads, beside the writing one.

    It cannot write either: if it is the last one to close, after the writing one has
    failed, it leaves the log alone (see :class:`beamclaw.storage.Writes`).

    Raises:
        DataFolderError: It cannot be opened.
    """
    with in_words(path, "database"):
        connection = connect(uri_of(path, "ro"))
        set_pragmas(
            connection,
            query_only=1,
            cache_size=-(cache_bytes // 1024),
            temp_store="memory",
        )
        return connection


def open_guard(path: Path, connect: Connect = connect_sqlite) -> sqlite3.Connection:
    """A connection that cannot write; see :class:`beamclaw.storage.Writes`.

    Raises:
        DataFolderError: It cannot be opened.
    """
    with in_words(path, "database"):
        connection = connect(uri_of(path, "ro"))
        # Only who has read has the log open, too.
        set_pragmas(connection, cache_size=-8)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        return connection


def _create(path: Path, schema: Schema, connect: Connect) -> None:
    new = beside(path, ".new")
    for left in (
        new,
        beside(new, "-wal"),
        beside(new, "-shm"),
        beside(new, "-journal"),
    ):
        left.unlink(missing_ok=True)
    os.close(private_file(new, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    with contextlib.closing(connect(uri_of(new, "rw"))) as connection:
        set_pragmas(
            connection, auto_vacuum="incremental"
        )  # before there is anything in it
        set_pragmas(
            connection, application_id=schema.application_id, synchronous="full"
        )
        _fill(connection, schema)
        _use_log(connection, path)
    sync(new)
    with point("storage.rename"):
        new.rename(path)
    sync(path.parent)


def _open(
    path: Path, schema: Schema, connect: Connect, version: int, cache_bytes: int
) -> sqlite3.Connection:
    # Its -wal and -shm get the permissions of the file itself.
    os.close(private_file(path, os.O_RDWR))
    pending = is_pending(path)
    # Should the log not be got onto the disk, it must not be worked into the file by
    # whoever closes last: so that is this one, which cannot.
    guard = open_guard(path, connect) if pending else None
    connection = None
    try:
        connection = connect(uri_of(path, "rw"))
        _use_log(connection, path)
        # Full: the log is synced at each commit, which is what makes it durable.
        set_pragmas(
            connection,
            synchronous="full",
            fullfsync=1,
            checkpoint_fullfsync=1,
            # 16 MB: a page that changes at each commit goes to the file once per round.
            wal_autocheckpoint=4_096,
            cache_size=-(cache_bytes // 1024),
            temp_store="memory",
            journal_size_limit=64 * 1024 * 1024,
        )
        if pending:
            # Whoever wrote this log may have ended because a sync failed. After that
            # the system shows what it holds in memory, as if it were on the disk, and
            # writes no more of it. So all of it is written anew: first the log, or a
            # power cut would leave half of a transaction in the file, and no other half.
            _write_again(connection, beside(path, "-wal"))
            _work_in(connection, path)
        if version < schema.version:
            _migrate(connection, schema, version)
            _let_it_shrink(connection, path)
            # So that the file itself says its version, not only the log beside it.
            _work_in(connection, path)
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    finally:
        if guard is not None:
            guard.close()
    return connection


def _let_it_shrink(connection: sqlite3.Connection, path: Path) -> None:
    """Have a file of an earlier release give room back, if that is done in a moment.

    All of it is written anew for that: some three seconds for a gigabyte. A larger one
    stays as it is, and uses again what becomes free in it.
    """
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if mode == 0 and path.stat().st_size <= _REWRITTEN:
        set_pragmas(connection, auto_vacuum="incremental")
        try:
            connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            # Without room on the disk for a second one it is not done.
            if not is_full(error):
                raise


def _write_again(connection: sqlite3.Connection, log: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")  # while nobody else writes to it
    try:
        with log.open("r+b") as file:
            content = file.read()
            file.seek(0)
            file.write(content)
            file.flush()
            sync(log)
    finally:
        connection.execute("ROLLBACK")


def _work_in(connection: sqlite3.Connection, path: Path) -> None:
    (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise DataFolderError(
            f"{path} is open in another program; close that and start again"
        )


def _use_log(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode=wal").fetchone()[0]
    if mode != "wal":
        raise DataFolderError(
            f"{path} cannot be used on this file system: SQLite's write-ahead log does "
            "not work there; choose a folder on a local disk with --data"
        )


def _fill(connection: sqlite3.Connection, schema: Schema) -> None:
    with _step(connection, schema.version):
        for statement in model_of(schema, schema.version).script:
            connection.execute(statement)


def _migrate(connection: sqlite3.Connection, schema: Schema, version: int) -> None:
    for number in range(version, schema.version):
        with _step(connection, number + 1):
            schema.migrations[number](connection)


@contextlib.contextmanager
def _step(connection: sqlite3.Connection, version: int) -> Generator[None]:
    """All of the way to *version*, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        set_pragmas(connection, user_version=version)
        with point("storage.migrate"):
            connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
