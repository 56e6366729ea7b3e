"""Time that has passed, and time that was only put on."""

import pytest

from beamclaw.contracts.clock import Clock

BEGUN = Clock(wall=1_000_000.0, steady=50.0)


@pytest.mark.parametrize(
    "wall, steady, moved",
    [
        pytest.param(1_000_010.0, 60.0, 0.0, id="ten seconds have passed"),
        pytest.param(1_000_010.9, 60.0, 0.0, id="it is not so exact"),
        pytest.param(1_030_000.0, 60.0, 29_990.0, id="put on, or asleep"),
        pytest.param(999_000.0, 60.0, -1_010.0, id="put back"),
        pytest.param(1.0, 51.0, -1_000_000.0, id="a machine without a battery"),
    ],
)
def test_a_clock_was_moved_by_what_did_not_pass(
    wall: float, steady: float, moved: float
) -> None:
    assert BEGUN.moved(wall, steady) == moved
