"""Monitors: hearing of an end without sharing it."""

from __future__ import annotations

from collections.abc import Callable

from ._life import Process, current_process, forget
from ._pid import Dest, Pid, Ref
from ._reasons import NOPROC
from ._runtime import find
from ._signals import Down, GroupJoined, GroupLeft


def watch(watcher: Process, target: Process, name: str | None) -> Ref:
    """Have *watcher* monitor *target*."""
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
        return watch(here, target, name)
    ref = Ref(None, here, name)
    here.deliver(Down(ref, dest if isinstance(dest, Pid) else None, NOPROC, name))
    return ref


def demonitor(ref: Ref, *, flush: bool = False) -> bool:
    """Take a monitor of a process or of groups back: it delivers nothing any more.

    Args:
        ref: The monitor; one that has fired or was taken back is fine. Another process
            than its own may take it back, too, where Erlang may raise.
        flush: Also remove what it has put into the mailbox already.

    Returns:
        Always ``True``.
    """
    current_process()
    owner: Process = ref.watcher
    forget(ref)
    if owner.watching is not None:
        owner.watching.pop(ref, None)
    if flush and owner.mailbox is not None:
        while owner.mailbox.discard(
            lambda got: (
                isinstance(got, Down | GroupJoined | GroupLeft) and got.ref is ref
            )
        ):
            pass  # of a group there may be many
    return True
