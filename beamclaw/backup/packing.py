"""Packing a data folder into one file, which appears when it is complete."""

import io
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

from beamclaw.backup.manifest import (
    MANIFEST,
    BackupRefused,
    Entry,
    LeftOut,
    Manifest,
    bad_name,
    is_kept,
)
from beamclaw.backup.pieces import copy_pieces
from beamclaw.storage import sync, why

# Copies the databases into a folder; the version of each one's schema, by name.
Databases = Callable[[Path], dict[str, int]]

_DRAFT: Final = ".beamclaw-backup-"
# A file that fits is read at once; a larger one is copied first, as it may grow.
_IN_MEMORY: Final = 16 * 1024 * 1024


def pack(
    data: Path, to: Path, databases: Databases, *, version: str, at: float
) -> Manifest:
    """Write all of *data* into the new file *to*, 0600; what is in it.

    Killed at any moment it leaves the whole file or none under this name.

    Args:
        data: The data folder; a node may run on it.
        to: A file that does not exist, outside of *data*.
        databases: See :data:`Databases`.
        version: Of this program.
        at: Now, in seconds since the epoch.

    Raises:
        BackupRefused: There is a file of this name, or the disk does not take it.
    """
    to = Path(os.path.abspath(to))  # noqa: PTH100 -- resolve() would follow a link
    if to.is_symlink() or to.exists():
        raise BackupRefused(f"{to} exists; a backup replaces nothing: name another")
    if to.resolve().is_relative_to(data.resolve()):
        raise BackupRefused(f"{to} is in the data folder; name a place outside of it")
    try:
        _remove_old(to.parent)
        with _draft_folder(to.parent) as drafts:
            manifest = _write(data, drafts, databases, version=version, at=at)
            _publish(drafts / "archive", to)
    except FileExistsError:
        raise BackupRefused(f"{to} was made meanwhile; name another") from None
    except OSError as error:
        raise BackupRefused(f"{to} cannot be written: {why(error)}") from error
    return manifest


def _remove_old(folder: Path) -> None:
    """What a backup that was killed has left behind holds secrets."""
    for left in folder.glob(f"{_DRAFT}*"):
        pid = left.name.removeprefix(_DRAFT).partition("-")[0]
        if pid.isdecimal() and not _lives(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def _draft_folder(folder: Path) -> Generator[Path]:
    path = Path(tempfile.mkdtemp(prefix=f"{_DRAFT}{os.getpid()}-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _write(
    data: Path, drafts: Path, databases: Databases, *, version: str, at: float
) -> Manifest:
    copies = drafts / "databases"
    copies.mkdir(mode=0o700)
    schemas = databases(copies)
    entries, left_out = list[Entry](), list[LeftOut]()
    descriptor = os.open(drafts / "archive", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
            # First the databases: what lies beside was written before what they say of it,
            # or is found missing as after a crash.
            for name in schemas:
                entries.append(_add_from(archive, copies / name, name, drafts))
                (copies / name).unlink()
            for name, path in _walk(data, PurePosixPath(), left_out):
                with suppress(FileNotFoundError):  # gone since
                    entries.append(_add_from(archive, path, name, drafts))
            manifest = Manifest(
                version=version,
                made_at=at,
                schemas=schemas,
                entries=tuple(entries),
                left_out=tuple(left_out),
            )
            text = manifest.encode()
            _add(archive, MANIFEST, io.BytesIO(text), len(text), 0o600)
        file.flush()
        os.fsync(descriptor)
    return manifest


def _walk(
    folder: Path, below: PurePosixPath, left_out: list[LeftOut]
) -> Iterator[tuple[str, Path]]:
    """Files that belong into it, and what does not is told in *left_out*."""
    for each in sorted(folder.iterdir()):
        name = below / each.name
        if not is_kept(name):
            continue
        with suppress(FileNotFoundError):
            mode = each.lstat().st_mode
            if stat.S_ISDIR(mode):
                yield from _walk(each, name, left_out)
            elif reason := _reason(name, mode):
                left_out.append(
                    LeftOut(str(name).encode(errors="replace").decode(), reason)
                )
            else:
                yield str(name), each


def _reason(name: PurePosixPath, mode: int) -> str | None:
    """Why a file is left out; None: it is not."""
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if not stat.S_ISREG(mode):
        return "no file: a socket, a pipe or a device"
    try:
        str(name).encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return bad_name(str(name))


def _add_from(archive: tarfile.TarFile, path: Path, name: str, drafts: Path) -> Entry:
    # Not through a link that was put in its place since it was looked at.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as source:
        mode = 0o700 if os.fstat(descriptor).st_mode & 0o100 else 0o600
        # What is read may grow meanwhile, and the archive has to be told the size first.
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(drafts)) as copy:
            size, digest = copy_pieces(source, copy.write)
            copy.seek(0)
            _add(archive, name, copy, size, mode)
    return Entry(name=name, size=size, mode=mode, sha256=digest)


def _add(archive: tarfile.TarFile, name: str, file: Any, size: int, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, mode
    archive.addfile(member, file)


def _publish(draft: Path, to: Path) -> None:
    os.link(draft, to)  # fails if there is one, which a rename does not
    sync(to.parent)
