"""What one derives from: servers and their requests, and the results of callbacks.

A `Server` is a class of callbacks. The runtime creates it in a task of its own, calls
`Server.init`, and from then on one callback per message, one at a time: whatever is on
``self`` needs no lock, because nobody else ever touches it.

The callbacks and their results are those of Erlang's ``gen_server``. They differ in two
things: state lives on ``self`` instead of being passed along, and what
`Server.handle_call` returns *is* the reply.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from types import CoroutineType, FunctionType
from typing import Any, ClassVar, Final, Generic, Protocol, TypeAlias, TypeVar, cast

import attrs

from ._reasons import NORMAL, ExitReason
from ._signals import TIMEOUT, From
from ._state_values import (
    Action,
    CallEvent,
    CancelTimeout,
    CastEvent,
    ChangeCallback,
    EventTimedOut,
    EventTimeout,
    GenericTimedOut,
    GenericTimeout,
    InfoEvent,
    InternalEvent,
    KeepState,
    NextEvent,
    NextState,
    PopCallback,
    Postpone,
    PushCallback,
    RepeatState,
    ReplyTo,
    StateEvent,
    StateTimedOut,
    StateTimeout,
    StopAndReply,
    UpdateTimeout,
)

__all__ = [
    "NO_REPLY",
    "TIMEOUT",
    "Action",
    "Behaviour",
    "Call",
    "CallEvent",
    "CancelTimeout",
    "CastEvent",
    "ChangeCallback",
    "Continue",
    "EnterResult",
    "EventTimedOut",
    "EventTimeout",
    "From",
    "GenericTimedOut",
    "GenericTimeout",
    "Ignore",
    "InfoEvent",
    "InternalEvent",
    "KeepState",
    "NextEvent",
    "NextState",
    "NoReply",
    "PopCallback",
    "Postpone",
    "PushCallback",
    "RepeatState",
    "Reply",
    "ReplyTo",
    "Server",
    "StateEvent",
    "StateMachine",
    "StateResult",
    "StateTimedOut",
    "StateTimeout",
    "Stop",
    "StopAndReply",
    "Timeout",
    "UpdateTimeout",
]

T = TypeVar("T")
S = TypeVar("S")


class Behaviour:
    """Anything that a child's ``start`` may return to be run as a process."""

    __slots__ = ()

    is_supervisor: ClassVar[bool] = False
    """Whether its instances keep other processes running."""


class Call(Generic[T]):
    """The base class of requests; the parameter is the type of the reply.

    >>> import attrs
    >>> @attrs.frozen
    ... class Get(Call[int]):
    ...     key: str
    """

    __slots__ = ()


class Result:
    """The base class of what callbacks return when it is not simply a reply."""

    __slots__ = ()


@attrs.frozen
class Continue(Result):
    """Call ``handle_continue(term)`` next, before any message that already waits.

    Attributes:
        term: Passed to ``handle_continue``.
    """

    term: object = None


@attrs.frozen
class Timeout(Result):
    """Send `TIMEOUT` to ``handle_info`` if nothing whatever arrives in time.

    Any message cancels it, and nothing re-arms it.

    Attributes:
        seconds: How long to wait.
    """

    seconds: float


@attrs.frozen
class Ignore(Result):
    """From ``init`` only: do not run, and count that as a good start."""


@attrs.frozen
class NoReply(Result):
    """The type of `NO_REPLY`."""

    then: Continue | Timeout | None = None


NO_REPLY: Final = NoReply()
"""From ``handle_call``: the reply comes later, by `supervision.reply`."""


@attrs.frozen
class Reply(Result):
    """From ``handle_call``: reply, and then something more.

    Attributes:
        value: The reply.
        then: What comes after it.
    """

    value: object
    then: Continue | Timeout | None = None


class _Unset:
    """No reply was given with a `Stop`."""

    def __repr__(self) -> str:
        return "..."


_UNSET: Final = _Unset()


@attrs.frozen
class Stop(Result):
    """End the server: ``terminate(reason)`` runs, then the reply is sent if there is one.

    Attributes:
        reason: The exit reason.
        reply: The reply to the call that is being handled.
    """

    reason: ExitReason = NORMAL
    reply: object = _UNSET

    @property
    def has_reply(self) -> bool:
        """Whether a reply was given."""
        return self.reply is not _UNSET


Next: TypeAlias = Continue | Timeout | Stop | None


class Cell(Protocol):
    """What a server may ask of the process that runs it."""

    def stop_if_idle(self) -> bool:
        """Take the name away if nothing waits in the mailbox."""
        ...


class Server(Behaviour):
    """A process with state that answers calls and casts, one at a time.

    Callbacks are written as ``async def``; those that never wait may be plain functions.

    >>> import supervision
    >>> class Add(Call[int]): ...
    >>> class Counter(Server):
    ...     async def init(self) -> None:
    ...         self.count = 0
    ...     async def handle_call(self, request: Call[Any], sender: From) -> int:
    ...         self.count += 1
    ...         return self.count

    An exception that leaves a callback ends the server: ``terminate`` is called with the
    crash, callers that wait get `supervision.ServerExited`, and its supervisor decides.
    """

    __slots__ = ("__weakref__", "_cell")

    _cell: Cell

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _allow_plain_functions(cls, Server, _CALLBACKS)

    trap_exit: ClassVar[bool] = False
    """Turn exit signals into `supervision.Exit` messages, and let the parent's run
    ``terminate``. Without it an exit signal ends the server then and there."""

    async def init(self) -> Continue | Timeout | Ignore | Stop | None:
        """Build the state; the starter waits for it, so no I/O belongs here.

        Return `Continue` to load something right after the starter was told.
        """

    def handle_call(self, request: Call[Any], sender: From) -> Any:
        """Answer *request*: the returned value is the reply.

        It is written as ``async def``; a plain ``def`` will do when it never waits. As
        long as it does not wait, the caller of an idle server runs it on the spot, as
        the server: nobody else runs in between, and no task is switched.

        Returns:
            The reply; or `NO_REPLY`, `Reply` or `Stop`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} got the call {request!r}, but has no handle_call"
        )

    async def handle_cast(self, message: object) -> Next:
        """Handle what was sent with `supervision.cast`."""
        raise NotImplementedError(
            f"{type(self).__name__} got the cast {message!r}, but has no handle_cast"
        )

    async def handle_info(self, message: object) -> Next:
        """Handle everything else: plain messages, ``Down``, ``Exit``, `TIMEOUT`.

        The default reports the message as dropped.
        """
        raise Unhandled(message)

    async def handle_continue(self, term: object) -> Next:
        """Go on after `Continue`."""
        raise NotImplementedError(
            f"{type(self).__name__} returned Continue({term!r}), but has no "
            "handle_continue"
        )

    async def terminate(self, reason: ExitReason) -> None:
        """Clean up before the end, under a shield with the child's shutdown as deadline.

        Not called when the process is killed, when an exit signal ends a server that does
        not trap exits, or when ``init`` failed.
        """

    def describe(self) -> Mapping[str, object]:
        """Show the state to whoever looks in; a plain function that must not fail."""
        return describe(self)

    def stop_if_idle(self) -> bool:
        """Fall asleep if nobody wants anything; returns whether that is so.

        When the mailbox is empty the name is freed and nothing more is accepted, in one
        step; the callback then returns ``Stop(NORMAL)``. Whoever calls after that gets
        `supervision.NoProcess` and can start a new one at once.
        """
        return self._cell.stop_if_idle()


StateResult: TypeAlias = NextState[S] | KeepState | RepeatState | Stop | StopAndReply
"""What a state function, or ``handle_event``, returns."""

EnterResult: TypeAlias = StateResult[S] | None
"""What ``enter`` returns; it cannot go to another state, postpone or insert events."""


class MachineCell(Cell, Protocol):
    """What a state machine may ask of the process that runs it."""

    @property
    def state(self) -> Any:
        """The state that it is in."""
        ...


class StateMachine(Behaviour, Generic[S]):
    """A process with a state, in which events mean different things, one at a time.

    The parameter is the type of its states. When these are strings, each state is a
    method of that name, which gets the events that arrive while the machine is in it:

    >>> from typing import Literal
    >>> import attrs, trio, supervision
    >>> class Push(Call[str]): ...
    >>> class Door(StateMachine[Literal["open", "closed", "locked"]]):
    ...     async def init(self):
    ...         self.pushed = 0
    ...         return NextState("closed")
    ...     async def closed(self, event):
    ...         match event:
    ...             case CallEvent(Push(), sender):
    ...                 return NextState("open", ReplyTo(sender, "comes in"))
    ...             case CastEvent("lock"):
    ...                 return NextState("locked")
    ...     async def open(self, event):
    ...         match event:
    ...             case StateTimedOut():
    ...                 return NextState("closed")
    ...             case CallEvent():
    ...                 return KeepState(Postpone())
    ...     async def enter_open(self, old):
    ...         self.pushed += 1
    ...         return KeepState(StateTimeout(3.0))
    ...     async def locked(self, event):
    ...         match event:
    ...             case CastEvent("unlock"):
    ...                 return NextState("closed")
    ...             case CallEvent(_, sender):
    ...                 return KeepState(ReplyTo(sender, "stays outside"))
    >>> async def main():
    ...     child = supervision.ChildSpec("door", Door, name="door")
    ...     async with supervision.open_supervisor([child]):
    ...         print(await supervision.call("door", Push()))
    ...         started = trio.current_time()
    ...         print(await supervision.call("door", Push()))
    ...         print(round(trio.current_time() - started, 1), "s later")
    ...         supervision.cast("door", "lock")  # is not for an open door: it crashes
    >>> trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    comes in
    comes in
    3.0 s later

    The other way is to override `handle_event`, which then gets every event and looks at
    `state`; states can be any values that compare with ``==``. An override may also
    handle what all states have in common, and leave the rest to ``super()``.

    The rules are those of Erlang's ``gen_statem``. Different are these: data lives on
    ``self``; ``enter`` is a callback of its own, which exists for those states that want
    it; and a call may be answered by a plain `supervision.reply`, too. An event for which
    a state has no result, ``None`` included, ends the machine, as an exception does:
    ``terminate`` is called, callers that wait get `supervision.ServerExited`, and its
    supervisor decides.
    """

    __slots__ = ("__weakref__", "_cell")

    _cell: MachineCell

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _allow_plain_functions(cls, StateMachine, _MACHINE_CALLBACKS)

    trap_exit: ClassVar[bool] = False
    """Turn exit signals into `supervision.Exit` messages, and let the parent's run
    ``terminate``. Without it an exit signal ends the machine then and there."""

    @property
    def state(self) -> S:
        """The state that it is in; there is none before ``init`` has returned."""
        return self._cell.state

    async def init(self) -> NextState[S] | Ignore | Stop:
        """Choose the first state; the starter waits for it, so no I/O belongs here.

        The first ``enter`` comes after the starter was told, and so does whatever the
        actions of the `NextState` bring.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no first state: write an async def init(self) "
            "that returns NextState(...)"
        )

    async def handle_event(self, event: StateEvent) -> StateResult[S]:
        """Handle *event*, by default with the method named like the current state.

        A state's method may be a plain function.
        """
        return await result_of(state_function(self)(event))

    async def enter(self, old: S) -> EnterResult[S]:
        """Begin to be in `state`: after each change, and after `RepeatState`.

        By default it calls the method ``enter_<state>``, if there is one. The first time
        *old* is the first state itself. Replies and time-outs may be asked for.
        """
        function = enter_function(self)
        return None if function is None else await result_of(function(old))

    async def terminate(self, reason: ExitReason) -> None:
        """Clean up before the end, under a shield with the child's shutdown as deadline.

        Not called when the process is killed, when an exit signal ends a machine that
        does not trap exits, or when ``init`` failed.
        """

    def describe(self) -> Mapping[str, object]:
        """Show the state to whoever looks in; a plain function that must not fail."""
        return {"state": repr(self.state), **describe(self)}

    def stop_if_idle(self) -> bool:
        """Fall asleep if nobody wants anything; returns whether that is so.

        As for `Server.stop_if_idle`; besides the mailbox no event may be inserted or
        postponed. Time-outs that run are no hindrance.
        """
        return self._cell.stop_if_idle()


_RESERVED: Final = frozenset(dir(StateMachine))


def state_function(machine: StateMachine[Any]) -> Callable[[StateEvent], Any]:
    """Find the method that is named like the state of *machine*."""
    name = machine.state
    if isinstance(name, str) and name not in _RESERVED:
        function = getattr(machine, name, None)
        if function is not None:
            return function
    raise NotImplementedError(
        f"{type(machine).__name__} has no method for the state {name!r}: write one of "
        "that name (which must not be one of StateMachine's), or override handle_event",
    )


def enter_function(machine: StateMachine[Any]) -> Callable[[Any], Any] | None:
    """Find the method that enters the state of *machine*, if there is one."""
    name = machine.state
    return getattr(machine, "enter_" + name, None) if isinstance(name, str) else None


async def result_of(returned: object) -> Any:
    """Wait for what a callback returns, unless it was a plain function."""
    if isinstance(returned, CoroutineType):
        return await cast("CoroutineType[Any, Any, Any]", returned)
    return returned


_CALLBACKS: Final = (
    *("init", "handle_cast", "handle_info", "handle_continue", "terminate"),
)
_MACHINE_CALLBACKS: Final = ("init", "handle_event", "enter", "terminate")


def _allow_plain_functions(cls: type, base: type, callbacks: tuple[str, ...]) -> None:
    """Have the callbacks of *cls* that somebody wrote without ``async`` awaitable."""
    for name in callbacks:
        function = inspect.getattr_static(cls, name)
        if (
            function is not vars(base)[name]
            and isinstance(function, FunctionType)
            and not inspect.iscoroutinefunction(function)
        ):
            setattr(cls, name, _as_async(function))


def _as_async(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def callback(*args: Any) -> Any:
        return await result_of(function(*args))

    return callback


class Unhandled(Exception):  # noqa: N818 - caught by the loop, never seen
    """Says that the default ``handle_info`` had no use for a message."""


def describe(
    state: object, show: Callable[[object], object] = repr
) -> Mapping[str, object]:
    """Show the attributes of *state* by *show*, their ``repr``."""
    if attrs.has(type(state)):
        names = [field.name for field in attrs.fields(type(state))]
    else:
        names = list(getattr(state, "__dict__", {}))
    return {
        name: show(getattr(state, name, None))
        for name in names
        if not name.startswith("__")
    }
