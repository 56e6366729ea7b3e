"""A few faults by chance. ``python -m tests.faults.chaos --faults 10000`` has more."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.faults.chaos import one

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FAULTS = int(os.environ.get("BEAMCLAW_CHAOS_FAULTS", "60"))
SEED = int(os.environ.get("BEAMCLAW_CHAOS_SEED", "1"))


async def test_faults_by_chance_break_no_promise():
    # Not pytest's folder: its name is too long for a socket in it.
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        report = await one(Path(folder), faults=FAULTS, seed=SEED)

    print(*report.table(), sep="\n")  # noqa: T201 -- shown when it fails
    assert report.violations == ()
    assert report.done.total() == FAULTS
    assert report.calls > 0
    assert report.untouched, "no turn was untouched: nothing is said of those"
