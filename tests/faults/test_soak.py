"""The soak finds what is planted. ``python -m tests.faults.soak`` takes an hour."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.faults.soak import FLOORS, soak

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SECONDS = float(os.environ.get("BEAMCLAW_SOAK_SECONDS", "25"))
RISING = {"memory": "memory (kB)"}


@pytest.mark.parametrize("plant", ["descriptors", "memory"])
async def test_a_leak_that_was_planted_is_found_under_every_kind_of_load(plant: str):
    # Not pytest's folder: its name is too long for a socket in it.
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        report = await soak(Path(folder), seconds=SECONDS, plant=plant)

    print(*report.table(), sep="\n")  # noqa: T201 -- shown when it fails
    assert RISING.get(plant, plant) in report.rising
    assert set(report.slopes) >= set(FLOORS)
    # In so short a time pools still grow, so nothing is said of what was not planted.
    assert report.wrong == ()
    for what in ("streams", "turns of main", "turns of tooler", "visits", "edits"):
        assert report.done.get(what, 0) > 0, f"no {what}: this proves nothing"
