"""Reading an archive that somebody has handed us: nothing in it is believed."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from beamclaw.backup.manifest import (
    MANIFEST,
    MAX_MANIFEST,
    BackupRefused,
    Entry,
    Manifest,
    bad_name,
    decode,
    disagreement,
)
from beamclaw.backup.pieces import PIECE, Write, copy_pieces
from beamclaw.storage import why

# Where the content of a file goes, by its name and mode.
Into = Callable[[str, int], AbstractContextManager[Write]]


def look(path: Path) -> Manifest:
    """What is in the backup, after all of it was read and compared with its list.

    Raises:
        BackupRefused: It is damaged, was cut off, or is no backup.
    """

    def nowhere(*_: object) -> AbstractContextManager[Write]:
        return nullcontext(lambda _: None)

    return read(path, nowhere)


def read(path: Path, into: Into) -> Manifest:
    """Read all of the archive, each file *into* its place, and compare it with its list.

    Raises:
        BackupRefused: It is damaged, was cut off, or is no backup. What was written by
            then is not to be used.
        OSError: A file cannot be written.
    """
    with _opened(path) as archive:
        found, manifest = list[Entry](), None
        for member in archive:
            if manifest is not None:
                raise BackupRefused(f"{path} is damaged: something is behind its list")
            if member.name == MANIFEST and member.isreg():
                manifest = _list_in(archive, member)
            else:
                found.append(_take(archive, member, into))
        if manifest is None:
            raise BackupRefused(f"{path} is damaged: it was cut off")
        wrong = disagreement(manifest, found)
        if wrong is not None:
            raise BackupRefused(f"{path} is damaged: {wrong}")
    return manifest


@contextmanager
def _opened(path: Path) -> Generator[tarfile.TarFile]:
    """The archive; what goes wrong while it is read is told as its damage."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupRefused(f"{path} cannot be read: {why(error)}") from error
    with file:
        try:
            with (
                gzip.open(file) as content,
                tarfile.open(fileobj=content, mode="r|", bufsize=PIECE) as archive,
            ):
                yield archive
                # Behind its end there is a sum of all of it, which tells a wrong byte.
                while content.read(PIECE):
                    pass
        except _Damage as damage:
            raise BackupRefused(f"{path} is damaged: {damage}") from None
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            words = str(error) or "it was cut off"
            raise BackupRefused(f"{path} is damaged or no backup: {words}") from error


class _Damage(Exception):  # noqa: N818 -- a situation
    """What is wrong with the archive."""


def _list_in(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Manifest:
    if member.size > MAX_MANIFEST:
        raise _Damage("its list is too long")
    file = archive.extractfile(member)
    assert file is not None
    try:
        return decode(file.read())
    except BackupRefused as error:
        raise _Damage(str(error)) from None


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, into: Into) -> Entry:
    if not member.isreg():
        raise _Damage(f"{member.name!r} is a link or a device, and a backup has none")
    reason = bad_name(member.name)
    if reason is not None:
        raise _Damage(f"{member.name!r} cannot be taken out of it: {reason}")
    mode = 0o700 if member.mode & 0o100 else 0o600
    file = archive.extractfile(member)
    assert file is not None
    with into(member.name, mode) as write:
        size, digest = copy_pieces(file, write)
    return Entry(name=member.name, size=size, mode=mode, sha256=digest)
