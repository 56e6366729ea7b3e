"""Receipts: what an edit or a patch has decided to do, and whether it has done it.

One file per call in the data folder: a line that describes it, then the new contents. It
stands in ``open`` until all is done. Then only the line is kept, until the result is in
the journal or its time is over.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import attrs

from beamclaw.contracts.points import point
from beamclaw.contracts.tools import ToolFailed
from beamclaw.storage import private_folder
from beamclaw.values import frozen

VERSION: Final = 1
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE: Final = 0o600
_PIECE: Final = 1024 * 1024
# Receipts that one clean-up looks at.
_SWEPT: Final = 10_000


@frozen(kw_only=True)
class Target:
    """One file of a call.

    Attributes:
        root: The folder that has to hold it.
        path: Where it is, absolute and without links below that.
        before: Its digest when this was decided; None: it was not there.
        after: The digest it is to have; None: it goes.
        size: Bytes of the new content.
        mode: Its modes; None: those of a new file.
    """

    root: str
    path: str
    before: str | None
    after: str | None
    size: int | None
    mode: int | None


@frozen(kw_only=True)
class Receipt:
    """What one call does.

    Attributes:
        key: The call's.
        said: What is told of it when all is done; or what was told.
        done: It is over.
        failed: Not all of it was done.
    """

    key: str
    said: str
    targets: tuple[Target, ...] = ()
    done: bool = False
    failed: bool = False

    def beside(self, number: int) -> str:
        """The name under which content *number* is written beside its place."""
        return beside(self.key, number)


def beside(key: str, number: int = 0) -> str:
    """A name for a file that gets another one soon."""
    return f".beamclaw-{_named(key)[:16]}-{number}.tmp"


def _named(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Receipts:
    """The receipts of a tenant.

    Args:
        folder: Where they are; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = folder / "open"

    def put(self, receipt: Receipt, contents: Sequence[bytes]) -> None:
        """Write it, and out: from here on it counts.

        Raises:
            OSError: It cannot be written; then it does not.
            DataFolderError: The same, of the folder.
        """
        private_folder(self._open)
        path = self._open / _named(receipt.key)
        try:
            self._write(path, receipt, contents)
            with point("file.receipt"):
                self._draft(path).rename(path)
            self._sync(self._open)
        except OSError:
            for each in (self._draft(path), path):
                with suppress(OSError):
                    each.unlink(missing_ok=True)
            raise

    def close(self, receipt: Receipt, said: str, *, failed: bool) -> None:
        """It is over; the contents go.

        That it has this name is not written out: if a power cut takes it away, whoever
        asks carries on from the one before, and finds all of it done.
        """
        closed = attrs.evolve(receipt, said=said, targets=(), done=True, failed=failed)
        path = self._path(receipt.key)
        with suppress(OSError):  # a full disk takes nothing from what was done
            self._write(path, closed, ())
            with point("file.close"):
                self._draft(path).rename(path)
            (self._open / path.name).unlink(missing_ok=True)

    def open(self) -> Iterator[Receipt]:
        """Those of which not all is done, as far as anybody knows."""
        with suppress(FileNotFoundError):
            for path in sorted(self._open.iterdir()):
                if path.suffix:
                    continue
                if (self._folder / path.name).exists():  # a crash has left both
                    path.unlink(missing_ok=True)
                    continue
                with suppress(FileNotFoundError, ToolFailed):
                    yield _found(path)[0]

    def get(self, key: str) -> tuple[Receipt, tuple[bytes, ...]] | None:
        """The receipt under *key* and its contents; None: there is none.

        Raises:
            ToolFailed: It cannot be read, so nobody knows what was done.
        """
        for folder in (self._folder, self._open):
            with suppress(FileNotFoundError):
                return _found(folder / _named(key))
        return None

    def forget(self, key: str) -> None:
        """It is not needed any more."""
        with suppress(OSError), point("file.forget"):
            (self._open / _named(key)).unlink(missing_ok=True)
            self._path(key).unlink(missing_ok=True)

    def sweep(self, before: float) -> int:
        """Forget those that were written before then (seconds since the epoch)."""
        gone = 0
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for _, entry in zip(range(_SWEPT), entries, strict=False):
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if entry.is_file() and status.st_mtime < before:
                        Path(entry.path).unlink()
                        gone += 1
        return gone

    # --- files

    def _path(self, key: str) -> Path:
        return self._folder / _named(key)

    @staticmethod
    def _draft(path: Path) -> Path:
        return path.with_suffix(".new")

    def _write(self, path: Path, receipt: Receipt, contents: Sequence[bytes]) -> None:
        head = json.dumps({"version": VERSION, **attrs.asdict(receipt)})
        with os.fdopen(os.open(self._draft(path), _FLAGS, _PRIVATE), "wb") as file:
            file.write(head.encode() + b"\n")
            for each in contents:
                file.write(each)
            file.flush()
            with point("file.sync-receipt"):
                os.fsync(file.fileno())

    @staticmethod
    def _sync(folder: Path) -> None:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with point("file.sync-receipts"):
                os.fsync(opened)
        finally:
            os.close(opened)


def _found(path: Path) -> tuple[Receipt, tuple[bytes, ...]]:
    try:
        return _read(path.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        raise ToolFailed(
            "what was done before the node stopped cannot be read any more; look at the "
            "files before you go on"
        ) from None


def _read(data: bytes) -> tuple[Receipt, tuple[bytes, ...]]:
    head, _, rest = data.partition(b"\n")
    said: dict[str, Any] = json.loads(head)
    if said["version"] != VERSION:
        raise ValueError(said["version"])
    receipt = Receipt(
        key=said["key"],
        said=said["said"],
        targets=tuple(Target(**each) for each in said["targets"]),
        done=said["done"],
        failed=said["failed"],
    )
    contents: list[bytes] = []
    for target in receipt.targets:
        contents.append(rest[: target.size or 0])
        rest = rest[target.size or 0 :]
    return receipt, tuple(contents)
