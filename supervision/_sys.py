"""Looking into and steering a behaviour while it runs, by its own loop: Erlang's ``sys``.

Every function here sends a message to the loop of a server, a supervisor or a state
machine and waits for the answer, so it sees a state between two messages, never one in
the middle of a callback; and it has to wait for its turn in the mailbox. What must not
wait is in `supervision.tree`, `supervision.info` and `supervision.state`.

    await supervision.sys.suspend("stock")
    await supervision.sys.replace_state("stock", lambda state: {**state, "amount": 0})
    await supervision.sys.resume("stock")

A behaviour into which nobody looks pays nothing for this: its loop learns of a
suspension, or of somebody who watches, from the message that asked for it.
"""

from __future__ import annotations

import reprlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar, cast, overload

import attrs
import trio
from trio.lowlevel import current_task

from ._calls import expect, outcome, wait_for
from ._errors import CallingSelf, NoProcess, NotSuspended, SupervisionError
from ._pid import Dest, Pid
from ._process import Process, find, process_of_task
from ._reasons import NORMAL, ExitReason, as_reason
from ._signals import Cast, From, SystemMessage
from ._telemetry import TRACE, emit
from .abc import Behaviour, describe

T = TypeVar("T")
B = TypeVar("B", bound=Behaviour)


class Loop(Protocol):
    """What the loop of a behaviour lets be done to it, between two messages."""

    def get_state(self) -> object:
        """Return the state."""
        ...

    def replace_state(self, state: Any) -> None:
        """Go on with another state; raises and changes nothing if it cannot."""
        ...

    def change_code(self, behaviour: Any) -> None:
        """Go on with another behaviour; raises and changes nothing if it cannot."""
        ...


# --- the message


class _End:
    """What a system function returns that has the process end."""

    __slots__ = ("reason",)

    def __init__(self, reason: ExitReason) -> None:
        self.reason = reason


class _Request(SystemMessage):
    """A function for the loop to call on its own process, and who waits for the value."""

    __slots__ = ("_do", "_sender")

    def __init__(self, do: Callable[[Process], object], sender: From) -> None:
        self._do = do
        self._sender = sender

    def handle(self, process: Any) -> ExitReason | None:
        """Call the function; what it raises is the caller's."""
        try:
            value = self._do(process)
        except Exception as error:  # noqa: BLE001 - raised again where it was caused
            self._sender.settle(From.FAILED, error)
            return None
        if isinstance(value, _End):
            self._sender.settle(From.REPLIED, None)
            return value.reason
        self._sender.settle(From.REPLIED, value)
        return None


async def _ask(
    dest: Dest,
    do: Callable[[Process], object],
    timeout: float | None,
) -> Any:
    process = find(dest)
    if process is None:
        raise NoProcess(dest)
    task = current_task()
    here = process_of_task(task)
    if here is process:
        raise CallingSelf(dest)
    if process.behaviour is None and process.task is not None:
        raise SupervisionError(
            f"{dest!r} runs no behaviour, so nobody there obeys system messages",
        )
    sender = From(None if here is None else here.pid, do, process, task)
    expect(process, sender)
    process.deliver(_Request(do, sender))
    await wait_for(sender, timeout)
    return outcome(sender, dest, timeout)


def _loop(process: Process) -> Loop:
    return cast("Loop", process.loop or process.engine)


# --- the state


async def get_state(dest: Dest, *, timeout: float | None = 5.0) -> Any:
    """Return the state of a behaviour.

    Args:
        dest: The behaviour.
        timeout: Seconds to wait, or ``None`` for as long as it lives.

    Returns:
        Of a server a dictionary of its attributes, of a state machine the pair of state
        and data, of a supervisor its flags and specs. The values are the ones it goes on
        working with, not copies.

    Raises:
        NoProcess: There is no such process.
        ServerExited: It ended before it answered.
        CallTimeout: It did not answer in time.
        CallingSelf: The caller is that process.
        SupervisionError: It runs no behaviour.

    All functions of this module raise these.
    """
    return await _ask(dest, lambda process: _loop(process).get_state(), timeout)


async def replace_state(
    dest: Dest,
    fn: Callable[[Any], T],
    *,
    timeout: float | None = 5.0,
) -> T:
    """Replace the state of a behaviour by what *fn* makes of it.

    When *fn* raises, or returns what cannot be a state, nothing is changed and the error
    is raised here; the behaviour goes on. *fn* gets what `get_state` returns, runs in the
    task of the behaviour, must not wait, and must not change values in place.

    Returns:
        The new state.
    """

    def replace(process: Process) -> T:
        loop = _loop(process)
        state = fn(loop.get_state())
        loop.replace_state(state)
        return state

    return await _ask(dest, replace, timeout)


# --- suspension


async def suspend(dest: Dest, *, timeout: float | None = 5.0) -> None:
    """Have a behaviour handle nothing until `resume`; returns when it does.

    System messages, the exit of its parent and the order to stop are handled; all other
    messages wait in the mailbox, so calls to it time out.
    """

    def hold(process: Process) -> None:
        process.suspended = True

    await _ask(dest, hold, timeout)


async def resume(dest: Dest, *, timeout: float | None = 5.0) -> None:
    """Take `suspend` back; what waits is handled in its order."""

    def go_on(process: Process) -> None:
        process.suspended = False

    await _ask(dest, go_on, timeout)


async def change_code(
    dest: Dest,
    fn: Callable[[B], B],
    *,
    timeout: float | None = 5.0,
) -> None:
    """Have a suspended behaviour go on with what *fn* makes of it.

    This is what is left of ``code_change``: Python replaces no code in place. *fn* gets
    the server or supervisor and returns the one to go on with, for example an instance
    of the class in a module that was reloaded, with the old state moved into it. For a
    server ``init`` is not called again. A supervisor takes over the flags of the new one;
    its specs are merged by their ids, and children that run stay as they are.

    Raises:
        NotSuspended: It is not suspended; whatever *fn* raises is raised here, too, and
            then nothing was changed.
    """

    def change(process: Process) -> None:
        if not process.suspended:
            raise NotSuspended(dest)
        changed = fn(cast("Any", process.behaviour))
        _loop(process).change_code(changed)
        process.behaviour = changed

    await _ask(dest, change, timeout)


async def terminate(
    dest: Dest,
    reason: object = NORMAL,
    *,
    timeout: float | None = 5.0,
) -> None:
    """Order a behaviour to end through its ``terminate``, also while it is suspended.

    Returns when it has taken the order; `supervision.stop` waits for the end.
    """
    wanted = as_reason(reason)
    await _ask(dest, lambda _: _End(wanted), timeout)


# --- watching


@attrs.frozen
class SysEvent:
    """One message that a watched behaviour has taken, or one reply that it has given.

    Attributes:
        kind: ``call``, ``cast`` or ``info`` for what came in, ``reply`` for what went out.
        message: The request, the message or the reply.
        pid: Who called; ``None`` if that is no process, and for casts and messages.
    """

    kind: Literal["call", "cast", "info", "reply"]
    message: object
    pid: Pid | None = None


@attrs.frozen
class Statistics:
    """Counts since ``statistics(dest, "start")``.

    Attributes:
        started_at: When that was, on Trio's clock, in seconds.
        now: When they were read.
        messages_in: Messages that it has taken.
        messages_out: Replies that its callbacks have given by returning them.
    """

    started_at: float
    now: float
    messages_in: int
    messages_out: int


@attrs.frozen
class Status:
    """What a behaviour is and how it stands.

    Attributes:
        pid: Its pid.
        name: Its registered name.
        parent: The pid of its parent.
        behaviour: The name of its class.
        suspended: Whether it is suspended.
        watched: What watches it: ``statistics``, ``log``, ``trace``, and the names of
            installed functions.
        messages: Messages that it has taken since it began.
        mailbox: Messages that wait.
        state: Its state as it describes itself, see `supervision.state`.
    """

    pid: Pid
    name: str | None
    parent: Pid
    behaviour: str
    suspended: bool
    watched: tuple[str, ...]
    messages: int
    mailbox: int
    state: Mapping[str, object]


class Done:
    """The type of `DONE`."""

    def __repr__(self) -> str:
        return "DONE"


DONE: Final = Done()
"""Returned by an installed function that has seen enough: it is removed."""

Watcher: TypeAlias = Callable[[SysEvent], object]


class _Watch:
    """Everything that watches one behaviour; there is none while nothing does."""

    __slots__ = ("counts", "installed", "log", "process", "tracing")

    def __init__(self, process: Process) -> None:
        self.process = process
        self.counts: tuple[float, int, int] | None = None
        self.log: deque[SysEvent] | None = None
        self.tracing = False
        self.installed: dict[Watcher, None] = {}

    def note(self, direction: str, message: object) -> None:
        """Hear of a message that was taken or a reply that was given."""
        if isinstance(message, SystemMessage):
            return
        event = event_of(direction, message)
        if self.counts is not None:
            since, taken, given = self.counts
            out = event.kind == "reply"
            self.counts = since, taken + (not out), given + out
        if self.log is not None:
            self.log.append(event)
        if self.tracing:
            _emit_trace(self.process, event)
        for watcher in tuple(self.installed):
            self._tell(watcher, event)

    def _tell(self, watcher: Watcher, event: SysEvent) -> None:
        try:
            done = watcher(event) is DONE
        except Exception:  # noqa: BLE001 - as in OTP a watcher that fails is removed
            done = True
        if done:
            self.installed.pop(watcher, None)
            self.settle()

    def settle(self) -> None:
        """Watch as long as there is a reason to."""
        watched = self.names()
        self.process.debug = self.note if watched else None

    def names(self) -> tuple[str, ...]:
        """Say what watches."""
        names = [
            name
            for name, on in (
                ("statistics", self.counts is not None),
                ("log", self.log is not None),
                ("trace", self.tracing),
            )
            if on
        ]
        names.extend(getattr(fn, "__qualname__", repr(fn)) for fn in self.installed)
        return tuple(names)


def event_of(direction: str, message: object) -> SysEvent:
    """Show a message that was taken (``in``) or a reply that was given (``out``)."""
    if direction == "out":
        sender, value = cast("tuple[From, object]", message)
        return SysEvent("reply", value, sender.pid)
    if isinstance(message, From):
        return SysEvent("call", message.request, message.pid)
    if isinstance(message, Cast):
        return SysEvent("cast", message.message)
    return SysEvent("info", message)


def _emit_trace(process: Process, event: SysEvent) -> None:
    emit(
        TRACE,
        {},
        {
            "pid": process.pid,
            "name": process.name,
            "kind": event.kind,
            "message": reprlib.repr(event.message),
            "caller": event.pid,
        },
    )


def _watch_of(process: Process) -> _Watch:
    """What watches *process*, made if nothing does yet."""
    note: Any = process.debug
    return _Watch(process) if note is None else note.__self__


async def _set(
    dest: Dest,
    change: Callable[[_Watch], object],
    timeout: float | None,
) -> Any:
    def do(process: Process) -> object:
        watch = _watch_of(process)
        value = change(watch)
        watch.settle()
        return value

    return await _ask(dest, do, timeout)


@overload
async def statistics(
    dest: Dest, what: Literal["get"], *, timeout: float | None = 5.0
) -> Statistics | None: ...
@overload
async def statistics(
    dest: Dest, what: Literal["start", "stop"], *, timeout: float | None = 5.0
) -> None: ...
async def statistics(
    dest: Dest,
    what: Literal["start", "get", "stop"],
    *,
    timeout: float | None = 5.0,
) -> Statistics | None:
    """Count the messages of a behaviour.

    Args:
        dest: The behaviour.
        what: ``start`` counting from nought, ``get`` the counts, or ``stop``.
        timeout: Seconds to wait, or ``None`` for as long as it lives.

    Returns:
        The counts for ``get``, or ``None`` if nobody started counting.
    """

    def change(watch: _Watch) -> Statistics | None:
        now = trio.current_time()
        if what != "get":
            watch.counts = (now, 0, 0) if what == "start" else None
            return None
        return None if watch.counts is None else _statistics(watch.counts, now)

    return await _set(dest, change, timeout)


def _statistics(counts: tuple[float, int, int], now: float) -> Statistics:
    started_at, taken, given = counts
    return Statistics(started_at, now, taken, given)


async def trace(dest: Dest, on: bool, *, timeout: float | None = 5.0) -> None:  # noqa: FBT001 - Erlang's sys:trace
    """Emit a `supervision.process.trace` event for each message and reply, or no more.

    With no handler attached to `supervision.telemetry` they go to the logger
    ``supervision``, at level INFO.
    """

    def change(watch: _Watch) -> None:
        watch.tracing = on

    await _set(dest, change, timeout)


@overload
async def log(
    dest: Dest, what: Literal["get"], *, timeout: float | None = 5.0
) -> tuple[SysEvent, ...]: ...
@overload
async def log(
    dest: Dest,
    what: Literal["start", "stop"],
    *,
    size: int = 10,
    timeout: float | None = 5.0,
) -> tuple[()]: ...
async def log(
    dest: Dest,
    what: Literal["start", "get", "stop"],
    *,
    size: int = 10,
    timeout: float | None = 5.0,
) -> tuple[SysEvent, ...]:
    """Keep the last events of a behaviour.

    Args:
        dest: The behaviour.
        what: ``start`` keeping, ``get`` what was kept, or ``stop``.
        size: How many to keep; starting again keeps the newest of what there is.
        timeout: Seconds to wait, or ``None`` for as long as it lives.

    Returns:
        The events for ``get``, the oldest first.
    """

    def change(watch: _Watch) -> tuple[SysEvent, ...]:
        if what == "get":
            return tuple(watch.log or ())
        watch.log = deque(watch.log or (), size) if what == "start" else None
        return ()

    return await _set(dest, change, timeout)


async def install(dest: Dest, fn: Watcher, *, timeout: float | None = 5.0) -> None:
    """Have *fn* called with each `SysEvent` of a behaviour, in its task.

    It must not wait. It is removed when it returns `DONE`, and when it raises.
    """

    def change(watch: _Watch) -> None:
        watch.installed[fn] = None

    await _set(dest, change, timeout)


async def remove(dest: Dest, fn: Watcher, *, timeout: float | None = 5.0) -> None:
    """Take `install` back; a function that is not installed is fine."""
    await _set(dest, lambda watch: watch.installed.pop(fn, None) and None, timeout)


async def get_status(dest: Dest, *, timeout: float | None = 5.0) -> Status:
    """Say what a behaviour is, how it stands, and what watches it."""

    def status(process: Process) -> Status:
        behaviour = process.behaviour
        shown: Any = getattr(behaviour, "describe", None)
        return Status(
            pid=process.pid,
            name=process.name,
            parent=process.parent_pid,
            behaviour=type(behaviour).__name__,
            suspended=process.suspended,
            watched=() if process.debug is None else _watch_of(process).names(),
            messages=process.handled,
            mailbox=len(process.mailbox or ()),
            state=describe(behaviour) if shown is None else shown(),
        )

    return await _ask(dest, status, timeout)
