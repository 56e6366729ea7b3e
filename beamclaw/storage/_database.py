"""Opening a database file: recognise it, or refuse it in words and leave it alone.

A new file is built beside its place and moved there when it is complete, so a file that
is there has always been whole once: one that is empty or cut off is damaged, and is
never replaced by a new one.
"""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Literal

import attrs

from beamclaw.contracts.points import point
from beamclaw.contracts.store import DataFolderError
from beamclaw.storage import _log, _suspects
from beamclaw.storage._folder import private_file, probe, sync
from beamclaw.storage._words import is_damage, is_full, why

Connection = sqlite3.Connection
Connect = Callable[[str], sqlite3.Connection]
Migration = Callable[[sqlite3.Connection], None]

_HEADER = 100
_MAGIC = b"SQLite format 3\0"
# Bytes of a file that is looked through at each start: ten milliseconds for the largest.
LOOKED_THROUGH = 8 * 1024 * 1024
# Bytes of a file that is written anew when its schema moves up, at most.
_REWRITTEN = 256 * 1024 * 1024
_NO_ROOM = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
# The oldest with everything the statements here use (several targets of an upsert).
_OLDEST = (3, 35, 0)


@attrs.frozen(kw_only=True)
class Schema:
    """What a file of ours looks like.

    Attributes:
        what: What the file is, for messages: ``ledger``.
        application_id: Tells our files from those of other programs.
        migrations: From nothing to the present; the version is their number. One that
            has been released is never changed again.
        rises: A query for a number of a table of one page that never falls: a log that
            says less than its file is a log of earlier days.
    """

    what: str
    application_id: int
    migrations: tuple[Migration, ...]
    rises: str | None = None

    @property
    def version(self) -> int:
        """The version that this program reads and writes."""
        return len(self.migrations)


def statements(*sql: str) -> Migration:
    """A migration that runs *sql*, one after the other."""

    def migrate(connection: sqlite3.Connection) -> None:
        for statement in sql:
            connection.execute(statement)

    return migrate


def connect_sqlite(uri: str) -> sqlite3.Connection:
    """A connection in autocommit mode: transactions are always written out."""
    return sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def open_database(
    path: Path, schema: Schema, connect: Connect = connect_sqlite
) -> sqlite3.Connection:
    """The file's one writing connection; an absent file is made, an older one migrated.

    The folder exists. Blocks on the disk.

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
        version = _examine(path, schema, connect)
        if version is None:
            _create(path, schema, connect)
            version = schema.version
        return _open(path, schema, connect, version)


def open_reader(path: Path, connect: Connect = connect_sqlite) -> sqlite3.Connection:
    """A connection that only reads, beside the writing one.

    It cannot write either: if it is the last one to close, after the writing one has
    failed, it leaves the log alone (see :class:`beamclaw.storage.Writes`).

    Raises:
        DataFolderError: It cannot be opened.
    """
    with in_words(path, "database"):
        connection = connect(_uri(path, "ro"))
        _set(connection, query_only=1, cache_size=-4_000, temp_store="memory")
        return connection


def open_guard(path: Path, connect: Connect = connect_sqlite) -> sqlite3.Connection:
    """A connection that cannot write; see :class:`beamclaw.storage.Writes`.

    Raises:
        DataFolderError: It cannot be opened.
    """
    with in_words(path, "database"):
        connection = connect(_uri(path, "ro"))
        # Only who has read has the log open, too.
        _set(connection, cache_size=-8)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        return connection


def integrity(
    path: Path, connect: Connect = connect_sqlite, *, quick: bool = False
) -> list[str]:
    """Everything SQLite finds wrong with the file; reads all of it, so on demand only.

    With *quick* what it finds first, and without a look at the indexes.

    Raises:
        DataFolderError: It cannot be opened at all.
    """
    try:
        connection = connect(_uri(path, "ro"))
    except sqlite3.Error as error:
        raise DataFolderError(f"{path} cannot be checked: {why(error)}") from error
    with contextlib.closing(connection):
        try:
            pragma = "quick_check(1)" if quick else "integrity_check"
            rows = connection.execute(f"PRAGMA {pragma}").fetchall()
        except sqlite3.Error as error:  # too much is wrong to go on looking
            return [why(error)]
    return [row[0] for row in rows if row[0] != "ok"]


def _uri(path: Path, mode: Literal["rw", "ro"], extra: str = "") -> str:
    return f"{path.absolute().as_uri()}?mode={mode}{extra}"


def _set(connection: sqlite3.Connection, **pragmas: int | str) -> None:
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name}={value}").fetchall()


# --- recognising


def _examine(path: Path, schema: Schema, connect: Connect) -> int | None:
    """The version of the file; None: there is none. Changes nothing."""
    log = _side(path, "-wal")
    pending = _is_pending(path)
    if not path.exists():
        if pending:
            raise _damaged(path, schema, f"it is missing, but {log.name} is there")
        return None
    with path.open("rb") as file:
        header = file.read(_HEADER)
        size = os.fstat(file.fileno()).st_size
    _check_header(path, schema, header, 0 if pending else size)
    found = _suspects.verdict(path, lambda: integrity(path, connect, quick=True))
    if found is not None:
        raise _damaged(path, schema, found)
    return _look_inside(path, schema, connect, size, pending=pending)


def _is_pending(path: Path) -> bool:
    """Whether there is a log that may have to be worked into the file."""
    try:
        return _side(path, "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def _check_header(path: Path, schema: Schema, header: bytes, size: int) -> None:
    if not header:
        raise _damaged(path, schema, "it is empty")
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise _damaged(path, schema, "it is not a database")
    _check_owner(path, schema, int.from_bytes(header[68:72], "big"))
    _check_version(path, schema, int.from_bytes(header[60:64], "big"))
    pages = int.from_bytes(header[28:32], "big")
    page = int.from_bytes(header[16:18], "big")
    whole = pages * (65_536 if page == 1 else page)
    # With a log that was not worked in yet, the file may rightly be shorter.
    if size and size < whole:
        raise _damaged(path, schema, f"{whole - size} bytes of it are missing")


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
    index = _side(path, "-shm")
    existed = index.exists()
    try:
        uri = _uri(path, "ro", "" if pending else "&immutable=1")
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
        raise _unreadable(path, schema, error) from error
    finally:
        if not existed:
            index.unlink(missing_ok=True)
    if pending and risen < _risen_alone(path, schema, connect):
        raise _damaged(path, schema, "the log beside it is from earlier days")
    return version


def _check_content(
    path: Path, schema: Schema, connection: sqlite3.Connection, version: int
) -> None:
    query = connection.execute
    _check_owner(path, schema, query("PRAGMA application_id").fetchone()[0])
    _check_version(path, schema, version)
    tables = {row[0] for row in query("SELECT name FROM sqlite_master")}
    if version < 1 or not tables:
        raise _damaged(path, schema, "it has no tables")
    lacking = _names(schema, version) - tables
    if lacking:
        raise _damaged(path, schema, f"it has no {', '.join(sorted(lacking))}")


def _check_all(path: Path, schema: Schema, connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise _damaged(path, schema, found.removeprefix("*** in database main ***\n"))


def _check_log(path: Path, schema: Schema, size: int) -> None:
    """While the log is open: SQLite has just read as much of it as it can."""
    index = _log.read_index(_side(path, "-shm"))
    if index is None:
        return
    cause = _log.damage(_side(path, "-wal"), size, index)
    if cause is not None:
        raise _damaged(path, schema, cause)


def _risen(connection: sqlite3.Connection, schema: Schema) -> int:
    if schema.rises is None:
        return 0
    row = connection.execute(schema.rises).fetchone()
    return 0 if row is None or row[0] is None else row[0]


def _risen_alone(path: Path, schema: Schema, connect: Connect) -> int:
    """What the file says without its log."""
    try:
        with contextlib.closing(connect(_uri(path, "ro", "&immutable=1"))) as alone:
            return _risen(alone, schema)
    except sqlite3.DatabaseError:  # killed while the log was worked in: rightly so
        return 0


def _names(schema: Schema, version: int) -> set[str]:
    """The tables and indexes of *version*."""
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        for migrate in schema.migrations[:version]:
            migrate(model)
        return {row[0] for row in model.execute("SELECT name FROM sqlite_master")}


def _side(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _damaged(path: Path, schema: Schema, cause: str) -> DataFolderError:
    return DataFolderError(
        f"the {schema.what} {path} is damaged: {cause}; put a backup in its place, or "
        "move it away to begin with an empty one. Nothing in it was changed"
    )


def _unreadable(path: Path, schema: Schema, error: sqlite3.Error) -> DataFolderError:
    if is_damage(error) or not isinstance(error, sqlite3.OperationalError):
        return _damaged(path, schema, why(error))
    return _refusal(path, schema.what, error)


@contextlib.contextmanager
def in_words(path: Path, what: str) -> Generator[None]:
    """An error of the disk, or of SQLite, in the block is raised in words.

    Raises:
        DataFolderError: With the cause, and what to do.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _refusal(path, what, error) from error


def _refusal(path: Path, what: str, error: Exception) -> DataFolderError:
    """Why *what* at *path* cannot be opened or written, and what to do."""
    cause, said = why(error), probe(path.parent)
    if said is not None and said not in cause:
        cause += f"; its folder: {said}"
    advice = (
        "make room on it"
        if is_full(error) or said in _NO_ROOM
        else "make it readable and writable for this user or choose another data "
        "folder with --data"
    )
    return DataFolderError(f"the {what} {path} cannot be opened: {cause}; {advice}")


# --- making and opening


def _create(path: Path, schema: Schema, connect: Connect) -> None:
    new = _side(path, ".new")
    for left in (new, _side(new, "-wal"), _side(new, "-shm"), _side(new, "-journal")):
        left.unlink(missing_ok=True)
    os.close(private_file(new, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    with contextlib.closing(connect(_uri(new, "rw"))) as connection:
        _set(connection, auto_vacuum="incremental")  # before there is anything in it
        _set(connection, application_id=schema.application_id, synchronous="full")
        _migrate(connection, schema, 0)
        _use_log(connection, path)
    sync(new)
    with point("storage.rename"):
        new.rename(path)
    sync(path.parent)


def _open(
    path: Path, schema: Schema, connect: Connect, version: int
) -> sqlite3.Connection:
    # Its -wal and -shm get the permissions of the file itself.
    os.close(private_file(path, os.O_RDWR))
    pending = _is_pending(path)
    connection = connect(_uri(path, "rw"))
    try:
        _use_log(connection, path)
        # Full: the log is synced at each commit, which is what makes it durable.
        _set(
            connection,
            synchronous="full",
            fullfsync=1,
            checkpoint_fullfsync=1,
            # 16 MB: a page that changes at each commit goes to the file once per round.
            wal_autocheckpoint=4_096,
            cache_size=-8_000,
            temp_store="memory",
            journal_size_limit=64 * 1024 * 1024,
        )
        if pending:
            # Whoever wrote this log may have ended because a sync failed. After that
            # the system shows what it holds in memory, as if it were on the disk, and
            # writes no more of it; so all of it is written anew.
            _work_in(connection, path)
        if version < schema.version:
            _migrate(connection, schema, version)
            _let_it_shrink(connection, path)
            # So that the file itself says its version, not only the log beside it.
            _work_in(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _let_it_shrink(connection: sqlite3.Connection, path: Path) -> None:
    """Have a file of an earlier release give room back, if that is done in a moment.

    All of it is written anew for that: some three seconds for a gigabyte. A larger one
    stays as it is, and uses again what becomes free in it.
    """
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if mode == 0 and path.stat().st_size <= _REWRITTEN:
        _set(connection, auto_vacuum="incremental")
        try:
            connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            # Without room on the disk for a second one it is not done.
            if not is_full(error):
                raise


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


def _migrate(connection: sqlite3.Connection, schema: Schema, version: int) -> None:
    for number in range(version, schema.version):
        connection.execute("BEGIN IMMEDIATE")
        try:
            schema.migrations[number](connection)
            _set(connection, user_version=number + 1)
            with point("storage.migrate"):
                connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
