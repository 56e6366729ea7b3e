"""What was installed, and by which contents it is known again.

``skills/lock.json`` in the data folder says for each installed skill in which folder it
lies and what the hash of all its contents is. It is replaced in one step, and that step
is the installation: what it does not name is not there.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs
import orjson

from beamclaw.contracts.points import point
from beamclaw.values import frozen

LOCK: Final = "lock.json"
INSTALLED: Final = "installed"
VERSION: Final = 1
# Characters of the hash in a folder's name.
SHORT: Final = 16
_CHUNK = 1 << 16


class Tampered(Exception):  # noqa: N818 -- a situation
    """What is there is not what was installed; the message says what is different."""


@frozen(kw_only=True)
class Pin:
    """One installed skill.

    Attributes:
        sha256: Of all its contents, see :func:`tree_hash`.
        bytes: That they have; *files*: how many there are.
        source: Where it was installed from.
        at: When, in seconds since the epoch.
        held: An update does not touch it.
    """

    sha256: str
    bytes: int
    files: int
    source: str
    at: float
    held: bool = False

    def folder(self, skills: Path, name: str) -> Path:
        """Where it lies."""
        return skills / INSTALLED / name / self.sha256[:SHORT]


def read_lock(skills: Path) -> dict[str, Pin]:
    """What is installed below the folder *skills*, by name.

    Raises:
        ValueError: The file is damaged, or of a later version.
    """
    file = skills / LOCK
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        found = orjson.loads(raw)
        if found["version"] != VERSION:
            words = f"{file} was written by another version of BeamClaw"
            raise ValueError(words)
        return {name: Pin(**pin) for name, pin in found["skills"].items()}
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError):
        raise ValueError(f"{file} is damaged; move it away to begin anew") from None


def write_lock(skills: Path, pins: Mapping[str, Pin]) -> None:
    """Replace the file: whoever dies here leaves the old one or the new one."""
    body = {
        "version": VERSION,
        "skills": {name: attrs.asdict(pins[name]) for name in sorted(pins)},
    }
    draft = skills / f".{LOCK}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n")
        with point("skill.sync-lock"):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with point("skill.lock"):
        draft.replace(skills / LOCK)
    sync(skills)


def make_folder(folder: Path) -> None:
    """Make it, and those above it, for nobody else."""
    with point("skill.folder"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def sync(folder: Path) -> None:
    """Write out which names a folder holds."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with point("skill.sync-folder"):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@frozen
class Measured:
    """All contents of a folder: their hash, their bytes, how many files."""

    sha256: str
    bytes: int
    files: int


def tree_hash(folder: Path, most: int | None = None) -> Measured:
    """The contents of *folder*: names, whether a file can be run, and what is in it.

    Args:
        folder: Which.
        most: Bytes after which it is over: more than this was not installed.

    Raises:
        Tampered: There is a link, a pipe or the like, or more than *most*.
        OSError: It cannot be read.
    """
    whole = hashlib.sha256()
    size = count = 0
    for path in walked(folder):
        status = path.lstat()
        name = path.relative_to(folder).as_posix()
        if stat.S_ISDIR(status.st_mode):
            whole.update(b"d\0" + name.encode() + b"\0")
            continue
        if not stat.S_ISREG(status.st_mode):
            raise Tampered(f"{name} is no plain file")
        size += status.st_size
        count += 1
        if most is not None and size > most:
            raise Tampered(f"it has more than the {most} bytes that were installed")
        run = b"x" if status.st_mode & stat.S_IXUSR else b"-"
        whole.update(b"f" + run + b"\0" + name.encode() + b"\0" + _file_hash(path))
    return Measured(whole.hexdigest(), size, count)


def walked(folder: Path) -> Iterator[Path]:
    """All that is in *folder*, a folder before what is in it, in the order of names."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        yield path
        if entry.is_dir(follow_symlinks=False):
            yield from walked(path)


def _file_hash(path: Path) -> bytes:
    hashed = hashlib.sha256()
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags), "rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return hashed.digest()


def verify(folder: Path, pin: Pin) -> None:
    """See whether *folder* holds what was installed.

    Raises:
        Tampered: It does not, or cannot be read.
    """
    try:
        found = tree_hash(folder, pin.bytes)
    except OSError as error:
        raise Tampered(f"it cannot be read: {error.strerror or error}") from None
    if found.sha256 != pin.sha256:
        raise Tampered(
            f"its contents are not those that were installed: {found.files} files with "
            f"{found.bytes} bytes, hash {found.sha256[:SHORT]}; installed were "
            f"{pin.files} with {pin.bytes}, hash {pin.sha256[:SHORT]}"
        )
