"""Which event a state machine handles next: its queue, as a value without I/O.

`EventQueue` decides which event comes next, what is postponed until when, and which
time-outs run; it returns what the loop has to tell the timer heap. The rules are those of
OTP's ``gen_statem``:

- One event after the other. After each one come first the events that its callback
  inserted, then, if the state changed, all postponed ones, then those that were still
  queued, then time-outs of zero seconds, and only then the mailbox.
- An event time-out ends with the next event, whatever that is; a state time-out with the
  next change of state; a generic one only by itself.
- Setting a time-out replaces the one of the same kind and name.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from ._state_values import (
    EVENT,
    STATE,
    Action,
    CancelTimeout,
    EventTimeout,
    GenericTimeout,
    Key,
    NextEvent,
    Postpone,
    StateEvent,
    StateTimeout,
    TimeoutAction,
    UpdateTimeout,
    timed_out,
)

S = TypeVar("S")


class Transition(Generic[S]):
    """What the callbacks for one event have asked for, until it is settled.

    Attributes:
        state: The state after it.
        postpone: Whether the event will be handled again.
    """

    __slots__ = ("_inserted", "_timeouts", "postpone", "state")

    def __init__(self, state: S) -> None:
        self.state = state
        self.postpone = False
        self._inserted: list[StateEvent] = []
        # The last word per time-out, in the order of those last words.
        self._timeouts: dict[Key, TimeoutAction] = {}

    def note(self, action: Action, *, entering: bool) -> bool:
        """Take note of an action; ``False`` means: it is not allowed here.

        Args:
            action: Not one that answers calls or changes the callbacks.
            entering: Whether it comes from ``enter``.
        """
        match action:
            case Postpone(postpone):
                if entering and postpone:
                    return False
                self.postpone = postpone
            case NextEvent(event):
                if entering:
                    return False
                self._inserted.append(event)
            case CancelTimeout() | UpdateTimeout():
                self._timeouts.pop(action.key, None)
                self._timeouts[action.key] = action
            case EventTimeout() | StateTimeout() | GenericTimeout():
                key = action.key
                self._timeouts.pop(key, None)
                self._timeouts[key] = action
            case _:
                return False
        return True

    @property
    def inserted(self) -> list[StateEvent]:
        """Events to handle next, in this order."""
        return self._inserted

    @property
    def timeouts(self) -> list[TimeoutAction]:
        """Changes to time-outs, one per time-out at most."""
        return list(self._timeouts.values())


@attrs.frozen
class StartTimer:
    """Tells the loop to have `EventQueue.fired` called later, in place of an older one.

    Attributes:
        key: For which time-out.
        seconds: When, from now on.
        absolute: *seconds* is a time.
    """

    key: Key
    seconds: float
    absolute: bool


@attrs.frozen
class StopTimer:
    """Tells the loop that a time-out is not wanted any more.

    Attributes:
        key: For which time-out.
    """

    key: Key


TimerOrder: TypeAlias = StartTimer | StopTimer


class EventQueue(Generic[S]):
    """The events and time-outs that a machine has, apart from its mailbox.

    Attributes:
        state: The current state.
    """

    __slots__ = ("_due", "_postponed", "_queued", "_running", "state")

    def __init__(self, state: S) -> None:
        self.state = state
        # Inserted and retried events, the next one first.
        self._queued: deque[StateEvent] = deque()
        # Oldest first.
        self._postponed: list[StateEvent] = []
        # Contents of the time-outs of zero seconds, in the order in which they pass.
        # Invariant: no key is in both of these.
        self._due: dict[Key, Any] = {}
        self._running: dict[Key, Any] = {}

    @property
    def postponed(self) -> tuple[StateEvent, ...]:
        """Events that wait for a change of state, oldest first."""
        return tuple(self._postponed)

    @property
    def idle(self) -> bool:
        """Whether no event waits here; time-outs may run."""
        return not (self._queued or self._postponed or self._due)

    def take(self) -> StateEvent | None:
        """Remove and return the next event; ``None`` means: look into the mailbox."""
        if self._queued:
            return self._queued.popleft()
        if self._due:
            key = next(iter(self._due))
            return timed_out(key, self._due.pop(key))
        return None

    def fired(self, key: Key) -> StateEvent:
        """Turn the timer of a time-out into its event."""
        return timed_out(key, self._running.pop(key))

    def settle(
        self, event: StateEvent | None, transition: Transition[S]
    ) -> list[TimerOrder]:
        """Do what the callbacks for *event* asked for.

        Args:
            event: The event that was handled; ``None`` for the start of the machine.
            transition: What they asked for.

        Returns:
            What has to be told to the timers.
        """
        changed = transition.state != self.state
        self.state = transition.state
        if transition.postpone and event is not None:
            self._postponed.append(event)
        if changed and self._postponed:
            self._queued.extendleft(reversed(self._postponed))
            self._postponed.clear()
        if transition.inserted:
            self._queued.extendleft(reversed(transition.inserted))
        stops: list[TimerOrder] = []
        starts: list[TimerOrder] = []
        self._cancel(EVENT, stops)
        if changed:
            self._cancel(STATE, stops)
        for action in transition.timeouts:
            self._change(action, stops, starts)
        # As in OTP: of those that are set together, for one time, the last passes first.
        return stops + starts[::-1]

    def _cancel(self, key: Key, stops: list[TimerOrder]) -> None:
        self._due.pop(key, None)
        if key in self._running:
            del self._running[key]
            stops.append(StopTimer(key))

    def _change(
        self, action: TimeoutAction, stops: list[TimerOrder], starts: list[TimerOrder]
    ) -> None:
        match action:
            case CancelTimeout(key):
                self._cancel(key, stops)
            case UpdateTimeout(key, content):
                contents = self._running if key in self._running else self._due
                contents[key] = content
            case _ if action.seconds == float("inf"):
                self._cancel(action.key, stops)
            case _ if action.seconds == 0 and not action.absolute:
                self._cancel(action.key, stops)
                self._due[action.key] = action.content
            case _:
                key = action.key
                self._due.pop(key, None)
                self._running[key] = action.content
                starts.append(StartTimer(key, action.seconds, action.absolute))
