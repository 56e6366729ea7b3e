"""What is in a backup: the list at its end, and which names may stand in it.

The list is the archive's last member: one that was cut off has none, so it is not taken
for a whole one.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final, cast

import attrs

from beamclaw.contracts.databases import is_database
from beamclaw.storage import PUT_ASIDE, RESTORE
from beamclaw.values import frozen

FORMAT: Final = 1
MANIFEST: Final = "backup.json"
# Of the list; a folder with a million files has one of 200 MB.
MAX_MANIFEST: Final = 256 * 1024 * 1024
# What belongs to a running node or to this machine, and is made anew.
NOT_KEPT: Final = frozenset({"node.lock", "node.sock", RESTORE, MANIFEST})
_MAX_NAME: Final = 4096
_SHA256: Final = 64
# Seconds since the epoch: a day of the year 9892, which calendars still know everywhere.
_LATEST: Final = 250_000_000_000


class BackupRefused(Exception):  # noqa: N818 -- a situation
    """It cannot be made or used; the message says why and what to do."""


@frozen(kw_only=True)
class Entry:
    """One file.

    Attributes:
        name: Below the data folder, with strokes.
        size: Its bytes.
        mode: What its owner may do with it: 0o600, or 0o700 for a program.
        sha256: Of its content, in hexadecimal.
    """

    name: str
    size: int
    mode: int
    sha256: str


@frozen
class LeftOut:
    """Something of the folder that is not in the backup, and why."""

    name: str
    why: str


@frozen(kw_only=True)
class Manifest:
    """All of a backup.

    Attributes:
        version: Of the program that made it.
        made_at: Seconds since the epoch.
        schemas: The schema version of each database, by name.
        entries: Its files, in order.
        left_out: What is not in it.
    """

    version: str
    made_at: float
    schemas: Mapping[str, int]
    entries: Sequence[Entry]
    left_out: Sequence[LeftOut] = ()

    def encode(self) -> bytes:
        """As it stands in the archive."""
        plain = {"format": FORMAT, **attrs.asdict(self)}
        return json.dumps(plain, ensure_ascii=True, indent=1).encode()


def decode(text: bytes) -> Manifest:
    """The list of an archive.

    Raises:
        BackupRefused: It is none, or one that this version does not know.
    """
    try:
        plain: Any = json.loads(text)
        newer = plain["format"] != FORMAT
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BackupRefused("it has no list that can be read") from None
    if newer:
        raise BackupRefused(
            f"it has the format {plain['format']!r}, and this version knows {FORMAT}; "
            "use the version of BeamClaw that made it"
        )
    try:
        return _structured(plain)
    except (TypeError, KeyError, ValueError, OverflowError, AttributeError):
        raise BackupRefused("its list is damaged") from None


def _structured(plain: Mapping[str, Any]) -> Manifest:
    schemas = cast("Mapping[object, object]", plain["schemas"])
    version, made_at = str(plain["version"]), float(plain["made_at"])
    # Whoever looks at the backup is shown both, and told which database it lacks.
    if not (version.isprintable() and 0 <= made_at < _LATEST):
        raise ValueError(version)
    if any(bad_name(str(name)) for name in schemas):
        raise ValueError(schemas)
    return Manifest(
        version=version,
        made_at=made_at,
        schemas={str(name): int(cast("int", no)) for name, no in schemas.items()},
        entries=tuple(_entry(row) for row in plain["entries"]),
        left_out=tuple(
            LeftOut(str(row["name"]), str(row["why"])) for row in plain["left_out"]
        ),
    )


def _entry(row: Mapping[str, Any]) -> Entry:
    entry = Entry(
        name=str(row["name"]),
        size=int(row["size"]),
        mode=int(row["mode"]),
        sha256=str(row["sha256"]),
    )
    if len(entry.sha256) != _SHA256 or entry.size < 0:
        raise ValueError(entry.name)
    return entry


def bad_name(name: str) -> str | None:
    """Why a file of this name is not taken out of an archive; None: it is."""
    parts = name.split("/")
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        return "it is no name of a file"
    if name.startswith("/"):
        return "it begins at the root"
    if any(part in ("", ".", "..") for part in parts):
        return "it leads out of the folder"
    if parts[0] in NOT_KEPT or parts[0].startswith(PUT_ASIDE):
        return "it belongs to a running node"
    return None


def is_kept(name: PurePosixPath) -> bool:
    """Whether a file of the data folder belongs into a backup as it lies there.

    Databases do not: they are copied. Their logs and indexes are in the copies.
    """
    first, last = name.parts[0], name.name
    if first in NOT_KEPT or first.startswith((PUT_ASIDE, ".probe-", ".token.")):
        return False
    return not is_database(str(name)) and not last.endswith(
        (".db-wal", ".db-shm", ".db-journal", ".db.new")
    )


def disagreement(manifest: Manifest, found: Sequence[Entry]) -> str | None:
    """Why the files that were found are not those of the list; None: they are."""
    listed = {entry.name: entry for entry in manifest.entries}
    if len(listed) != len(manifest.entries):
        return "its list has a name twice"
    for entry in found:
        if entry.name not in listed:
            return f"{entry.name} is in it and not in its list"
        if listed.pop(entry.name) != entry:
            return f"{entry.name} is not as its list says"
    if listed:
        return f"{min(listed)} is in its list and not in it"
    return None
