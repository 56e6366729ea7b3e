"""Makes a scenario that differs as small as it gets while it still differs."""

from collections.abc import Callable, Iterator
from typing import Any

import attrs

from . import erlang
from .compare import compare
from .play import play
from .scenario import Scenario

ROUNDS = 40

Differs = Callable[[list[Scenario]], list[bool]]


def differ(scenarios: list[Scenario]) -> list[bool]:
    """Say of each scenario whether it differs."""
    traces = erlang.play(scenarios)
    return [
        compare(scenario, trace, play(scenario)) is not None
        for scenario, trace in zip(scenarios, traces, strict=True)
    ]


def shrink(scenario: Scenario, differs: Differs = differ) -> Scenario:
    """Take away steps, then children and options, as long as it still differs."""
    for _ in range(ROUNDS):
        candidates = list(smaller(scenario))
        verdicts = differs(candidates)
        found = next(
            (one for one, yes in zip(candidates, verdicts, strict=True) if yes), None
        )
        if found is None:
            return scenario
        scenario = found
    return scenario


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
    "brutal_kill": 50,
    "one_for_all": "one_for_one",
    "rest_for_one": "one_for_one",
    "any_significant": "never",
    "all_significant": "never",
    "crash": "boom",
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
