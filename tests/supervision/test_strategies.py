"""Strategies, as tables."""

import pytest

from supervision._strategies import concerned, ends_supervisor


@pytest.mark.otp("46", "47")
@pytest.mark.parametrize(
    "strategy, group",
    [("one_for_one", "b"), ("one_for_all", "abcd"), ("rest_for_one", "bcd")],
)
def test_whom_a_death_concerns(strategy, group):
    assert concerned(strategy, list("abcd"), "b") == list(group)


@pytest.mark.otp("62", "63")
@pytest.mark.parametrize(
    "auto, significant, left, ends",
    [
        ("never", True, False, False),
        ("any_significant", True, True, True),
        ("any_significant", False, True, False),
        ("all_significant", True, True, False),
        ("all_significant", True, False, True),
        ("all_significant", False, False, False),
    ],
)
def test_when_an_end_takes_the_supervisor_along(auto, significant, left, ends):
    got = ends_supervisor(auto, significant=significant, significant_left=left)
    assert got is ends
