"""Processes: which there are below one, who has ended, and that a signal meets its own.

A number alone may be another process's a moment later; so each goes by number and
start.
"""

import os
import signal
from collections.abc import Collection
from typing import NamedTuple

# Looks for processes that came while others were stopped, at most.
LOOKS = 20


class Process(NamedTuple):
    """A process: its number alone may be another one's a moment later."""

    pid: int
    started: str


def listed() -> dict[int, tuple[Process, int]]:
    """All processes that are not over, each with its parent."""
    found: dict[int, tuple[Process, int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit() and (stat := stat_of(int(name))) and stat[0] not in "ZX":
            found[int(name)] = Process(int(name), stat[19]), int(stat[1])
    return found


def stat_of(pid: int) -> list[str] | None:
    """State, parent, and so on; behind the name, which may contain anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return file.read(4096).decode("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None


def descendants(top: int) -> list[Process]:
    """All that come from *top* and live, in no order."""
    processes = listed()
    children: dict[int, list[int]] = {}
    for pid, (_, parent) in processes.items():
        children.setdefault(parent, []).append(pid)
    found, heads = list[Process](), [top]
    while heads:
        below = children.pop(heads.pop(), [])
        heads += below
        found += [processes[pid][0] for pid in below]
    return found


def tell(process: Process, *numbers: int) -> None:
    """Send signals to *process*, and to no other one that has its number by now."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return
    try:
        stat = stat_of(process.pid)
        if stat is not None and stat[19] == process.started:
            for number in numbers:
                signal.pidfd_send_signal(handle, number)
    except OSError:
        pass  # it has ended, or is another user's
    finally:
        os.close(handle)


def force(top: int, spare: Collection[int] = ()) -> int:
    """End all below *top*, now; how many there were.

    They are stopped before they are killed, groups as a whole, so that nothing new comes
    while we look: else a program that forks without end would be faster than we are.
    """
    ours, stopped = os.getpgid(0), set[Process]()
    for _ in range(LOOKS):
        found = [each for each in descendants(top) if each.pid not in spare]
        new = [each for each in found if each not in stopped]
        if not new:
            break
        for group in {group_of(each.pid) for each in new} - {ours, 0}:
            signal_group(group, signal.SIGSTOP)
        for each in new:
            tell(each, signal.SIGSTOP)
        stopped.update(new)
    for each in stopped:
        tell(each, signal.SIGKILL)
    return len(stopped)


def group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except OSError:
        pass


def changed(options: int = 0) -> list[tuple[int, int]]:
    """Children that have changed, each with its status."""
    found = list[tuple[int, int]]()
    try:
        while (one := os.waitpid(-1, os.WNOHANG | options))[0]:
            found.append(one)
    except ChildProcessError:
        pass
    return found


def changed_until_none() -> bool:
    """Take leave of those that have ended; whether there are others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
