"""Which skills lie in which folders. In a thread: it reads the disk.

What is found is read inside the folder it was found in: a link that leads out of it is
said, and not followed.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import attrs

from beamclaw.paths import NotThere, PathRefused, Root, Roots
from beamclaw.skills.files import read_inside
from beamclaw.skills.manifest import BadSkill, Manifest, read_manifest
from beamclaw.skills.marks import Mark, mark
from beamclaw.skills.pins import (
    INSTALLED,
    LOCK,
    Pin,
    Tampered,
    read_lock,
    verify,
    walked,
)
from beamclaw.values import frozen

Origin = Literal["workspace", "project", "personal", "installed", "bundled", "extra"]

SKILL: Final = "SKILL.md"
MAX_DEPTH: Final = 6
# Folders of one root that are looked into, however few of them hold a skill.
MAX_FOLDERS: Final = 5_000
_PASSED_OVER: Final = frozenset({"node_modules", "__pycache__"})


@frozen
class Source:
    """A folder in which skills lie."""

    path: Path
    origin: Origin


@frozen(kw_only=True)
class Found:
    """A skill that can be read.

    Attributes:
        file: Its SKILL.md.
        pin: Of an installed one.
    """

    manifest: Manifest
    file: Path
    origin: Origin
    pin: Pin | None = None

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.file.parent


@frozen
class Refused:
    """What is not offered, and why.

    Attributes:
        tampered: It is not what was installed.
    """

    path: Path
    why: str
    tampered: bool = False


@frozen
class Sizes:
    """How many skills a folder may have, and how large a SKILL.md may be."""

    per_folder: int
    file_bytes: int


def _manifest(raw: bytes, size: int, most: int, name: str) -> Manifest:
    if size > most:
        raise BadSkill(f"its SKILL.md has {size} bytes; {most} are read")
    manifest = read_manifest(raw.decode())
    if name and manifest.name != name:
        raise BadSkill(f"it says that it is {manifest.name!r}, not {name!r}")
    return manifest


@attrs.define
class Scan:
    """What all sources hold, in their order, and the marks by which a change is seen."""

    sizes: Sizes
    found: list[Found] = attrs.field(factory=list[Found])
    refused: list[Refused] = attrs.field(factory=list[Refused])
    marks: dict[str, Mark] = attrs.field(factory=dict[str, Mark])

    def add(self, source: Source) -> None:
        """Look through *source*."""
        self._see(source.path)
        for number, folder in enumerate(self._folders(source)):
            if number >= self.sizes.per_folder:
                words = f"only {self.sizes.per_folder} skills of one folder are taken"
                self._refuse(folder, words)
                return
            self._take(source, folder)
        if source.origin == "installed":
            self._installed(source)

    def _installed(self, source: Source) -> None:
        self._see(source.path / LOCK)
        try:
            pins = read_lock(source.path)
        except ValueError as error:
            self._refuse(source.path / LOCK, str(error))
            return
        for name, pin in pins.items():
            folder = pin.folder(source.path, name)
            self._see(folder)
            try:
                if folder.is_dir():
                    for path in walked(folder):
                        self._see(path)
                verify(folder, pin)
            except (Tampered, OSError) as error:
                self._refuse(folder, str(error), tampered=True)
            else:
                self._take(source, folder, pin, name)

    def _take(
        self, source: Source, folder: Path, pin: Pin | None = None, name: str = ""
    ) -> None:
        file = folder / SKILL
        self._see(file)
        roots = Roots(Root(source.path, name="folder of skills"))
        most = self.sizes.file_bytes
        try:
            path = file.relative_to(source.path).as_posix()
            raw, size = read_inside(roots, path, most)
            manifest = _manifest(raw, size, most, name)
        except UnicodeDecodeError:
            self._refuse(folder, "its SKILL.md is not UTF-8 text")
        except NotThere:
            pass  # gone meanwhile
        except (BadSkill, PathRefused, OSError) as error:
            self._refuse(folder, str(error))
        else:
            self.found.append(
                Found(manifest=manifest, file=file, origin=source.origin, pin=pin)
            )

    def _folders(self, source: Source) -> Iterator[Path]:
        """Folders with a SKILL.md below *source*; inside of one there is no other."""
        left = MAX_FOLDERS
        waiting = [(source.path, 0)]
        while waiting:
            folder, depth = waiting.pop()
            left -= 1
            if left < 0:
                self._refuse(folder, f"only {MAX_FOLDERS} folders are looked into")
                return
            self._see(folder)
            if depth and os.path.lexists(folder / SKILL):
                yield folder
            elif depth < MAX_DEPTH:
                inner = reversed(self._inner(source, folder))
                waiting += [(path, depth + 1) for path in inner]

    def _inner(self, source: Source, folder: Path) -> list[Path]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            return []
        found: list[Path] = []
        for entry in entries:
            path = Path(entry.path)
            top = folder == source.path and source.origin == "installed"
            if entry.name.startswith(".") or entry.name in _PASSED_OVER:
                continue
            if top and entry.name == INSTALLED:
                continue
            if not entry.is_dir():
                continue
            # Through a link that leads out nothing is read, and nothing looked for.
            if entry.is_symlink() and not (path / SKILL).exists():
                continue
            found.append(path)
        return found

    def _see(self, path: Path) -> None:
        self.marks[str(path)] = mark(path)

    def _refuse(self, path: Path, why: str, *, tampered: bool = False) -> None:
        self.refused.append(Refused(path, why, tampered))
