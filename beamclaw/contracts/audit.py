"""The audit log: who did what, one file of JSON lines for each month (UTC)."""

from pathlib import Path
from typing import Final

NAME: Final = "telemetry/audit"


def folder(data: Path) -> Path:
    """Where the files are."""
    return data / "audit"


def files(data: Path) -> list[Path]:
    """All of them, the oldest first."""
    return sorted(folder(data).glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].jsonl"))
