"""What every file of the data folder has in common: how it is opened, locked, written.

Nothing here knows what the rows mean. A subsystem brings a :class:`Schema` and the
functions that read and write its tables, and gets one writer, group commit and words
for whatever can be wrong with a file.
"""

from beamclaw.storage._connecting import Connect, Connection, connect_sqlite
from beamclaw.storage._copying import copy_database, recognise
from beamclaw.storage._database import (
    CACHED,
    open_database,
    open_guard,
    open_reader,
)
from beamclaw.storage._driver import Access, Broken, Driver, StillInUse, StillOpen
from beamclaw.storage._examining import integrity, is_pending
from beamclaw.storage._folder import (
    PUT_ASIDE,
    RESTORE,
    FolderLock,
    half_restored,
    lock_folder,
    moving_in,
    private_file,
    private_folder,
    probe,
    sync,
)
from beamclaw.storage._log import Rounds
from beamclaw.storage._refusals import in_words
from beamclaw.storage._rows import Rows
from beamclaw.storage._schema import Schema, statements
from beamclaw.storage._survey import Survey, reindex, sqlite_version, survey
from beamclaw.storage._suspects import suspect
from beamclaw.storage._words import why
from beamclaw.storage._writer import (
    Book,
    CommitFailed,
    Damaged,
    Reads,
    StatementFailed,
    Writes,
)

__all__ = [
    "CACHED",
    "PUT_ASIDE",
    "RESTORE",
    "Access",
    "Book",
    "Broken",
    "CommitFailed",
    "Connect",
    "Connection",
    "Damaged",
    "Driver",
    "FolderLock",
    "Reads",
    "Rounds",
    "Rows",
    "Schema",
    "StatementFailed",
    "StillInUse",
    "StillOpen",
    "Survey",
    "Writes",
    "connect_sqlite",
    "copy_database",
    "half_restored",
    "in_words",
    "integrity",
    "is_pending",
    "lock_folder",
    "moving_in",
    "open_database",
    "open_guard",
    "open_reader",
    "private_file",
    "private_folder",
    "probe",
    "recognise",
    "reindex",
    "sqlite_version",
    "statements",
    "survey",
    "suspect",
    "sync",
    "why",
]
