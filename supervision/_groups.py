"""Groups: named sets of processes that one message can reach, as in Erlang's ``pg``.

Like the registry they are a table of the runtime: a process leaves all its groups in its
exit step. Joining twice is two memberships, and takes two leaves. What a *scope* is in
``pg`` is a prefix here: ``"lobby/chess"`` and ``"lobby/go"`` are in the scope ``"lobby/"``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import trio

from ._errors import NoProcess, NotAMember
from ._pid import Pid, Ref
from ._process import Process, current_process, runtime, runtime_or_none
from ._signals import GroupJoined, GroupLeft

_Change: TypeAlias = type[GroupJoined] | type[GroupLeft]


class GroupRef(Ref):
    """A monitor of groups, and who was in them at the moment when it was set up.

    `supervision.demonitor` takes it back.

    Attributes:
        members: The members, by group, each as often as it had joined.
    """

    __slots__ = ("members",)

    members: Mapping[str, tuple[Pid, ...]]


class _Audience:
    """Who monitors one group, or one prefix; it goes with the last of them."""

    __slots__ = ("_kept", "_key", "_refs")

    def __init__(self, kept: dict[str, _Audience], key: str) -> None:
        self._kept = kept
        self._key = key
        self._refs: dict[Ref, None] = {}

    @property
    def monitors(self) -> _Audience:
        """What a monitor is removed from, when it is taken back or its watcher ends."""
        return self

    def add(self, ref: Ref) -> None:
        """Add a monitor."""
        self._refs[ref] = None

    def pop(self, ref: Ref, default: None = None) -> None:
        """Remove a monitor."""
        self._refs.pop(ref, default)
        if not self._refs:
            self._kept.pop(self._key, None)

    def tell(self, change: _Change, group: str, pid: Pid) -> None:
        """Tell all of them of one membership that has begun or ended."""
        for ref in self._refs:
            ref.watcher.deliver(change(ref, group, (pid,)))


class _Groups:
    """The groups of one Trio run."""

    __slots__ = ("_joined", "_of_group", "_of_prefix", "groups")

    def __init__(self, groups: dict[str, dict[Process, int]]) -> None:
        # The runtime's own table, which counts them.
        self.groups = groups
        # Invariant: the groups that a process is in, in the order of joining.
        self._joined: dict[Process, dict[str, None]] = {}
        self._of_group: dict[str, _Audience] = {}
        self._of_prefix: dict[str, _Audience] = {}

    def join(self, process: Process, group: str) -> None:
        """Add one membership."""
        members = self.groups.setdefault(group, {})
        members[process] = members.get(process, 0) + 1
        self._joined.setdefault(process, {})[group] = None
        if process.tables is None:
            process.tables = {}
        process.tables[self] = None
        self._tell(GroupJoined, group, process.pid)

    def leave(self, process: Process, group: str) -> None:
        """Remove one membership.

        Raises:
            NotAMember: There is none.
        """
        members = self.groups.get(group)
        if members is None or process not in members:
            raise NotAMember(group)
        members[process] -= 1
        if members[process] == 0:
            del members[process]
            del self._joined[process][group]
            if not self._joined[process]:
                self._forget(process)
        if not members:
            del self.groups[group]
        self._tell(GroupLeft, group, process.pid)

    def _forget(self, process: Process) -> None:
        del self._joined[process]
        if process.tables is not None:
            process.tables.pop(self, None)

    def drop(self, process: Process) -> None:
        """Take *process* out of all its groups, one membership after the other."""
        for group in tuple(self._joined[process]):
            for _ in range(self.groups[group][process]):
                self.leave(process, group)

    def _tell(self, change: _Change, group: str, pid: Pid) -> None:
        audience = self._of_group.get(group)
        if audience is not None:
            audience.tell(change, group, pid)
        if self._of_prefix:
            for prefix, watching in self._of_prefix.items():
                if group.startswith(prefix):
                    watching.tell(change, group, pid)

    def watch(self, watcher: Process, key: str, *, prefix: bool) -> GroupRef:
        """Have *watcher* told of what happens to a group, or to all with a prefix."""
        kept = self._of_prefix if prefix else self._of_group
        audience = kept.get(key)
        if audience is None:
            audience = kept[key] = _Audience(kept, key)
        ref = GroupRef(audience, watcher, key)
        ref.members = {
            group: tuple(_pids(members))
            for group, members in self.groups.items()
            if (group.startswith(key) if prefix else group == key)
        }
        audience.add(ref)
        if watcher.watching is None:
            watcher.watching = {}
        watcher.watching[ref] = None
        return ref


_groups: trio.lowlevel.RunVar[_Groups] = trio.lowlevel.RunVar("supervision groups")


def _table() -> _Groups:
    try:
        return _groups.get()
    except LookupError:
        made = _Groups(runtime().groups)
        _groups.set(made)
        return made


def _member(pid: Pid | None) -> Process:
    process: Process | None = current_process() if pid is None else pid.process
    if process is None:
        assert pid is not None
        raise NoProcess(pid)
    return process


def _pids(members: Mapping[Process, int]) -> Iterator[Pid]:
    for process, times in members.items():
        for _ in range(times):
            yield process.pid


def join(group: str, *, pid: Pid | None = None) -> None:
    """Make a process a member of *group*, which exists while it has members.

    Args:
        group: Any string.
        pid: The process; the caller when ``None``.

    Raises:
        NoProcess: *pid* has ended.
        NotAProcess: The caller is none, and no *pid* was given.
    """
    _table().join(_member(pid), group)


def leave(group: str, *, pid: Pid | None = None) -> None:
    """Take back one `join`.

    Args:
        group: The group.
        pid: The process; the caller when ``None``.

    Raises:
        NotAMember: The process is not in the group.
        NoProcess: *pid* has ended.
    """
    _table().leave(_member(pid), group)


def members(group: str) -> list[Pid]:
    """Return the members of *group*, each as often as it has joined."""
    tables = runtime_or_none()
    return [] if tables is None else list(_pids(tables.groups.get(group, {})))


def groups(prefix: str = "") -> list[str]:
    """Return the names of all groups that have members and start with *prefix*, sorted."""
    tables = runtime_or_none()
    found = () if tables is None else tables.groups
    return sorted(group for group in found if group.startswith(prefix))


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


def monitor_group(group: str, *, prefix: bool = False) -> GroupRef:
    """Have the caller told of everybody who joins or leaves *group*.

    From this moment on each membership that begins puts a `GroupJoined` into its mailbox,
    and each one that ends a `GroupLeft`; so a process that had joined twice and dies
    gives two. Who is in it now is in the result: nothing comes in between. The group need
    not exist. Monitors stack; each one has its own reference, and ends with
    `supervision.demonitor` or with the caller.

    Args:
        group: The group.
        prefix: Monitor all groups whose names start with *group*, also future ones.

    Raises:
        NotAProcess: The caller is none.
    """
    return _table().watch(current_process(), group, prefix=prefix)
