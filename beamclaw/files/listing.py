"""What is in folders: one of them listed, or all below it walked through.

Links are shown, and not followed. However many entries there are, no more are held than
are shown, or looked at.
"""

import heapq
import os
from collections.abc import Iterator, Sequence

import attrs

from beamclaw.config.schema import FilesConfig
from beamclaw.contracts.steps import Steps
from beamclaw.paths import Roots, find, open_below
from beamclaw.paths.written import MAX_NAMES
from beamclaw.values import frozen

# Entries that are looked at in one step.
STEP = 2_000


def seen(name: str) -> str:
    """*name* for a message: as it is, unless there is in it what does things."""
    return name if name.isprintable() else repr(name)


def listed(roots: Roots, path: str, most: int, limits: FilesConfig) -> Steps[str]:
    """The first *most* entries of the folder at *path*, by name."""
    with find(roots, path) as spot:
        folder, where = spot.open_folder(), str(spot.place)
    first: list[str] = []
    count, cut = 0, False
    try:
        with os.scandir(folder) as entries:
            batch: list[str] = []
            for entry in entries:
                count += 1
                batch.append(_described(entry, folder))
                if len(batch) >= STEP:
                    first = heapq.nsmallest(most, [*first, *batch], key=_order)
                    batch = []
                    yield
                if count >= limits.looked_at:
                    cut = True
                    break
            first = heapq.nsmallest(most, [*first, *batch], key=_order)
    finally:
        os.close(folder)
    if not first:
        return f"[{where} is empty]"
    kept = list(_fitting(first, limits.read_chars))
    text = "\n".join(kept)
    if len(kept) == count and not cut:
        return text
    all_ = f"{count:,} or more" if cut else f"{count:,}"
    return f"{text}\n\n[{len(kept):,} of {all_} entries]"


def _order(shown: str) -> tuple[str, str]:
    return shown.casefold(), shown


def _described(entry: os.DirEntry[str], folder: int) -> str:
    name = seen(entry.name)
    if entry.is_symlink():
        try:
            return f"{name} -> {seen(os.readlink(entry.name, dir_fd=folder))}"
        except OSError:
            return name
    if entry.is_dir(follow_symlinks=False):
        return f"{name}/"
    return name if entry.is_file(follow_symlinks=False) else f"{name} (no file)"


def _fitting(lines: Sequence[str], chars: int) -> Iterator[str]:
    for line in lines:
        chars -= len(line) + 1
        if chars < 0:
            return
        yield line


@frozen
class Entry:
    """Something below a folder.

    Attributes:
        names: The way to it.
        folder: It is one; else it is a file.
    """

    names: tuple[str, ...]
    folder: bool


@attrs.define
class Tree:
    """All files and folders below one, a folder before what is in it, by name.

    Attributes:
        top: Descriptor of the open folder.
        looked_at: How many there were so far.
        cut: There are more than are looked at.
    """

    roots: Roots
    top: int
    limits: FilesConfig
    looked_at: int = attrs.field(default=0, init=False)
    cut: bool = attrs.field(default=False, init=False)

    def entries(self) -> Iterator[Entry | None]:
        """One after the other; None now and then: it is time for a pause."""
        todo: list[tuple[str, ...]] = [()]
        while todo:
            names = todo.pop()
            found: list[Entry] = []
            for each in self._inside(names):
                if each is None:
                    yield None
                else:
                    found.append(each)
            found.sort(key=lambda entry: entry.names[-1])
            yield from found
            todo += [entry.names for entry in reversed(found) if entry.folder]
            yield None

    def _inside(self, names: tuple[str, ...]) -> Iterator[Entry | None]:
        if len(names) >= MAX_NAMES or self.cut:
            return
        folder = open_below(self.roots, self.top, names)
        if folder is None:
            return
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if self.looked_at >= self.limits.looked_at:
                        self.cut = True
                        return
                    self.looked_at += 1
                    if self.looked_at % STEP == 0:
                        yield None
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_folder and entry.name in self.limits.skip:
                        continue
                    if is_folder or entry.is_file(follow_symlinks=False):
                        yield Entry((*names, entry.name), is_folder)
        finally:
            os.close(folder)
