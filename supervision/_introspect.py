"""Looking in while it runs: these functions read tables and wait in nobody's mailbox."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice
from operator import attrgetter
from typing import Any, Literal, TypeAlias, cast

import attrs

from ._children import Child
from ._engine import Engine
from ._errors import NoProcess
from ._limited_mailbox import dropped_by
from ._pid import Dest, Pid
from ._process import (
    STARTING,
    Place,
    Process,
    RuntimeStatistics,
    find,
    runtime,
    runtime_or_none,
    wait_points,
)
from ._reasons import ExitReason
from .abc import Server, StateMachine, describe

Kind: TypeAlias = Literal["supervisor", "server", "state_machine", "process", "adopted"]
Status: TypeAlias = Literal[
    "starting",
    "running",
    "waiting",
    "restarting",
    "cooling-down",
    "stopping",
    "undefined",
]


@attrs.frozen
class ProcessInfo:
    """One process or child, as it is right now.

    Attributes:
        pid: Its pid, or ``None`` for a child that does not run.
        id: Its id among the children of its supervisor.
        name: Its registered name.
        kind: ``supervisor``, ``server``, ``state_machine``, ``process`` or ``adopted``.
        strategy: Of supervisors: what one death means for the other children.
        restart: Of children: ``permanent``, ``transient`` or ``temporary``.
        status: ``waiting`` is waiting for a message; ``running`` is anything else that
            a live process does.
        mailbox: Messages that wait.
        dropped: Messages and calls that its limited mailbox has not taken.
        messages: Messages that it has taken.
        restarts: How often its supervisor has restarted it.
        started_at: When, on Trio's clock, in seconds; ``None`` when it does not run.
        children: What is below it, in start order.
        last_reason: Why its last incarnation ended.
        hidden: Children that were not asked for; see *depth* and *most* of `tree`.
        parent: The pid of whoever has started it.
        suspended: Whether it is, by `supervision.sys.suspend`.
    """

    pid: Pid | None
    id: str
    name: str | None
    kind: Kind
    status: Status
    strategy: str | None = None
    restart: str | None = None
    mailbox: int = 0
    dropped: int = 0
    messages: int = 0
    restarts: int = 0
    started_at: float | None = None
    children: tuple[ProcessInfo, ...] = ()
    last_reason: ExitReason | None = None
    hidden: int = 0
    parent: Pid | None = None
    suspended: bool = False


@attrs.frozen
class _Part:
    """How much of a tree is wanted; `None` is all of it."""

    depth: int | None
    most: int | None

    def children(self, engine: Engine) -> tuple[tuple[ProcessInfo, ...], int]:
        """The children that are wanted, and how many are not."""
        found = engine.children()
        if self.depth is not None and self.depth <= 0:
            return (), len(found)
        below = _Part(None if self.depth is None else self.depth - 1, self.most)
        shown = tuple(_child_info(child, below) for child in islice(found, self.most))
        return shown, len(found) - len(shown)


def _status(process: Process, child: Child | None) -> Status:
    if child is not None and child.status not in ("running", "starting"):
        return child.status
    if process.reason is not None:
        return "stopping"
    if process.engine is not None and process.engine.stopping:
        return "stopping"
    if process.status is STARTING:
        return "starting"
    return "waiting" if process.waiting else "running"


def _process_info(process: Process, child: Child | None, part: _Part) -> ProcessInfo:
    engine: Engine | None = process.engine
    children, hidden = ((), 0) if engine is None else part.children(engine)
    return ProcessInfo(
        pid=process.pid,
        id=process.label,
        name=process.name,
        kind=cast("Kind", process.kind),
        status=_status(process, child),
        strategy=None if engine is None else engine.strategy,
        restart=None if child is None else child.spec.restart,
        mailbox=len(process.mailbox or ()),
        dropped=dropped_by(process),
        messages=process.handled,
        restarts=process.restarts,
        started_at=process.started_at,
        children=children,
        last_reason=None if child is None else child.last_reason,
        hidden=hidden,
        parent=process.parent_pid,
        suspended=process.suspended,
    )


def _child_info(child: Child, part: _Part) -> ProcessInfo:
    if child.process is not None:
        return _process_info(child.process, child, part)
    return ProcessInfo(
        pid=None,
        id=child.spec.id,
        name=child.spec.name if isinstance(child.spec.name, str) else None,
        kind="supervisor" if child.spec.type == "supervisor" else "process",
        status=child.status,
        restart=child.spec.restart,
        restarts=child.restarts,
        last_reason=child.last_reason,
    )


def _child_of(process: Process) -> Child | None:
    keeper = process.keeper
    return keeper.by_process.get(process) if isinstance(keeper, Engine) else None


def tree(
    root: Dest | None = None,
    *,
    depth: int | None = None,
    most: int | None = None,
) -> ProcessInfo:
    """Show a supervisor and everything below it.

    Args:
        root: Where to begin; the root of the tree that was opened first when ``None``.
        depth: How many levels below *root* are shown; all of them when ``None``. What is
            not shown is not looked at, and `ProcessInfo.hidden` counts it.
        most: How many children of one supervisor are shown; all of them when ``None``.

    Raises:
        NoProcess: There is no such process.
        NoRuntime: No supervisor is open.
    """
    process = _root(root)
    return _process_info(process, _child_of(process), _Part(depth, most))


def _root(root: Dest | None) -> Process:
    process = runtime().homes[0].root if root is None else find(root)
    if process is None:
        raise NoProcess("root" if root is None else root)
    return process


def walk(
    root: Dest | None = None,
    *,
    depth: int | None = None,
    most: int | None = None,
) -> Iterator[tuple[int | None, ProcessInfo]]:
    """Show what `tree` shows, one process after the other, level by level.

    For a tree that is too large to be looked at in one go: whoever iterates may let
    others run between two, and stop at any point, with all levels above in hand.

    What it shows is no single moment then. Each process is shown as it stands when it is
    taken. The children of a supervisor are those that it has when the first of them is
    taken: one that has come later is not shown, nor is one that has ended by its turn for
    good, nor what is below a supervisor that has. One that was started again meanwhile is
    shown as its new process. No pid is shown twice.

    Args:
        root: As for `tree`.
        depth: As for `tree`.
        most: As for `tree`.

    Returns:
        For each, the number in this order of the process above it (``None`` for *root*,
        which is number 0) and how it stands. `ProcessInfo.children` is empty, and
        `ProcessInfo.hidden` counts the children that it had at that moment.

    Raises:
        NoProcess: There is no such process.
        NoRuntime: No supervisor is open.
    """
    return _walk(_root(root), _Part(depth, most))


_ALONE = _Part(0, None)


def _walk(root: Process, part: _Part) -> Iterator[tuple[int | None, ProcessInfo]]:
    yield None, _process_info(root, _child_of(root), _ALONE)
    numbers = count(1)
    # Those whose children are still to come: number, process, and how deep it is.
    above = deque([(0, root, 0)])
    while above:
        number, process, deep = above.popleft()
        engine: Engine | None = process.engine
        if engine is None or deep == part.depth or not find(process.pid):
            continue
        children = tuple(islice(engine.children(), part.most))
        rested = {child for child in children if child.process is None}
        for child in children:
            if child.process is None and child not in rested and _is_over(child):
                continue
            shown = next(numbers)
            if child.process is not None and child.process.engine is not None:
                above.append((shown, child.process, deep + 1))
            yield number, _child_info(child, _ALONE)


def _is_over(child: Child) -> bool:
    """Whether *child*, which does not run, will not be started again by itself."""
    return child.status == "undefined"


def registered() -> list[str]:
    """List all registered names, in no order; with less work than `names`.

    Erlang's ``registered/0``.
    """
    tables = runtime_or_none()
    return [] if tables is None else list(tables.names)


def ids() -> list[str]:
    """List the ids of all children, in no order; one that several have as often.

    Each is looked at once and nothing is compared, so that it may be asked of very many.
    """
    return [
        process.label
        for home in _homes()
        for process in home.processes
        if isinstance(process.keeper, Engine)
    ]


def identified(*known: str) -> list[Pid]:
    """List the children that have one of these ids, whatever their supervisor is.

    Two children of different supervisors may have the same id. It takes one look at each
    process, so that it may be asked of very many.
    """
    wanted = frozenset(known)
    return [
        process.pid
        for home in _homes()
        for process in home.processes
        if process.label in wanted and isinstance(process.keeper, Engine)
    ]


def _homes() -> Sequence[Place]:
    tables = runtime_or_none()
    return () if tables is None else tables.homes


def path(dest: Dest) -> tuple[str, ...]:
    """Show where a process stands: ids, from the root of its tree down to its own.

    Empty for one that no supervisor has started, and for one that has ended.
    """
    process, found = find(dest), list[str]()
    while process is not None and isinstance(process.keeper, Engine):
        found.append(process.label)
        process = process.keeper.process
    if process is None or process is not process.home.root:
        return ()
    return (process.label, *reversed(found))


def processes() -> list[Pid]:
    """List all processes, the oldest first: also those that are in no tree."""
    pids = [process.pid for home in _homes() for process in home.processes]
    return sorted(pids, key=attrgetter("serial"))


def pid(serial: int) -> Pid | None:
    """Find the pid of a process that lives by its number: ``12`` is that of ``<12>``.

    Erlang's ``c:pid/3``, for what a person has read somewhere and typed.
    """
    for home in _homes():
        for process in home.processes:
            if process.pid.serial == serial:
                return process.pid
    return None


def info(
    dest: Dest, *, depth: int | None = None, most: int | None = None
) -> ProcessInfo | None:
    """Show one process, with what is below it; ``None`` when there is no such process.

    *depth* and *most* are those of `tree`.
    """
    process = find(dest)
    if process is None:
        return None
    return _process_info(process, _child_of(process), _Part(depth, most))


def messages(dest: Dest, most: int | None = None) -> list[object]:
    """Show the messages that wait in a mailbox, oldest first; they stay there.

    A call is a `From`, with the request and who waits for the reply.

    Args:
        dest: The process.
        most: How many are shown; all of them when ``None``.

    Raises:
        NoProcess: There is no such process.
    """
    return list(islice(_existing(dest).mailbox or (), most))


def state(
    dest: Dest, *, show: Callable[[object], object] = repr
) -> Mapping[str, object]:
    """Show the state of a server or state machine by its own ``describe``.

    Args:
        dest: The process.
        show: What becomes of each attribute of a behaviour that has no ``describe`` of
            its own: its ``repr``, which may be as long as the state is large.

    Raises:
        NoProcess: There is no such process.
    """
    process = _existing(dest)
    behaviour: Any = process.behaviour
    if behaviour is None:
        return {}
    own: Any = getattr(behaviour.__class__, "describe", None)
    if own not in (None, Server.describe, _describe_machine):
        return behaviour.describe()
    shown = describe(behaviour, show)
    return (
        {"state": show(behaviour.state), **shown} if own is _describe_machine else shown
    )


_describe_machine: Any = getattr(StateMachine, "describe")  # noqa: B009 - of any states


def wait_point(dest: Dest) -> list[str]:
    """Show where a process waits, outermost first, as ``file:line function``.

    Raises:
        NoProcess: There is no such process.
    """
    return wait_points(_existing(dest))


def _existing(dest: Dest) -> Process:
    process = find(dest)
    if process is None:
        raise NoProcess(dest)
    return process


def statistics() -> RuntimeStatistics:
    """Count what there is in this Trio run."""
    tables = runtime_or_none()
    return (
        RuntimeStatistics(0, 0, 0, 0, 0, 0) if tables is None else tables.statistics()
    )
