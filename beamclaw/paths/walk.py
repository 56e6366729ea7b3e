"""From a written path to an open folder and a name in it, without leaving the roots.

Each name is opened in the folder that is open already, and never through a link: a link
is read, and followed by ourselves if it stays inside. So there is no moment between a
check and its use. Whoever swaps a folder for a link while we walk makes a step fail, and
we walk again.

No kernel call takes ``..``: the folders above are those we came through.
"""

import errno
import os
import stat
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Literal, TypeVar

import attrs

from beamclaw.contracts.points import point
from beamclaw.paths.roots import NotThere, PathRefused, Place, Root, Roots
from beamclaw.paths.written import MAX_NAMES, shown, written
from beamclaw.values import frozen

T = TypeVar("T")

# What to do about a folder that is missing on the way.
Missing = Literal["look", "make", "think"]
# As many as the kernel follows.
MAX_LINKS: Final = 40
# Walks begun again because something was swapped on the way.
MAX_AGAIN: Final = 100

# Without waiting: a pipe that nobody writes to would hold the thread for ever.
FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
FOLDER: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_ITSELF = "."
# What opening a folder says when there is another thing, or none, in its place.
_SWAPPED: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK})

_KINDS: Final[tuple[tuple[Callable[[int], bool], str], ...]] = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@frozen(eq=False)
class Spot:
    """A name in an open folder.

    Attributes:
        place: Where it is.
        folder: Descriptor of the open folder.
        name: The name in it; ``.``: the folder itself.
        status: What is there, itself no link; None: nothing.
    """

    place: Place
    folder: int
    name: str
    status: os.stat_result | None

    @property
    def is_folder(self) -> bool:
        """Whether a folder is there."""
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        """Whether a regular file is there."""
        return self.status is not None and stat.S_ISREG(self.status.st_mode)

    def require_writable(self) -> None:
        """Refuse what cannot be written.

        Raises:
            PathRefused: The root is read only, or it is no place for a file.
        """
        self.place.require_writable()
        if self.is_folder:
            raise PathRefused(f"{self.place} is a folder, not a file")
        if self.status is not None and not stat.S_IMODE(self.status.st_mode) & 0o222:
            raise PathRefused(f"{self.place} is read only")

    def open_file(self) -> int:
        """A descriptor for reading the file that is there; the caller closes it.

        Raises:
            NotThere: Nothing is there.
            PathRefused: It is no file, or may not be read.
        """
        return self._open(FILE, stat.S_ISREG, "file")

    def open_folder(self) -> int:
        """The same, of the folder that is there."""
        return self._open(FOLDER, stat.S_ISDIR, "folder")

    def _open(self, flags: int, wanted: Callable[[int], bool], what: str) -> int:
        if self.status is None:
            raise NotThere(f"there is no {what} at {shown(str(self.place))}")
        if not wanted(self.status.st_mode):
            raise PathRefused(f"{self.place} is {kind(self.status)}, not a {what}")
        opened = _in_words(
            self.place, lambda: os.open(self.name, flags, dir_fd=self.folder)
        )
        if not wanted(os.fstat(opened).st_mode):
            os.close(opened)
            raise _restless(str(self.place))
        return opened


def kind(status: os.stat_result) -> str:
    """What is there, with its article."""
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        return "a folder"
    return next((name for test, name in _KINDS if test(mode)), "a file")


@contextmanager
def find(roots: Roots, text: str, *, make: bool = False) -> Generator[Spot]:
    """Walk to where *text* leads, and hold the folder open while the block lasts.

    That the last name is missing is not an error. With *make* folders that are missing on
    the way are made.

    Raises:
        PathRefused: It leads out of the roots, to a closed place or through a file, is a
            pipe, device or socket, or is nothing that is opened here at all.
        NotThere: A folder on the way is missing.
    """
    with ExitStack() as held:
        for _ in range(MAX_AGAIN):
            with suppress(_Swapped):
                walking = _walking(roots, text, "make" if make else "look")
                spot = held.enter_context(walking)
                break
        else:
            raise _restless(text)
        yield spot


@contextmanager
def _walking(roots: Roots, text: str, missing: Missing) -> Generator[Spot]:
    root, parts = _start(roots, text)
    walk = _Walk(roots, text, missing)
    try:
        yield walk.to(root, parts, folder=written(text).folder)
    finally:
        walk.close()


def _start(roots: Roots, text: str) -> tuple[Root, tuple[str, ...]]:
    """The root in which the way begins, and the names on it."""
    path = written(text)
    start = roots.at(text) if path.absolute else (roots.workspace, path.parts)
    if start is None:
        raise PathRefused(_outside(roots, text))
    return start


def where(roots: Roots, text: str) -> Place:
    """Where the file is, or would be, that *text* names; nothing is made for it.

    Raises:
        PathRefused: See :func:`find`. Folders that are missing are no error.
    """
    root, parts = _start(roots, text)
    if ".." not in parts and not root.path.exists():
        return Place(root, tuple(parts))
    for _ in range(MAX_AGAIN):
        with suppress(_Swapped), _walking(roots, text, "think") as spot:
            return spot.place
    raise _restless(text)


def open_below(roots: Roots, folder: int, names: Sequence[str]) -> int | None:
    """A descriptor of the folder at *names* below an open one; the caller closes it.

    None: there is none, a link is on the way, or it is closed or may not be read.
    """
    closed = frozenset(_identities(roots.closed))
    here = os.dup(folder)
    for name in names:
        try:
            below = os.open(name, FOLDER, dir_fd=here)
        except OSError:
            return None
        finally:
            os.close(here)
        here = below
        status = os.fstat(here)
        if (status.st_dev, status.st_ino) in closed:
            os.close(here)
            return None
    return here


def folder_inside(roots: Roots, text: str | None) -> Place:
    """Where the folder is that *text* names; None: the workspace.

    For who starts something there by path: between this and that a name on the way can be
    swapped, so it is one of several walls.

    Raises:
        PathRefused: See :func:`find`; or it is no folder.
        NotThere: There is none.
    """
    with find(roots, _ITSELF if text is None else text) as spot:
        os.close(spot.open_folder())
        return spot.place


class _Swapped(Exception):  # noqa: N818 -- a situation
    """Something is not any more what it was a moment ago: walk again."""


@attrs.define(eq=False)
class _Walk:
    """Where we are: in the folder ``here``, by *names* below the root.

    Two descriptors at most are open, however deep it goes: a model could use up those of
    the node. The way back up is walked again from the root.
    """

    roots: Roots
    text: str
    missing: Missing
    _root: Root = attrs.field(init=False)
    _here: int | None = attrs.field(default=None, init=False)
    _names: list[str] = attrs.field(factory=list[str], init=False)
    _closed: frozenset[tuple[int, int]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._closed = frozenset(_identities(self.roots.closed))

    @property
    def here(self) -> int:
        assert self._here is not None
        return self._here

    def close(self) -> None:
        if self._here is not None:
            os.close(self._here)
            self._here = None

    def to(self, root: Root, parts: Sequence[str], *, folder: bool) -> Spot:
        self._begin(root)
        todo = list(reversed(parts))
        links = 0
        while todo:
            name = todo.pop()
            if name == "..":
                self._up()
                continue
            status = self._look(name)
            if status is None and todo:
                if self.missing == "think" and ".." not in todo:
                    place = self._place(name, *reversed(todo))
                    return Spot(place, self.here, name, None)
                self._make(name)
            elif status is not None and stat.S_ISLNK(status.st_mode):
                links += 1
                if links > MAX_LINKS:
                    raise PathRefused(
                        f"the path {shown(self.text)} goes round in links"
                    )
                todo += reversed(self._target(name))
                continue
            elif status is None or not (todo or stat.S_ISDIR(status.st_mode)):
                return self._spot(name, status, folder=folder)
            elif not stat.S_ISDIR(status.st_mode):
                raise PathRefused(
                    f"{shown(self._at(name))} is {kind(status)}, not a folder"
                )
            self._down(name)
        return self._spot(_ITSELF, os.fstat(self.here), folder=folder)

    # --- steps

    def _begin(self, root: Root) -> None:
        """Stand in *root*."""
        self._root = root
        self._names.clear()
        try:
            self._stand(os.open(root.path, FOLDER & ~os.O_NOFOLLOW))
        except FileNotFoundError:
            if self.missing != "make" or not root.writable:
                raise NotThere(f"the {root.name} {root.path} does not exist") from None
            _make_root(root)
            raise _Swapped from None
        except OSError as error:
            raise PathRefused(f"the {root.name} {root.path}: {_why(error)}") from None

    def _stand(self, folder: int) -> None:
        self.close()
        self._here = folder
        self._admit(os.fstat(folder), str(self._place()))

    def _up(self) -> None:
        if not self._names:
            raise PathRefused(_outside(self.roots, self.text))
        names = self._names[:-1]
        self._begin(self._root)
        for name in names:
            self._down(name)

    def _look(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self.here, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._refused(name, error) from None

    def _down(self, name: str) -> None:
        """Go into the folder *name*."""
        if len(self._names) >= MAX_NAMES:
            raise PathRefused(f"the path {shown(self.text)} leads too deep")
        try:
            folder = os.open(name, FOLDER, dir_fd=self.here)
        except OSError as error:
            if error.errno in _SWAPPED:
                raise _Swapped from None
            raise self._refused(name, error) from None
        self._names.append(name)
        self._stand(folder)

    def _target(self, name: str) -> Sequence[str]:
        """What the link *name* says; from the root on, if it says so absolutely."""
        try:
            target = os.readlink(name, dir_fd=self.here)
        except OSError:
            raise _Swapped from None
        if not target.startswith("/"):
            return [part for part in target.split("/") if part not in {"", "."}]
        inside = self.roots.at(target)
        if inside is None:
            raise PathRefused(
                f"{shown(self._at(name))} is a link to {shown(target)}, which lies "
                f"outside the {self._root.name}"
            )
        root, parts = inside
        self._begin(root)
        return parts

    def _make(self, name: str) -> None:
        """Make the folder *name*, if that is wanted."""
        if self.missing != "make" or not self._root.writable:
            raise NotThere(f"there is no folder at {shown(self._at(name))}")
        try:
            _make_folder(name, self.here)
        except FileExistsError:
            raise _Swapped from None
        except OSError as error:
            raise self._refused(name, error) from None

    # --- where we are

    def _admit(self, status: os.stat_result, where: str) -> None:
        if (status.st_dev, status.st_ino) in self._closed:
            raise PathRefused(f"{shown(where)} belongs to BeamClaw and is not opened")

    def _spot(self, name: str, status: os.stat_result | None, *, folder: bool) -> Spot:
        place = self._place() if name == _ITSELF else self._place(name)
        if status is not None:
            self._admit(status, str(place))
            special = next((what for t, what in _KINDS if t(status.st_mode)), None)
            if special:
                raise PathRefused(f"{shown(str(place))} is {special}, not a file")
            if folder and not stat.S_ISDIR(status.st_mode):
                raise PathRefused(f"{shown(str(place))} is a file, not a folder")
        return Spot(place, self.here, name, status)

    def _place(self, *more: str) -> Place:
        return Place(self._root, (*self._names, *more))

    def _at(self, name: str) -> str:
        return str(self._place(name))

    def _refused(self, name: str, error: OSError) -> PathRefused:
        return PathRefused(f"{shown(self._at(name))}: {_why(error)}")


def _make_folder(name: str, folder: int, mode: int = 0o777) -> None:
    with point("path.folder"):
        os.mkdir(name, mode, dir_fd=folder)
    with point("path.sync"):
        os.fsync(folder)


def _make_root(root: Root) -> None:
    """A workspace that is not there yet, for nobody but us; also the folders above."""
    for path in reversed((root.path, *root.path.parents)):
        if path.is_dir():
            continue
        above = os.open(path.parent, FOLDER & ~os.O_NOFOLLOW)
        try:
            with suppress(FileExistsError):
                _make_folder(path.name, above, 0o700)
        except OSError as error:
            raise PathRefused(f"the {root.name} {root.path}: {_why(error)}") from None
        finally:
            os.close(above)


def _identities(paths: Sequence[Path]) -> Generator[tuple[int, int]]:
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue  # what is not there is not opened either
        yield status.st_dev, status.st_ino


def _outside(roots: Roots, text: str) -> str:
    named = f"the {roots.workspace.name} {roots.workspace.path}"
    return f"the path {shown(text)} lies outside {named}"


def _restless(text: str) -> PathRefused:
    return PathRefused(f"what is at {shown(text)} changes all the time; try again")


def _why(error: OSError) -> str:
    return (error.strerror or "it cannot be opened").lower()


def _in_words(place: Place, act: Callable[[], T]) -> T:
    try:
        return act()
    except FileNotFoundError:
        raise NotThere(f"there is nothing at {shown(str(place))} any more") from None
    except OSError as error:
        raise PathRefused(f"{shown(str(place))}: {_why(error)}") from None
