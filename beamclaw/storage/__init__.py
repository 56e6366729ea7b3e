"""What every file of the data folder has in common: how it is opened, locked, written.

Nothing here knows what the rows mean. A subsystem brings a :class:`Schema` and the
functions that read and write its tables, and gets one writer, group commit and words
for whatever can be wrong with a file.
"""

from beamclaw.storage._database import (
    Connect,
    Connection,
    Schema,
    connect_sqlite,
    integrity,
    open_database,
    open_reader,
    statements,
)
from beamclaw.storage._driver import Access, Broken, Driver, StillOpen
from beamclaw.storage._folder import FolderLock, private_file, private_folder
from beamclaw.storage._rows import Rows
from beamclaw.storage._words import why
from beamclaw.storage._writer import Book, CommitFailed, Reads, StatementFailed, Writes

__all__ = [
    "Access",
    "Book",
    "Broken",
    "CommitFailed",
    "Connect",
    "Connection",
    "Driver",
    "FolderLock",
    "Reads",
    "Rows",
    "Schema",
    "StatementFailed",
    "StillOpen",
    "Writes",
    "connect_sqlite",
    "integrity",
    "open_database",
    "open_reader",
    "private_file",
    "private_folder",
    "statements",
    "why",
]
