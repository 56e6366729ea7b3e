"""README and the pages of docs, taken apart: blocks, prose, links, headings."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = tuple(
    page
    for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))
    if "_build" not in page.parts
)
PROGRAM: Final = "beamclaw"
_BLOCK = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_INCLUDED = re.compile(r"\{literalinclude\} (\S+)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_COMMAND = re.compile(r"(?:\$ )?(?:\w+=\S+ )*(?:[\w./]*/)?beamclaw (.*)")
Step = tuple[str, list[str]]
# What a shell takes for itself ends the command before it.
_OF_A_SHELL = frozenset({"|", "&&", ";", ">", "2>", "<", "&", "||"})


def name(page: Path) -> str:
    """How a page is called in the message of a test."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """What stands between fences that name this language."""
    return [text for kind, text in _BLOCK.findall(_read(page)) if kind == language]


@cache
def prose(page: Path) -> str:
    """The page without its blocks."""
    return _BLOCK.sub("", _read(page))


@cache
def _read(page: Path) -> str:
    return page.read_text()


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Each link to a file of ours: as it is written, the file, and the place in it."""
    included = _INCLUDED.findall(_read(page))
    for link in (*_LINK.findall(prose(page)), *included):
        if ":" in link:  # of the web
            continue
        path, _, place = link.partition("#")
        yield link, (page.parent / path).resolve() if path else page, place


@cache
def places(page: Path) -> set[str]:
    """What a link to a heading of this page may have behind its ``#``."""
    return {_slug(heading) for heading in _HEADING.findall(prose(page))}


def _slug(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")


def typed(page: Path) -> list[list[str]]:
    """The words behind ``beamclaw`` of each command that a reader is to type."""
    found: list[list[str]] = []
    for block in blocks(page, "console"):
        lines = block.replace("\\\n", "").splitlines()
        if any(line.startswith("$ ") for line in lines):  # the others are shown
            lines = [line for line in lines if line.startswith("$ ")]
        hits = map(_COMMAND.fullmatch, lines)
        found += [_words(hit[1]) for hit in hits if hit is not None]
    return found


def named(page: Path) -> list[list[str]]:
    """The words behind ``beamclaw`` of each command that a text names."""
    found = re.findall(r"`beamclaw ([^`]+)`", prose(page))
    return [_words(text) for text in found]


def _words(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    ends = [place for place, word in enumerate(words) if word in _OF_A_SHELL]
    return words[: min(ends, default=len(words))]


def steps(page: Path, before: str = ".venv/bin/beamclaw ") -> list[Step]:
    """Each line that is typed, and what is shown below it.

    Only lines that begin with *before*, which is left out of them.
    """
    found: list[Step] = []
    for line in "\n".join(blocks(page, "console")).splitlines():
        if line.startswith(f"$ {before}"):
            found.append((line.removeprefix(f"$ {before}"), []))
        elif line:
            found[-1][1].append(line)
    return found


def is_shown(lines: list[str], printed: list[str]) -> bool:
    """Whether *lines* show what was printed; an ellipsis stands for anything."""
    pattern = "\n".join(re.escape(line).replace("…", ".*") for line in lines)
    return re.fullmatch(pattern, "\n".join(printed), re.DOTALL) is not None
