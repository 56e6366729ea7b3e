"""Files changed so that a crash at any moment leaves each of them whole, old or new.

What a call comes to is first written down as a *receipt*, with the new
contents, in the data folder. That is the moment from which it counts: whoever comes after
a crash carries on from there (:meth:`Changes.resume`). Then each file is written beside
its place under a name of its own, written out, and renamed.

A file is replaced only while it is what it was when the change was made up: what somebody
else has written meanwhile is never lost.
"""

import hashlib
import os
import stat
from collections.abc import Container, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import attrs

from beamclaw.contracts.points import point
from beamclaw.contracts.store import DataFolderError
from beamclaw.contracts.tools import ToolFailed
from beamclaw.files.receipts import Receipt, Receipts, Target
from beamclaw.paths import PathRefused, Place, Root, Roots, Spot, find
from beamclaw.values import frozen

# What is taken from the modes of a file that is replaced; never the right to become
# somebody else by running it.
_MODE: Final = 0o777
_NEW: Final = 0o666
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE: Final = 1024 * 1024
# Of a file that has its new content, in a folder that could not be written out.
_SHAKY: Final = " (it is changed, and may be as before after a power cut)"


@frozen
class Content:
    """What is at a place.

    Attributes:
        data: The bytes; None: there is no file.
        mode: Its modes.
    """

    data: bytes | None
    mode: int | None = None


@frozen
class Change:
    """What is to become of one file.

    Attributes:
        before: Its digest, as it was when this was decided; None: it was not there.
        after: What it is to contain; None: it goes.
        mode: Its modes afterwards; None: those of a new file.
    """

    place: Place
    before: str | None
    after: bytes | None
    mode: int | None = None


def digest(data: bytes | None) -> str | None:
    """What names a content; None: there is none."""
    return None if data is None else hashlib.sha256(data).hexdigest()


def content(spot: Spot, most: int) -> Content:
    """The whole file at *spot*.

    Raises:
        ToolFailed: It is no file, or has more than *most* bytes.
    """
    if spot.status is None:
        return Content(None)
    opened = spot.open_file()
    with os.fdopen(opened, "rb") as file:
        data = file.read(most + 1)
        mode = stat.S_IMODE(os.fstat(opened).st_mode)
    if len(data) > most:
        raise ToolFailed(
            f"{spot.place} has more than {most:,} bytes (tools.files.max_bytes)"
        )
    return Content(data, mode)


def digest_at(spot: Spot, most: int) -> str | None:
    """The digest of the file at *spot*; one for all that have more than *most* bytes."""
    if spot.status is None:
        return None
    opened = spot.open_file()
    found = hashlib.sha256()
    with os.fdopen(opened, "rb") as file:
        left = most + 1
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            found.update(piece)
            left -= len(piece)
    return found.hexdigest() if left > 0 else "too large"


def prepare(spot: Spot, name: str, data: bytes, mode: int | None) -> None:
    """Write *data* beside *spot*, and out."""
    discard(spot, name)
    opened = os.open(name, _NEW_FILE, _NEW, dir_fd=spot.folder)
    try:
        with os.fdopen(opened, "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view[:_PIECE]) or 0 :]
            if mode is not None:
                os.fchmod(opened, mode & _MODE)
            with point("file.sync"):
                os.fsync(opened)
    except OSError:
        discard(spot, name)
        raise


def discard(spot: Spot, name: str) -> None:
    """Take away what :func:`prepare` has written."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=spot.folder)


def settle(spot: Spot, name: str | None) -> None:
    """Give what was prepared its name; without *name* the file goes."""
    with point("file.rename"):
        if name is None:
            os.unlink(spot.name, dir_fd=spot.folder)
        else:
            os.rename(name, spot.name, src_dir_fd=spot.folder, dst_dir_fd=spot.folder)


def sync_folder(spot: Spot) -> None:
    """Write out which names there are around *spot*."""
    with point("file.sync-folder"):
        os.fsync(spot.folder)


@frozen
class Changes:
    """Carries out changes, several files as one.

    Attributes:
        most: Bytes that a file may have.
    """

    roots: Roots
    receipts: Receipts
    most: int

    def carry_out(self, key: str, said: str, changes: Sequence[Change]) -> str:
        """Make all of *changes*; what is told of it, which is *said* if all are made.

        Raises:
            ToolFailed: Nothing was changed; or not all of it was, and which.
        """
        targets = tuple(
            Target(
                root=str(change.place.root.path),
                path=str(change.place.path),
                before=change.before,
                after=digest(change.after),
                size=None if change.after is None else len(change.after),
                mode=change.mode,
            )
            for change in changes
        )
        receipt = Receipt(key=key, said=said, targets=targets)
        contents = [b"" if change.after is None else change.after for change in changes]
        try:
            self.receipts.put(receipt, contents)
        except OSError as error:
            raise ToolFailed(
                f"nothing was changed: {why(error)} (in the data folder)"
            ) from None
        except DataFolderError as error:
            raise ToolFailed(f"nothing was changed: {error}") from None
        return self._finish(receipt, contents, again=False)

    def targets(self, key: str) -> tuple[str, ...]:
        """The files that the call with *key* has decided to change."""
        found = self.receipts.get(key)
        return () if found is None else tuple(each.path for each in found[0].targets)

    def touching(self, paths: Container[str], but: Container[str]) -> list[Receipt]:
        """What was begun with files at *paths* and is not done; *but* not by these calls."""
        return [
            receipt
            for receipt in self.receipts.open()
            if receipt.key not in but
            and any(target.path in paths for target in receipt.targets)
        ]

    def catch_up(self, paths: Container[str], but: Container[str]) -> None:
        """Carry on with all of that, before anybody changes these files anew."""
        for receipt in self.touching(paths, but):
            with suppress(ToolFailed):  # the call itself will hear of it
                self.resume(receipt.key)

    def resume(self, key: str) -> str | None:
        """What has become of the changes under *key*, which are made now if need be.

        None: it was never decided what to change; nothing was.

        Raises:
            ToolFailed: Not all of it could be made, and which.
        """
        found = self.receipts.get(key)
        if found is None:
            return None
        receipt, contents = found
        if receipt.done:
            if receipt.failed:
                raise ToolFailed(receipt.said)
            return receipt.said
        return self._finish(receipt, contents, again=True)

    # --- the way from a receipt to its end

    def _finish(
        self, receipt: Receipt, contents: Sequence[bytes], *, again: bool
    ) -> str:
        stopped = self._prepare(receipt, contents) or ""
        made: list[str] = []
        missed: list[str] = []
        if not stopped:
            for number, target in enumerate(receipt.targets):
                done, problem = self._settle(receipt, number, target)
                made += [target.path] * done
                missed += [problem] * bool(problem)
        if not missed and not stopped:
            self.receipts.close(receipt, receipt.said, failed=False)
            return receipt.said
        for number, target in enumerate(receipt.targets):
            with suppress(PathRefused), self._at(target) as spot:
                discard(spot, receipt.beside(number))
        said = _partly(stopped, missed, made, again=again)
        if made or again:
            self.receipts.close(receipt, said, failed=True)
        else:
            self.receipts.forget(receipt.key)
        raise ToolFailed(said)

    def _prepare(self, receipt: Receipt, contents: Sequence[bytes]) -> str | None:
        """Write all new contents beside their places; why that cannot be done."""
        for number, target in enumerate(receipt.targets):
            try:
                with self._at(target, make=True) as spot:
                    if (
                        target.after is not None
                        and digest_at(spot, self.most) == target.before
                    ):
                        prepare(
                            spot, receipt.beside(number), contents[number], target.mode
                        )
            except OSError as error:
                return f"{target.path}: {why(error)}"
            except PathRefused as refused:
                return str(refused)
        return None

    def _settle(
        self, receipt: Receipt, number: int, target: Target
    ) -> tuple[bool, str]:
        """Replace one file, or see that it is; whether it is, and what went wrong."""
        made = False
        try:
            with self._at(target) as spot:
                now = digest_at(spot, self.most)
                if now != target.after:
                    if now != target.before:
                        words = f"{target.path} has been changed by somebody else"
                        return False, words
                    name = None if target.after is None else receipt.beside(number)
                    settle(spot, name)
                made = True
                sync_folder(spot)  # also of what got its name right before a crash
        except OSError as error:
            return made, f"{target.path}: {why(error)}{_SHAKY * made}"
        except PathRefused as refused:
            return False, str(refused)
        return True, ""

    @contextmanager
    def _at(self, target: Target, *, make: bool = False) -> Generator[Spot]:
        # It may be another agent's, in whose workspace this one has nothing to say.
        root = Root(Path(target.root), writable=True, name="workspace")
        roots = attrs.evolve(self.roots, workspace=root, others=())
        with find(roots, target.path, make=make) as spot:
            if str(spot.place.path) != target.path:
                raise PathRefused(f"{target.path} leads elsewhere now")
            spot.require_writable()
            yield spot


def _partly(stopped: str, missed: list[str], made: list[str], *, again: bool) -> str:
    reason = stopped or "; ".join(missed)
    if not made:
        if again:
            return (
                f"it was interrupted, and could not be ended: {reason}. Look at what is "
                "there before you go on."
            )
        return f"nothing was changed: {reason}. Read it again."
    return f"only a part was done: {reason}. Changed are: {', '.join(made)}."


def why(error: OSError) -> str:
    """What the system says."""
    return (error.strerror or "it cannot be written").lower()
