"""The contents of a skill, from a folder or an archive, written into a new folder.

A stranger has packed it. Nothing in it is run, and nothing is unpacked by a library that
would decide where: each member is read, judged by its name, kind and size, and written by
ourselves. What is wrong with one is wrong with all of it.
"""

import bz2
import gzip
import lzma
import os
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, cast

import attrs

from beamclaw.contracts.points import point
from beamclaw.skills.pins import make_folder
from beamclaw.values import frozen

# Names in the path of one file, and bytes of it.
MAX_DEPTH: Final = 16
MAX_PATH: Final = 240
_CHUNK = 1 << 16
# The end of a zip's directory: where it is looked for, and what it has at least.
_ZIP_END = b"PK\x05\x06"
_ZIP_TAIL = 22 + 65_535
_OPENERS: Final[dict[bytes, Callable[..., IO[bytes]]]] = {
    b"\x1f\x8b": cast("Callable[..., IO[bytes]]", gzip.open),
    b"BZh": cast("Callable[..., IO[bytes]]", bz2.open),
    b"\xfd7zXZ\x00": cast("Callable[..., IO[bytes]]", lzma.open),
}
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    EOFError,
    lzma.LZMAError,
    NotImplementedError,
    struct.error,
    RuntimeError,
    ValueError,
)


class PackageRefused(Exception):  # noqa: N818 -- a situation
    """It is not installed; the message says why."""


@frozen(kw_only=True)
class Limits:
    """What a package may have: bytes of the archive, of all files, of one; files."""

    archive: int
    total: int
    file: int
    files: int


@attrs.define
class _Target:
    """Where the contents go, and what there was of them so far."""

    folder: Path
    limits: Limits
    _seen: dict[str, str] = attrs.field(factory=dict[str, str])
    _folders: set[str] = attrs.field(factory=set[str])
    _total: int = 0

    def make_folder(self, name: str) -> None:
        """A folder of the package."""
        parts = _parts(name)
        if parts:
            self._folder(parts)

    def write(self, name: str, source: IO[bytes], *, run: bool) -> None:
        """A file of the package."""
        parts = _parts(name)
        if not parts:
            raise PackageRefused(f"{name!r} names no file")
        if parts[:-1]:
            self._folder(parts[:-1])
        self._register(parts, folder=False)
        path = self.folder.joinpath(*parts)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o700 if run else 0o600), "wb") as file:
            self._copy(name, source, file)
            file.flush()
            with point("skill.write"):
                os.fsync(file.fileno())

    def _copy(self, name: str, source: IO[bytes], file: IO[bytes]) -> None:
        size = 0
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            self._total += len(chunk)
            # By what comes out, whatever the archive says of itself.
            if size > self.limits.file:
                raise PackageRefused(
                    f"{name!r} has more than {self.limits.file} bytes "
                    "(skills.install.max_file_bytes)"
                )
            if self._total > self.limits.total:
                raise PackageRefused(
                    f"it has more than {self.limits.total} bytes "
                    "(skills.install.max_bytes)"
                )
            file.write(chunk)

    def _folder(self, parts: tuple[str, ...]) -> None:
        for end in range(1, len(parts) + 1):
            inner = parts[:end]
            if "/".join(inner) in self._folders:
                continue
            self._register(inner, folder=True)
            self._folders.add("/".join(inner))
            make_folder(self.folder.joinpath(*inner))

    def _register(self, parts: tuple[str, ...], *, folder: bool) -> None:
        name = "/".join(parts)
        key = unicodedata.normalize("NFKC", name).casefold()
        if key in self._seen:
            other = self._seen[key]
            both = f"{name!r} twice" if other == name else f"{other!r} and {name!r}"
            raise PackageRefused(f"it has {both}, which is one on some systems")
        self._seen[key] = name
        if len(self._seen) > self.limits.files:
            what = "folder" if folder else "file"
            raise PackageRefused(
                f"it has more than {self.limits.files} files and folders "
                f"(skills.install.max_files), the last is the {what} {name!r}"
            )


def _parts(name: str) -> tuple[str, ...]:
    """The names in a member's path, if it stays inside.

    Raises:
        PackageRefused: It does not, or would be another path to somebody.
    """
    if name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":"):
        raise PackageRefused(f"{name!r} is an absolute path")
    if "\\" in name:
        raise PackageRefused(f"{name!r} has a backslash in it")
    if any(unicodedata.category(each) in {"Cc", "Cf", "Cs"} for each in name):
        raise PackageRefused(f"{name!r} has characters that cannot be seen")
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts or ".." in unicodedata.normalize("NFKC", name).split("/"):
        raise PackageRefused(f"{name!r} leads out of it")
    if len(parts) > MAX_DEPTH or len(name.encode()) > MAX_PATH:
        raise PackageRefused(f"{name[:MAX_PATH]!r} is too long or too deep")
    return parts


def unpack(source: Path, target: Path, limits: Limits) -> None:
    """Write the contents of *source*, a folder or an archive, into the folder *target*.

    Raises:
        PackageRefused: One of them is not as it should be; *target* is left as it is
            by then.
        OSError: It cannot be read or written.
    """
    into = _Target(target, limits)
    try:
        if source.is_dir():
            _folder(source, into)
        else:
            _archive(source, into)
    except _BROKEN as error:
        raise PackageRefused(f"the archive is damaged: {error}") from None


def _folder(source: Path, into: _Target) -> None:
    for path, status in _inside(source):
        name = path.relative_to(source).as_posix()
        if stat.S_ISDIR(status.st_mode):
            into.make_folder(name)
        elif stat.S_ISREG(status.st_mode):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags), "rb") as file:
                run = bool(status.st_mode & stat.S_IXUSR)
                into.write(name, cast("IO[bytes]", file), run=run)
        else:
            raise PackageRefused(f"{name!r} is a link or no plain file")


def _inside(folder: Path, depth: int = 0) -> Iterator[tuple[Path, os.stat_result]]:
    if depth > MAX_DEPTH:
        raise PackageRefused(f"{folder} is too deep")
    for path in sorted(folder.iterdir()):
        # What a checkout or an editor leaves is no part of the skill.
        if path.name in {".git", "__pycache__", ".DS_Store"}:
            continue
        status = path.lstat()
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            yield from _inside(path, depth + 1)


def _archive(source: Path, into: _Target) -> None:
    status = source.stat()
    if not stat.S_ISREG(status.st_mode):
        raise PackageRefused(f"{source} is neither a folder nor a file")
    if status.st_size > into.limits.archive:
        raise PackageRefused(
            f"the archive has {status.st_size} bytes, of {into.limits.archive} at most "
            "(skills.install.max_archive_bytes)"
        )
    with source.open("rb") as file:
        head = file.read(6)
        if head[:4] in {b"PK\x03\x04", _ZIP_END}:
            _check_directory(file, status.st_size, into.limits)
            with zipfile.ZipFile(source) as archive:
                _zip(archive, into)
            return
    opener = next(
        (op for magic, op in _OPENERS.items() if head.startswith(magic)), None
    )
    with tempfile.TemporaryFile() as plain:
        with (opener or Path.open)(source, "rb") as packed:
            _spool(packed, plain, into.limits)
        plain.seek(0)
        # Of a file whose size is known: no header can make it read more than there is.
        with tarfile.open(fileobj=plain, mode="r:") as archive:
            _tar(archive, into)


def _check_directory(file: IO[bytes], size: int, limits: Limits) -> None:
    """A zip's list of names is read whole by the library: see how long it is before."""
    file.seek(max(0, size - _ZIP_TAIL))
    tail = file.read()
    at = tail.rfind(_ZIP_END)
    if at < 0 or len(tail) - at < 22:  # noqa: PLR2004 -- bytes of that record
        raise PackageRefused("the archive is damaged: it has no end")
    count, length = struct.unpack_from("<HI", tail, at + 10)
    if count > limits.files or length > limits.files * (MAX_PATH + 512):
        raise PackageRefused(
            f"it has more than {limits.files} files and folders "
            "(skills.install.max_files)"
        )


def _zip(archive: zipfile.ZipFile, into: _Target) -> None:
    for member in archive.infolist():
        mode = member.external_attr >> 16
        # What comes behind a NUL is cut off by the library, and meant by nobody.
        name = member.orig_filename
        kind = stat.S_IFMT(mode)
        if member.flag_bits & 1:
            raise PackageRefused(f"{name!r} is encrypted")
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise PackageRefused(f"{name!r} is a link, a device or the like")
        if name.endswith("/"):
            into.make_folder(name)
            continue
        if member.file_size > into.limits.file:
            raise PackageRefused(
                f"{name!r} has {member.file_size} bytes, of {into.limits.file} at most "
                "(skills.install.max_file_bytes)"
            )
        with archive.open(member) as file:
            into.write(name, file, run=bool(mode & stat.S_IXUSR))


def _spool(packed: IO[bytes], plain: IO[bytes], limits: Limits) -> None:
    """Unpack a compressed tar, and no more of it than one may have."""
    # Beside the contents a header of 512 bytes, names that are long, and fillings.
    most = limits.total + limits.files * 3 * 512 + (1 << 20)
    size = 0
    while chunk := packed.read(_CHUNK):
        size += len(chunk)
        if size > most:
            raise PackageRefused(
                f"it has more than {limits.total} bytes (skills.install.max_bytes)"
            )
        plain.write(chunk)


def _tar(archive: tarfile.TarFile, into: _Target) -> None:
    for member in archive:
        if member.isdir():
            into.make_folder(member.name)
        elif member.isreg() and not member.issparse():
            file = archive.extractfile(member)
            assert file is not None
            with file:
                into.write(member.name, file, run=bool(member.mode & stat.S_IXUSR))
        else:
            raise PackageRefused(f"{member.name!r} is a link, a device or the like")
