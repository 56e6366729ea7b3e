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
    width = max(len(name) for name, _ in rows)
    for name, words in rows:
        yield f"{name:<{width}}  {words}".rstrip()
    if found["cut"]:
        yield cut(found)


def is_unicode() -> bool:
    """Whether standard output takes lines and corners."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def name_of(root: Mapping[str, Any]) -> str:
    """What the top of a drawing is called: the root of all has the node's name."""
    return "beamclaw" if root["id"] == "root" else root["id"]


def draw(root: Mapping[str, Any], *, plain: bool) -> Iterator[tuple[str, str]]:
    """Name and words of each process, from the top."""
    yield (name_of(root), _words(root))
    yield from _children(root, "", plain=plain)


def _children(
    process: Mapping[str, Any], before: str, *, plain: bool
) -> Iterator[tuple[str, str]]:
    branch, last, line = ("|- ", "`- ", "|  ") if plain else ("├─ ", "└─ ", "│  ")
    children, more = process["children"], process["hidden"]
    for index, child in enumerate(children):
        end = index == len(children) - 1 and not more
        yield f"{before}{last if end else branch}{child['id']}", _words(child)
        below = before + ("   " if end else line)
        yield from _children(child, below, plain=plain)
    if more:
        yield f"{before}{last}{'and ' if children else ''}{more:,} more", ""


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
