"""Plays many scenarios on both sides and collects what differs and what occurred."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import attrs

from .compare import Difference, compare, quirks, uncompared
from .erlang import UNIT, Batch
from .families import generate
from .play import play
from .scenario import Scenario, Trace
from .shown import shown

BATCH = 500
SLOW = 4  # times as much real time for what was late with all the others


@attrs.define
class Report:
    """What came of a run.

    Attributes:
        played: How many scenarios were compared.
        untimed: How many could not be: a time-out fell too close to an action.
        quirks: How many were compared only up to where OTP did what it should not do.
        seconds: How long it took.
        families: How many there were of each family.
        occurred: How often each item, action and combination occurred.
        different: The scenarios that differ, and where.
    """

    played: int = 0
    untimed: int = 0
    quirks: int = 0
    seconds: float = 0.0
    families: Counter[str] = attrs.field(factory=Counter[str])
    occurred: Counter[str] = attrs.field(factory=Counter[str])
    different: list[tuple[Scenario, Difference]] = attrs.field(
        factory=list[tuple[Scenario, Difference]]
    )

    def note(self, scenario: Scenario, erlang: Trace | str, ours: Trace | str) -> None:
        """Compare two traces."""
        difference = compare(scenario, erlang, ours)
        if difference is not None and scenario.timed:
            # Two time-outs that fall together come in the order of milliseconds. What is
            # a difference is one again when Erlang plays the scenario alone.
            (alone,) = Batch([scenario]).traces()
            difference = compare(scenario, alone, ours)
            if difference is None:
                self.untimed += 1
                return
        if difference is not None:
            self.different.append((scenario, difference))
        if isinstance(erlang, str) or isinstance(ours, str):
            self.untimed += uncompared(erlang, ours) != ""
            return
        self.played += 1
        self.families[scenario.family] += 1
        odd = next((at for at, step in enumerate(erlang) if quirks(step)), len(erlang))
        self.quirks += odd < len(erlang)
        self.occurred += shown(scenario, erlang[:odd])


def both(
    scenarios: list[Scenario],
) -> Iterator[tuple[Scenario, Trace | str, Trace | str]]:
    """Play *scenarios* on both sides at the same time, in any order.

    Those that need real time are played all together by an Erlang of their own: it
    waits more than it works.
    """
    timed = [scenario for scenario in scenarios if scenario.timed]
    quick = [scenario for scenario in scenarios if not scenario.timed]
    slow = Batch(timed) if timed else None
    chunks = [quick[at : at + BATCH] for at in range(0, len(quick), BATCH)]
    batches = [Batch(chunks[0])] if chunks else []
    for number, chunk in enumerate(chunks):
        if number + 1 < len(chunks):
            batches.append(Batch(chunks[number + 1]))
        ours = [play(scenario) for scenario in chunk]
        yield from zip(chunk, batches[number].traces(), ours, strict=True)
    if slow is not None:
        ours = [play(scenario) for scenario in timed]
        yield from zip(timed, _on_time(timed, slow.traces()), ours, strict=True)


def _on_time(scenarios: list[Scenario], traces: list[Trace | str]) -> list[Trace | str]:
    """With those played again, by themselves and slowly, that a busy machine made late."""
    late = [
        one for one, trace in zip(scenarios, traces, strict=True) if trace == "late"
    ]
    if not late:
        return traces
    again = iter(Batch(late, unit=SLOW * UNIT).traces())
    return [next(again) if trace == "late" else trace for trace in traces]


def run(
    seed: int,
    first: int,
    count: int,
    family: str | None = None,
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Play the scenarios *first* to *first* + *count* - 1 of *seed*."""
    report = Report()
    begin = time.monotonic()
    for at in range(first, first + count, BATCH * 8):
        until = min(at + BATCH * 8, first + count)
        scenarios = [generate(seed, number, family) for number in range(at, until)]
        for scenario, erlang, ours in both(scenarios):
            report.note(scenario, erlang, ours)
        report.seconds = time.monotonic() - begin
        progress(report)
    # Those without a clock are made small in no time.
    report.different.sort(key=lambda found: (found[0].timed, found[0].number))
    return report
