"""Why a database file is not opened or written: the words a person gets."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Generator
from pathlib import Path

from beamclaw.contracts.store import DataFolderError
from beamclaw.storage._folder import probe
from beamclaw.storage._schema import Schema
from beamclaw.storage._words import is_damage, is_full, why

_NO_ROOM = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


def damaged(path: Path, schema: Schema, cause: str) -> DataFolderError:
    """What is raised for a file that is not whole."""
    return DataFolderError(
        f"the {schema.what} {path} is damaged: {cause}; put a backup in its place, or "
        "move it away to begin with an empty one. Nothing in it was changed"
    )


def unreadable(path: Path, schema: Schema, error: sqlite3.Error) -> DataFolderError:
    """What is raised for *error*, which says that it is damaged, or not to be had."""
    if is_damage(error) or not isinstance(error, sqlite3.OperationalError):
        return damaged(path, schema, why(error))
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
