"""State machines as values: events, and what callbacks return."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, Final, Generic, TypeAlias, TypeVar

import attrs

from ._reasons import NORMAL, ExitReason
from ._signals import From

S_co = TypeVar("S_co", covariant=True)

# --- events


@attrs.frozen
class CallEvent:
    """A `supervision.call`; it is answered with `ReplyTo`, now or in a later state.

    Attributes:
        request: What is asked.
        sender: Where the reply goes.
    """

    request: Any
    sender: From


@attrs.frozen
class CastEvent:
    """What was sent with `supervision.cast`.

    Attributes:
        message: What was sent.
    """

    message: Any


@attrs.frozen
class InfoEvent:
    """Any other message: plain ones, ``Down``, ``Exit``.

    Attributes:
        message: What was sent.
    """

    message: Any


@attrs.frozen
class InternalEvent:
    """What the machine tells itself, with `NextEvent`.

    Attributes:
        content: What it says.
    """

    content: Any = None


@attrs.frozen
class EventTimedOut:
    """An `EventTimeout` has passed.

    Attributes:
        content: What was given when it was set.
    """

    content: Any = None


@attrs.frozen
class StateTimedOut:
    """A `StateTimeout` has passed.

    Attributes:
        content: What was given when it was set.
    """

    content: Any = None


@attrs.frozen
class GenericTimedOut:
    """A `GenericTimeout` has passed.

    Attributes:
        name: The name of the time-out.
        content: What was given when it was set.
    """

    name: Any
    content: Any = None


StateEvent: TypeAlias = (
    CallEvent
    | CastEvent
    | InfoEvent
    | InternalEvent
    | EventTimedOut
    | StateTimedOut
    | GenericTimedOut
)
"""Whatever a state machine may have to handle."""

# --- time-outs

Key: TypeAlias = Hashable
"""Which time-out of a machine: there is at most one of each key."""

EVENT: Final = "event"
STATE: Final = "state"


@attrs.frozen
class _Named:
    """The key of a generic time-out; a class, so that no name is one of the others."""

    name: Hashable


def _not_negative(timeout: Any, attribute: object, seconds: float) -> None:
    del attribute
    if seconds < 0 and not timeout.absolute:
        raise ValueError(f"{timeout!r}: a time-out of less than zero seconds")


@attrs.frozen
class CancelTimeout:
    """The action of ``StateTimeout.cancel()`` and its like; nothing to cancel is fine."""

    key: Key


@attrs.frozen
class UpdateTimeout:
    """The action of ``StateTimeout.update(content)`` and its like.

    A time-out that runs keeps its time and gets the content; without one, it passes at
    once, as if set to zero seconds.
    """

    key: Key
    content: Any


@attrs.frozen
class EventTimeout:
    """Time to wait for the next event: any event, also an inserted one, cancels it.

    Attributes:
        seconds: How long; zero passes before anything that is not yet in the machine,
            infinity cancels.
        content: What `EventTimedOut` will carry.
        absolute: *seconds* is a time on Trio's clock.
    """

    seconds: float = attrs.field(validator=_not_negative)
    content: Any = None
    absolute: bool = attrs.field(default=False, kw_only=True)

    key: ClassVar[Key] = EVENT

    @staticmethod
    def cancel() -> CancelTimeout:
        """Cancel it."""
        return CancelTimeout(EVENT)

    @staticmethod
    def update(content: object) -> UpdateTimeout:
        """Change its content and leave its time."""
        return UpdateTimeout(EVENT, content)


@attrs.frozen
class StateTimeout:
    """Time to stay in a state: a change of state cancels it, events do not.

    Attributes:
        seconds: How long; zero passes before anything that is not yet in the machine,
            infinity cancels.
        content: What `StateTimedOut` will carry.
        absolute: *seconds* is a time on Trio's clock.
    """

    seconds: float = attrs.field(validator=_not_negative)
    content: Any = None
    absolute: bool = attrs.field(default=False, kw_only=True)

    key: ClassVar[Key] = STATE

    @staticmethod
    def cancel() -> CancelTimeout:
        """Cancel it."""
        return CancelTimeout(STATE)

    @staticmethod
    def update(content: object) -> UpdateTimeout:
        """Change its content and leave its time."""
        return UpdateTimeout(STATE, content)


@attrs.frozen
class GenericTimeout:
    """A time-out with a name, which nothing cancels but `cancel` with that name.

    Attributes:
        name: Each name is a time-out of its own.
        seconds: How long; zero passes before anything that is not yet in the machine,
            infinity cancels.
        content: What `GenericTimedOut` will carry.
        absolute: *seconds* is a time on Trio's clock.
    """

    name: Hashable
    seconds: float = attrs.field(validator=_not_negative)
    content: Any = None
    absolute: bool = attrs.field(default=False, kw_only=True)

    @property
    def key(self) -> Key:
        """Which time-out it is."""
        return _Named(self.name)

    @staticmethod
    def cancel(name: Hashable) -> CancelTimeout:
        """Cancel the one of that name."""
        return CancelTimeout(_Named(name))

    @staticmethod
    def update(name: Hashable, content: object) -> UpdateTimeout:
        """Change the content of the one of that name and leave its time."""
        return UpdateTimeout(_Named(name), content)


SetTimeout: TypeAlias = EventTimeout | StateTimeout | GenericTimeout
TimeoutAction: TypeAlias = SetTimeout | CancelTimeout | UpdateTimeout


def timed_out(key: Key, content: object) -> StateEvent:
    """Make the event of a time-out that has passed."""
    if key == EVENT:
        return EventTimedOut(content)
    if key == STATE:
        return StateTimedOut(content)
    assert isinstance(key, _Named)
    return GenericTimedOut(key.name, content)


# --- other actions


@attrs.frozen
class ReplyTo:
    """Answer a call: the current one, or one whose sender was kept.

    Attributes:
        sender: The ``sender`` of the `CallEvent`.
        value: The reply.
    """

    sender: From
    value: Any


@attrs.frozen
class Postpone:
    """Have this event again, as soon as the state has changed.

    Attributes:
        postpone: ``False`` takes an earlier one of the same event back.
    """

    postpone: bool = True


@attrs.frozen
class NextEvent:
    """Insert an event before everything that already waits.

    Several are handled in the order given. Usually an `InternalEvent`, which cannot be
    taken for something from outside; any other event will do.

    Attributes:
        event: What to handle next.
    """

    event: StateEvent


@attrs.frozen
class ChangeCallback:
    """Go on with the callbacks of another `StateMachine`, in place of these.

    State, queue and time-outs stay; ``init`` is not called. What is on ``self`` is the
    other object's own affair.

    Attributes:
        machine: The object whose callbacks are used from now on.
    """

    machine: Any


@attrs.frozen
class PushCallback:
    """Go on with the callbacks of another `StateMachine` until `PopCallback`.

    Attributes:
        machine: The object whose callbacks are used from now on.
    """

    machine: Any


@attrs.frozen
class PopCallback:
    """Go back to the callbacks from before `PushCallback`."""


CallbackAction: TypeAlias = ChangeCallback | PushCallback | PopCallback
Action: TypeAlias = TimeoutAction | ReplyTo | Postpone | NextEvent | CallbackAction
"""What a callback wants done besides its result."""

# --- results


@attrs.frozen(init=False)
class NextState(Generic[S_co]):
    """Go to a state; from ``init``, the first one.

    That it is the current one, by ``==``, is no change of state.

    Attributes:
        state: The state.
        actions: What to do besides, in this order.
    """

    state: S_co
    actions: tuple[Action, ...]

    def __init__(self, state: S_co, *actions: Action) -> None:
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "actions", actions)


@attrs.frozen(init=False)
class KeepState:
    """Stay in this state.

    Attributes:
        actions: What to do besides, in this order.
    """

    actions: tuple[Action, ...]

    def __init__(self, *actions: Action) -> None:
        object.__setattr__(self, "actions", actions)


@attrs.frozen(init=False)
class RepeatState:
    """Stay in this state, and call ``enter`` again.

    Nothing else comes with it: postponed events wait on, the state time-out runs on.

    Attributes:
        actions: What to do besides, in this order.
    """

    actions: tuple[Action, ...]

    def __init__(self, *actions: Action) -> None:
        object.__setattr__(self, "actions", actions)


@attrs.frozen(init=False)
class StopAndReply:
    """Answer calls, and then end the machine: ``terminate`` runs after the replies.

    Attributes:
        reason: The exit reason.
        replies: The answers.
    """

    reason: ExitReason
    replies: tuple[ReplyTo, ...]

    def __init__(self, reason: ExitReason = NORMAL, *replies: ReplyTo) -> None:
        object.__setattr__(self, "reason", reason)
        object.__setattr__(self, "replies", replies)
