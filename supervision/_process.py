"""Processes, as the rest of the package sees them: spawning, sending, and all the others.

A process is one Trio task (``_life``) that lives in a home (``_runtime``), ends others
and falls with them (``_links``), or hears of their end (``_monitors``).

A process that crashes on purpose, and one that hears of it:

    async def fragile() -> None:
        raise RuntimeError("on purpose")

    pid, ref = supervision.spawn_monitor(fragile)
    down = await supervision.receive(supervision.Down)
    assert isinstance(down.reason, supervision.Crash)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._errors import NoSuchName
from ._life import (
    BURST,
    IDLE,
    IGNORED,
    IN_LOOP,
    IN_RECEIVE,
    NOT_WAITING,
    RUNNING,
    RUNS,
    STARTING,
    Keeper,
    Place,
    Process,
    Runtime,
    RuntimeStatistics,
    by_task,
    current_process,
    driven_by,
    forget,
    not_callable,
    process_of_task,
)
from ._links import exit, link, tie, trap_exits, unlink  # noqa: A004 - Erlang's word
from ._mailbox import Mailbox
from ._mailbox_limit import MailboxLimit
from ._monitors import demonitor, monitor, notify_end, watch
from ._pid import Dest, Name, Pid, Ref
from ._reports import report_dropped, report_unkillable, wait_points
from ._runtime import (
    Home,
    check_free,
    claim_at_start,
    claim_name,
    current_home,
    enter,
    find,
    launch,
    runtime,
    runtime_or_none,
)

__all__ = [
    "BURST",
    "IDLE",
    "IGNORED",
    "IN_LOOP",
    "IN_RECEIVE",
    "NOT_WAITING",
    "RUNNING",
    "RUNS",
    "STARTING",
    "Home",
    "Keeper",
    "Process",
    "Runtime",
    "RuntimeStatistics",
    "by_task",
    "check_free",
    "claim_at_start",
    "claim_name",
    "current_home",
    "current_process",
    "demonitor",
    "driven_by",
    "enter",
    "exit",
    "find",
    "forget",
    "is_alive",
    "launch",
    "link",
    "monitor",
    "not_callable",
    "notify_end",
    "process_of_task",
    "report_dropped",
    "report_unkillable",
    "runtime",
    "runtime_or_none",
    "self_pid",
    "send",
    "spawn",
    "spawn_link",
    "spawn_monitor",
    "tie",
    "trap_exits",
    "unlink",
    "wait_points",
    "watch",
]


def self_pid() -> Pid:
    """Return the pid of the calling process.

    Raises:
        NotAProcess: The calling task is no process.
    """
    return current_process().pid


def is_alive(dest: Dest) -> bool:
    """Say whether there is such a process, which has not yet had its exit step.

    True also while it unwinds: in Python that takes a moment.
    """
    return find(dest) is not None


# --- starting


def _label_of(fn: Any) -> str:
    try:
        return fn.__qualname__
    except AttributeError:
        return getattr(getattr(fn, "func", None), "__qualname__", None) or repr(fn)


def _spawn(
    home: Place,
    fn: Callable[..., object],
    args: tuple[object, ...],
    name: Name | None,
    mailbox: MailboxLimit | None,
) -> Process:
    if not callable(fn):
        raise TypeError(not_callable(fn))
    label = name if isinstance(name, str) else _label_of(fn)
    return launch(
        home, home, home.pid, fn, args, label=label, name=name, mailbox=mailbox
    )


def spawn(
    fn: Callable[..., object],
    *args: object,
    name: Name | None = None,
    link: bool = False,
    monitor: bool = False,
    mailbox: MailboxLimit | None = None,
) -> Pid:
    """Start a process that nobody supervises; it ends with the tree at the latest.

    Args:
        fn: An async function, or a factory of a server, called in the new task.
        args: Its arguments.
        name: Registered before it runs.
        link: Link it to the caller from before its first step.
        monitor: Have the caller monitor it; `spawn_monitor` also returns the reference.
        mailbox: The limit of its mailbox; it has none when ``None``.

    Raises:
        NameTaken: Another process holds *name*.
        NoRuntime: No supervisor is open in this Trio run.
        NotAProcess: The caller is none, and *link* or *monitor* was asked for.
    """
    here = current_process() if link or monitor else None
    process = _spawn(current_home(), fn, args, name, mailbox)
    if here is not None and link:
        tie(here, process)
    if here is not None and monitor:
        watch(here, process, None)
    return process.pid


def spawn_link(
    fn: Callable[..., object],
    *args: object,
    name: Name | None = None,
    mailbox: MailboxLimit | None = None,
) -> Pid:
    """Start a process that is linked to the caller from before its first step."""
    here = current_process()
    process = _spawn(here.home, fn, args, name, mailbox)
    tie(here, process)
    return process.pid


def spawn_monitor(
    fn: Callable[..., object],
    *args: object,
    name: Name | None = None,
    mailbox: MailboxLimit | None = None,
) -> tuple[Pid, Ref]:
    """Start a process that the caller monitors from before its first step."""
    here = current_process()
    process = _spawn(here.home, fn, args, name, mailbox)
    return process.pid, watch(here, process, None)


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
