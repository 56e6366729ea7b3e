"""Who may call a provider now: the decision, with the time as an argument."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beamclaw.providers.breaker import Breaker, BreakerPolicy
from beamclaw.providers.permit_queue import Grant, PermitQueue


def ask(queue, now=0.0):
    ticket = queue.ask(now)
    assert ticket is not None
    return ticket


def granted(queue, now):
    return [grant.ticket for grant in queue.grants(now)]


def test_calls_at_once_are_limited_and_the_next_in_line_follows():
    queue = PermitQueue(limit=2, max_waiting=10)
    a, b, c, d = (ask(queue) for _ in range(4))
    assert granted(queue, 0.0) == [a, b]
    assert (queue.in_use, queue.waiting) == (2, 2)
    assert queue.leave(a, 0.0)
    assert queue.grants(3.0) == [Grant(c, 3.0)]
    assert queue.leave(c, 0.0)
    assert queue.leave(b, 0.0)
    assert granted(queue, 4.0) == [d]


def test_one_more_than_may_wait_is_turned_away():
    queue = PermitQueue(limit=1, max_waiting=2)
    first = ask(queue)
    assert granted(queue, 0.0) == [first]
    assert queue.ask(0.0)
    assert queue.ask(0.0)
    assert queue.ask(0.0) is None
    queue.leave(first, 0.0)
    assert len(granted(queue, 0.0)) == 1
    assert queue.ask(0.0) is not None


def test_who_leaves_the_line_is_passed_over():
    queue = PermitQueue(limit=1, max_waiting=10)
    a, b, c = (ask(queue) for _ in range(3))
    assert granted(queue, 0.0) == [a]
    assert queue.leave(b, 0.0)
    assert not queue.leave(b, 0.0)
    queue.leave(a, 0.0)
    assert granted(queue, 0.0) == [c]


def test_a_release_that_comes_late_frees_nobody_elses_permit():
    queue = PermitQueue(limit=1, max_waiting=10)
    old = ask(queue, 1.0)
    successor = PermitQueue(limit=1, max_waiting=10)
    assert granted(successor, 1.1) == []
    new = successor.ask(1.1)
    assert granted(successor, 1.1) == [new]
    assert not successor.leave(old, 0.0)
    assert successor.in_use == 1


def test_a_pause_stops_everybody_and_ends():
    queue = PermitQueue(limit=5, max_waiting=10)
    queue.block(7.0, now=10.0)
    queue.block(1.0, now=10.0)  # never shortens
    a = queue.ask(10.0)
    assert granted(queue, 16.9) == []
    assert queue.next_look(12.0) == pytest.approx(5.0)
    assert granted(queue, 17.0) == [a]
    assert queue.blocked_for(17.0) == 0


def test_with_a_rate_a_tenth_may_start_at_once_and_the_rest_is_spread():
    queue = PermitQueue(limit=1000, max_waiting=1000, per_minute=60)
    for _ in range(10):
        queue.ask(0.0)
    assert len(granted(queue, 0.0)) == 6
    assert queue.next_look(0.0) == pytest.approx(1.0)
    assert granted(queue, 0.9) == []
    assert len(granted(queue, 1.0)) == 1
    assert len(granted(queue, 3.0)) == 2


def test_the_rate_holds_over_an_hour_whatever_the_load():
    queue = PermitQueue(limit=10**6, max_waiting=10**6, per_minute=30)
    now, started = 0.0, 0
    for _ in range(5000):
        queue.ask(now)
    while now < 3600:
        started += len(queue.grants(now))
        wait = queue.next_look(now)
        assert wait is not None
        assert wait > 0
        now += wait
    assert 1799 <= started <= 1804


def test_a_slow_rate_still_lets_one_start_at_a_time():
    queue = PermitQueue(limit=10, max_waiting=10, per_minute=1)
    a, b = queue.ask(0.0), queue.ask(0.0)
    assert granted(queue, 0.0) == [a]
    assert queue.next_look(0.0) == pytest.approx(60.0)
    assert granted(queue, 60.0) == [b]


def test_where_time_helps_nobody_there_is_nothing_to_look_for():
    queue = PermitQueue(limit=1, max_waiting=10)
    assert queue.next_look(0.0) is None
    queue.ask(0.0)
    queue.grants(0.0)
    queue.ask(0.0)
    assert queue.next_look(0.0) is None


def test_ten_thousand_wait_and_leave_in_any_order_quickly():
    queue = PermitQueue(limit=1, max_waiting=10_000)
    holder = ask(queue)
    queue.grants(0.0)
    tickets = [ask(queue) for _ in range(10_000)]
    assert queue.ask(0.0) is None
    for ticket in reversed(tickets[1:]):
        queue.leave(ticket, 0.0)
    queue.leave(holder, 0.0)
    assert granted(queue, 0.0) == tickets[:1]


@given(came=st.floats(0, 1e6), longest=st.floats(1e-3, 1e3))
@example(came=0.71, longest=10.909)
def test_a_look_that_comes_to_nothing_is_followed_by_one_at_a_later_time(came, longest):
    """Fractions do not add up: a timer may end a hair before what it was for."""
    ill = Breaker(BreakerPolicy(failures=1, first=1e9, most=1e9))
    assert ill.failed(1, "server", "down", came, 0.0)
    queue = PermitQueue(limit=1, max_waiting=10, longest_wait=longest, breaker=ill)
    ask(queue, came)
    now, looks = came, 0
    while not queue.overdue(now):
        wait = queue.next_look(now)
        assert wait is not None
        assert now + wait > now
        now, looks = now + wait, looks + 1
    assert looks <= 3
