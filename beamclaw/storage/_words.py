"""What went wrong with a file, in words that a person can act on."""

import sqlite3

_BY_NAME = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the file cannot be written",
    "SQLITE_CANTOPEN": "the file cannot be opened",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_NOTADB": "the file is not a database",
    "SQLITE_BUSY": "another program holds the file open and locked",
    "SQLITE_NOMEM": "there is not enough memory",
    "SQLITE_TOOBIG": "a value is larger than the database can hold",
    "SQLITE_IOERR": "the disk reported an error",
}


# After these the file is not to be written any more, nor believed.
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
# A failed sync may have dropped what an earlier write had reported as done.
_SYNC = ("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC")


def _name(error: BaseException) -> str:
    name = getattr(error, "sqlite_errorname", None)
    return name if isinstance(error, sqlite3.Error) and isinstance(name, str) else ""


def is_full(error: BaseException) -> bool:
    """Whether *error* says that the disk has no room."""
    return _name(error) == "SQLITE_FULL"


def is_damage(error: BaseException) -> bool:
    """Whether *error* says that the file is damaged."""
    return _name(error).startswith(_DAMAGE)


def is_lost_sync(error: BaseException) -> bool:
    """Whether *error* says that a sync of the disk failed."""
    return _name(error) in _SYNC


def is_disk(error: BaseException) -> bool:
    """Whether it is the disk that failed, and not what was asked of it."""
    return is_full(error) or _name(error).startswith(
        ("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")
    )


def why(error: BaseException) -> str:
    """The cause of *error*: our words where we have some, then the library's own."""
    primary = "_".join(_name(error).split("_")[:2])
    if primary in _BY_NAME:
        return f"{_BY_NAME[primary]} ({error})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
