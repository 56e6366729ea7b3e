"""Files found by their names, and lines by what they say, below a folder."""

import os
from collections.abc import Iterator
from typing import Final, Protocol

import attrs

from beamclaw.config.schema import FilesConfig
from beamclaw.contracts.steps import Steps
from beamclaw.contracts.tools import ToolFailed
from beamclaw.files.automaton import Automaton
from beamclaw.files.globs import Glob
from beamclaw.files.listing import Entry, Tree, seen
from beamclaw.paths import PathRefused, Place, Roots, Spot, find, open_below

# Characters of a line that are looked at, and that are shown.
_LOOKED_AT: Final = 10_000
_SHOWN: Final = 500
_PIECE: Final = 256 * 1024
# Lines that are looked through in one step.
_STEP: Final = 2_000
_HEAD: Final = 8192


@attrs.define
class Found:
    """What a search shows; *cut* says why there may be more."""

    most: int
    chars: int
    lines: list[str] = attrs.field(factory=list[str])
    cut: str = ""
    _left: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.chars

    @property
    def full(self) -> bool:
        """Nothing more is taken."""
        return bool(self.cut)

    def add(self, line: str, *, counts: bool = True) -> None:
        """One more line, if there is room; *counts*: it is one that was looked for."""
        if self.cut:
            return
        self._left -= len(line) + 1
        if self._left < 0:
            self.cut = "what one search shows is full (tools.files.read_chars)"
        elif counts and self.most == 0:
            self.cut = "there are more"
        else:
            self.most -= counts
            self.lines.append(line)

    def told(self, what: str, tree: Tree | None) -> str:
        """What the model gets."""
        if tree is not None and tree.cut and not self.cut:
            self.cut = f"only {tree.looked_at:,} files and folders were looked at"
        if not self.lines:
            return f"[no {what}{f'; {self.cut}' if self.cut else ''}]"
        text = "\n".join(self.lines)
        if not self.cut:
            return text
        return f"{text}\n\n[{self.cut}; look for less, or in a folder below]"


class Search(Protocol):
    """Something that finds lines to show."""

    found: Found

    def steps(self) -> Steps[str]:
        """Search, and say what was found."""
        ...


@attrs.define
class Find:
    """Files and folders whose names fit a pattern."""

    roots: Roots
    path: str
    pattern: str
    found: Found
    limits: FilesConfig

    def steps(self) -> Steps[str]:
        """See :class:`Search`."""
        glob = Glob(self.pattern)
        with find(self.roots, self.path) as spot:
            top, place = spot.open_folder(), spot.place
        try:
            tree = Tree(self.roots, top, self.limits)
            for entry in tree.entries():
                if entry is None:
                    yield
                elif glob.fits(entry.names):
                    stroke = "/" if entry.folder else ""
                    self.found.add(_named(place, entry) + stroke)
                if self.found.full:
                    break
        finally:
            os.close(top)
        return self.found.told(f"file or folder fits {self.pattern!r}", tree)


@attrs.define
class Grep:
    """Lines of texts that fit an expression.

    Attributes:
        around: Lines that are shown before and after each.
        glob: Only files whose names fit it.
    """

    roots: Roots
    path: str
    automaton: Automaton | str
    found: Found
    limits: FilesConfig
    around: int = 0
    glob: Glob | None = None
    _bytes: int = attrs.field(default=0, init=False)

    def steps(self) -> Steps[str]:
        """See :class:`Search`."""
        with find(self.roots, self.path) as spot:
            if not spot.is_folder:
                yield from self._file(spot.open_file(), str(spot.place))
                return self.found.told("line fits", None)
            top, place = spot.open_folder(), spot.place
        try:
            tree = Tree(self.roots, top, self.limits)
            for entry in tree.entries():
                if entry is None:
                    yield
                elif self._wanted(entry):
                    opened = self._opened(top, entry)
                    if opened is not None:
                        yield from self._file(opened, _named(place, entry))
                if self.found.full:
                    break
        finally:
            os.close(top)
        return self.found.told("line fits", tree)

    def _wanted(self, entry: Entry) -> bool:
        return not entry.folder and (self.glob is None or self.glob.fits(entry.names))

    def _opened(self, top: int, entry: Entry) -> int | None:
        folder = open_below(self.roots, top, entry.names[:-1])
        if folder is None:
            return None
        try:
            name = entry.names[-1]
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            return Spot(_nowhere(self.roots), folder, name, status).open_file()
        except (OSError, PathRefused):
            return None  # it went away, or may not be read
        finally:
            os.close(folder)

    # --- one file

    def _file(self, opened: int, name: str) -> Steps[None]:
        context = _Context(self.found, name, self.around)
        number = 0
        with os.fdopen(opened, "rb", buffering=0) as file:
            for lines in _lines(file.fileno()):
                if lines is None:  # it is binary
                    return
                for line in lines:
                    number += 1
                    self._bytes += len(line) + 1
                    context.see(number, *self._judged(line))
                if self._bytes > self.limits.search_bytes:
                    self.found.cut = (
                        f"only {self.limits.search_bytes:,} bytes were looked at "
                        "(tools.files.search_bytes)"
                    )
                if self.found.full:
                    return
                yield

    def _judged(self, line: bytes) -> tuple[str, bool]:
        text = line[: 4 * _LOOKED_AT].decode(errors="replace").removesuffix("\r")
        text = text[:_LOOKED_AT]
        if isinstance(self.automaton, str):
            return text, self.automaton in text
        needed = self.automaton.needed
        return text, needed in text and self.automaton.search(text)


@attrs.define
class _Context:
    """Shows the lines that fit, and those around them once."""

    found: Found
    name: str
    around: int
    _before: list[tuple[int, str]] = attrs.field(
        factory=list[tuple[int, str]], init=False
    )
    _after: int = attrs.field(default=0, init=False)
    _last: int = attrs.field(default=0, init=False)

    def see(self, number: int, line: str, fits: bool) -> None:  # noqa: FBT001 -- of a pair
        if fits:
            first = self._before[0][0] if self._before else number
            if self.around and self._last and first > self._last + 1:
                self.found.add("--", counts=False)
            for at, text in self._before:
                self._show(at, text, "-")
            self._before.clear()
            self._show(number, line, ":")
            self._after = self.around
        elif self._after:
            self._after -= 1
            self._show(number, line, "-")
        elif self.around:
            self._before.append((number, line))
            del self._before[: -self.around]

    def _show(self, number: int, line: str, sign: str) -> None:
        self._last = number
        shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
        self.found.add(f"{self.name}{sign}{number}{sign} {shown}", counts=sign == ":")


def _lines(file: int) -> Iterator[list[bytes] | None]:
    """The lines of a file, some at a time; None: it is no text."""
    rest = b""
    dropped = False
    head = True
    while piece := os.read(file, _PIECE):
        if head and b"\0" in piece[:_HEAD]:
            yield None
            return
        head = False
        lines = piece.split(b"\n")
        if not dropped:
            lines[0] = rest + lines[0]
        elif len(lines) > 1:
            lines[0] = rest
            dropped = False
        else:
            continue
        rest = lines.pop()
        if len(rest) > 4 * _LOOKED_AT:  # the rest of a line as long as that is passed
            rest, dropped = rest[: 4 * _LOOKED_AT], True
        for at in range(0, len(lines), _STEP):
            yield lines[at : at + _STEP]
        if not lines:
            yield []
    if rest:
        yield [rest]


def _named(place: Place, entry: Entry) -> str:
    below = attrs.evolve(place, parts=(*place.parts, *entry.names))
    return seen(str(below))


def _nowhere(roots: Roots) -> Place:
    return Place(roots.workspace, ())


def expression(pattern: str, *, literal: bool, ignore_case: bool) -> Automaton | str:
    """What lines have to fit.

    Raises:
        ToolFailed: There is nothing to look for, or *pattern* cannot be used.
    """
    if not pattern:
        raise ToolFailed("the pattern is empty: name what to look for")
    if literal and not ignore_case:
        return pattern
    if literal:
        escaped = "".join(f"\\{c}" if c in r"\.^$*+?{}[]|()" else c for c in pattern)
        return Automaton(escaped, ignore_case=True)
    return Automaton(pattern, ignore_case=ignore_case)
