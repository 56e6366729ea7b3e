"""The data folder: private to its owner, and used by one node at a time."""

import contextlib
import fcntl
import os
import stat
from pathlib import Path

from beamclaw.contracts.points import point
from beamclaw.contracts.store import DataFolderError
from beamclaw.storage._words import why

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_PROBE_BYTES = 4096
# Where a backup is unpacked.
RESTORE = ".restore"
# What the names begin with of that which was in the folder before a restore.
PUT_ASIDE = "before-restore-"


def private_folder(path: Path) -> None:
    """Make sure that *path* is a folder we can write in; a new one is 0700.

    The permissions of a folder that was there before are left as they are: it may be
    shared with other things. What we put into it is private file by file.

    Raises:
        DataFolderError: It cannot be made or written.
    """
    try:
        _make(path)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataFolderError(
            f"data folder {path} cannot be used: a file is in its place; move that "
            "away or choose another folder with --data"
        ) from error
    except OSError as error:
        raise _unusable(path, why(error)) from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(path, "it cannot be written by this user")


def _make(path: Path) -> None:
    if path.is_dir():
        return
    _make(path.parent)
    with contextlib.suppress(FileExistsError):
        with point("folder.make"):
            path.mkdir(mode=_FOLDER_MODE)
        path.chmod(_FOLDER_MODE)  # whatever the umask took away
        # Or a power cut takes the folder away, with all that was synced inside it.
        sync(path.parent)
    if not path.is_dir():
        raise NotADirectoryError(path)


def sync(path: Path) -> None:
    """Write out a file, or of a folder which names it holds."""
    fd = os.open(path, os.O_RDONLY)
    try:
        with point("storage.sync"):
            os.fsync(fd)
    finally:
        os.close(fd)


def probe(folder: Path, size: int = _PROBE_BYTES) -> str | None:
    """Why *size* bytes cannot be written in *folder*, in the system's words.

    None: they can.

    SQLite tells less than the system does: a quota that is used up and a file system
    that has become read-only are both a "disk I/O error".
    """
    path = folder / f".probe-{os.getpid()}"
    try:
        fd = private_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            content = memoryview(bytes(size))
            while content:
                content = content[os.write(fd, content) :]
        finally:
            os.close(fd)
            path.unlink(missing_ok=True)
    except OSError as error:
        return why(error)
    return None


def moving_in(folder: Path) -> Path:
    """A file that is there while a backup takes the place of the data folder."""
    return folder / RESTORE / "moving"


def half_restored(folder: Path) -> bool:
    """Whether the data folder is half of a backup: its restore was interrupted."""
    return moving_in(folder).exists()


def _unusable(path: Path, cause: str) -> DataFolderError:
    return DataFolderError(
        f"data folder {path} cannot be used: {cause}; give this user read and write "
        "permission on it or choose another folder with --data"
    )


def private_file(path: Path, flags: int) -> int:
    """Open *path* with ``os.open`` flags as 0600 whatever the umask; the descriptor."""
    fd = os.open(path, flags | os.O_CLOEXEC, _FILE_MODE)
    if stat.S_IMODE(os.fstat(fd).st_mode) != _FILE_MODE:
        os.fchmod(fd, _FILE_MODE)
    return fd


class FolderLock:
    """The data folder is ours, until :meth:`release` or the end of this process.

    A kernel lock (``flock``) on ``node.lock``: it cannot become stale. The pid inside
    is for the words of whoever comes second.

    Args:
        folder: The data folder; it exists.

    Raises:
        DataFolderError: Another node has it, or the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "node.lock"
        self._folder = folder.resolve()
        try:
            fd = private_file(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        except OSError as error:
            raise _unusable(folder, why(error)) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise _refusal(folder, holder, error) from error
        self._fd: int | None = fd
        # The lock holds without it: a full disk is told of by who needs room there.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def keep(self) -> None:
        """Leave it to this process, whose next :func:`lock_folder` gets it."""
        _kept[self._folder] = self

    def release(self) -> None:
        """Let the folder go; a second time is nothing."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


# Locks whose owner has died and may come again, by folder. Process-wide, as the locks.
_kept: dict[Path, FolderLock] = {}


def lock_folder(folder: Path) -> tuple[FolderLock, bool]:
    """The lock of *folder*, and whether it is new: else the process had it before.

    Raises:
        DataFolderError: See :class:`FolderLock`.
    """
    kept = _kept.pop(folder.resolve(), None)
    if kept is not None:
        return kept, False
    lock = FolderLock(folder)
    if half_restored(folder):
        lock.release()
        raise DataFolderError(
            f"data folder {folder} is half of a backup: its restore was interrupted; "
            "end it with: beamclaw restore --force FILE"
        )
    return lock, True


def _refusal(folder: Path, holder: str, error: OSError) -> DataFolderError:
    if not isinstance(error, BlockingIOError):
        return DataFolderError(
            f"data folder {folder} cannot be locked: {why(error)}; choose a folder on "
            "a local disk with --data"
        )
    who = f" with pid {holder}" if holder else ""
    return DataFolderError(
        f"data folder {folder} is in use by the node{who}; stop it or choose another "
        "folder with --data"
    )
