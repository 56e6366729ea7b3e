"""Where cgroups can be made for commands, and those of dead nodes.

In version 2 one cgroup bounds all; one that has processes of its own cannot have others
below it that bound anything, so it is looked for upwards from our own. In version 1 each
resource has a tree of its own, and one below ours can always be made, if we may.

A cgroup is called by whose it is, see ``beamclaw/commands/_launcher/``.
"""

import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from beamclaw.contracts.sandbox import Hierarchy
from beamclaw.values import frozen

WANTED: Final = ("memory", "pids", "cpu")
# Without these two a machine has no cgroups as we mean it.
NEEDED: Final = frozenset({"memory", "pids"})
PREFIX: Final = "beamclaw."
_NAME: Final = re.compile(r"beamclaw\.(\d+)\.(\d+)\.(\d+)")


@frozen
class Mount:
    """A mounted tree of cgroups.

    Attributes:
        version: Of cgroups.
        controllers: Which ones it has; in version 2 they are asked for later.
        folder: Where it is mounted.
        own: Where we are in it.
    """

    version: Literal[1, 2]
    controllers: frozenset[str]
    folder: str
    own: str


def mounts(mountinfo: str, cgroups: str) -> list[Mount]:
    """The trees of cgroups, with our place in them.

    Args:
        mountinfo: ``/proc/self/mountinfo``.
        cgroups: ``/proc/self/cgroup``.
    """
    own: dict[str, str] = {}
    for line in cgroups.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            own[name] = path
    return [*_mounts(mountinfo, own)]


def _mounts(mountinfo: str, own: dict[str, str]) -> Iterator[Mount]:
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, *options) = before.split(" "), after.split(" ")
        top, folder = fields[3], fields[4]
        if kind == "cgroup2" and "" in own:
            yield Mount(2, frozenset(), folder, _below(own[""], top))
        elif kind == "cgroup":
            names = frozenset(options[-1].split(",")) & {*WANTED}
            for name in sorted(names & own.keys()):
                yield Mount(1, frozenset({name}), folder, _below(own[name], top))


def _below(path: str, top: str) -> str:
    """Where *path* is in a tree of which only *top* and what is below it is mounted."""
    if top == "/":
        return path
    return path.removeprefix(top) or "/" if path.startswith(top) else "/"


def leftover(name: str, numbers: str, is_alive: Callable[[int, str], bool]) -> bool:
    """Whether a cgroup is of a reaper that has died.

    Of one that sees other numbers of processes than we do, nobody here can say that.
    """
    found = _NAME.fullmatch(name)
    if found is None or found[1] != numbers:
        return False
    return not is_alive(int(found[2]), found[3])


@frozen
class Tree:
    """The files of the kernel; a test has others, below *top*."""

    top: Path = Path("/")

    def find(self) -> tuple[Hierarchy, ...]:
        """Where cgroups can be made that bound memory and processes, or nothing."""
        found = mounts(
            self._read("proc/self/mountinfo"), self._read("proc/self/cgroup")
        )
        for mount in found:
            if mount.version == 2 and (one := self._second(mount)):  # noqa: PLR2004 -- it is its name
                return (one,)
        several = [
            one for mount in found if mount.version == 1 and (one := self._first(mount))
        ]
        bound = frozenset[str]().union(*(each.controllers for each in several))
        return tuple(several) if bound >= NEEDED else ()

    def sweep(self, hierarchies: Iterable[Hierarchy]) -> int:
        """Remove what dead reapers have left, with who is in there; how many."""
        numbers, count = self._numbers(), 0
        for each in hierarchies:
            folder = Path(each.folder)
            for path in _children(folder):
                if leftover(path.name, numbers, self._is_alive):
                    self._end(path)
                    with suppress(OSError):
                        self.remove(path)
                        count += 1
        return count

    def make(self, path: Path) -> None:
        """Make a cgroup: the kernel puts files into it."""
        path.mkdir()

    def remove(self, path: Path) -> None:
        """Remove one that is empty."""
        path.rmdir()

    def _read(self, name: str) -> str:
        try:
            return (self.top / name).read_text()
        except OSError:
            return ""

    def _first(self, mount: Mount) -> Hierarchy | None:
        return self._tried(self._at(mount.folder, mount.own), 1, mount.controllers)

    def _second(self, mount: Mount) -> Hierarchy | None:
        """Ours, or the nearest one above it, that hands on its controllers."""
        top, path = self._at(mount.folder, "/"), self._at(mount.folder, mount.own)
        while True:
            has = set(_words(path / "cgroup.controllers"))
            if has >= NEEDED:
                handed = {*WANTED} & has
                missing = handed - set(_words(path / "cgroup.subtree_control"))
                if not missing or self._hand_on(path, missing):
                    found = self._tried(path, 2, frozenset(handed))
                    if found is not None:
                        return found
            if path == top:
                return None
            path = path.parent

    def _hand_on(self, path: Path, names: Iterable[str]) -> bool:
        try:
            (path / "cgroup.subtree_control").write_text(
                " ".join(f"+{name}" for name in sorted(names))
            )
        except OSError:  # it is not ours, or there are processes in it
            return False
        return True

    def _tried(
        self, folder: Path, version: Literal[1, 2], controllers: frozenset[str]
    ) -> Hierarchy | None:
        """One is made and removed: permissions alone do not say whether that works."""
        trial = folder / f"{PREFIX}trial.{os.getpid()}"
        try:
            self.make(trial)
        except OSError:
            return None
        try:
            files = frozenset(path.name for path in trial.iterdir())
            joined = os.access(trial / "cgroup.procs", os.W_OK)
        finally:
            self.remove(trial)
        if not joined:
            return None
        return Hierarchy(
            folder=str(folder), version=version, controllers=controllers, files=files
        )

    def _at(self, folder: str, own: str) -> Path:
        return self.top / folder.lstrip("/") / own.lstrip("/")

    def _numbers(self) -> str:
        try:
            return str((self.top / "proc/self/ns/pid").stat().st_ino)
        except OSError:
            return "0"

    def _is_alive(self, pid: int, started: str) -> bool:
        stat = self._read(f"proc/{pid}/stat")
        return bool(stat) and stat.rpartition(")")[2].split()[19] == started

    @staticmethod
    def _end(path: Path) -> None:
        with suppress(OSError):
            (path / "cgroup.kill").write_text("1")
            return
        for word in _words(path / "cgroup.procs"):
            with suppress(OSError):
                os.kill(int(word), signal.SIGKILL)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _children(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []
