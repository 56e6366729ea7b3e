"""Texts replaced by others: each has to be there, once, and none touches another.

All are looked for in the file as it is, not as the one before has left it: so their order
means nothing, and no text is found in what was only just written.
"""

import itertools
from collections.abc import Sequence

from beamclaw.contracts.tools import ToolFailed
from beamclaw.files.nearest import nearest
from beamclaw.files.text import Mapped, Marked, line_of, plain
from beamclaw.values import frozen

# Places that are told where a text stands more than once.
_PLACES = 5


@frozen
class Edit:
    """A text, and what stands in its place afterwards.

    Attributes:
        old_text: Exactly as it stands in the file, once.
        new_text: What takes its place; empty removes it.
    """

    old_text: str
    new_text: str


@frozen
class _Found:
    start: int
    end: int
    new: str


def edited(text: str, edits: Sequence[Edit], name: str) -> str:
    """*text* after *edits*; what they do not touch is as it was.

    Raises:
        ToolFailed: A text is not there, or more than once; two overlap; or nothing would
            change. In words, *name* among them, with the nearest that is there.
    """
    marked = Marked.of(text)
    mapped = Mapped(marked.raw)
    found = [
        _find(mapped.plain, edit, _called(at, len(edits)), name)
        for at, edit in enumerate(edits, 1)
    ]
    found.sort(key=lambda each: each.start)
    for one, next_ in itertools.pairwise(found):
        if next_.start < one.end:
            raise ToolFailed(
                f"two of the edits of {name} overlap in line "
                f"{line_of(mapped.plain, next_.start)}; make one of them. "
                "Nothing was changed."
            )
    pieces: list[str] = []
    done = 0
    for each in found:
        start, end = mapped.place(each.start), mapped.place(each.end)
        pieces += (
            mapped.raw[done:start],
            _with_endings(each.new, mapped.raw, start, end),
        )
        done = end
    pieces.append(mapped.raw[done:])
    return marked.whole("".join(pieces))


def _called(at: int, count: int) -> str:
    return "oldText" if count == 1 else f"oldText of edit {at}"


def _find(text: str, edit: Edit, called: str, name: str) -> _Found:
    old, new = plain(edit.old_text), plain(edit.new_text)
    if not old:
        raise ToolFailed(
            f"{called} is empty; name the text to replace, or use write for a new file"
        )
    if old == new:
        raise ToolFailed(f"{called} and its newText are the same: nothing would change")
    start = text.find(old)
    if start < 0:
        lines = old.strip("\n").split("\n")
        raise ToolFailed(
            f"{called} is not in {name}. It has to be there exactly, with all white "
            f"space.{nearest(lines, text.split(chr(10)))}\nNothing was changed."
        )
    again = _more(text, old, start)
    if again:
        places = ", ".join(str(line_of(text, at)) for at in (start, *again))
        more = ", …" if len(again) == _PLACES - 1 else ""
        raise ToolFailed(
            f"{called} is in {name} more than once (lines {places}{more}); make it "
            "longer, so that it is there once. Nothing was changed."
        )
    return _Found(start, start + len(old), new)


def _more(text: str, old: str, first: int) -> list[int]:
    found: list[int] = []
    at = text.find(old, first + 1)
    while at >= 0 and len(found) < _PLACES - 1:
        found.append(at)
        at = text.find(old, at + 1)
    return found


def _with_endings(new: str, raw: str, start: int, end: int) -> str:
    """*new* with the endings of what it replaces, or else of the file."""
    around = raw[start:end] if "\n" in raw[start:end] else raw
    ending = Marked(around).ending
    return new if ending == "\n" else new.replace("\n", ending)
