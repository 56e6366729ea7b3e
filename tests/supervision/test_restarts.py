"""Restart windows and cool-downs, without a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision import CoolDown, Intensity
from supervision._restarts import Cooling, RestartWindow


def test_a_window_admits_as_many_as_it_says():
    window = RestartWindow(2, 5.0)
    assert [window.admit(now) for now in (0, 1, 2, 3)] == [True, True, False, False]


def test_what_is_older_than_the_window_does_not_count():
    window = RestartWindow(1, 5.0)
    assert [window.admit(now) for now in (0, 5.1, 10.3, 12)] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.otp("44")
def test_what_is_as_old_as_the_window_counts():
    window = RestartWindow(1, 5.0)
    assert [window.admit(now) for now in (0.0, 5.0)] == [True, False]


@pytest.mark.otp("Q1")
@given(
    st.integers(0, 5),
    st.lists(st.floats(0, 3), max_size=40),
)
def test_a_window_is_what_counting_says(limit, gaps):
    """Bounded, and the same as keeping everything."""
    window, now, seen = RestartWindow(limit, 5.0), 0.0, []
    for gap in gaps:
        now += gap
        seen.append(now)
        inside = [when for when in seen if now - when <= 5.0]
        assert window.admit(now) is (len(inside) <= limit)
        assert len(window._times) <= limit + 1


def delays(rule, times, chance=0.5):
    cooling = Cooling(rule)
    return [cooling.delay(now, lambda: chance) for now in times]


def test_waits_grow_to_the_longest():
    rule = CoolDown(after=(1, 5.0), first=1, factor=3, most=10, jitter=0)
    assert delays(rule, [0, 0, 1, 4, 13]) == [0, 1, 3, 9, 10]


def test_who_stayed_up_begins_anew():
    rule = CoolDown(after=Intensity(1, 5.0), first=1, factor=2, most=10, jitter=0)
    # The second wait ends at 3; up until 8.1 is longer than 5.
    assert delays(rule, [0, 0, 1, 8.1, 8.2]) == [0, 1, 2, 0, 1]
    assert delays(rule, [0, 0, 1, 7.9]) == [0, 1, 2, 4]


def test_jitter_keeps_children_out_of_step():
    rule = CoolDown(after=(0, 5.0), first=10, jitter=0.1)
    assert delays(rule, [0], chance=0) == [9]
    assert delays(rule, [0], chance=1) == [11]


def test_waiting_for_ever_never_overflows():
    cooling = Cooling(CoolDown(after=(0, 1.0), jitter=0))
    waits = [cooling.delay(0, lambda: 0.5) for _ in range(5000)]
    assert waits[-1] == 60
