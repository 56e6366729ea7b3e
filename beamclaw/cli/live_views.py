"""What the node answers, as lines for a person: decisions without I/O.

Whatever comes from inside a process may hold anything, so nothing of it reaches the
terminal as it is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from beamclaw.cli import tree as drawing
from beamclaw.cli.output import counted
from beamclaw.cli.question import visible
from beamclaw.cli.screen import width_of
from beamclaw.cli.status import duration, money, of_measure

Found = Mapping[str, Any]
# Columns that a cell keeps when a table is too wide.
_NARROWEST: Final = 8
_BAR: Final = 24
_BYTES: Final = 1024.0


def table(
    head: Sequence[str], rows: Sequence[Sequence[object]], width: int
) -> Iterator[str]:
    """*rows* under their *head*, in at most *width* columns; the last cell gives way."""
    cells = [[visible(str(cell)) for cell in row] for row in (head, *rows)]
    widths = [max(width_of(row[at]) for row in cells) for at in range(len(head))]
    fixed = sum(widths[:-1]) + 2 * (len(widths) - 1)
    widths[-1] = max(_NARROWEST, min(widths[-1], width - fixed))
    for row in cells:
        shown = [_cell(text, wide) for text, wide in zip(row, widths, strict=True)]
        yield cut("  ".join(shown).rstrip(), width)


def _cell(text: str, wide: int) -> str:
    shown = cut(text, wide)
    return shown + " " * (wide - width_of(shown))


def cut(text: str, wide: int) -> str:
    """*text* in at most *wide* columns."""
    if width_of(text) <= wide:
        return text
    kept = text[: max(0, wide - 1)]
    while kept and width_of(kept) > wide - 1:
        kept = kept[:-1]
    return f"{kept}…"


def size(number: float | None) -> str:
    """Bytes for people."""
    if number is None:
        return "not known"
    value = float(number)
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < _BYTES:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _BYTES
    return f"{value:.1f} GiB"


def memory(found: Found) -> str:
    """What a process holds; nothing, if that was not counted, or by an older node."""
    held = found.get("memory")
    if held is None:
        return ""
    return f"{'' if held['whole'] else '>'}{size(held['bytes'])}"


def seconds(number: float) -> str:
    """Seconds for people, also parts of one."""
    if number < 10:  # noqa: PLR2004
        return f"{number * 1000:.0f} ms" if number < 1 else f"{number:.1f} s"
    return duration(number)


# --- looking


def tree(found: Found, width: int) -> Iterator[str]:
    """Drawn."""
    for line in drawing.lines(found):
        yield cut(visible(line), width)


def info(found: Found, width: int) -> Iterator[str]:
    """One fact in a line."""
    status = f"{found['status']}, SUSPENDED" if found["suspended"] else found["status"]
    facts: dict[str, object] = {
        "process": f"{found['name'] or found['id']} {found['pid']}",
        "kind": found["strategy"] or found["kind"],
        "status": status,
        "about": found["about"],
        "below": found["parent"],
        "restart": found["restart"],
        "restarts": found["restarts"],
        "last end": found["last_reason"],
        "up": None if found["uptime"] is None else duration(found["uptime"]),
        "mailbox": found["mailbox"],
        "dropped": found["dropped"] or None,
        "messages": f"{found['messages']:,} taken",
        "memory": memory(found) or None,
        "children": found["hidden"] or None,
        "waits in": found["waits"],
    }
    for name, value in facts.items():
        if value is not None:
            yield cut(f"{name:<9} {visible(str(value))}", width)


def state(found: Found, width: int) -> Iterator[str]:
    """One field in a line."""
    if not found["fields"]:
        yield "it says nothing of itself"
        return
    wide = max(width_of(visible(name)) for name in found["fields"])
    for name, value in found["fields"].items():
        # Whole, over as many rows as it takes: it was asked for.
        yield f"{_cell(visible(name), wide)}  {visible(value)}"
    del width


def mailbox(found: Found, width: int) -> Iterator[str]:
    """A message in a line, oldest first."""
    if not found["waiting"]:
        yield "it is empty"
        return
    rows = [
        (at, row["kind"], row["from"] or "", row["message"])
        for at, row in enumerate(found["messages"], 1)
    ]
    yield from table(("", "kind", "from", "message"), rows, width)
    more = found["waiting"] - len(rows)
    if more:
        yield f"and {more:,} more"


def waiting(found: Found, width: int) -> Iterator[str]:
    """The stack, innermost last."""
    status = "suspended" if found["suspended"] else found["status"]
    words = {
        "waiting": "waits for a message",
        "running": "is in the middle of something",
    }.get(status, f"is {status}")
    behind = f"; {found['mailbox']} messages wait" if found["mailbox"] else ""
    yield f"{found['pid']} {words}{behind}"
    if found.get("for"):
        yield f"a turn is about to begin; it waits for {visible(found['for'])}"
    for line in found["stack"]:
        place = f"{line['file']}:{line['line']}"
        yield cut(f"  {visible(place)}  {visible(line['function'])}", width)


def traced(event: Found, width: int) -> Iterator[str]:
    """One event in a line; the beginning, and the end."""
    match event.get("type"):
        case "tracing":
            yield f"tracing {event['pid']}; Ctrl-C ends it"
        case "traced":
            if event["left_out"]:
                yield f"({event['left_out']:,} left out)"
            who = f" from {visible(event['from'])}" if event["from"] else ""
            line = f"{event['kind']:<5} {visible(event['message'])}{who}"
            yield cut(line, width)
        case _:
            left = event.get("left_out") or 0
            more = f", {left:,} left out" if left else ""
            words = {
                "enough": "as many as were wanted",
                "time": "the time is over",
                "ended": "the process has ended",
            }.get(str(event.get("why")), "over")
            yield f"{words}{more}"


def sessions(found: Found, width: int) -> Iterator[str]:
    """A session in a line, stuck ones first."""
    if not found["sessions"]:
        yield "no session is awake"
        return
    rows = [
        (
            row["key"],
            row["pid"],
            "STUCK" if row["stuck"] else row["status"],
            row["mailbox"],
            "yes" if row["running"] else "",
            duration(row["uptime"]),
            row["waits"] or "",
        )
        for row in found["sessions"]
    ]
    head = ("session", "pid", "status", "mailbox", "turn", "up", "stands in")
    yield from table(head, rows, width)
    more = found["awake"] - len(rows)
    if more:
        yield f"and {more:,} more"


def turn(found: Found, width: int) -> Iterator[str]:
    """A bar for each thing that took time."""
    at = datetime.fromtimestamp(found["at"], UTC).astimezone()
    yield (
        f"{found['session']}, turn {found['run_id']}: {found['outcome']}, "
        f"{seconds(found['seconds'])} from {at:%H:%M:%S}"
    )
    whole = found["seconds"] or 1.0
    rows = [
        (
            row["kind"],
            _bar(row["after"] / whole, row["seconds"] / whole),
            seconds(row["seconds"]),
            row["outcome"],
            row["what"],
        )
        for row in found["spans"]
    ]
    yield from table(("", "", "took", "outcome", "what"), rows, width)


def _bar(begin: float, length: float) -> str:
    full, empty = ("█", "·") if drawing.is_unicode() else ("#", ".")
    first = min(_BAR - 1, int(begin * _BAR))
    count = max(1, min(_BAR - first, round(length * _BAR)))
    return empty * first + full * count + empty * (_BAR - first - count)


def limits(found: Found, width: int) -> Iterator[str]:
    """Caps and permits."""
    caps = found["limits"]
    if "unavailable" in caps:
        yield f"limits: {visible(caps['unavailable'])}"
    else:
        spent = caps["spent"]
        yield (
            f"today (UTC): {money(spent['cost'])}, {spent['tokens']:,} tokens, "
            f"{counted(spent['calls'], 'call')}"
        )
        rows = [_cap(cap) for cap in caps["caps"]]
        if rows:
            yield from table(("cap", "of", "used", "limit"), rows, width)
        yield from (cut(f"warned: {visible(each)}", width) for each in caps["warnings"])
    rows = [_permits(name, each) for name, each in found["providers"].items()]
    head = ("provider", "in use", "limit", "waiting", "calls", "errors", "breaker")
    yield from table(head, rows, width)


def _cap(cap: Found) -> tuple[object, ...]:
    show = of_measure(cap["measure"])
    return cap["name"], cap["key"] or "all", show(cap["used"]), show(cap["limit"])


def _permits(name: str, row: Found) -> tuple[object, ...]:
    if "unavailable" in row:
        return name, "", "", "", "", "", row["unavailable"]
    figures = ("in_use", "limit", "waiting", "calls", "errors", "breaker")
    return name, *(row[each] for each in figures)


def slow(found: Found, width: int) -> Iterator[str]:
    """Who held up the loop, with the last stack of each."""
    yield (
        f"the loop is {seconds(found['lag'])} late; the worst was "
        f"{seconds(found['worst'])}; {counted(found['lags'], 'time')} above "
        f"{seconds(found['threshold'])}"
    )
    for row in found["culprits"]:
        yield cut(
            f"{visible(row['who'])}: {counted(row['times'], 'time')}, {seconds(row['seconds'])} in "
            f"all, {seconds(row['worst'])} at worst, last {seconds(row['ago'])} ago",
            width,
        )
        for line in row["stack"]:
            place = f"{line['file']}:{line['line']}"
            yield cut(f"  {visible(place)}  {visible(line['function'])}", width)


def leaks(found: Found, width: int) -> Iterator[str]:
    """Figures, then the types that have grown most."""
    since = found["since"]
    if since is None:
        yield "nothing is marked: these are all there are; leaks --mark counts from now"
    else:
        yield f"since the mark {seconds(since)} ago"
    figures = found["figures"]
    rows: list[Sequence[object]] = []
    for name, figure in figures.items():
        show = size if name == "resident" else _count
        grown = "" if figure["grown"] is None else _signed(figure["grown"], show)
        rows.append((name, show(figure["now"]), grown))
    yield from table(("", "now", "grown"), rows, width)
    types = [
        (
            _count(row["count"]),
            "" if since is None else _signed(row["grown"], _count),
            row["type"],
        )
        for row in found["types"]
    ]
    if types:
        yield ""
        yield from table(("objects", "grown", "type"), types, width)
    if found["more"]:
        yield f"and {found['more']:,} more types"
    if found["marked"]:
        yield "marked: leaks shows what has grown from now on"


def _count(number: float | None) -> str:
    return "not known" if number is None else f"{number:,.0f}"


def _signed(number: float, show: Callable[[float], str]) -> str:
    return f"{'-' if number < 0 else '+'}{show(abs(number))}"


# --- steering


def done(words: str) -> Callable[[Found, int], Iterator[str]]:
    """The view of an action whose result is that it was done."""

    def view(found: Found, width: int) -> Iterator[str]:
        yield cut(f"{found['pid']} {words}", width)

    return view


def replaced(found: Found, width: int) -> Iterator[str]:
    """What was there, and what is."""
    del width
    yield f"was {visible(found['before'])}"
    yield f"is  {visible(found['after'])}"


def restarted(found: Found, width: int) -> Iterator[str]:
    """What has ended, how, and what came after it."""
    how = " was killed" if found.get("killed", True) else " has ended"
    if found["successor"] is not None:
        after = f"{found['successor']} is in its place"
    elif found["restart"] == "temporary":
        after = "nobody starts it again; a session wakes with its next message"
    else:
        after = "nothing is in its place yet; see info and tree"
    yield cut(f"{found['pid']}{how}; {after}", width)


def replied(found: Found, width: int) -> Iterator[str]:
    """The reply."""
    del width
    yield visible(found["reply"])


def faulted(found: Found, width: int) -> Iterator[str]:
    """What was done to it."""
    if found.get("successor"):
        words = f"has crashed; {found['successor']} is in its place"
    elif "successor" in found:
        words = "has crashed; nothing is in its place yet"
    elif "count" in found:
        words = f"got {found['count']:,} messages"
    else:
        words = f"was held up for {seconds(found['seconds'])}"
    yield cut(f"{found['pid']} {words}", width)


def evaluated(found: Found, width: int) -> Iterator[str]:
    """What was printed, and the value."""
    del width
    for line in found["printed"].splitlines():
        yield visible(line)
    if found["left_out"]:
        yield f"({found['left_out']:,} characters left out)"
    if found["value"] != "None" or not found["printed"]:
        yield visible(found["value"])
