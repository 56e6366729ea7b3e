"""Putting a backup in the place of a data folder, all of it or nothing.

The files are written beside, looked at, and only then moved. A node refuses a folder
whose move was interrupted (see :mod:`beamclaw.storage`); the same order ends it.
"""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from beamclaw.backup.manifest import BackupRefused, Manifest
from beamclaw.backup.pieces import Write
from beamclaw.backup.reading import read
from beamclaw.contracts import databases
from beamclaw.contracts.store import DataFolderError
from beamclaw.databases import schema_of
from beamclaw.storage import (
    PUT_ASIDE,
    RESTORE,
    FolderLock,
    half_restored,
    moving_in,
    private_file,
    private_folder,
    recognise,
    sync,
    why,
)
from beamclaw.values import frozen

_NEW: Final = "new"
_STAYS: Final = frozenset({"node.lock", "node.sock", RESTORE})


@frozen(kw_only=True)
class Restored:
    """What was done.

    Attributes:
        manifest: What was in the backup.
        aside: Where what was in the folder before is now, if there was something.
    """

    manifest: Manifest
    aside: Path | None


def restore(
    path: Path,
    data: Path,
    *,
    force: bool = False,
    stamp: str,
) -> Restored:
    """Put the backup *path* in the place of the data folder *data*.

    Args:
        path: The archive.
        data: A folder that is absent or empty and on a file system with room.
        force: Something may be in the folder: it is put aside, not removed.
        stamp: Names what was put aside: the time, as text.

    Raises:
        BackupRefused: The backup or the folder cannot be used. The folder is as it was.
        DataFolderError: The folder is used by a node, or a database is none of ours.
    """
    private_folder(data)
    lock = FolderLock(data)
    try:
        there = _entries(data)
        if there and not force:
            raise BackupRefused(_refusal(data, interrupted=half_restored(data)))
        aside = data / f"{PUT_ASIDE}{stamp}"
        if aside.exists():
            raise BackupRefused(f"{aside} exists; try again in a second")
        try:
            manifest = _stage(path, data / RESTORE)
        except OSError as error:
            raise BackupRefused(f"{data} cannot be written: {why(error)}") from error
        try:
            _move(data, there, aside)
        except OSError as error:
            raise BackupRefused(
                f"{data} is half of the backup, and no node will use it: {why(error)} "
                f"({error.filename}); mend that and do it again with --force"
            ) from error
        return Restored(manifest=manifest, aside=aside if there else None)
    finally:
        lock.release()


def _refusal(data: Path, *, interrupted: bool) -> str:
    if interrupted:
        return (
            f"an earlier restore into {data} did not end; with --force this one puts "
            "aside what is there, and is done"
        )
    return (
        f"{data} is not empty; name another folder with --data, or put what is there "
        "aside with --force"
    )


def _entries(data: Path) -> list[Path]:
    """What is in the folder; not what was put aside before."""
    return sorted(
        path
        for path in data.iterdir()
        if path.name not in _STAYS and not path.name.startswith(PUT_ASIDE)
    )


def _stage(path: Path, stage: Path) -> Manifest:
    """All files of the backup in ``new`` below *stage*, looked at and synced."""
    # What one that was interrupted has left; that it has moved things stays known.
    new = stage / _NEW
    with suppress(FileNotFoundError):
        shutil.rmtree(new)
    stage.mkdir(mode=0o700, exist_ok=True)
    new.mkdir(mode=0o700)
    try:
        manifest = read(path, partial(_written, new))
        _check(new, manifest)
        _sync_all(new)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        with suppress(OSError):
            stage.rmdir()
        raise
    return manifest


@contextmanager
def _written(new: Path, name: str, mode: int) -> Generator[Write]:
    place = new / name
    _make_folders(new, place.parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        descriptor = private_file(place, flags)
    except FileExistsError:
        raise BackupRefused(_twice(name)) from None
    with os.fdopen(descriptor, "wb") as file:
        yield file.write
        file.flush()
        os.fsync(descriptor)
        os.fchmod(descriptor, mode)


def _make_folders(top: Path, folder: Path) -> None:
    if folder == top or folder.is_dir():
        return
    _make_folders(top, folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise BackupRefused(_twice(str(folder.relative_to(top)))) from None


def _twice(name: str) -> str:
    return f"the backup is damaged: {name} is in it twice"


def _check(new: Path, manifest: Manifest) -> None:
    """The databases, each by its schema; one that lacks would be made anew, empty."""
    found = set(databases.databases_in(new))
    if found != set(manifest.schemas) or databases.NODE not in found:
        lacking = ", ".join(sorted({databases.NODE, *manifest.schemas} - found))
        raise BackupRefused(f"the backup has no {lacking or 'list of its databases'}")
    for name in sorted(found):
        try:
            recognise(new / name, schema_of(name))
        except DataFolderError as error:
            words = str(error).replace(str(new / name), f"{name} in the backup")
            raise BackupRefused(words) from error


def _sync_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            sync(path)
    sync(folder)


def _move(data: Path, there: list[Path], aside: Path) -> None:
    """From here on it is the new folder, or one that a node refuses until it is."""
    moving = moving_in(data)
    os.close(private_file(moving, os.O_WRONLY | os.O_CREAT))
    sync(moving.parent)
    sync(data)
    if there:
        aside.mkdir(mode=0o700)
        for path in there:
            path.rename(aside / path.name)
        sync(aside)
    for path in sorted((data / RESTORE / _NEW).iterdir()):
        path.rename(data / path.name)
    sync(data)
    moving.unlink()
    sync(moving.parent)
    shutil.rmtree(data / RESTORE, ignore_errors=True)
