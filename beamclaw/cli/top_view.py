"""One picture of ``beamclaw top``, as lines that fit the terminal: without I/O."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from beamclaw.cli.live_views import cut, memory, seconds, size, table
from beamclaw.cli.question import visible
from beamclaw.cli.status import duration
from beamclaw.cli.tree import name_of
from beamclaw.values import frozen

Event = Mapping[str, Any]
HEAD: Final = (
    "rate/s",
    "mailbox",
    "restarts",
    "memory",
    "up",
    "status",
    "process",
)
KEYS: Final[Mapping[str, str]] = {
    "t": "tree",
    "r": "rate",
    "m": "mailbox",
    "s": "restarts",
    "h": "memory",
    "u": "uptime",
}
_HELP: Final = (
    "t tree  r rate  m mailbox  s restarts  h memory  u newest  / find  j/k  q leave"
)
_HELP_TYPING: Final = "Enter keep  Esc all"
# Those with which one leaves also while one types.
_LEAVE: Final = "\x03\x04"
_KEY: Final = re.compile(r"\x1b\[[0-9;]*[@-~]|.", re.DOTALL)


@frozen
class View:
    """What the person wants to see.

    Attributes:
        sort: One of KEYS' values.
        first: Of the rows, the one that is shown first.
        match: A part of the names of those that are shown.
        typing: What is pressed goes on with that.
    """

    sort: str = "tree"
    first: int = 0
    over: bool = False
    match: str = ""
    typing: bool = False

    def pressed(self, key: str) -> "View":
        """The view after *key*."""
        one = self.typing and len(key) == 1 and key not in _LEAVE
        if one or key in ("/", "\x1b"):
            return self._typed(key)
        match key:
            case "q" | "\x03" | "\x04":
                return attrs.evolve(self, over=True)
            case "j" | "\x1b[B":
                return attrs.evolve(self, first=self.first + 1)
            case "k" | "\x1b[A":
                return attrs.evolve(self, first=max(0, self.first - 1))
            case _ if key in KEYS:
                return attrs.evolve(self, sort=KEYS[key], first=0)
            case _:
                return self

    def _typed(self, key: str) -> "View":
        match key:
            case "/" if not self.typing:
                return attrs.evolve(self, typing=True)
            case "\r" | "\n":
                return attrs.evolve(self, typing=False)
            case "\x1b":
                return attrs.evolve(self, first=0, match="", typing=False)
            case "\x7f" | "\b":
                return attrs.evolve(self, first=0, match=self.match[:-1])
            case _ if key.isprintable():
                return attrs.evolve(self, first=0, match=self.match + key)
            case _:
                return self


def keys(data: str) -> Iterator[str]:
    """The keys in what was typed; one that is sent as several characters is one."""
    return (found.group() for found in _KEY.finditer(data))


def picture(event: Event, view: View, columns: int, rows: int) -> list[str]:
    """At most *rows* lines of at most *columns*."""
    head = [
        cut(_title(event["totals"], view), columns),
        cut(_totals(event["totals"]), columns),
        "",
    ]
    body = list(table(HEAD, _body(event, view), columns))
    room = max(1, rows - len(head) - 2)
    first = min(view.first, max(0, len(body) - 1 - room))
    shown = [body[0], *body[1 + first : 1 + first + room]]
    return [*[*head, *shown][: rows - 1], cut(_help(view), columns)]


def _help(view: View) -> str:
    return f"/{visible(view.match)}_  {_HELP_TYPING}" if view.typing else _HELP


def _by(view: View) -> str:
    by = "the tree" if view.sort == "tree" else f"by {view.sort}"
    return f"{by} of names with {visible(view.match)!r}" if view.match else by


def _title(totals: Event, view: View) -> str:
    parts = ["beamclaw top", _by(view), f"up {duration(totals['uptime'])}"]
    if totals["lag"] is not None:
        parts.append(f"loop {seconds(totals['lag'])} late")
    return " · ".join(parts)


def _totals(totals: Event) -> str:
    counted = f"{totals['processes']:,} processes"
    # A node of an earlier release does not say it.
    if totals.get("matched", totals["processes"]) < totals["processes"]:
        counted = f"{totals['matched']:,} of {counted}"
    parts = [
        counted,
        f"{totals['rate']:,.0f} messages/s",
        f"{totals['messages']:,} waiting",
        f"{totals['restarts']:,} restarts",
    ]
    if totals["crashes"]:
        parts.append(f"{totals['crashes']:,} crashes")
    if totals["cpu"] is not None:
        parts.append(f"{totals['cpu'] * 100:.1f} % CPU")
    if totals["resident"] is not None:
        parts.append(size(totals["resident"]))
    return "  ".join(parts)


def _body(event: Event, view: View) -> list[Sequence[object]]:
    part = view.match.casefold()
    if view.sort == "tree":
        return list(_tree(event["tree"], 0, part))
    return [
        _cells(row, visible(str(row["name"] or f"{row['id']} {row['pid']}")))
        for row in event["by"][view.sort]
        if _has(row, part)
    ]


def _has(row: Event, part: str) -> bool:
    return part in str(row["name"] or row["id"]).casefold()


def _tree(process: Event, depth: int, part: str) -> Iterator[Sequence[object]]:
    """Rows of those that have *part* in their name, and of those above them."""
    below = [
        row for each in process["children"] for row in _tree(each, depth + 1, part)
    ]
    if below or not part or _has(process, part):
        yield _cells(process, f"{'  ' * depth}{visible(name_of(process))}")
    yield from below
    if process["hidden"] and not part:
        yield (
            "",
            "",
            "",
            "",
            "",
            "",
            f"{'  ' * (depth + 1)}{process['hidden']:,} more",
        )


def _cells(row: Event, name: str) -> Sequence[object]:
    status = "SUSPENDED" if row["suspended"] else row["status"]
    up = "" if row["uptime"] is None else duration(row["uptime"])
    about = f"  {visible(row['about'])}" if row["about"] else ""
    return (
        _number(row["rate"]),
        row["mailbox"] or "",
        row["restarts"] or "",
        memory(row),
        up,
        status,
        f"{name}{about}",
    )


def _number(rate: float) -> str:
    if not rate:
        return ""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"  # noqa: PLR2004
