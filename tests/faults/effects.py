"""What else changes when a process of the tree is killed, in fixed words.

The page about the tree has a column of them, which is read here, and each kill of
``test_every_process.py`` is compared with it: who else has been started anew, and what
became of a turn in progress and of the client that reads its answer.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import attrs

from beamclaw.tree import Row
from scripts.tree import COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "supervision-tree.md"
COLUMN = "what else changes"
NOTHING = "nothing"
# What who reads an answer sees: no more of it, or the word that it has broken off.
CLOSED = "connections close"
BROKEN = "answers break off"
# What becomes of a turn in progress.
CONTINUED = "turns are continued"
WORDS = (CLOSED, BROKEN, CONTINUED)

Path_ = tuple[str, ...]
_RESTART = re.compile(r"(.*) starts? again")


@attrs.frozen
class Effects:
    """What else changes: who starts again, beside those below; and which of the words."""

    restarted: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """As the page has it."""
        names = [f"`{name}`" for name in sorted(self.restarted)]
        said = (
            [f"{', '.join(names)} start{'s' * (len(names) == 1)} again"]
            if names
            else []
        )
        said += [word for word in WORDS if word in self.words]
        return "; ".join(said) or NOTHING


def effects_of(cell: str) -> Effects:
    """What a cell of the column says.

    Raises:
        ValueError: It says something that is none of the words.
    """
    restarted, words = frozenset[str](), list[str]()
    for said in [] if cell == NOTHING else cell.split("; "):
        found = _RESTART.fullmatch(said)
        if found is not None:
            restarted = frozenset(name.strip("`") for name in found[1].split(", "))
        elif said in WORDS:
            words.append(said)
        else:
            raise ValueError(f"{said!r} is none of {WORDS}")
    return Effects(restarted, frozenset(words))


def table() -> dict[str, Effects]:
    """What the page says of each child."""
    rows = list(_rows(PAGE.read_text().splitlines()))
    (head, *_), place = rows, rows[0].index(COLUMN)
    assert head[: len(COLUMNS)] == list(COLUMNS)
    return {row[0].strip("`"): effects_of(row[place]) for row in rows[2:]}


def _rows(lines: Iterable[str]) -> Iterator[list[str]]:
    inside = False
    for line in lines:
        inside = line.startswith(f"| {COLUMNS[0]} |") or (
            inside and line.startswith("|")
        )
        if inside:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def others(killed: Path_, fallen: Collection[Path_]) -> frozenset[str]:
    """Who has been started anew beside the one that was killed; none below another."""
    beside = {path for path in fallen if path[: len(killed)] != killed}
    top = {path for path in beside if path[:-1] not in beside}
    return frozenset(path[-1] for path in top)


def name_on_page(row: Row) -> str:
    """Under which name a child of a test's node stands there: one provider for all."""
    return re.sub(r"^providers/.*", "providers/demo", "/".join(row.path))
