"""The order of events in a state machine, without a task: against a naive model.

The model keeps what ``gen_statem.erl`` keeps, in the lists in which it keeps it, and does
with them what that file does, one line after the other. One thing is different: OTP 25
loses a time-out of zero seconds that is set anew, to a later time, while it is pending.
"""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    CancelTimeout,
    CastEvent,
    EventTimeout,
    GenericTimeout,
    InternalEvent,
    NextEvent,
    Postpone,
    StateTimeout,
    UpdateTimeout,
)
from supervision._state_events import EventQueue, StartTimer, StopTimer, Transition
from supervision._state_values import EVENT, STATE, timed_out

ZERO = 0


@attrs.define
class Naive:
    """The record ``state`` and the argument ``Q`` of OTP's loop."""

    state: str
    q: list[Any] = attrs.field(factory=list)
    postponed: list[Any] = attrs.field(factory=list)  # newest first, as there
    timers: dict[Any, Any] = attrs.field(factory=dict)  # key: (ref or ZERO, content)
    t0q: list[Any] = attrs.field(factory=list)
    refs: int = 0

    def take(self):
        if self.q:
            return self.q.pop(0)
        if self.t0q:
            key = self.t0q[0]
            content = self.timers[key][1]
            self.cancel(key)
            return timed_out(key, content)
        return None

    def fired(self, key):
        return timed_out(key, self.timers.pop(key)[1])

    def running(self):
        return {key: ref for key, (ref, _) in self.timers.items() if ref is not ZERO}

    def cancel(self, key):
        if key in self.timers and self.timers.pop(key)[0] is ZERO:
            self.t0q.remove(key)

    def settle(self, event, state, actions):
        postpone, next_events_r, timeouts_r = False, [], []
        for action in actions:
            match action:
                case Postpone(flag):
                    postpone = flag
                case NextEvent(inserted):
                    next_events_r = [inserted, *next_events_r]
                case _:
                    timeouts_r = [action, *timeouts_r]
        if postpone:
            self.postponed = [event, *self.postponed]
        if state != self.state:
            self.q = [*reversed(self.postponed), *self.q]
            self.postponed = []
            self.cancel(STATE)
        self.cancel(EVENT)
        self.state = state
        seen, timeout_events = set(), []
        for action in timeouts_r:
            if action.key in seen:
                continue
            seen.add(action.key)
            self.timeout(action, timeout_events)
        self.t0q = [*self.t0q, *reversed(timeout_events)]
        self.q = [*reversed(next_events_r), *self.q]

    def timeout(self, action, timeout_events):
        key = action.key
        match action:
            case CancelTimeout():
                self.cancel(key)
            case UpdateTimeout(_, content) if key in self.timers:
                self.timers[key] = (self.timers[key][0], content)
            case UpdateTimeout(_, content):
                self.timers[key] = (ZERO, content)
                timeout_events.append(key)
            case _:
                self.cancel(key)
                self.refs += 1
                if action.seconds:
                    self.timers[key] = (self.refs, action.content)
                else:
                    self.timers[key] = (ZERO, action.content)
                    timeout_events.append(key)


numbers = st.integers(0, 99)
seconds = st.sampled_from([0.0, 1.0, 2.0])
names = st.sampled_from(["t", "u", "event", "state"])
actions = st.one_of(
    st.builds(Postpone, st.booleans()),
    st.builds(NextEvent, st.builds(InternalEvent, numbers)),
    st.builds(EventTimeout, seconds, numbers),
    st.builds(StateTimeout, seconds, numbers),
    st.builds(GenericTimeout, names, seconds, numbers),
    st.builds(EventTimeout.update, numbers),
    st.builds(StateTimeout.update, numbers),
    st.builds(GenericTimeout.update, names, numbers),
    st.builds(EventTimeout.cancel),
    st.builds(StateTimeout.cancel),
    st.builds(GenericTimeout.cancel, names),
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.lists(actions, max_size=5),
        st.integers(0, 5),
    ),
    max_size=60,
)


class Timers:
    """What a loop does with the orders: one timer per time-out."""

    def __init__(self):
        self.running = {}
        self.started = 0

    def obey(self, orders):
        for order in orders:
            self.running.pop(order.key, None)
            if isinstance(order, StartTimer):
                self.started += 1
                self.running[order.key] = self.started


@pytest.mark.otp("96", "97", "98")
@given(steps)
def test_it_decides_as_the_naive_model_does(steps):
    queue, naive, timers = EventQueue("a"), Naive("a"), Timers()
    for number, (state, wanted, choice) in enumerate(steps):
        event = queue.take()
        assert event == naive.take()
        if event is None:
            running = list(naive.running())
            if choice < len(running):
                key = running[choice]
                event = queue.fired(key)
                assert event == naive.fired(key)
                del timers.running[key]
            else:
                event = CastEvent(number)
        transition = Transition(queue.state)
        transition.state = state
        for action in wanted:
            assert transition.note(action, entering=False)
        timers.obey(queue.settle(event, transition))
        naive.settle(event, state, wanted)
        assert queue.state == naive.state
        assert queue.postponed == tuple(reversed(naive.postponed))
        assert queue.idle == (not (naive.q or naive.postponed or naive.t0q))
        # The same ones run, and they were started in the same order.
        expected = naive.running()
        assert sorted(timers.running, key=timers.running.__getitem__) == sorted(
            expected, key=expected.__getitem__
        )


@pytest.mark.otp("97")
def test_a_time_out_that_is_set_anew_while_it_is_cancelled_is_started():
    """Each event cancels the event time-out, and may set the next one."""
    queue, orders = EventQueue("a"), []
    for _ in range(2):
        transition = Transition("a")
        transition.note(EventTimeout(1.0), entering=False)
        orders = queue.settle(CastEvent(None), transition)
        assert orders[-1] == StartTimer(EVENT, 1.0, absolute=False)
    assert orders[0] == StopTimer(EVENT)


@pytest.mark.otp("95")
@pytest.mark.parametrize(
    "action, allowed",
    [
        (Postpone(), False),
        (Postpone(False), True),
        (NextEvent(InternalEvent()), False),
        (StateTimeout(1.0), True),
        (GenericTimeout.cancel("t"), True),
    ],
)
def test_what_may_be_asked_for_on_entering_a_state(action, allowed):
    assert Transition("a").note(action, entering=True) is allowed


@pytest.mark.otp("97")
@pytest.mark.parametrize(
    "make", [EventTimeout, StateTimeout, lambda s: GenericTimeout("t", s)]
)
def test_a_time_out_of_less_than_nothing_is_refused(make):
    with pytest.raises(ValueError, match="less than zero"):
        make(-1.0)
