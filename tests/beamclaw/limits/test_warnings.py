"""Which caps have to be told of: the table of cases."""

import pytest

from beamclaw.contracts.budgets import Cap, Measure, Purse, Spent
from beamclaw.contracts.ledger_usage import PurseRow
from beamclaw.contracts.limits import CapStatus
from beamclaw.limits._warnings import due, standing

DAY = Purse("tenant", "", "2026-11-21")
MAIN = Purse("agent", "main", "2026-11-21")
CALLS = Cap("tenant", "calls", 10, "limits.day.calls")
COST = Cap("tenant", "cost", 1_000, "limits.day.cost")
OTHER = Cap("agent", "calls", 10, "limits.agent.calls")
NONE = Cap("tenant", "calls", 0, "limits.day.calls")

# purse, spent, warned of, caps -> those to tell of
TABLE = {
    "nothing is limited": (DAY, Spent(calls=99), (), (), ()),
    "below": (DAY, Spent(calls=7), (), (CALLS,), ()),
    "at the share": (DAY, Spent(calls=8), (), (CALLS,), (CALLS,)),
    "beyond the cap": (DAY, Spent(calls=80), (), (CALLS,), (CALLS,)),
    "told": (DAY, Spent(calls=8), (("calls", 10),), (CALLS,), ()),
    "told of another number": (
        DAY, Spent(calls=8), (("calls", 9), ("cost", 10)), (CALLS,), (CALLS,),
    ),
    "each of two": (DAY, Spent(0, 900, 9), (), (CALLS, COST), (CALLS, COST)),
    "one of two": (DAY, Spent(0, 100, 9), (), (CALLS, COST), (CALLS,)),
    "another's cap": (DAY, Spent(calls=9), (), (OTHER,), ()),
    "its own": (MAIN, Spent(calls=9), (), (CALLS, OTHER), (OTHER,)),
    "nothing is allowed": (DAY, Spent(), (), (NONE,), (NONE,)),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.replace(" ", "_"))
def test_the_table(case: str) -> None:
    purse, spent, warned, caps, told = TABLE[case]
    known: tuple[tuple[Measure, int], ...] = warned
    rows = [PurseRow(purse, spent, known)]
    assert tuple(one.cap for one in due(rows, caps, 0.8)) == told


def test_how_purses_stand() -> None:
    rows = [PurseRow(DAY, Spent(1, 2, 3)), PurseRow(MAIN, Spent(1, 2, 3))]
    (found,) = standing(rows, (COST,))
    assert found == CapStatus(
        name="limits.day.cost",
        scope="tenant",
        key="",
        measure="cost",
        used=2,
        limit=1_000,
    )
