"""What a turn pays of its time where nothing is reserved any more."""

import attrs
import pytest

from beamclaw.contracts.budgets import Cap
from beamclaw.contracts.ledger_errors import TimeReached
from beamclaw.contracts.ledger_ops import Work
from beamclaw.runs.hours import Hours
from tests.beamclaw.runs.test_turn import LIMITS, TURN

CAP = Cap("tenant", "seconds", 5_000, "limits.day.seconds")
WAITED = Work(run_id="r", agent="main", at=2.0, used=2_000)


def hours(*caps: Cap) -> Hours:
    return Hours(run_id="r", agent="main", full=LIMITS, caps=lambda: caps)


@pytest.mark.parametrize(("caps", "paid"), [((CAP,), 2.0), ((), 2.004)])
def test_of_a_wait_no_more_is_paid_than_when_it_began(
    caps: tuple[Cap, ...], paid: float
) -> None:
    """To write it down has taken 4 ms, behind all that was reserved."""
    clock = hours(*caps)
    clock.keep(attrs.evolve(WAITED, used=0, reserve=2_000), CAP)
    assert clock.worked(TURN, 2.004) == paid
    clock.keep(WAITED, None)
    assert clock.worked(TURN, 2.004) == paid


def test_who_finds_nothing_left_pays_what_was_paid_for_and_ends() -> None:
    clock = hours(CAP)
    clock.keep(WAITED, None)
    clock.refuse(TimeReached("no more", CAP, 0, 2_000))
    clock.end(CAP)
    assert clock.worked(TURN, 2.3) == 2.0
    limits = clock.limits(TURN)
    assert (limits.seconds, limits.short) == (2.0, CAP)


def test_a_successor_pays_at_most_what_its_predecessor_had_reserved() -> None:
    clock = hours(CAP)
    assert clock.worked(TURN, 3.5) == 3.5  # nobody has asked yet
    clock.refuse(TimeReached("no more", CAP, 0, 3_000))
    assert clock.worked(TURN, 3.5) == 3.0
