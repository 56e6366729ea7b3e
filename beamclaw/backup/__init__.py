"""Backups of a data folder: one file that has all of it, and the way back.

A backup is made by a command beside the node. Only the databases are copied by the node
itself, each as it is at one moment, since nobody else opens them.
"""

from beamclaw.backup.manifest import (
    BackupRefused,
    Entry,
    LeftOut,
    Manifest,
    is_kept,
)
from beamclaw.backup.packing import Databases, pack
from beamclaw.backup.reading import look
from beamclaw.backup.restoring import Restored, restore

__all__ = [
    "BackupRefused",
    "Databases",
    "Entry",
    "LeftOut",
    "Manifest",
    "Restored",
    "is_kept",
    "look",
    "pack",
    "restore",
]
