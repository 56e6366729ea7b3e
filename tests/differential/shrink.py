"""Makes a scenario that differs as small as it gets while it still differs."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import attrs

from . import erlang
from .compare import Difference, compare
from .play import play
from .scenario import Scenario

ROUNDS = 60  # it is as small as it got by then

Compares = Callable[[list[Scenario]], list[Difference | None]]


def differences(scenarios: list[Scenario]) -> list[Difference | None]:
    """Say where each scenario differs, if it does."""
    traces = erlang.play(scenarios)
    return [
        compare(scenario, trace, play(scenario))
        for scenario, trace in zip(scenarios, traces, strict=True)
    ]


def shrink(
    scenario: Scenario, difference: Difference, compares: Compares = differences
) -> tuple[Scenario, Difference]:
    """Take away steps, then children and options, as long as it still differs."""
    # What comes after the difference, or more, is not needed.
    until = max(difference.step, 0) or len(scenario.steps)
    begun = attrs.evolve(scenario, steps=scenario.steps[:until])
    (still,) = compares([begun])
    if still is not None:
        scenario, difference = begun, still
    for _ in range(ROUNDS):
        found = _first(smaller(scenario), compares)
        if found is None:
            break
        scenario, difference = found
    return scenario, difference


def _first(
    candidates: Iterator[Scenario], compares: Compares
) -> tuple[Scenario, Difference] | None:
    """Find one that differs; many are played at once, because Erlang has to start."""
    size = 40
    while chunk := list(islice(candidates, size)):
        for one, difference in zip(chunk, compares(chunk), strict=True):
            if difference is not None:
                return one, difference
        size *= 2
    return None


def smaller(scenario: Scenario) -> Iterator[Scenario]:
    """All scenarios that are one bite smaller, the largest bite first."""
    steps = scenario.steps
    size = len(steps)
    while size := size // 2:
        for at in range(0, len(steps), size):
            yield attrs.evolve(scenario, steps=steps[:at] + steps[at + size :])
    for setup in _smaller(scenario.setup):
        yield attrs.evolve(scenario, setup=setup)
    for at, step in enumerate(steps):
        for changed in _smaller(step):
            yield attrs.evolve(scenario, steps=(*steps[:at], changed, *steps[at + 1 :]))


# What an option is when it does not matter.
PLAIN: dict[Any, Any] = {
    "transient": "permanent",
    "temporary": "permanent",
    "brutal_kill": 40,
    "one_for_all": "one_for_one",
    "rest_for_one": "one_for_one",
    "any_significant": "never",
    "all_significant": "never",
}


def _smaller(term: Any) -> Iterator[Any]:
    if isinstance(term, str) and term in PLAIN:
        yield PLAIN[term]
    if isinstance(term, list) and len(term) > 1:
        for at in range(len(term)):
            yield term[:at] + term[at + 1 :]
    if isinstance(term, list | tuple):
        for at, part in enumerate(term):
            for changed in _smaller(part):
                yield type(term)([*term[:at], changed, *term[at + 1 :]])


def told(scenario: Scenario) -> str:
    """Write a scenario down for people."""
    lines = [f"  {part}" for part in scenario.setup]
    lines += [f"  {number:2} {step}" for number, step in enumerate(scenario.steps, 1)]
    return "\n".join(lines)


def command(scenario: Scenario) -> str:
    """The one command that repeats a scenario."""
    return (
        f"python -m tests.differential --seed {scenario.seed} "
        f"--scenario {scenario.number} --family {scenario.family}"
    )
