"""Exits and links: how processes end each other, and fall together."""

from __future__ import annotations

from typing import Any, NoReturn, overload

from trio.lowlevel import current_task

from ._errors import NoProcess, NoSuchName
from ._life import Process, current_process, process_of_task
from ._pid import Dest, Pid
from ._reasons import NOPROC, Kill, ProcessExit, as_reason
from ._runtime import find
from ._signals import Exit

# --- exits


@overload
def exit(reason: object, /) -> NoReturn: ...  # noqa: A001 - Erlang's word
@overload
def exit(dest: Dest, reason: object, /) -> None: ...  # noqa: A001
def exit(*args: Any) -> None:  # noqa: A001
    """End oneself with a reason, or send an exit signal to another process.

    ``exit(reason)`` leaves the calling process by an exception, so ``finally`` runs.

    ``exit(dest, reason)`` sends a signal. A process that traps exits gets it as an `Exit`
    message; another one ends with *reason* at its next checkpoint, except that ``NORMAL``
    is ignored by everybody but oneself. ``KILL`` cannot be trapped and ends the process
    with the reason ``KILLED``. A process that has ended ignores everything.

    A *reason* that is no `ExitReason` becomes `Exited`, an exception becomes `Crash`.

    Raises:
        NoSuchName: *dest* is a name that no process holds.
        NotAProcess: The caller wants to end itself, and is no process.
    """
    if len(args) == 1:
        current_process()
        raise ProcessExit(as_reason(args[0]))
    dest, reason = args
    target: Process | None = _pid_of(dest).process
    if target is None:
        return
    if isinstance(reason, Kill):
        target.kill()
        return
    here = process_of_task(current_task())
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


def tie(one: Process, other: Process) -> None:
    """Link two processes."""
    for here, there in ((one, other), (other, one)):
        if here.links is None:
            here.links = set()
        here.links.add(there)


def _pid_of(dest: Dest) -> Pid:
    if isinstance(dest, Pid):
        return dest
    process = find(dest)
    if process is None:
        raise NoSuchName(dest)
    return process.pid


def link(dest: Dest) -> None:
    """Tie the caller and *dest* together: each gets an exit signal when the other ends.

    Linking twice is one link; linking to oneself does nothing. With a process that has
    ended, a caller that traps exits gets an `Exit` with ``NOPROC``. A name is looked up
    now: the link is with the process that holds it.

    Raises:
        NoProcess: It has ended, and the caller does not trap exits.
        NoSuchName: *dest* is a name that no process holds.
    """
    here = current_process()
    pid = _pid_of(dest)
    target = pid.process
    if target is here:
        return
    if target is not None:
        tie(here, target)
    elif here.trapping:
        here.deliver(Exit(pid, NOPROC))
    else:
        raise NoProcess(pid)


def unlink(dest: Dest, *, flush: bool = False) -> None:
    """Untie the caller and *dest*; no exit signal of this link arrives after it.

    Args:
        dest: The other one; not being linked is fine.
        flush: Also remove an `Exit` message of it that is already in the mailbox.

    Raises:
        NoSuchName: *dest* is a name that no process holds.
    """
    here = current_process()
    pid = _pid_of(dest)
    target = pid.process
    if target is not None and here.links is not None and target.links is not None:
        here.links.discard(target)
        target.links.discard(here)
    if flush and here.mailbox is not None:
        here.mailbox.discard(lambda got: isinstance(got, Exit) and got.pid is pid)
