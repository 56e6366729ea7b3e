"""A share of the crash matrix; ``python -m tests.faults.matrix`` has all of it."""

import os
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from beamclaw.contracts.points import POINTS, names
from tests.faults.matrix import Cell, Matrix, Report, Result, cells, chosen
from tests.faults.plan import Plan
from tests.faults.reached import NOT_IN_A_NODE, REACHED, points_nowhere
from tests.faults.scenarios import TABLE
from tests.support.chance import SEED

# A new share each day; a failing cell prints the one command that repeats it.

SHARE = Fraction(os.environ.get("BEAMCLAW_MATRIX_SHARE", "1/240"))


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_anywhere_everything_promised_is_kept():
    # Not pytest's folder: its name is too long for a socket in it.
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        report = await Matrix(Path(folder), SHARE, SEED).run(list(TABLE), jobs=2)

    print(*report.lines(), sep="\n")  # noqa: T201 -- shown when it fails
    assert report.fine
    assert not report.aborted, "no verdict: this machine has no time for it"
    assert report.scenarios == set(TABLE)
    assert report.points == set(names()) - set(points_nowhere())
    assert any(result.killed for result in report.results), "this proves nothing"


def test_every_point_is_reached_by_a_scenario():
    found = Counter(name for each in REACHED.values() for name in each)
    found.update(NOT_IN_A_NODE.keys())

    assert found == Counter(POINTS.keys()), (
        "say in tests/faults/reached.py which scenario reaches it; there may be none yet"
    )
    assert REACHED.keys() <= TABLE.keys()


def test_only_a_run_of_all_scenarios_says_which_points_none_of_them_reaches():
    points = set(names()) - {"storage.commit.after"}
    whole = Report(points, scenarios=set(TABLE))
    part = Report(points, scenarios={"plain"})

    assert "no scenario reaches storage.commit.after" in whole.lines()
    assert not [line for line in part.lines() if "reach" in line]


def test_a_pair_at_which_no_kill_came_is_named_and_is_no_success():
    there, second = Cell("plain", "run.act.after", 1), Cell("plain", "run.act.after", 2)
    gone = Cell("steer", "run.act.after", 1)
    report = Report(results=[Result(there, True), Result(second, False)])
    assert not report.missed
    assert report.code == 0

    report.results.append(Result(gone, False))

    first, *lines = report.lines()
    assert "killed at 1 of 2 pairs; 1 of 3 kills came" in first
    assert "MISSED  steer run.act.after" in lines
    assert report.code == 2


def test_a_broken_promise_weighs_more_than_a_kill_that_did_not_come():
    cell, gone = Cell("plain", "run.act.after", 1), Cell("plain", "run.act.before", 1)
    report = Report(results=[Result(cell, True, ("lost",)), Result(gone, False)])

    assert report.missed
    assert report.code == 1


def test_every_time_that_a_point_is_reached_is_a_cell():
    reached = ["a.before", "a.after", "a.before"]

    assert cells("s", reached) == [
        Cell("s", "a.before", 1),
        Cell("s", "a.before", 2),
        Cell("s", "a.after", 1),
    ]


def test_the_shares_of_all_seeds_are_about_equal_and_one_seed_gives_one_share():
    every = cells("plain", names() * 5)
    sizes = [len(chosen(every, Fraction(1, 10), seed)) for seed in range(20)]

    assert chosen(every, Fraction(1), 1) == every
    assert chosen(every, Fraction(1, 10), 1) == chosen(every, Fraction(1, 10), 1)
    assert 0.5 < sum(sizes) / 20 / (len(every) / 10) < 2
    assert len(Counter(sizes)) > 1


def test_a_share_holds_the_same_cells_whoever_else_there_is():
    every = cells("plain", names() * 3)
    share = chosen(every, Fraction(1, 5), 3)

    assert chosen(every[::2], Fraction(1, 5), 3) == [
        c for c in every[::2] if c in share
    ]


def test_a_plan_is_read_from_its_message():
    plan = Plan(rounds=(("look", ("send", {"seconds": 1})),), gap=0.1, filler=500)

    assert Plan.of(plan.message("m")).message("m") == plan.message("m")
