"""Erlang and `supervision` do the same, scenario by scenario."""

import re
import shlex
import subprocess
import sys

import pytest

import supervision
from tests.differential import shrink as shrinking
from tests.differential.__main__ import main
from tests.differential.compare import compare
from tests.differential.families import generate
from tests.differential.play import play
from tests.differential.run import run
from tests.differential.scenario import Scenario
from tests.differential.shown import elsewhere, seldom
from tests.differential.shrink import command, shrink, told
from tests.differential.terms import decode, encode

# Some more than the rarest of what they have to show needs: those that a slow machine
# cannot time show nothing.
COUNT = 2200


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.peer("erlang")
def test_erlang_and_supervision_do_the_same(peer):
    report = run(1, 0, COUNT)
    for scenario, difference in report.different[:1]:
        small, less = shrink(scenario, difference)
        pytest.fail(
            f"{len(report.different)} scenarios differ; the first, made small:\n"
            f"{told(small)}\n{less}\nto repeat it: {command(scenario)}",
        )
    assert report.played + report.untimed == COUNT
    # One in two hundred has a time-out too close to an action, on any machine.
    assert report.untimed < COUNT // 50
    assert report.quirks < COUNT // 100
    assert not seldom(report.occurred)


# --- what a difference looks like


LINKED = Scenario(
    1,
    0,
    "processes",
    (("plain", "p1"), ("plain", "p2")),
    (
        ("cmd", "p1", [("whereis", "n1")]),
        ("cmd", "p1", [("link", "p2"), ("send", "p2", 1)]),
        ("cmd", "p2", [("trap", True)]),
        ("cmd", "p2", [("flush")]),
        ("cmd", "p1", [("die", "boom")]),
        ("cmd", "p2", [("whereis", "n1")]),
    ),
)


def test_a_scenario_that_differs_is_made_small():
    def compares(scenarios):
        """Stands for a fault: whoever traps exits is not told of a death."""
        found = []
        for scenario in scenarios:
            right = play(scenario)
            wrong = [
                [event for event in step if "exit" not in repr(event)] for step in right
            ]
            found.append(compare(scenario, right, wrong))
        return found

    (difference,) = compares([LINKED])
    small, less = shrink(LINKED, difference, compares)
    assert small.steps == (
        ("cmd", "p1", [("link", "p2")]),
        ("cmd", "p2", [("trap", True)]),
        ("cmd", "p1", [("die", "boom")]),
    )
    assert less.step == 3
    assert "('exit', 'p1', 'boom')" in str(less)


@pytest.mark.slow
@pytest.mark.peer("erlang")
def test_the_command_that_is_printed_finds_the_difference_again(
    peer, monkeypatch, capsys
):
    monkeypatch.setattr(shrinking, "ROUNDS", 4)
    monkeypatch.setattr(supervision, "spawn_link", supervision.spawn)
    arguments = ["x", "--seed", "3", "--count", "12", "--family", "processes"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 1
    said = capsys.readouterr().out
    (printed,) = re.findall("to repeat it: (.*)", said)
    assert "made small" in said
    assert printed.startswith("python -m tests.differential --seed 3 --scenario ")

    monkeypatch.setattr(sys, "argv", shlex.split(printed)[2:])
    assert main() == 1
    again = capsys.readouterr().out
    assert said.split("made small")[1] == again.split("made small")[1]

    # Without the fault it is no difference any more; this time really as a command.
    ran = subprocess.run(
        [sys.executable, *shlex.split(printed)[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "no difference")


# --- its parts


def test_a_scenario_is_made_from_seed_and_number_alone():
    for number in range(50):
        scenario = generate(7, number)
        assert generate(7, number, scenario.family).family == scenario.family
        assert generate(7, number) == scenario
    assert generate(7, 1) != generate(8, 1)


def test_a_scenario_whose_family_is_named_is_the_same():
    for number in range(50):
        scenario = generate(7, number)
        assert generate(7, number, scenario.family) == scenario


def test_terms_go_there_and_back():
    terms = [("a", 1, 300, -7, True), [], ["x", ("y", [False])], "infinity"]
    assert decode(encode(terms)) == terms


def test_what_is_not_shown_here_has_a_test_of_its_own():
    without = [item for item, tests in elsewhere().items() if not tests]
    # Those of which docs/reference/otp.md says why there is none.
    assert set(without) <= {"19", "25", "39", "T21", "Q3", *WITHOUT}


# Their tests are still to be written: tests/architecture has the list.
WITHOUT = {"30", "31", "32", "53", "90", "100", "101", "102", "103"}
