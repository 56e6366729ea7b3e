"""kill -9 of a whole node under load. ``python -m tests.faults.kill`` has more rounds."""

import os
from pathlib import Path

import pytest

from tests.faults.kill import campaign

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS = int(os.environ.get("BEAMCLAW_KILL_ROUNDS", "5"))
SEED = int(os.environ.get("BEAMCLAW_KILL_SEED", "1"))


async def test_nothing_acknowledged_is_lost_and_no_model_call_repeated(tmp_path: Path):
    report = await campaign(tmp_path, rounds=ROUNDS, sessions=30, seed=SEED)

    print(*report.table(), sep="\n")  # noqa: T201 -- shown when it fails
    assert report.violations == ()
    assert report.acknowledged == report.answered
    assert report.extra_calls > 0, "no turn was cut: this proves nothing"
