"""kill -9 of a whole node under load. ``python -m tests.faults.kill`` has more rounds."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.faults.kill import campaign
from tests.support.chance import SEED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS = int(os.environ.get("BEAMCLAW_KILL_ROUNDS", "4"))


async def test_killed_under_load_everything_promised_is_kept():
    # Not pytest's folder: its name is too long for a socket in it.
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        report = await campaign(Path(folder), rounds=ROUNDS, sessions=20, seed=SEED)

    print(*report.table(), sep="\n")  # noqa: T201 -- shown when it fails
    assert report.violations == ()
    assert report.acknowledged == report.answered
    assert report.cut > 0, "no turn was cut: this proves nothing"
    assert report.tools > 0
