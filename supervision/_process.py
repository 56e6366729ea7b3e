"""Processes: one Trio task each, with a mailbox, links, monitors and one exit reason.

What may live here: the process itself, its start and its end, and the tables of the
runtime that its end has to clean. The rules that everything else stands on:

- A child's exception never reaches a nursery. `Process.run` turns every outcome into an
  exit reason; what Trio sees is a task that returned.
- All effects of a death happen in `Process.finish`, one synchronous step after the last
  user code: pid void, name freed, groups left, callers told, links, monitors, keeper.
- Everything but `Process.park` is a plain function, so signals and messages from one
  process arrive in the order in which it sent them.

A process that crashes on purpose, and one that hears of it:

    async def fragile() -> None:
        raise RuntimeError("on purpose")

    pid, ref = supervision.spawn_monitor(fragile)
    down = await supervision.receive(supervision.Down)
    assert isinstance(down.reason, supervision.Crash)
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any, Final, NoReturn, Protocol, TypeAlias, cast, overload

import attrs
import trio
from trio.lowlevel import current_task

from ._errors import NameTaken, NoProcess, NoRuntime, NoSuchName, NotAProcess
from ._mailbox import Mailbox
from ._pid import Dest, Pid, Ref
from ._reasons import (
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Crash,
    ExitReason,
    Kill,
    Normal,
    ProcessExit,
    as_reason,
)
from ._signals import EAGER_SCOPES, Down, Exit, From, Splice, without_cancelled
from ._telemetry import CRASH, DROPPED, UNKILLABLE, emit
from .abc import Behaviour

# A process that never has to wait still lets others run, once in so many messages; one
# less than a power of two.
BURST: Final = 511

# Deaths of processes that never run, and of those that do: what a process waits for.
NOT_WAITING: Final = 0
IN_RECEIVE: Final = 1  # in user code, for a message: an exit signal is a cancellation
IN_LOOP: Final = 2  # in a loop of ours: an exit signal is a wake-up

STARTING: Final = "starting"
RUNNING: Final = "running"
IGNORED: Final = "ignored"  # init chose not to run

Driver: TypeAlias = Callable[["Process", Any], Coroutine[Any, Any, None]]

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
    raise TypeError(
        "start() must return a Server, a supervisor or a coroutine, not "
        f"{type(body).__name__}",
    )


class Keeper(Protocol):
    """Whoever started a process and is told how it goes: a supervisor, or the home."""

    def child_ready(self, child: Process) -> None:
        """Hear that *child* is initialised."""
        ...

    def child_ended(self, child: Process, reason: ExitReason) -> None:
        """Hear that *child* has ended; called in its exit step."""
        ...


class Process:
    """The running side of one process; users hold its `Pid`."""

    __slots__ = (
        "accept",
        "alive",
        "behaviour",
        "engine",
        "groups",
        "handled",
        "home",
        "keeper",
        "kind",
        "label",
        "links",
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
        "task",
        "trapping",
        "waiting",
        "watching",
    )

    def __init__(
        self,
        home: Home,
        keeper: Keeper,
        parent_pid: Pid,
        label: str,
        shutdown: float | None,
    ) -> None:
        pid = Pid()
        pid.process = self
        self.pid = pid
        self.home = home
        self.keeper = keeper
        self.parent_pid = parent_pid
        self.label = label
        self.shutdown = shutdown
        # Whether the exit step is still to come.
        self.alive = True
        self.kind = "process"
        self.status = STARTING
        self.started_at = trio.current_time()
        self.restarts = 0
        self.handled = 0
        self.waiting = NOT_WAITING
        self.trapping = False
        self.suspended = False
        self.task: trio.lowlevel.Task | None = None
        # Only of supervisors: where their children run.
        self.nursery: trio.Nursery | None = None
        # The types that a parked receive accepts; anything when None.
        self.accept: type | tuple[type, ...] | None = None
        # Invariant: the reason with which the process is ending, from the moment that is
        # decided until its exit step; the first one wins, except over KILLED.
        self.reason: ExitReason | None = None
        self.behaviour: Behaviour | None = None
        # Only of supervisors: what keeps the children; its type is known further up.
        self.engine: Any = None
        # Whatever a small process never needs is made when it is first needed.
        self.mailbox: Mailbox | None = None
        self.links: set[Process] | None = None
        self.monitors: dict[Ref, None] | None = None
        self.watching: dict[Ref, None] | None = None
        self.names: list[str] | None = None
        self.groups: set[str] | None = None
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
                        await self._body(start, args)
                else:
                    await self._body(start, args)
        except BaseException as caught:  # noqa: BLE001 - the edge of the process
            error = caught
        if self.splice is not None:
            self.splice.remove()
        escaping = self._conclude(error)
        if escaping is not None:
            del error
            raise escaping

    async def _body(
        self,
        start: Callable[..., object],
        args: tuple[object, ...],
    ) -> None:
        body = start(*args)
        if isinstance(body, CoroutineType):
            self.acknowledge()
            await cast("Coroutine[Any, Any, object]", body)
        elif isinstance(body, Behaviour):
            self.behaviour = body
            await _driver_of(body)(self, body)
        elif hasattr(body, "__await__"):
            self.acknowledge()
            await cast("Any", body)
        else:
            _driver_of(body)

    def acknowledge(self) -> None:
        """Tell the starter that the process is initialised."""
        self.status = RUNNING
        self.keeper.child_ready(self)

    def ignore(self) -> None:
        """Note that ``init`` chose not to run, which is a good start."""
        self.status = IGNORED

    def _conclude(self, error: BaseException | None) -> BaseException | None:
        """Do the exit step; returns what has to leave the task nevertheless."""
        if error is None:
            self.finish(self.reason or NORMAL)
            return None
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
        fatal = _fatal(cause)
        reason = cause.reason if isinstance(cause, ProcessExit) else Crash(cause)
        if isinstance(reason, Crash) and fatal is None:
            _report_crash(self, reason)
        self.finish(self.reason or reason)
        if fatal is not None:
            self.home.fail(fatal)
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

    def finish(self, reason: ExitReason) -> None:
        """The exit step: everything that others learn of this death, at once."""
        self.alive = False
        self.pid.process = None
        if self.task is not None:
            del _by_task[self.task]
        runtime = self.home.runtime
        self.home.processes.discard(self)
        # Names before links and monitors: whoever hears of the death may register again.
        if self.names is not None:
            runtime.free_names(self)
        if self.groups is not None:
            runtime.leave_groups(self)
        for call in tuple(self.pending):
            call.settle(From.DIED, reason)
        self._end_links(reason)
        self._end_monitors(reason)
        self.mailbox = None
        self.keeper.child_ended(self, reason)
        # The reason of a crash holds the traceback, and that this frame.
        self.reason = None

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

    def _end_monitors(self, reason: ExitReason) -> None:
        for ref in self.watching or ():
            _forget_monitor(ref)
        self.watching = None
        monitors, self.monitors = self.monitors, None
        for ref in monitors or ():
            _fire(ref, self.pid, reason)

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
        if self.nursery is not None or self.waiting == IN_LOOP:
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


_NO_CALLS: Final[Any] = frozenset[From]()


def _fatal(error: BaseException) -> BaseException | None:
    """Find what has to end the whole program: an interrupt or a SystemExit."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return error
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return next(filter(None, map(_fatal, group.exceptions)), None)
    return None


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


# --- the runtime


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
        self.homes: list[Home] = []
        self.names: dict[str, Process] = {}
        # Invariant: keys are a subset of those of names.
        self.values: dict[str, object] = {}
        # Invariant: no empty group, no dead member, no count below one.
        self.groups: dict[str, dict[Process, int]] = {}
        self.spawned = 0
        self.restarts = 0
        # Made by whoever waits for a name to be registered.
        self.name_claimed: trio.Event | None = None

    def free_names(self, process: Process) -> None:
        """Make the names of *process* free for others."""
        for name in process.names or ():
            del self.names[name]
            self.values.pop(name, None)
        process.names = None

    def leave_groups(self, process: Process) -> None:
        """Take *process* out of all groups."""
        for group in process.groups or ():
            members = self.groups[group]
            del members[process]
            if not members:
                del self.groups[group]
        process.groups = None

    def statistics(self) -> RuntimeStatistics:
        """Count what there is."""
        processes = [process for home in self.homes for process in home.processes]
        return RuntimeStatistics(
            processes=len(processes),
            names=len(self.names),
            groups=len(self.groups),
            messages=sum(len(process.mailbox or ()) for process in processes),
            spawned=self.spawned,
            restarts=self.restarts,
        )


_runtime: trio.lowlevel.RunVar[Runtime] = trio.lowlevel.RunVar("supervision")


def runtime_or_none() -> Runtime | None:
    """The tables of the Trio run that we are in, if it has any."""
    try:
        return _runtime.get()
    except (LookupError, RuntimeError):
        return None


def runtime() -> Runtime:
    """The tables of the Trio run that we are in."""
    found = runtime_or_none()
    if found is None or not found.homes:
        raise NoRuntime
    return found


class Home:
    """Where one tree and the processes spawned from it live, apart from any nursery.

    The tree's tasks are not below the task that opened it: a cancellation of that one
    would reach all of them at the same moment, and an orderly stop in reverse order would
    be impossible. They are below a system task; `supervision.open_supervisor` and
    `supervision.run` see to it that it ends before they do.
    """

    __slots__ = (
        "changed",
        "closing",
        "failure",
        "host_done",
        "nursery",
        "on_end",
        "opened",
        "pid",
        "processes",
        "root",
        "root_reason",
        "runtime",
    )

    def __init__(self) -> None:
        existing = runtime_or_none()
        if existing is None:
            existing = Runtime()
            _runtime.set(existing)
        self.runtime = existing
        self.pid = Pid()
        self.processes: set[Process] = set()
        self.nursery: trio.Nursery | None = None
        self.root: Process | None = None
        self.root_reason: ExitReason | None = None
        # An interrupt or SystemExit that left a process: ends everything, then is raised.
        self.failure: BaseException | None = None
        self.on_end: Callable[[], object] | None = None
        self.opened = trio.Event()
        self.closing = trio.Event()
        self.host_done = trio.Event()
        # Made by whoever waits, so that nobody pays for it when nobody does.
        self.changed: trio.Event | None = None
        existing.homes.append(self)
        trio.lowlevel.spawn_system_task(
            self._host,
            name="supervision",
            context=contextvars.copy_context(),
        )

    async def _host(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                self.opened.set()
                await self.closing.wait()
        finally:
            self.nursery = None
            self.runtime.homes.remove(self)
            self.host_done.set()

    def child_ready(self, child: Process) -> None:
        """Hear that the root, or a spawned process, is initialised."""
        del child
        self._change()

    def child_ended(self, child: Process, reason: ExitReason) -> None:
        """Hear that the root, or a spawned process, has ended."""
        if child is self.root:
            self.root_reason = reason
            if self.on_end is not None:
                self.on_end()
        self._change()

    def fail(self, error: BaseException) -> None:
        """Remember what has to end the program, and have it ended in an orderly way."""
        self.failure = self.failure or error
        if self.on_end is not None:
            self.on_end()
        self._change()

    def _change(self) -> None:
        if self.changed is not None:
            self.changed.set()
            self.changed = None

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that a child of this home brings about."""
        while not condition():
            if self.changed is None:
                self.changed = trio.Event()
            await self.changed.wait()

    async def start_root(
        self, start: Callable[[], object], name: str | None
    ) -> Process:
        """Start the root of the tree; returns when it is initialised or has ended."""
        await self.opened.wait()
        root = self.root = launch(
            self,
            self,
            self.pid,
            start,
            (),
            label=name or "root",
            name=name,
            shutdown=None,
        )
        await self.wait_until(
            lambda: root.status is not STARTING or not root.alive,
        )
        return root

    async def close(self, grace: float) -> None:
        """Stop the root, then the spawned processes; after *grace* seconds kill all."""
        root = self.root
        with trio.CancelScope(shield=True):
            with trio.move_on_after(grace):
                if root is not None and root.alive:
                    root.signal(self.pid, SHUTDOWN)
                    await self.wait_until(lambda: not root.alive)
                for process in tuple(self.processes):
                    process.signal(self.pid, SHUTDOWN)
                await self.wait_until(lambda: not self.processes)
            await self.kill_all()
            self.closing.set()
            await self.host_done.wait()

    async def kill_all(self) -> None:
        """Kill whatever is left, and wait for it."""
        while self.processes:
            for process in tuple(self.processes):
                process.kill()
            with trio.move_on_after(1.0):
                await self.wait_until(lambda: not self.processes)
            for process in tuple(self.processes):
                report_unkillable(process)
            await self.wait_until(lambda: not self.processes)


def current_home() -> Home:
    """The home of the calling process, else the one that was opened last."""
    process = _by_task.get(current_task())
    return process.home if process is not None else runtime().homes[-1]


def launch(
    home: Home,
    keeper: Keeper,
    parent_pid: Pid,
    start: Callable[..., object],
    args: tuple[object, ...],
    *,
    label: str,
    nursery: trio.Nursery | None = None,
    name: str | None = None,
    shutdown: float | None = 5.0,
) -> Process:
    """Make a process and its task; it runs its first step later.

    Raises:
        NameTaken: Another process holds *name*; nothing was started.
    """
    where = nursery or home.nursery
    if where is None:
        raise NoRuntime
    if name is not None:
        check_free(home.runtime, name)
    process = Process(home, keeper, parent_pid, label, shutdown)
    if name is not None:
        claim_name(process, name)
    home.processes.add(process)
    home.runtime.spawned += 1
    where.start_soon(process.run, start, args, name=name or label)
    return process


def enter(
    home: Home,
    keeper: Keeper,
    parent_pid: Pid,
    *,
    label: str,
    name: str | None,
) -> Process:
    """Make the calling task a process; `Process.conclude_adopted` ends that.

    Raises:
        NameTaken: Another process holds *name*.
    """
    if name is not None:
        check_free(home.runtime, name)
    process = Process(home, keeper, parent_pid, label, None)
    process.kind = "adopted"
    process.status = RUNNING
    process.task = current_task()
    _by_task[process.task] = process
    if name is not None:
        claim_name(process, name)
    home.processes.add(process)
    home.runtime.spawned += 1
    return process


def check_free(tables: Runtime, name: str) -> None:
    """Raise `NameTaken` if a process holds *name*."""
    holder = tables.names.get(name)
    if holder is not None:
        raise NameTaken(name, holder.pid)


def claim_name(process: Process, name: str) -> None:
    """Give the free name *name* to *process*."""
    tables = process.home.runtime
    tables.names[name] = process
    if tables.name_claimed is not None:
        tables.name_claimed.set()
        tables.name_claimed = None
    if process.names is None:
        process.names = [name]
    else:
        process.names.append(name)


def report_unkillable(process: Process) -> None:
    """Say that a killed process still runs, and where."""
    emit(
        UNKILLABLE,
        {},
        {
            "pid": process.pid,
            "name": process.name,
            "id": process.label,
            "stack": wait_points(process),
        },
    )


def report_dropped(process: Process, message: object) -> None:
    """Report a message that nobody has a use for."""
    emit(
        DROPPED,
        {},
        {"pid": process.pid, "name": process.name, "message": type(message).__name__},
    )


def wait_points(process: Process) -> list[str]:
    """Where the task of *process* waits, outermost first, as ``file:line function``."""
    if process.task is None:
        return []
    return [
        f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
        for frame, line in process.task.iter_await_frames()
    ]


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
            "this needs a process, and the calling task is none: do it in the process's "
            "own task, or enter supervision.adopt() first",
        ) from None


process_of_task: Final = _by_task.get
"""The process that a task is, or ``None``."""


def find(dest: Dest) -> Process | None:
    """The live process behind a pid or name."""
    if isinstance(dest, Pid):
        return dest.process
    tables = runtime_or_none()
    return None if tables is None else tables.names.get(dest)


def self_pid() -> Pid:
    """Return the pid of the calling process.

    Raises:
        NotAProcess: The calling task is no process.
    """
    return current_process().pid


def is_alive(pid: Pid) -> bool:
    """Say whether the process has not yet had its exit step.

    True also while it unwinds: in Python that takes a moment.
    """
    return pid.process is not None


# --- starting


def _label_of(fn: Callable[..., object]) -> str:
    inner = getattr(fn, "func", fn)
    return getattr(inner, "__qualname__", None) or repr(inner)


def _spawn(
    fn: Callable[..., object],
    args: tuple[object, ...],
    name: str | None,
) -> Process:
    home = current_home()
    return launch(
        home, home, home.pid, fn, args, label=name or _label_of(fn), name=name
    )


def spawn(
    fn: Callable[..., object],
    *args: object,
    name: str | None = None,
    link: bool = False,
    monitor: bool = False,
) -> Pid:
    """Start a process that nobody supervises; it ends with the tree at the latest.

    Args:
        fn: An async function, or a factory of a server, called in the new task.
        args: Its arguments.
        name: Registered before it runs.
        link: Link it to the caller from before its first step.
        monitor: Have the caller monitor it; `spawn_monitor` also returns the reference.

    Raises:
        NameTaken: Another process holds *name*.
        NoRuntime: No supervisor is open in this Trio run.
        NotAProcess: The caller is none, and *link* or *monitor* was asked for.
    """
    here = current_process() if link or monitor else None
    process = _spawn(fn, args, name)
    if here is not None and link:
        _tie(here, process)
    if here is not None and monitor:
        _watch(here, process, None)
    return process.pid


def spawn_link(
    fn: Callable[..., object], *args: object, name: str | None = None
) -> Pid:
    """Start a process that is linked to the caller from before its first step."""
    here = current_process()
    process = _spawn(fn, args, name)
    _tie(here, process)
    return process.pid


def spawn_monitor(
    fn: Callable[..., object],
    *args: object,
    name: str | None = None,
) -> tuple[Pid, Ref]:
    """Start a process that the caller monitors from before its first step."""
    here = current_process()
    process = _spawn(fn, args, name)
    return process.pid, _watch(here, process, None)


# --- messages


def send(dest: Dest, message: object) -> None:
    """Put *message* into the mailbox of *dest*; never waits.

    A pid whose process has ended swallows it silently. From a worker thread, use
    ``trio.from_thread.run_sync(send, dest, message)``.

    Raises:
        NoSuchName: *dest* is a name that no process holds.
    """
    if isinstance(dest, Pid):
        process: Process | None = dest.process
        if process is None:
            return
    else:
        process = find(dest)
        if process is None:
            raise NoSuchName(dest)
    # What follows is Process.deliver, here because a call costs a third of a send.
    mailbox = process.mailbox
    if mailbox is None:
        mailbox = process.mailbox = Mailbox()
    mailbox.append(message)
    if process.waiting and (
        process.accept is None or isinstance(message, process.accept)
    ):
        process.wake()


# --- exits


@overload
def exit(reason: object, /) -> NoReturn: ...  # noqa: A001 - Erlang's word
@overload
def exit(pid: Pid, reason: object, /) -> None: ...  # noqa: A001
def exit(*args: Any) -> None:  # noqa: A001
    """End oneself with a reason, or send an exit signal to another process.

    ``exit(reason)`` leaves the calling process by an exception, so ``finally`` runs.

    ``exit(pid, reason)`` sends a signal. A process that traps exits gets it as an `Exit`
    message; another one ends with *reason* at its next checkpoint, except that ``NORMAL``
    is ignored by everybody but oneself. ``KILL`` cannot be trapped and ends the process
    with the reason ``KILLED``. A process that has ended ignores everything.

    A *reason* that is no `ExitReason` becomes `Exited`, an exception becomes `Crash`.
    """
    if len(args) == 1:
        current_process()
        raise ProcessExit(as_reason(args[0]))
    pid, reason = args
    target: Process | None = pid.process
    if target is None:
        return
    if isinstance(reason, Kill):
        target.kill()
        return
    here = _by_task.get(current_task())
    signalled = as_reason(reason)
    if here is target and not target.trapping:
        target.end(signalled)
        return
    target.signal(here.pid if here is not None else target.home.pid, signalled)


def trap_exits(flag: bool) -> bool:  # noqa: FBT001 - Erlang's process_flag, one argument
    """Have exit signals arrive as `Exit` messages, or not any more.

    Messages that were queued before stay.

    Returns:
        The setting until now.
    """
    here = current_process()
    before, here.trapping = here.trapping, flag
    return before


# --- links


def _tie(one: Process, other: Process) -> None:
    for here, there in ((one, other), (other, one)):
        if here.links is None:
            here.links = set()
        here.links.add(there)


def link(pid: Pid) -> None:
    """Tie the caller and *pid* together: each gets an exit signal when the other ends.

    Linking twice is one link; linking to oneself does nothing. With a process that has
    ended, a caller that traps exits gets an `Exit` with ``NOPROC``.

    Raises:
        NoProcess: It has ended, and the caller does not trap exits.
    """
    here = current_process()
    target = pid.process
    if target is here:
        return
    if target is not None:
        _tie(here, target)
    elif here.trapping:
        here.deliver(Exit(pid, NOPROC))
    else:
        raise NoProcess(pid)


def unlink(pid: Pid, *, flush: bool = False) -> None:
    """Untie the caller and *pid*; no exit signal of this link arrives after it.

    Args:
        pid: The other one; not being linked is fine.
        flush: Also remove an `Exit` message of it that is already in the mailbox.
    """
    here = current_process()
    target = pid.process
    if target is not None and here.links is not None and target.links is not None:
        here.links.discard(target)
        target.links.discard(here)
    if flush and here.mailbox is not None:
        here.mailbox.discard(lambda got: isinstance(got, Exit) and got.pid is pid)


# --- monitors


def _watch(watcher: Process, target: Process, name: str | None) -> Ref:
    ref = Ref(target, watcher, name)
    if watcher.watching is None:
        watcher.watching = {}
    watcher.watching[ref] = None
    if target.monitors is None:
        target.monitors = {}
    target.monitors[ref] = None
    return ref


def notify_end(target: Process, notify: Callable[[Down], None]) -> Ref:
    """Have a function called in the exit step of *target*; for tasks, not processes."""
    ref = Ref(target, None, None)
    ref.notify = notify
    if target.monitors is None:
        target.monitors = {}
    target.monitors[ref] = None
    return ref


def forget(ref: Ref) -> None:
    """Take back what `notify_end` has set up."""
    _forget_monitor(ref)


def _forget_monitor(ref: Ref) -> None:
    target: Process | None = ref.target
    ref.target = None
    if target is not None and target.monitors is not None:
        target.monitors.pop(ref, None)


def _fire(ref: Ref, pid: Pid, reason: ExitReason) -> None:
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


def monitor(dest: Dest) -> Ref:
    """Have one `Down` put into the caller's mailbox when *dest* ends.

    A process that has ended already, or a name that nobody holds, gives a `Down` with
    ``NOPROC`` at once. Monitors stack: each one has its own reference and `Down`. One by
    name sticks to the process that holds the name now.
    """
    here = current_process()
    name = dest if isinstance(dest, str) else None
    target = find(dest)
    if target is not None:
        return _watch(here, target, name)
    ref = Ref(None, here, name)
    here.deliver(Down(ref, dest if isinstance(dest, Pid) else None, NOPROC, name))
    return ref


def demonitor(ref: Ref, *, flush: bool = False) -> bool:
    """Take a monitor back: no `Down` of it is delivered any more.

    Args:
        ref: The monitor; one that has fired or was taken back is fine.
        flush: Also remove a `Down` of it that is already in the mailbox.

    Returns:
        Always ``True``.
    """
    here = current_process()
    _forget_monitor(ref)
    if here.watching is not None:
        here.watching.pop(ref, None)
    if flush and here.mailbox is not None:
        here.mailbox.discard(lambda got: isinstance(got, Down) and got.ref is ref)
    return True
