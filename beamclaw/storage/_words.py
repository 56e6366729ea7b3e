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


def why(error: BaseException) -> str:
    """The cause of *error*: our words where we have some, then the library's own."""
    name = getattr(error, "sqlite_errorname", None)
    if isinstance(error, sqlite3.Error) and isinstance(name, str):
        primary = "_".join(name.split("_")[:2])
        if primary in _BY_NAME:
            return f"{_BY_NAME[primary]} ({error})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
