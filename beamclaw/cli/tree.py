"""``beamclaw tree``."""

import argparse
import sys
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from beamclaw.cli.output import counted, result, result_json, tell
from beamclaw.cli.status import connected, duration
from beamclaw.contracts.shell import nested

# Children of one supervisor that are drawn, unless it is said; the rest is counted.
MOST = 50


def run(options: argparse.Namespace) -> int:
    """Print the processes of the node."""
    params: dict[str, object] = {"most": MOST if options.most is None else options.most}
    if options.json and options.most is None:
        params["most"] = EVERY
    if options.process is not None:
        params["root"] = options.process
    if options.depth is not None:
        params["depth"] = options.depth
    if options.limit is not None:
        params["limit"] = options.limit
    with connected(options) as client:
        found = gathered(client.events("look.tree", params))
    if options.json:
        result_json(found)
        if found["cut"]:
            tell(cut(found))
        return 0
    for line in lines(found):
        result(line)
    return 0


# More than a node has.
EVERY = 100_000


def gathered(events: Generator[Any, None, Any]) -> dict[str, Any]:
    """The tree that comes in *events*; its top has what the result of them says, too."""
    rows: list[Mapping[str, Any]] = []
    while True:
        try:
            rows += next(events)["rows"]
        except StopIteration as end:
            return {**nested(rows), **end.value}


def cut(found: Mapping[str, Any]) -> str:
    """That there is more, and how one gets at it."""
    return (
        f"cut after {found['shown']:,} processes, the upper levels "
        "first: --limit takes more of them, shell.processes says how many without it; "
        "a process behind tree shows what is below that one"
    )


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The tree as it is drawn."""
    rows = list(draw(found, plain=not is_unicode()))
    *columns, _ = zip(*rows, strict=True)
    widths = [max(len(cell) for cell in column) for column in columns]
    for *cells, words in rows:
        shown = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)]
        # A column that nobody has anything in is none.
        parts = [cell for cell in shown if cell]
        yield "  ".join([*parts, words]).rstrip()
    if found["cut"]:
        yield cut(found)


def is_unicode() -> bool:
    """Whether standard output takes lines and corners."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def name_of(root: Mapping[str, Any]) -> str:
    """What the top of a drawing is called: the root of all has the node's name."""
    return "beamclaw" if root["id"] == "root" else root["id"]


# Id, behind its branches; number; registered name; and how the process stands.
Row = tuple[str, str, str, str]


def draw(root: Mapping[str, Any], *, plain: bool) -> Iterator[Row]:
    """The line of each process, from the top."""
    name, above = name_of(root), frozenset({root["id"]})
    yield name, *_called(root, above), _words(root)
    yield from _children(root, "", above, plain=plain)


def _children(
    process: Mapping[str, Any], before: str, above: frozenset[str], *, plain: bool
) -> Iterator[Row]:
    branch, last, line = ("|- ", "`- ", "|  ") if plain else ("├─ ", "└─ ", "│  ")
    children, more = process["children"], process["hidden"]
    for index, child in enumerate(children):
        end = index == len(children) - 1 and not more
        drawn = f"{before}{last if end else branch}{child['id']}"
        yield drawn, *_called(child, above), _words(child)
        below = before + ("   " if end else line)
        yield from _children(child, below, above | {child["id"]}, plain=plain)
    if more:
        yield f"{before}{last}{'and ' if children else ''}{more:,} more", "", "", ""


def _called(process: Mapping[str, Any], above: frozenset[str]) -> tuple[str, str]:
    """What else the process can be asked for with: its number, and its name.

    The name only where it is not simply the id, or ends with that; nor is it shown where
    it is the id of a process above, for which it would be taken.
    """
    name = process["name"] or ""
    is_id = f"/{name}".endswith(f"/{process['id']}")
    return process["pid"] or "", "" if is_id or name in above else name


def _words(process: Mapping[str, Any]) -> str:
    parts = [process["strategy"] or process["kind"], process["status"]]
    if process["suspended"]:
        parts.append("SUSPENDED")
    if process["about"]:
        parts.append(_line(process["about"]))
    if process["uptime"] is not None:
        parts.append(f"up {duration(process['uptime'])}")
    if process["mailbox"]:
        parts.append(counted(process["mailbox"], "waiting message"))
    if process["restarts"]:
        parts.append(f"restarted {counted(process['restarts'], 'time')}")
    if process["last_reason"] and process["restarts"]:
        parts.append(f"last end: {_line(process['last_reason'])}")
    return ", ".join(parts)


def _line(text: str) -> str:
    """A reason in one line: it may hold the text of any exception."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."  # noqa: PLR2004
