"""Groups: named sets of processes that one message can reach.

Like the registry they are a table of the runtime: a process leaves all its groups in its
exit step. Joining twice is two memberships, and takes two leaves, as in Erlang's ``pg``.
"""

from __future__ import annotations

from ._errors import NoProcess, NotAMember
from ._pid import Pid
from ._process import Process, current_process, runtime_or_none


def _member(pid: Pid | None) -> Process:
    process: Process | None = current_process() if pid is None else pid.process
    if process is None:
        assert pid is not None
        raise NoProcess(pid)
    return process


def join(group: str, pid: Pid | None = None) -> None:
    """Make a process a member of *group*, which exists while it has members.

    Args:
        group: Any string.
        pid: The process; the caller when ``None``.

    Raises:
        NoProcess: *pid* has ended.
    """
    process = _member(pid)
    members = process.home.runtime.groups.setdefault(group, {})
    members[process] = members.get(process, 0) + 1
    if process.groups is None:
        process.groups = set()
    process.groups.add(group)


def leave(group: str, pid: Pid | None = None) -> None:
    """Take back one `join`.

    Args:
        group: The group.
        pid: The process; the caller when ``None``.

    Raises:
        NotAMember: The process is not in the group.
        NoProcess: *pid* has ended.
    """
    process = _member(pid)
    groups = process.home.runtime.groups
    members = groups.get(group, {})
    if process not in members or process.groups is None:
        raise NotAMember(group)
    members[process] -= 1
    if members[process] == 0:
        del members[process]
        process.groups.discard(group)
    if not members:
        del groups[group]


def members(group: str) -> list[Pid]:
    """Return the members of *group*, each as often as it has joined."""
    tables = runtime_or_none()
    if tables is None:
        return []
    found = tables.groups.get(group, {})
    return [process.pid for process, times in found.items() for _ in range(times)]


def broadcast(group: str, message: object) -> int:
    """Send *message* to every member of *group*, once each; never waits.

    Returns:
        How many processes it was sent to.
    """
    tables = runtime_or_none()
    found = None if tables is None else tables.groups.get(group)
    if not found:
        return 0
    for process in found:
        process.deliver(message)
    return len(found)
