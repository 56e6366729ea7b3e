"""What each database of a data folder looks like inside."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from beamclaw.contracts import databases
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import Schema
from beamclaw.store.schema import NODE

_SCHEMAS: Final[Mapping[str, Schema]] = {
    databases.NODE: NODE,
    databases.LEDGER: LEDGER,
}


def schema_of(name: str) -> Schema:
    """The schema of the database *name*, below the data folder."""
    return _SCHEMAS[PurePosixPath(name).name]
