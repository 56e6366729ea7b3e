"""Skills are installed, updated and removed: by one command, in one step each.

What is new is written into a folder of its own first; ``lock.json`` then says that it
counts. Whoever is ended in between leaves the old state or the new one, and folders that
nobody names, which the next command clears away.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from beamclaw.config.schema import Config
from beamclaw.contracts.points import point
from beamclaw.skills.manifest import BadSkill, Manifest, read_manifest
from beamclaw.skills.package import Limits, PackageRefused, unpack
from beamclaw.skills.pins import (
    INSTALLED,
    Measured,
    Pin,
    Tampered,
    make_folder,
    read_lock,
    sync,
    tree_hash,
    verify,
    walked,
    write_lock,
)
from beamclaw.skills.scan import SKILL
from beamclaw.skills.sources import installed_folder
from beamclaw.values import frozen

STAGING: Final = ".staging"


class NotInstalled(LookupError):  # noqa: N818 -- a situation
    """There is no such skill; the message lists those that are installed."""


@frozen(kw_only=True)
class Store:
    """The folder in which skills are installed.

    Attributes:
        folder: Which.
        limits: What may be installed.
        file_bytes: Bytes of a SKILL.md.
    """

    folder: Path
    limits: Limits
    file_bytes: int

    def pins(self) -> dict[str, Pin]:
        """What is installed, by name.

        Raises:
            ValueError: Nobody can say.
        """
        return read_lock(self.folder)

    def known(self, name: str) -> Pin:
        """How the skill *name* is installed.

        Raises:
            NotInstalled: It is not.
        """
        return _known(self.pins(), name)

    def install(
        self, source: Path, at: float, *, update: str | None = None
    ) -> tuple[Manifest, Pin]:
        """Take a skill from a folder or an archive.

        Args:
            source: Where it is.
            at: Seconds since the epoch.
            update: The skill that it is to take the place of; None: it is a new one.

        Raises:
            PackageRefused: It is not installed, and why.
            NotInstalled: There is nothing to update.
            ValueError: The file that says what is installed is damaged.
            OSError: The disk refuses.
        """
        with self._alone() as pins:
            self._may(pins, update)
            with self._staged(source) as (staged, manifest):
                self._judge(pins, manifest, update)
                measured = _measured(staged)
                pin = Pin(
                    sha256=measured.sha256,
                    bytes=measured.bytes,
                    files=measured.files,
                    source=str(source.absolute()),
                    at=at,
                )
                self._place(staged, pin, manifest.name)
                write_lock(self.folder, {**pins, manifest.name: pin})
            self._clear({**pins, manifest.name: pin})
        return manifest, pin

    def remove(self, name: str) -> None:
        """Take a skill away.

        Raises:
            NotInstalled: There is none of this name.
        """
        with self._alone() as pins:
            _known(pins, name)
            left = {key: pin for key, pin in pins.items() if key != name}
            write_lock(self.folder, left)
            self._clear(left)

    def hold(self, name: str, *, held: bool) -> Pin:
        """Say whether updates leave a skill as it is.

        Raises:
            NotInstalled: There is none of this name.
        """
        with self._alone() as pins:
            pin = attrs.evolve(_known(pins, name), held=held)
            write_lock(self.folder, {**pins, name: pin})
        return pin

    # --- steps

    @contextmanager
    def _alone(self) -> Generator[dict[str, Pin]]:
        """One command at a time; what is installed now."""
        make_folder(self.folder)
        lock = os.open(self.folder / ".command", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.pins()
        finally:
            os.close(lock)

    @contextmanager
    def _staged(self, source: Path) -> Generator[tuple[Path, Manifest]]:
        """The contents in a folder of their own, and what they say they are."""
        area = self.folder / STAGING
        shutil.rmtree(area, ignore_errors=True)  # of who was ended here before us
        make_folder(area)
        try:
            whole = Path(tempfile.mkdtemp(dir=area))
            unpack(source, whole, self.limits)
            staged = _top(whole)
            yield staged, self._manifest(staged)
        finally:
            shutil.rmtree(area, ignore_errors=True)

    def _manifest(self, staged: Path) -> Manifest:
        file = staged / SKILL
        if file.stat().st_size > self.file_bytes:
            raise PackageRefused(
                f"its {SKILL} has {file.stat().st_size} bytes, of {self.file_bytes} at "
                "most (skills.limits.file_bytes)"
            )
        try:
            manifest = read_manifest(file.read_bytes().decode())
        except UnicodeDecodeError:
            raise PackageRefused(f"its {SKILL} is not UTF-8 text") from None
        except BadSkill as error:
            raise PackageRefused(str(error)) from None
        if manifest.hidden:
            raise PackageRefused(
                f"its {SKILL} has characters that cannot be seen or that turn text "
                f"round: {', '.join(manifest.hidden)}"
            )
        return manifest

    def _may(self, pins: Mapping[str, Pin], update: str | None) -> None:
        if update is not None and _known(pins, update).held:
            raise PackageRefused(
                f"{update!r} is pinned; beamclaw skills pin {update} --off lets it be "
                "updated"
            )

    def _judge(
        self, pins: Mapping[str, Pin], manifest: Manifest, update: str | None
    ) -> None:
        name = manifest.name
        if update is not None and name != update:
            raise PackageRefused(f"it is {name!r}, not {update!r}")
        taken = next((key for key in pins if key.casefold() == name.casefold()), None)
        if update is None and taken is not None:
            raise PackageRefused(
                f"there is a skill {taken!r} already; beamclaw skills update {taken} "
                "takes another version of it"
            )

    def _place(self, staged: Path, pin: Pin, name: str) -> None:
        target = pin.folder(self.folder, name)
        make_folder(target.parent)
        if _holds(target, pin):
            return
        shutil.rmtree(target, ignore_errors=True)
        for path in walked(staged):
            if path.is_dir():
                sync(path)
        sync(staged)
        with point("skill.place"):
            staged.rename(target)
        for folder in (target.parent, target.parent.parent, self.folder):
            sync(folder)

    def _clear(self, pins: Mapping[str, Pin]) -> None:
        """Delete what nobody names any more."""
        kept = {pin.folder(self.folder, name) for name, pin in pins.items()}
        area = self.folder / INSTALLED
        for skill in area.iterdir() if area.is_dir() else ():
            for version in skill.iterdir():
                if version not in kept:
                    with point("skill.clear"):
                        shutil.rmtree(version, ignore_errors=True)
            if skill.name not in pins:
                shutil.rmtree(skill, ignore_errors=True)


def store_of(config: Config) -> Store:
    """The folder of *config* in which skills are installed."""
    sizes = config.skills.install
    return Store(
        folder=installed_folder(config),
        limits=Limits(
            archive=sizes.max_archive_bytes,
            total=sizes.max_bytes,
            file=sizes.max_file_bytes,
            files=sizes.max_files,
        ),
        file_bytes=config.skills.limits.file_bytes,
    )


def _holds(folder: Path, pin: Pin) -> bool:
    """Whether the same contents are there already."""
    try:
        verify(folder, pin)
    except Tampered:
        return False
    return True


def _top(whole: Path) -> Path:
    """The folder with the SKILL.md: the package itself, or the only one at its top."""
    if (whole / SKILL).is_file():
        return whole
    inside = list(whole.iterdir())
    if len(inside) == 1 and (inside[0] / SKILL).is_file():
        return inside[0]
    raise PackageRefused(f"there is no {SKILL} at its top")


def _measured(staged: Path) -> Measured:
    try:
        return tree_hash(staged)
    except Tampered as error:
        raise PackageRefused(str(error)) from None


def _known(pins: Mapping[str, Pin], name: str) -> Pin:
    pin = pins.get(name)
    if pin is None:
        listed = ", ".join(sorted(pins)) or "none"
        raise NotInstalled(f"no skill {name!r} is installed (installed: {listed})")
    return pin
