"""``beamclaw usage``."""

import argparse
import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from beamclaw.cli.output import Row, aligned, result, result_json
from beamclaw.cli.status import ask, money
from beamclaw.cli.verbs import Usage

_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AT_MOST: Final = "≤"
_HEAD: Final = ("", "calls", "read", "cached", "stored", "written", "cost")


def run(options: argparse.Namespace) -> int:
    """Print what models took."""
    since = when(options.since, "usage")
    rows = ask(options, "usage", {"by": options.by, **since})
    if options.json:
        result_json(rows)
        return 0
    for line in lines(rows):
        result(line)
    return 0


def when(text: str, verb: str) -> Mapping[str, float]:
    """``90m``, ``12h``, ``7d``, ``4w``: the last ``seconds``; a date: ``since`` then.

    It was typed behind *verb*.

    Raises:
        Usage: It is neither.
    """
    span = re.fullmatch(r"(\d{1,6})([mhdw])", text, re.ASCII)
    if span is not None:
        return {"seconds": int(span[1]) * _UNITS[span[2]]}
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise Usage(
            f"beamclaw: {text!r} is no time; write 12h, 7d, 4w or a date as 2026-11-21\n"
            f"see: beamclaw {verb} --help"
        ) from None
    return {"since": dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()}


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """A table for people; what is reserved by calls in progress is a line of its own."""
    if not rows:
        yield "nothing was used"
        return
    table = [_HEAD, *map(_cells, rows)]
    if len(rows) > 1:
        table.append(_cells(_total(rows)))
    yield from aligned(table)
    if any(_is_bound(row) for row in rows):
        yield f"{_AT_MOST}: at most, since a provider has given no figures of a call"
    reserved = sum(row["reserved"]["input"] + row["reserved"]["output"] for row in rows)
    if reserved:
        yield f"{reserved:,} tokens more are reserved by calls in progress"


def _cells(row: Row) -> tuple[str, ...]:
    usage = row["usage"]
    mark = _AT_MOST if _is_bound(row) else ""
    return (
        row["name"] or "(erased)",
        f"{row['calls']:,}",
        f"{mark}{usage['input']:,}",
        f"{usage['cached']:,}",
        f"{usage['stored']:,}",
        f"{mark}{usage['output']:,}",
        mark + money(row["cost"]),
    )


def _is_bound(row: Row) -> bool:
    return bool(row["usage"].get("estimated"))


def _total(rows: Sequence[Row]) -> Row:
    usage = {
        name: sum(row["usage"][name] for row in rows)
        for name in ("input", "cached", "stored", "output")
    }
    usage["estimated"] = any(_is_bound(row) for row in rows)
    return {
        "name": "together",
        "calls": sum(row["calls"] for row in rows),
        "usage": usage,
        "cost": sum(row["cost"] for row in rows),
    }
