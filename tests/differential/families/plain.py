"""Scenarios about plain processes: chance, and situations in between."""

import random

from tests.differential.scenario import Action, Scenario

from .processes import FIRST
from .situations import Situations


def generate(rng: random.Random, seed: int, number: int) -> Scenario:
    """Make a scenario about processes alone."""
    return _generate(rng, seed, number, "processes", timed=rng.random() < 0.28)


def generate_groups(rng: random.Random, seed: int, number: int) -> Scenario:
    """Make a scenario about process groups."""
    return _generate(rng, seed, number, "groups", timed=False)


def _generate(
    rng: random.Random, seed: int, number: int, family: str, *, timed: bool
) -> Scenario:
    maker = Situations(rng, timed=timed, groups=family == "groups")
    setup = tuple(("plain", name) for name in FIRST)
    steps: list[Action] = []
    rounds = 7 if timed else 16
    if maker.groups:
        rounds = 6
    for _ in range(rounds):
        steps += [maker.step() for _ in range(rng.randint(0, 5))]
        steps += maker.situation()
    timing = "fine" if timed else ""
    return Scenario(seed, number, family, setup, tuple(steps), timed=timing)
