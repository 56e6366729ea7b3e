"""The runtime of one Trio run: its tables, the homes of its trees, and making processes."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import trio
from trio.lowlevel import current_task

from ._errors import NameTaken, NoRuntime, SupervisionError
from ._life import (
    RUNNING,
    STARTING,
    Keeper,
    Place,
    Process,
    Runtime,
    process_of_task,
    register_task,
)
from ._limited_mailbox import limit_mailbox
from ._mailbox_limit import MailboxLimit
from ._pid import Dest, Name, Pid
from ._reasons import SHUTDOWN, ExitReason
from ._reports import report_unkillable
from ._trio_parts import start_task

_runtime: trio.lowlevel.RunVar[Runtime] = trio.lowlevel.RunVar("supervision")


def runtime_or_none() -> Runtime | None:
    """The tables of the Trio run that we are in, if it has any.

    Raises:
        NoRuntime: The caller is in no Trio run: a worker thread, or no Trio at all.
    """
    try:
        return _runtime.get()
    except LookupError:
        return None
    except RuntimeError:
        raise NoRuntime from None


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
        # In start order, which is also that of their places in memory: looks go through
        # all of them.
        self.processes: dict[Process, None] = {}
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


def current_home() -> Place:
    """The home of the calling process, else the one that was opened last."""
    process = process_of_task(current_task())
    return process.home if process is not None else runtime().homes[-1]


def launch(
    home: Place,
    keeper: Keeper,
    parent_pid: Pid,
    start: Callable[..., object],
    args: tuple[object, ...],
    *,
    label: str,
    name: Name | None = None,
    shutdown: float | None = 5.0,
    mailbox: MailboxLimit | None = None,
) -> Process:
    """Make a process and its task; it runs its first step later.

    Raises:
        NameTaken: Another process holds *name*; nothing was started.
    """
    nursery = home.nursery
    if nursery is None:
        raise NoRuntime
    process = Process(home, keeper, parent_pid, label, shutdown)
    if mailbox is not None:
        limit_mailbox(process, mailbox)
    if name is not None:
        start = claim_at_start(process, name, start)
    home.processes[process] = None
    home.runtime.spawned += 1
    start_task(nursery, contextvars.copy_context(), label, process.run, start, args)
    return process


def claim_at_start(
    process: Process,
    name: Name,
    start: Callable[..., object],
) -> Callable[..., object]:
    """Give *name* to a process that is about to be started; returns what it starts.

    Raises:
        NameTaken: Another process holds it.
    """
    try:
        check_free(process.home.runtime, name)
        claim_name(process, name)
    except NameTaken:
        raise
    except SupervisionError as error:
        # A registry that is not there is the child's misfortune, not its keeper's.
        return partial(_refuse, error)
    return start


def _refuse(error: Exception, *_: object) -> NoReturn:
    raise error


def enter(
    home: Place,
    keeper: Keeper,
    parent_pid: Pid,
    *,
    label: str,
    name: Name | None,
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
    register_task(process)
    if name is not None:
        claim_name(process, name)
    home.processes[process] = None
    home.runtime.spawned += 1
    return process


def check_free(tables: Runtime, name: Name) -> None:
    """Raise `NameTaken` if a process holds *name*."""
    if isinstance(name, str):
        holder = tables.names.get(name)
        pid = None if holder is None else holder.pid
    else:
        pid = name.whereis()
    if pid is not None:
        raise NameTaken(name, pid)


def claim_name(process: Process, name: Name) -> None:
    """Give the free name *name* to *process*."""
    if not isinstance(name, str):
        name.claim(process)
        return
    tables = process.home.runtime
    tables.names[name] = process
    if tables.name_claimed is not None:
        tables.name_claimed.set()
        tables.name_claimed = None
    if process.names is None:
        process.names = [name]
    else:
        process.names.append(name)


def find(dest: Dest) -> Process | None:
    """The live process behind a pid, a name, or anything that says where one is."""
    if isinstance(dest, Pid):
        return dest.process
    if isinstance(dest, str):
        tables = runtime_or_none()
        return None if tables is None else tables.names.get(dest)
    try:
        whereis = dest.whereis
    except AttributeError:
        raise TypeError(
            f"a process is named by a pid, a name or a Via, not by {dest!r}"
        ) from None
    pid = whereis()
    return None if pid is None else pid.process
