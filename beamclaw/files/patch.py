"""Patches as OpenClaw's and Codex' ``apply_patch`` takes them: read, and applied to texts.

::

    *** Begin Patch
    *** Update File: src/app.py
    *** Move to: src/main.py
    @@ def greet():
    -    return "hi"
    +    return "hello"
    *** Add File: notes.txt
    +one line
    *** Delete File: old.txt
    *** End Patch

Lines that stay tell where; what they say is looked for exactly first, then without the
white space at their ends, then without that before them either. Unlike there, lines that
fit in several places are refused unless ``@@`` says in which, and an added file must be
new: what is guessed wrong is not noticed before it does harm.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from beamclaw.contracts.tools import ToolFailed
from beamclaw.files.nearest import nearest
from beamclaw.files.text import Marked
from beamclaw.values import frozen

BEGIN: Final = "*** Begin Patch"
END: Final = "*** End Patch"
_ADD: Final = "*** Add File: "
_DELETE: Final = "*** Delete File: "
_UPDATE: Final = "*** Update File: "
_MOVE: Final = "*** Move to: "
_EOF: Final = "*** End of File"
# Line numbers of other kinds of patches say nothing here: the lines themselves do.
_NUMBERS = re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@ ?")


@frozen
class Chunk:
    """Lines of one place.

    Attributes:
        headers: Lines above it, outermost first, that tell where.
        lines: Sign (blank: stays, minus: goes, plus: comes) and text.
        at_end: It is the end of the file.
    """

    headers: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]
    at_end: bool = False

    @property
    def old(self) -> list[str]:
        """What has to be there."""
        return [text for sign, text in self.lines if sign != "+"]


@frozen
class Add:
    """A new file."""

    path: str
    content: str


@frozen
class Delete:
    """A file that goes."""

    path: str


@frozen
class Update:
    """A file that changes, and perhaps goes elsewhere."""

    path: str
    chunks: tuple[Chunk, ...]
    move_to: str | None = None


Op = Add | Delete | Update


def named(op: Op) -> tuple[str, ...]:
    """The paths that *op* is about."""
    if isinstance(op, Update) and op.move_to is not None:
        return op.path, op.move_to
    return (op.path,)


# --- reading


def parsed(text: str) -> tuple[Op, ...]:
    """What the patch *text* says.

    Raises:
        ToolFailed: It is none, or says nothing; which line is wrong, and why.
    """
    lines = _Lines(_unwrapped(text.strip().split("\n")))
    ops = tuple(_ops(lines))
    if not ops:
        raise ToolFailed("the patch changes nothing: there is no file in it")
    return ops


def _unwrapped(lines: list[str]) -> list[str]:
    lines = [line.removesuffix("\r") for line in lines]
    if lines[0].startswith("<<") and len(lines) > 1:  # a shell's here-document
        lines = lines[1:-1]
    if not lines or lines[0].strip() != BEGIN:
        raise ToolFailed(f"the first line of a patch is {BEGIN!r}")
    if lines[-1].strip() != END:
        raise ToolFailed(f"the last line of a patch is {END!r}")
    return lines


class _Lines:
    """The lines between begin and end, one after the other."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._at = 1

    @property
    def next(self) -> str | None:
        return self._lines[self._at] if self._at < len(self._lines) - 1 else None

    def take(self) -> str:
        line = self._lines[self._at]
        self._at += 1
        return line

    def file_follows(self) -> bool:
        """Whether nothing but blank lines stands before the next file, or the end."""
        rest = self._lines[self._at : -1]
        line = next((line for line in rest if line.strip()), None)
        return line is None or _is_file(line)

    def wrong(self, why: str) -> ToolFailed:
        line = self._lines[self._at][:80]
        return ToolFailed(
            f"line {self._at + 1} of the patch, {line!r}: {why}. Nothing was changed."
        )


def _ops(lines: _Lines) -> Iterator[Op]:
    while (line := lines.next) is not None:
        if not line.strip():
            lines.take()
        elif line.startswith(_ADD):
            yield _add(lines)
        elif line.startswith(_DELETE):
            yield Delete(lines.take().removeprefix(_DELETE).strip())
        elif line.startswith(_UPDATE):
            yield _update(lines)
        else:
            raise lines.wrong(
                f"expected {_ADD.strip()!r}, {_UPDATE.strip()!r} or {_DELETE.strip()!r}"
                " and a path"
            )


def _add(lines: _Lines) -> Add:
    path = lines.take().removeprefix(_ADD).strip()
    content: list[str] = []
    while (line := lines.next) is not None and not line.startswith("*** "):
        if not line.startswith("+"):
            if line.strip():
                raise lines.wrong("each line of a new file begins with +")
            lines.take()
            continue
        content.append(lines.take()[1:] + "\n")
    return Add(path, "".join(content))


def _update(lines: _Lines) -> Update:
    path = lines.take().removeprefix(_UPDATE).strip()
    move_to = None
    if lines.next is not None and lines.next.startswith(_MOVE):
        move_to = lines.take().removeprefix(_MOVE).strip()
    chunks: list[Chunk] = []
    while (line := lines.next) is not None and not _is_file(line):
        if not line.strip() and lines.file_follows():
            lines.take()
            continue
        chunks.append(_chunk(lines))
    if not chunks and move_to is None:
        raise ToolFailed(f"the patch has no lines for {path!r}; nothing was changed")
    return Update(path, tuple(chunks), move_to)


def _is_file(line: str) -> bool:
    return line.startswith((_ADD, _DELETE, _UPDATE))


def _chunk(lines: _Lines) -> Chunk:
    headers: list[str] = []
    while (line := lines.next) is not None and line.startswith("@@"):
        header = _NUMBERS.sub("@@ ", lines.take())[2:].removeprefix(" ")
        if header.strip():
            headers.append(header)
    body: list[tuple[str, str]] = []
    at_end = False
    while (line := lines.next) is not None and not line.startswith("@@"):
        if line.rstrip() == _EOF:
            lines.take()
            at_end = True
            break
        if _is_file(line):
            break
        if line and line[0] not in " +-":
            raise lines.wrong(
                "a line begins with a blank (stays), + (comes), - (goes) or @@ (where)"
            )
        lines.take()
        body.append((line[0], line[1:]) if line else (" ", ""))
    while (
        body and body[-1] == (" ", "") and (lines.next is None or _is_file(lines.next))
    ):
        body.pop()  # blank lines between two files are nobody's
    if not body:
        raise ToolFailed(f"the patch has a place without lines: {headers or '@@'}")
    return Chunk(tuple(headers), tuple(body), at_end)


# --- applying


def applied(
    ops: Sequence[Op], files: Mapping[str, str | None]
) -> dict[str, tuple[str | None, str | None]]:
    """What becomes of *files*, by path: the text (None: no file), and whence it came.

    A file may be named by several operations, which follow one another.

    Args:
        ops: By the same paths.
        files: The text of each file, None where there is none.

    Raises:
        ToolFailed: One of them does not fit; then none is done.
    """
    now: dict[str, tuple[str | None, str | None]] = {
        path: (text, None if text is None else path) for path, text in files.items()
    }
    for op in ops:
        text, origin = now[op.path]
        if isinstance(op, Add):
            if text is not None:
                raise _not_done(f"{op.path} is there already; update it instead")
            now[op.path] = op.content, None
            continue
        if text is None:
            raise _not_done(f"there is no file {op.path}")
        if isinstance(op, Delete):
            now[op.path] = None, None
            continue
        new = _updated(text, op)
        if op.move_to is not None and op.move_to != op.path:
            if now[op.move_to][0] is not None:
                raise _not_done(f"{op.move_to} is there already; delete it first")
            now[op.path] = None, None
        now[op.move_to or op.path] = new, origin
    return now


def _not_done(why: str) -> ToolFailed:
    return ToolFailed(f"{why}. Nothing was changed.")


def _updated(text: str, op: Update) -> str:
    marked = Marked.of(text)
    ending = marked.ending
    rows = [_row(line) for line in marked.raw.split("\n")]
    closed = rows[-1] == ("", False)  # the last line is ended, or there is none
    if closed:
        rows.pop()
    else:  # how it would end, if it were not the last
        rows[-1] = rows[-1][0], ending == "\r\n"
    out: list[tuple[str, bool]] = []
    done = 0
    for chunk in op.chunks:
        at = _where(chunk, [line for line, _ in rows], done, op.path)
        out += rows[done:at]
        done = at
        for sign, line in chunk.lines:
            if sign == "+":
                out.append((line, ending == "\r\n"))
            else:
                if sign == " ":
                    out.append(rows[done])
                done += 1
    out += rows[done:]
    lines = [line + ("\r\n" if pair else "\n") for line, pair in out]
    whole = "".join(lines)
    if not closed and lines:
        whole = whole[:-2] if whole.endswith("\r\n") else whole[:-1]
    return marked.whole(whole)


def _row(line: str) -> tuple[str, bool]:
    return (line[:-1], True) if line.endswith("\r") else (line, False)


_LOOSER: Final[tuple[Callable[[str], str], ...]] = (
    lambda line: line,
    str.rstrip,
    str.strip,
)


def _where(chunk: Chunk, lines: Sequence[str], first: int, path: str) -> int:
    """The number of the line, from 0, at which *chunk* begins."""
    for header in chunk.headers:
        found = _header(header, lines, first)
        if found is None:
            raise _not_done(
                f"the line {header!r} is not in {path} from line {first + 1} on."
                f"{nearest([header], lines)}\n"
            )
        first = found + 1
    old = chunk.old
    if not old:
        return first if chunk.headers and not chunk.at_end else len(lines)
    for looser in _LOOSER:
        places = _places([looser(line) for line in old], lines, first, looser)
        if chunk.at_end:
            places = [at for at in places if at + len(old) == len(lines)]
        if len(places) > 1 and not chunk.headers:
            raise _not_done(
                f"these lines are in {path} more than once, at lines "
                f"{', '.join(str(at + 1) for at in places[:5])}: say which by a line "
                "'@@ ' above them, or by more lines that stay:\n" + "\n".join(old[:6])
            )
        if places:
            return places[0]
    raise _not_done(
        f"these lines are not in {path} from line {first + 1} on:\n"
        + "\n".join(old[:12])
        + nearest(old, lines)
        + "\n"
    )


def _header(header: str, lines: Sequence[str], first: int) -> int | None:
    wanted = header.strip()
    for at in range(first, len(lines)):
        if lines[at].strip() == wanted:
            return at
    # Some leave out how the line goes on.
    for at in range(first, len(lines)):
        if lines[at].strip().startswith(wanted):
            return at
    return None


def _places(
    old: Sequence[str], lines: Sequence[str], first: int, looser: Callable[[str], str]
) -> list[int]:
    return [
        at
        for at in range(first, len(lines) - len(old) + 1)
        if looser(lines[at]) == old[0]
        and all(looser(lines[at + more]) == old[more] for more in range(1, len(old)))
    ]
