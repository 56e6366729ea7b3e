"""``beamclaw tree``."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from beamclaw.cli.output import result, result_json
from beamclaw.cli.status import ask, duration

# Children of one supervisor that are drawn; the rest is counted.
MOST = 50


def run(options: argparse.Namespace) -> int:
    """Print every process of the node."""
    found = ask(options, "tree")
    if options.json:
        result_json(found)
        return 0
    rows = list(draw(found, plain=not _unicode()))
    width = max(len(name) for name, _ in rows)
    for name, words in rows:
        result(f"{name:<{width}}  {words}".rstrip())
    return 0


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def draw(root: Mapping[str, Any], *, plain: bool) -> Iterator[tuple[str, str]]:
    """Name and words of each process, from the top."""
    yield ("beamclaw", _words(root))
    yield from _children(root, "", plain=plain)


def _children(
    process: Mapping[str, Any], before: str, *, plain: bool
) -> Iterator[tuple[str, str]]:
    branch, last, line = ("|- ", "`- ", "|  ") if plain else ("├─ ", "└─ ", "│  ")
    children = process["children"]
    shown = children[:MOST]
    for index, child in enumerate(shown):
        end = index == len(children) - 1
        yield f"{before}{last if end else branch}{child['id']}", _words(child)
        below = before + ("   " if end else line)
        yield from _children(child, below, plain=plain)
    if len(children) > MOST:
        yield f"{before}{last}and {len(children) - MOST} more", ""


def _words(process: Mapping[str, Any]) -> str:
    parts = [process["strategy"] or process["kind"], process["status"]]
    if process["about"]:
        parts.append(_line(process["about"]))
    if process["uptime"] is not None:
        parts.append(f"up {duration(process['uptime'])}")
    if process["mailbox"]:
        parts.append(f"{process['mailbox']} waiting messages")
    if process["restarts"]:
        parts.append(f"restarted {process['restarts']} times")
    if process["last_reason"] and process["restarts"]:
        parts.append(f"last end: {_line(process['last_reason'])}")
    return ", ".join(parts)


def _line(text: str) -> str:
    """A reason in one line: it may hold the text of any exception."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."  # noqa: PLR2004
