"""``beamclaw providers``."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Final

from beamclaw.cli.output import Row, aligned, result, result_json
from beamclaw.cli.status import ask, money
from beamclaw.cli.usage import when

_HEAD: Final = (
    *("", "calls", "errors", "retries", "opened", "read", "written", "cost"),
    *("first p50", "p95", "whole p50", "p95"),
)


def run(options: argparse.Namespace) -> int:
    """Print how providers do."""
    since = when(options.since, "providers")
    rows = ask(options, "providers", {"by": options.by, **since})
    if options.json:
        result_json(rows)
        return 0
    for line in lines(rows):
        result(line)
    return 0


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """A table for people; below it, which errors there were."""
    if not rows:
        yield "no model was called"
        return
    table = [_HEAD, *map(_cells, rows)]
    yield from aligned(table)
    for row in rows:
        if row["errors"]:
            kinds = sorted(row["errors"].items(), key=lambda each: -each[1])
            told = ", ".join(f"{kind} {count:,}" for kind, count in kinds)
            yield f"errors of {row['name']}: {told}"


def _cells(row: Row) -> tuple[str, ...]:
    errors = sum(row["errors"].values())
    counts = (row["calls"], errors, row["retries"], row["openings"])
    return (
        row["name"],
        *(f"{count:,}" for count in (*counts, row["input"], row["output"])),
        money(round(row["cost"] * 1_000_000)),
        *(_seconds(row[what][share]) for what in _TIMES for share in ("p50", "p95")),
    )


_TIMES: Final = ("first", "whole")


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
