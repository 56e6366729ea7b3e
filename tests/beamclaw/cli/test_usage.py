"""What `beamclaw usage` asks for, and how it is shown."""

import datetime as dt
from typing import Any

import pytest

from beamclaw.cli.usage import lines, when
from beamclaw.cli.verbs import Usage

DAY = dt.datetime(2026, 11, 20, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("90m", {"seconds": 5_400}),
        ("12h", {"seconds": 43_200}),
        ("7d", {"seconds": 604_800}),
        ("2w", {"seconds": 1_209_600}),
        ("2026-11-20", {"since": DAY}),
    ],
)
def test_since_when(text: str, asked: dict[str, float]) -> None:
    assert when(text, "usage") == asked


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7", "-7d", "7 d", "٣d", "2026-13-01"]
)
def test_what_is_no_time_is_told(text: str) -> None:
    words = r"is no time; write 12h.*\nsee: beamclaw logs --help"
    with pytest.raises(Usage, match=words):
        when(text, "logs")


def row(name: str, calls: int, cost: int, reserved: int = 0) -> dict[str, Any]:
    return {
        "name": name,
        "calls": calls,
        "usage": {"input": 1_000 * calls, "cached": 10, "stored": 7, "output": 5},
        "reserved": {"input": reserved, "output": 0},
        "cost": cost,
    }


def test_a_table_with_its_sum() -> None:
    rows = [row("openai/gpt-5", 12, 1_230_000), row("", 3, 4_000)]
    assert list(lines(rows)) == [
        "              calls    read  cached  stored  written   cost",
        "openai/gpt-5     12  12,000      10       7        5  $1.23",
        "(erased)          3   3,000      10       7        5  $0.00",
        "together         15  15,000      20      14       10  $1.23",
    ]


def test_what_no_provider_has_counted_is_shown_as_a_bound() -> None:
    rows = [row("openai/gpt-5", 12, 1_230_000), row("own/m", 3, 4_000)]
    rows[1]["usage"] |= {"estimated": True}
    assert list(lines(rows)) == [
        "              calls     read  cached  stored  written    cost",
        "openai/gpt-5     12   12,000      10       7        5   $1.23",
        "own/m             3   ≤3,000      10       7       ≤5  ≤$0.00",
        "together         15  ≤15,000      20      14      ≤10  ≤$1.23",
        "≤: at most, since a provider has given no figures of a call",
    ]


def test_what_is_reserved_is_said() -> None:
    assert list(lines([row("main", 1, 0, 7_000)]))[-1] == (
        "7,000 tokens more are reserved by calls in progress"
    )


def test_nothing() -> None:
    assert list(lines([])) == ["nothing was used"]
