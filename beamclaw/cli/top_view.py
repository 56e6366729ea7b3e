"""One picture of ``beamclaw top``, as lines that fit the terminal: without I/O."""

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
    "t tree  r rate  m mailbox  s restarts  h memory  u youngest  j/k scroll  q leave"
)


@frozen
class View:
    """What the person wants to see: *sort* one of KEYS' values; *first* row shown."""

    sort: str = "tree"
    first: int = 0
    over: bool = False

    def pressed(self, key: str) -> "View":
        """The view after *key*."""
        match key:
            case "q" | "\x03" | "\x04":
                return attrs.evolve(self, over=True)
            case "j" | "\x1b[B":
                return attrs.evolve(self, first=self.first + 1)
            case "k" | "\x1b[A":
                return attrs.evolve(self, first=max(0, self.first - 1))
            case _ if key in KEYS:
                return View(KEYS[key])
            case _:
                return self


def keys(data: str) -> Iterator[str]:
    """The keys in what was typed; one that is sent as several characters is one."""
    at = 0
    while at < len(data):
        step = 3 if data.startswith("\x1b[", at) else 1
        yield data[at : at + step]
        at += step


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
    return [*[*head, *shown][: rows - 1], cut(_HELP, columns)]


def _by(view: View) -> str:
    return "the tree" if view.sort == "tree" else f"by {view.sort}"


def _title(totals: Event, view: View) -> str:
    parts = ["beamclaw top", _by(view), f"up {duration(totals['uptime'])}"]
    if totals["lag"] is not None:
        parts.append(f"loop {seconds(totals['lag'])} late")
    return " · ".join(parts)


def _totals(totals: Event) -> str:
    parts = [
        f"{totals['processes']:,} processes",
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
    if view.sort == "tree":
        return list(_tree(event["tree"], 0))
    return [
        _cells(row, visible(str(row["name"] or f"{row['id']} {row['pid']}")))
        for row in event["by"][view.sort]
    ]


def _tree(process: Event, depth: int) -> Iterator[Sequence[object]]:
    yield _cells(process, f"{'  ' * depth}{visible(name_of(process))}")
    for child in process["children"]:
        yield from _tree(child, depth + 1)
    if process["hidden"]:
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
