"""The life of a process: one Trio task, with a mailbox, links, monitors, one exit reason.

What may live here: the process itself, its start and its end, and the tables of the
runtime that its end has to clean. The rules that everything else stands on:

- A child's exception never reaches a nursery. `Process.run` turns every outcome into an
  exit reason; what Trio sees is a task that returned.
- All effects of a death happen in `Process.finish`, one synchronous step after the last
  user code: pid void, name freed, groups left, callers told, links, monitors, keeper.
- Everything but `Process.park` is a plain function, so signals and messages from one
  process arrive in the order in which it sent them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from types import CoroutineType
from typing import Any, Final, Protocol, TypeAlias, cast

import attrs
import trio
from trio.lowlevel import current_task

from ._errors import NotAProcess
from ._mailbox import Mailbox
from ._pid import Pid, Ref
from ._reasons import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    Crash,
    ExitReason,
    Normal,
    ProcessExit,
)
from ._signals import Down, Exit, From, fatal, without_cancelled
from ._telemetry import CRASH, emit
from ._trio_parts import EAGER_SCOPES, Splice
from .abc import Behaviour

# A process that never has to wait still lets others run, once in so many messages. (Python
# keeps the ints up to 256, so counting down from there makes none.)
BURST: Final = 256

# Deaths of processes that never run, and of those that do: what a process waits for.
NOT_WAITING: Final = 0
IN_RECEIVE: Final = 1  # in user code, for a message: an exit signal is a cancellation
IN_LOOP: Final = 2  # in a loop of ours: an exit signal is a wake-up
IDLE: Final = 3  # as IN_LOOP, and whoever calls may take the first step of the handler

STARTING: Final = "starting"
RUNNING: Final = "running"
IGNORED: Final = "ignored"  # init chose not to run

Driver: TypeAlias = Callable[
    ["Process", Any], Coroutine[Any, Any, Awaitable[object] | None]
]
"""Brings a behaviour up. It may do the rest itself, or return what does it: then nothing
of the driver is left while the process waits."""

_drivers: dict[type[Behaviour], Driver] = {}
# Who one is belongs to the task, not to a context variable: a task in a process's inner
# nursery is not the process. Tasks are unique over all Trio runs, so one table serves.
_by_task: dict[trio.lowlevel.Task, Process] = {}


def driven_by(behaviour: type[Behaviour], driver: Driver) -> None:
    """Register the loop that runs instances of *behaviour* and its subclasses."""
    _drivers[behaviour] = driver


def _driver_of(body: object) -> Driver:
    for base in type(body).__mro__:
        if base in _drivers:
            return _drivers[base]
    raise _unfit(body)


def _unfit(body: object) -> TypeError:
    return TypeError(
        "what starts a process must return a server, a state machine, a supervisor or a "
        f"coroutine, not {body!r}: is it an `async def`?",
    )


def not_callable(start: object) -> str:
    """Say what to do to somebody who gave *start* where a function is wanted."""
    if isinstance(start, CoroutineType):
        coroutine = cast("CoroutineType[Any, Any, Any]", start)
        coroutine.close()
        name = coroutine.__name__
        return f"give the function {name} itself, not what it returns: not {name}(...)"
    if isinstance(start, Behaviour):
        made = type(start).__name__
        return f"give the class {made}, not an object of it: each start makes a new one"
    return f"a function or a class is needed, not {start!r}"


class Keeper(Protocol):
    """Whoever started a process and is told how it goes: a supervisor, or the home."""

    def child_ready(self, child: Process) -> None:
        """Hear that *child* is initialised."""
        ...

    def child_ended(self, child: Process, reason: ExitReason) -> None:
        """Hear that *child* has ended; called in its exit step."""
        ...


class Table(Protocol):
    """Where processes are entered, to be found by others: groups, registries, timers."""

    def drop(self, process: Process) -> None:
        """Remove what there is of *process*; called in its exit step."""
        ...


class Place(Keeper, Protocol):
    """Where a process lives, as far as it has to know: its home."""

    pid: Pid
    processes: dict[Process, None]
    nursery: trio.Nursery | None
    root: Process | None
    runtime: Runtime

    def fail(self, error: BaseException) -> None:
        """Remember what has to end the program."""
        ...


class Process:
    """The running side of one process; users hold its `Pid`."""

    __slots__ = (
        "accept",
        "alive",
        "before",
        "behaviour",
        "debug",
        "engine",
        "home",
        "keeper",
        "kind",
        "label",
        "left",
        "links",
        "loop",
        "mailbox",
        "monitors",
        "names",
        "nursery",
        "parent_pid",
        "pending",
        "pid",
        "reason",
        "restarts",
        "scope",
        "shield",
        "shutdown",
        "splice",
        "started_at",
        "status",
        "suspended",
        "tables",
        "task",
        "trapping",
        "waiting",
        "watching",
    )

    def __init__(
        self,
        home: Place,
        keeper: Keeper,
        parent_pid: Pid,
        label: str,
        shutdown: float | None,
    ) -> None:
        pid = Pid()
        pid.process = self
        self.pid: Pid = pid
        self.home: Place = home
        self.keeper: Keeper = keeper
        self.parent_pid: Pid = parent_pid
        self.label: str = label
        self.shutdown: float | None = shutdown
        # Whether the exit step is still to come.
        self.alive: bool = True
        self.kind: str = "process"
        self.status: str = STARTING
        self.started_at: float = trio.current_time()
        self.restarts: int = 0
        # How many messages it may still take before it lets others run, and how many it
        # had taken when that was last set.
        self.left: int = BURST
        self.before: int = 0
        self.waiting: int = NOT_WAITING
        self.trapping: bool = False
        self.suspended: bool = False
        self.task: trio.lowlevel.Task | None = None
        # Only of supervisors: where their children run.
        self.nursery: trio.Nursery | None = None
        # The types that a parked receive accepts; anything when None.
        self.accept: type | tuple[type, ...] | None = None
        # Invariant: the reason with which the process is ending, from the moment that is
        # decided until its exit step; the first one wins, except over KILLED.
        self.reason: ExitReason | None = None
        self.behaviour: Behaviour | None = None
        # Told of every message that a behaviour's loop takes, while somebody looks in.
        self.debug: Callable[[str, object], object] | None = None
        # Of behaviours: the loop that runs one; its type is known further up.
        self.loop: Any = None
        # Only of supervisors: what keeps the children; its type is known further up.
        self.engine: Any = None
        # Whatever a small process never needs is made when it is first needed.
        self.mailbox: Mailbox | None = None
        self.links: set[Process] | None = None
        self.monitors: dict[Ref, None] | None = None
        self.watching: dict[Ref, None] | None = None
        self.names: list[str] | None = None
        # Invariant: every table that has an entry of this process.
        self.tables: dict[Table, None] | None = None
        self.pending: set[From] = _NO_CALLS
        self.scope: trio.CancelScope | None = None
        self.splice: Splice | None = None
        self.shield: trio.CancelScope | None = None

    def __repr__(self) -> str:
        return f"<process {self.pid} {self.label}>"

    @property
    def name(self) -> str | None:
        """The first of its registered names."""
        return self.names[0] if self.names else None

    @property
    def handled(self) -> int:
        """How many messages it has taken."""
        return self.before + BURST - self.left

    def take_turn(self) -> int:
        """Note that it has let others run; returns how many messages it may take now."""
        self.before = self.handled
        self.left = BURST
        return BURST

    def count(self) -> None:
        """Note that it takes a message."""
        self.left = (self.left or self.take_turn()) - 1

    # --- its life

    async def run(self, start: Callable[..., object], args: tuple[object, ...]) -> None:
        """Be the task: run the body, and then the exit step whatever happened."""
        task = self.task = current_task()
        _by_task[task] = self
        error: BaseException | None = None
        try:
            # A signal may have come before the first step.
            if self.reason is None:
                if EAGER_SCOPES:
                    with trio.CancelScope() as self.scope:
                        await self._run_body(start(*args))
                else:
                    # _run_body, here because every coroutine in between costs.
                    body = start(*args)
                    if type(body) is CoroutineType:
                        self.status = RUNNING
                        self.keeper.child_ready(self)
                    else:
                        body = await self._bring_up(body)
                    if body is not None:
                        await cast("Awaitable[object]", body)
        except BaseException as caught:  # noqa: BLE001 - the edge of the process
            error = caught
        if self.splice is not None:
            self.splice.remove()
        if error is None:
            self.finish(self.reason or NORMAL)
            return
        escaping = self._conclude(error)
        if escaping is not None:
            del error
            raise escaping

    async def _run_body(self, body: object) -> None:
        going_on = await self._bring_up(body)
        if going_on is not None:
            await going_on

    async def _bring_up(self, body: object) -> Awaitable[object] | None:
        if isinstance(body, Behaviour):
            self.behaviour = body
            return await _driver_of(body)(self, body)
        if isinstance(body, Awaitable):
            self.acknowledge()
            return cast("Awaitable[object]", body)
        raise _unfit(body)

    def acknowledge(self) -> None:
        """Tell the starter that the process is initialised."""
        self.status = RUNNING
        self.keeper.child_ready(self)

    def ignore(self) -> None:
        """Note that ``init`` chose not to run, which is a good start."""
        self.status = IGNORED

    def _conclude(self, error: BaseException) -> BaseException | None:
        """Do the exit step; returns what has to leave the task nevertheless."""
        if isinstance(error, GeneratorExit):
            # The whole run was abandoned: there is nobody left to be told.
            self.alive = False
            self.pid.process = None
            if self.task is not None:
                _by_task.pop(self.task, None)
            return error
        cause = without_cancelled(error)
        if cause is None:
            return self._conclude_cancelled(error)
        ending = fatal(cause)
        reason = cause.reason if isinstance(cause, ProcessExit) else Crash(cause)
        if isinstance(reason, Crash) and ending is None:
            _report_crash(self, reason)
        self.finish(self.reason or reason)
        if ending is not None:
            self.home.fail(ending)
        return None

    def _conclude_cancelled(self, error: BaseException) -> BaseException | None:
        if trio.current_effective_deadline() == -float("inf"):
            # Somebody outside cancelled the nursery we live in, and has to see that.
            self.finish(self.reason or SHUTDOWN)
            return error
        # Else, without a signal: somebody kept a Cancelled and raised it again.
        self.finish(self.reason or Crash(error))
        return None

    def conclude_adopted(self, error: BaseException | None) -> None:
        """Do the exit step of a task that is not ours; its exception is its own."""
        cause = None if error is None else without_cancelled(error)
        if error is None:
            reason = NORMAL
        elif cause is None:
            reason = SHUTDOWN
        else:
            reason = cause.reason if isinstance(cause, ProcessExit) else Crash(cause)
        self.finish(self.reason or reason)

    def finish(self, reason: ExitReason) -> None:  # noqa: C901 - a list of what may be there
        """The exit step: everything that others learn of this death, at once."""
        self.alive = False
        pid = self.pid
        pid.process = None
        if self.task is not None:
            del _by_task[self.task]
        home = self.home
        home.processes.pop(self, None)
        # Names before links and monitors: whoever hears of the death may register again.
        if self.names is not None:
            home.runtime.free_names(self)
        if self.tables is not None:
            self.leave_tables()
        if self.pending:
            for call in tuple(self.pending):
                call.settle(From.DIED, reason)
        if self.links is not None:
            self._end_links(reason)
        if self.watching is not None:
            watching, self.watching = self.watching, None
            for ref in watching:
                forget(ref)
        if self.monitors is not None:
            monitors, self.monitors = self.monitors, None
            for ref in monitors:
                fire(ref, pid, reason)
        self.mailbox = None
        self.keeper.child_ended(self, reason)
        # The reason of a crash holds the traceback, and that this frame.
        self.reason = None

    def leave_tables(self) -> None:
        """Take everything back that others can find of this process, except its names."""
        tables, self.tables = self.tables, None
        for table in tables or ():
            table.drop(self)

    def _end_links(self, reason: ExitReason) -> None:
        links, self.links = self.links, None
        if links is None:
            return
        # All ties are cut before the first signal: whoever it ends cuts ties, too.
        for other in links:
            if other.links is not None:
                other.links.discard(self)
        for other in links:
            other.signal(self.pid, reason)

    # --- its mailbox

    def deliver(self, message: object) -> None:
        """Put *message* at the end of the mailbox and wake the process if it waits."""
        mailbox = self.mailbox
        if mailbox is None:
            mailbox = self.mailbox = Mailbox()
        mailbox.append(message)
        if self.waiting and (self.accept is None or isinstance(message, self.accept)):
            self.wake()

    def wake(self) -> None:
        """Let a parked process look again; nothing happens to one that is not parked."""
        if self.waiting:
            self.waiting = NOT_WAITING
            task = self.task
            assert task is not None
            trio.lowlevel.reschedule(task)

    async def park(
        self,
        waiting: int,
        accept: type | tuple[type, ...] | None = None,
    ) -> None:
        """Wait for `wake`: a message, in our own loops also an exit signal."""
        self.accept = accept
        self.waiting = waiting
        await trio.lowlevel.wait_task_rescheduled(self.abort)

    def abort(self, raise_cancel: object) -> trio.lowlevel.Abort:
        """Give up waiting because the task is cancelled."""
        del raise_cancel
        self.waiting = NOT_WAITING
        return trio.lowlevel.Abort.SUCCEEDED

    # --- its end

    def signal(self, sender: Pid, reason: ExitReason) -> None:
        """Receive an exit signal over a link, from the parent, or from `exit`."""
        if self.trapping:
            self.deliver(Exit(sender, reason))
        elif not isinstance(reason, Normal):
            self.end(reason)

    def kill(self) -> None:
        """Receive the signal that cannot be trapped."""
        self.end(KILLED)

    def end(self, reason: ExitReason) -> None:
        """Begin to end; the first reason wins, except over a kill."""
        if self.reason is not None and (reason is not KILLED or self.reason is KILLED):
            return
        self.reason = reason
        if self.task is None or not self.alive:
            return
        if self.nursery is not None or self.waiting >= IN_LOOP:
            # Our own loops look at the reason as soon as they are awake.
            self.wake()
            return
        if self.shield is not None:
            self.shield.cancel(reason="killed")
        self.cancel()

    def cancel(self) -> None:
        """Cancel whatever the task does, now and from now on."""
        if self.scope is not None:
            self.scope.cancel(reason="exit signal")
        elif self.splice is None and self.task is not None:
            self.splice = Splice(self.task, "exit signal")


RUNS: Final = Process.run.__code__
"""By which a task that is a process can be told from others."""

_NO_CALLS: Final[Any] = frozenset[From]()


def _report_crash(process: Process, reason: Crash) -> None:
    emit(
        CRASH,
        {"messages": process.handled},
        {
            "pid": process.pid,
            "name": process.name,
            "id": process.label,
            "reason": reason,
        },
    )


# --- monitors


def forget(ref: Ref) -> None:
    """Have a monitor, or what `notify_end` has set up, never fire."""
    target: Process | None = ref.target
    ref.target = None
    if target is not None and target.monitors is not None:
        target.monitors.pop(ref, None)


def fire(ref: Ref, pid: Pid, reason: ExitReason) -> None:
    """Have a monitor say what it was made for."""
    if ref.target is None:
        return
    ref.target = None
    down = Down(ref, pid, reason, ref.name)
    watcher: Process | None = ref.watcher
    if watcher is None:
        ref.notify(down)
        return
    if watcher.watching is not None:
        watcher.watching.pop(ref, None)
    watcher.deliver(down)


# --- the tables


@attrs.frozen
class RuntimeStatistics:
    """Counts of one Trio run.

    Attributes:
        processes: Processes that are alive.
        names: Registered names.
        groups: Groups with at least one member.
        messages: Messages that wait in mailboxes.
        spawned: Processes that were ever started.
        restarts: Restarts that supervisors have done.
    """

    processes: int
    names: int
    groups: int
    messages: int
    spawned: int
    restarts: int


class Runtime:
    """The tables of one Trio run: names, groups, homes. Freed in the exit step."""

    __slots__ = (
        "groups",
        "homes",
        "name_claimed",
        "names",
        "restarts",
        "spawned",
        "values",
    )

    def __init__(self) -> None:
        self.homes: list[Place] = []
        self.names: dict[str, Process] = {}
        # Invariant: keys are a subset of those of names.
        self.values: dict[str, object] = {}
        # Invariant: no empty group, no dead member, no count below one.
        self.groups: dict[str, dict[Process, int]] = {}
        self.spawned: int = 0
        self.restarts: int = 0
        # Made by whoever waits for a name to be registered.
        self.name_claimed: trio.Event | None = None

    def free_names(self, process: Process) -> None:
        """Make the names of *process* free for others."""
        for name in process.names or ():
            del self.names[name]
            self.values.pop(name, None)
        process.names = None

    def statistics(self) -> RuntimeStatistics:
        """Count what there is."""
        boxes = [
            process.mailbox
            for home in self.homes
            for process in home.processes
            if process.mailbox
        ]
        return RuntimeStatistics(
            processes=sum(len(home.processes) for home in self.homes),
            names=len(self.names),
            groups=len(self.groups),
            messages=sum(map(len, boxes)),
            spawned=self.spawned,
            restarts=self.restarts,
        )


# --- who one is


def current_process() -> Process:
    """The process that the calling task is.

    Raises:
        NotAProcess: It is none: a plain task, a task in a process's nursery, a thread.
    """
    try:
        return _by_task[current_task()]
    except (KeyError, RuntimeError):
        raise NotAProcess(
            "only a process can do that, and the calling task is none: start it as one, "
            "by a ChildSpec or spawn(), or enter supervision.adopt() first; in a process, "
            "do it in its own task, not in one of its nurseries or threads",
        ) from None


by_task: Final = _by_task
"""The processes of tasks, for whoever cannot afford to call a function."""

process_of_task: Final = _by_task.get
"""The process that a task is, or ``None``."""


def register_task(process: Process) -> None:
    """Note that the calling task is *process*."""
    task = process.task = current_task()
    _by_task[task] = process
