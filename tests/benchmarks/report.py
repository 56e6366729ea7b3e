"""What a benchmark says: one JSON line per row, and all of them as a table."""

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs
import orjson

# Seconds that `pace` gave on the machine that the limits were set for.
USUAL_PACE: Final = 0.35
# How a figure in each unit changes on a machine that is twice as slow.
_BY_PACE: Final = {"s": 1, "ms": 1, "us": 1, "/s": -1}

_HOLDS = {
    "<": lambda value, limit: value < limit,
    "≤": lambda value, limit: value <= limit,
    ">": lambda value, limit: value > limit,
    "≥": lambda value, limit: value >= limit,
}


@attrs.frozen(kw_only=True)
class Row:
    """One measurement.

    Attributes:
        baseline: The same thing without us, measured in the same run.
        against: What the baseline is.
        ratio: How many times better than the baseline, above 1 is faster or smaller; where
            the limit is ``≤ 2x``, how many times as much.
        must: ``< 1``, in the row's unit; ``≥ 0.7x`` is about the ratio.
        aim: The same, for what we should like.
        peers: What others take for it, by their names, in the row's unit; a text says why
            there is no figure.
        benchmark: The program that measured it.
        pace: What the machine needed right before for what never changes, see `pace`.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    against: str = ""
    ratio: float | None = None
    must: str = ""
    aim: str = ""
    note: str = ""
    peers: dict[str, float | str] = attrs.Factory(dict[str, float | str])
    benchmark: str = ""
    pace: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.ratio is None and self.baseline and self.value:
            more_is_better = self.must[:1] in (">", "≥") or self.unit == "/s"
            ratio = self.value / self.baseline
            object.__setattr__(self, "ratio", ratio if more_is_better else 1 / ratio)

    def holds(self, limit: str) -> bool | None:
        """Whether the row is within *limit*; None where there is none."""
        if not limit:
            return None
        sign, _, number = limit.partition(" ")
        measured = self.ratio if number.endswith("x") else self.value
        if measured is None:
            return False
        return _HOLDS[sign](measured, float(number.rstrip("x").replace(",", "")))

    def at_usual_pace(self) -> "Row":
        """What the figure would be on the machine that the limits were set for."""
        power = _BY_PACE.get(self.unit, 0)
        if self.pace is None or self.pace <= USUAL_PACE:
            return self
        value = self.value * (USUAL_PACE / self.pace) ** power
        return attrs.evolve(self, value=value)


def pace() -> float:
    """Seconds for five million additions, the best of five times.

    A machine that lends its cores to others is twice as slow an hour later, and says so
    by nothing else.
    """
    best = float("inf")
    for _ in range(5):
        start, total = time.perf_counter(), 0
        for number in range(5_000_000):
            total += number
        best = min(best, time.perf_counter() - start)
    return best


def emit(*rows: Row) -> None:
    """Print *rows* as JSON lines."""
    for row in rows:
        sys.stdout.buffer.write(orjson.dumps(attrs.asdict(row)) + b"\n")
        sys.stdout.flush()


def parse(lines: Iterable[str]) -> list[Row]:
    """The rows among *lines*; a key that is not ours is left out."""
    names = {field.name for field in attrs.fields(Row)}
    rows: list[Row] = []
    for line in lines:
        if not line.startswith("{"):
            continue
        raw: dict[str, Any] = orjson.loads(line)
        rows.append(Row(**{name: raw[name] for name in names & raw.keys()}))
    return rows


def figure(value: float | None) -> str:
    """A number with three figures that count."""
    if value is None:
        return ""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def cells(row: Row) -> tuple[str, ...]:
    """A row as texts: what, measured, baseline, ratio, must, aim, pace."""
    baseline = figure(row.baseline)
    if row.against:
        baseline = f"{baseline} ({row.against})".strip()
    return (
        row.name,
        f"{figure(row.value)} {row.unit}".strip(),
        baseline,
        "" if row.ratio is None else f"{figure(row.ratio)}x",
        row.must + _mark(row, row.must),
        row.aim + _mark(row, row.aim),
        figure(row.pace),
    )


HEADER = ("what", "measured", "baseline", "ratio", "must", "aim", "pace")


def _mark(row: Row, limit: str) -> str:
    match row.holds(limit), row.at_usual_pace().holds(limit):
        case None, _:
            return ""
        case True, _:
            return " ✓"
        case False, True:
            return f" ✗ (✓ at {USUAL_PACE})"
        case _:
            return " ✗"


def beside(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The rows that have peers, as texts, with a header; nothing where none has."""
    rows = [row for row in rows if row.peers]
    names = list(dict.fromkeys(name for row in rows for name in row.peers))
    lines = [
        (
            f"{row.name}, {row.unit}",
            figure(row.value),
            figure(row.baseline),
            *(_of_peer(row, name) for name in names),
        )
        for row in rows
    ]
    return [("what", "supervision", "bare Trio", *names), *lines] if lines else []


def _of_peer(row: Row, name: str) -> str:
    value = row.peers.get(name, "none")
    return value if isinstance(value, str) else figure(value)


def table(rows: Sequence[Row]) -> str:
    """The rows for a terminal."""
    tables = [[HEADER, *map(cells, rows)], beside(rows)]
    return "\n\n".join(_aligned(texts) for texts in tables if texts)


def _aligned(texts: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        for line in texts
    )
