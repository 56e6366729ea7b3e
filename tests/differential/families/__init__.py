"""Makes scenarios from a seed and a number; one module per family."""

import random
from collections.abc import Callable
from typing import TypeAlias

from tests.differential.scenario import Scenario

from . import machines, plain, servers, supervisors

Generator: TypeAlias = Callable[[random.Random, int, int], Scenario]

# How often each family occurs in a hundred scenarios.
SHARES: dict[str, tuple[int, Generator]] = {
    "processes": (30, plain.generate),
    "groups": (16, plain.generate_groups),
    "supervisors": (124, supervisors.generate),
    "dynamic": (20, supervisors.generate_dynamic),
    "servers": (39, servers.generate),
    "machines": (60, machines.generate),
}


def generate(seed: int, number: int, family: str | None = None) -> Scenario:
    """Make the scenario *number* of *seed*; only of *family* if one is named."""
    rng = random.Random(f"{seed}/{number}")
    # Chosen in any case: a scenario is the same whether its family is named or not.
    (chosen,) = rng.choices(list(SHARES), [share for share, _ in SHARES.values()])
    _, make = SHARES[family or chosen]
    return make(rng, seed, number)
