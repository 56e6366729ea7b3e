"""Folders of skills for tests."""

from pathlib import Path

from beamclaw.skills.install import Store
from beamclaw.skills.package import Limits

LIMITS = Limits(archive=1_000_000, total=200_000, file=100_000, files=50)


def skill(folder: Path, name: str = "tidy", more: str = "", body: str = "Do.") -> Path:
    """A skill in *folder*, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    front = f"name: {name}\ndescription: {name} does things\n{more}"
    (folder / "SKILL.md").write_text(f"---\n{front}---\n{body}\n")
    return folder


def store(folder: Path) -> Store:
    return Store(folder=folder, limits=LIMITS, file_bytes=10_000)
