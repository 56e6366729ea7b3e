"""Print the supervision tree as `beamclaw/tree.py` composes it; nothing is started.

    python -m scripts.tree            the drawing
    python -m scripts.tree --table    the rows of the table in the docs, without the last

`docs/reference/supervision-tree.md` has both, and a test compares them.
"""

import sys
from collections.abc import Iterator, Sequence

from beamclaw.config import Config
from beamclaw.tree import Row, outline, tree

Path = tuple[str, ...]
COLUMNS = ("child", "strategy", "restart", "shutdown", "intensity", "cool-down")
FOREVER = "until it is done"


def drawing(rows: Sequence[Row], root: str) -> str:
    """The tree with its strategies; *root* is the strategy at the top."""
    lines = [("beamclaw", root), *_branches(rows, ())]
    width = max(len(name) for name, _ in lines) + 3
    return "\n".join(f"{name:{width}}{strategy}".rstrip() for name, strategy in lines)


def _branches(
    rows: Sequence[Row], above: Path, margin: str = ""
) -> Iterator[tuple[str, str]]:
    children = [row for row in rows if row.path[:-1] == above]
    for row in children:
        last = row is children[-1]
        yield f"{margin}{'└── ' if last else '├── '}{row.path[-1]}", row.strategy or ""
        yield from _branches(rows, row.path, margin + ("    " if last else "│   "))


def cells(row: Row) -> tuple[str, ...]:
    """One row of the table, without what a person writes: what else changes."""
    return (
        f"`{'/'.join(row.path)}`",
        row.strategy or "",
        row.restart,
        _shutdown(row.shutdown),
        "" if row.intensity is None else "{} in {:g} s".format(*row.intensity),
        "" if row.cool_down is None else "{:g} to {:g} s".format(*row.cool_down),
    )


def _shutdown(value: object) -> str:
    if value is None:
        return FOREVER
    return f"{value:g} s" if isinstance(value, int | float) else "killed"


def line(parts: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(parts)} |".replace("  ", " ")


def main(options: Sequence[str]) -> None:
    """Print the drawing, or the table."""
    rows = outline(Config())
    if "--table" in options:
        print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n")
        print(*(line(cells(row)) for row in rows), sep="\n")
    else:
        print(drawing(rows, tree(Config()).strategy))


if __name__ == "__main__":
    main(sys.argv[1:])
