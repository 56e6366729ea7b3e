"""A Google docstring, taken apart: what it says of all, and of each argument."""

import inspect
import re

from beamclaw.values import frozen

_SECTION = re.compile(r"^(\w[\w ]*):$")
_ARGUMENT = re.compile(r"^\*{0,2}(\w+)(?: \([^)]*\))?:\s*(.*)$")
_ARGUMENTS = frozenset({"Args", "Arguments", "Attributes"})
_SECTIONS = _ARGUMENTS | {
    "Returns", "Raises", "Yields", "Example", "Examples", "Note", "Notes",
}  # fmt: skip


@frozen
class Docstring:
    """What it says; a paragraph is one line."""

    text: str
    arguments: dict[str, str]


def parse(docstring: str | None) -> Docstring:
    """*docstring*, taken apart; sections beside ``Args`` are for people and left out."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    section, text = "", list[str]()
    arguments: dict[str, str] = {}
    name = ""
    for line in lines:
        found = _SECTION.match(line)
        if found and found[1] in _SECTIONS:
            section, name = found[1], ""
        elif not section:
            text.append(line)
        elif section in _ARGUMENTS:
            name = _read(arguments, name, line)
    paragraphs = "\n".join(text).strip().split("\n\n")
    return Docstring("\n\n".join(_one_line(each) for each in paragraphs), arguments)


def _read(arguments: dict[str, str], name: str, line: str) -> str:
    """Which argument the next line goes on with."""
    depth = len(line) - len(line.lstrip())
    found = _ARGUMENT.match(line.strip())
    if found and depth == _DEPTH:
        arguments[found[1]] = found[2]
        return found[1]
    if name and line.strip():
        arguments[name] = f"{arguments[name]} {line.strip()}".strip()
    return name


# Columns by which an argument is set in; what goes on is set in further.
_DEPTH = 4


def _one_line(paragraph: str) -> str:
    """Lists stay lists; other lines were broken for the reader of the source."""
    lines = paragraph.splitlines()
    if any(line.lstrip().startswith(("- ", "* ", "    ")) for line in lines[1:]):
        return "\n".join(lines)
    return " ".join(line.strip() for line in lines)
