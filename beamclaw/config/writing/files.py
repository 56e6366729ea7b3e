"""The configuration file and its history on disk: each replaced whole, or not at all.

Everything here blocks; it is done in a thread, under a lock on the file's folder which
the system takes away from whoever dies.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson

from beamclaw.config.document import MAX_BYTES
from beamclaw.config.writing.documents import Entry, Refusal
from beamclaw.contracts.points import point
from beamclaw.values import frozen

FOLDER: Final = "config-history"
_MODE: Final = 0o600


@contextmanager
def locked(file: Path) -> Generator[None]:
    """Nobody else replaces *file* meanwhile."""
    if not file.parent.is_dir():
        make_folder(file.parent)
    handle = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read(file: Path) -> bytes | None:
    """The bytes of *file*; None where there is none.

    Raises:
        OSError: It cannot be read, or is a pipe, for which a node would wait for ever.
    """
    try:
        with open(file, "rb", opener=_not_waiting) as opened:
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None


def _not_waiting(file: str, flags: int) -> int:
    handle = os.open(file, flags | os.O_NONBLOCK)
    if stat.S_ISFIFO(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is a pipe, and no file", file)
    return handle


def replace(file: Path, content: bytes) -> None:
    """Put *content* in the place of *file*, with its permissions, or as 0600.

    A reader sees the old file or the new one, also after a crash of the machine. A link
    stays one: the file it leads to is replaced.
    """
    target = file.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}.new")
    _write(draft, content)
    try:
        with suppress(FileNotFoundError):
            there = target.stat()
            draft.chmod(there.st_mode & 0o777)
            if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                with suppress(PermissionError):
                    os.chown(draft, there.st_uid, there.st_gid)
        with point("config.replace"):
            draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)  # of somebody who died with the same number
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with os.fdopen(handle, "wb") as opened:
        opened.write(content)
        opened.flush()
        with point("config.sync"):
            os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        with point("config.sync-folder"):
            os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make *folder* and those above it that are not there, as 0700."""
    with point("config.folder"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sync_folder(folder.parent)


@frozen
class History:
    """Files that were replaced, in one folder."""

    folder: Path

    def entries(self) -> list[Entry]:
        """All of them, the newest first."""
        return [self.entry(number) for number in reversed(self._numbers())]

    def entry(self, number: int) -> Entry:
        """One of them.

        Raises:
            Refusal: There is none with that number.
        """
        try:
            raw = self._path(number).read_bytes()
        except FileNotFoundError:
            raise Refusal(
                "unknown",
                f"the history has no entry {number}; see: beamclaw config history",
            ) from None
        return Entry(**orjson.loads(raw))

    def put(self, keep: int, **values: Any) -> int:
        """Keep a file before it is replaced, at most *keep*; the number of its entry.

        Whoever died between this and the replacing leaves an entry of what is still
        there: the next one takes its place.
        """
        numbers = self._numbers()
        last = self.entry(numbers[-1]) if numbers else None
        repeats = last is not None and last.hash == values["hash"]
        number = (numbers[-1] if numbers else 0) + (0 if repeats else 1)
        if not self.folder.is_dir():
            make_folder(self.folder)
        path = self._path(number)
        draft = path.with_suffix(".new")
        _write(draft, orjson.dumps({"number": number, **values}))
        with point("config.keep"):
            draft.replace(path)
        _sync_folder(self.folder)
        for old in self._numbers()[:-keep]:
            self._path(old).unlink(missing_ok=True)
        return number

    def _numbers(self) -> list[int]:
        with suppress(FileNotFoundError):
            names = (each.stem for each in self.folder.glob("*.json"))
            return sorted(int(name) for name in names if name.isdigit())
        return []

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"
