"""Looking in while it runs: these functions read tables and wait in nobody's mailbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

import attrs

from ._children import Child
from ._engine import Engine
from ._errors import NoProcess
from ._limited_mailbox import dropped_by
from ._pid import Dest, Pid
from ._process import (
    STARTING,
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


def _process_info(process: Process, child: Child | None) -> ProcessInfo:
    engine: Engine | None = process.engine
    children = () if engine is None else tuple(map(_child_info, engine.children()))
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
    )


def _child_info(child: Child) -> ProcessInfo:
    if child.process is not None:
        return _process_info(child.process, child)
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


def tree(root: Dest | None = None) -> ProcessInfo:
    """Show a supervisor and everything below it.

    Args:
        root: Where to begin; the root of the tree that was opened first when ``None``.

    Raises:
        NoProcess: There is no such process.
        NoRuntime: No supervisor is open.
    """
    process = runtime().homes[0].root if root is None else find(root)
    if process is None:
        raise NoProcess("root" if root is None else root)
    return _process_info(process, _child_of(process))


def processes() -> list[Pid]:
    """List all processes, the oldest first: also those that are in no tree."""
    tables = runtime_or_none()
    homes = () if tables is None else tables.homes
    pids = [process.pid for home in homes for process in home.processes]
    return sorted(pids, key=lambda pid: pid.serial)


def info(dest: Dest) -> ProcessInfo | None:
    """Show one process, with what is below it; ``None`` when there is no such process."""
    process = find(dest)
    return None if process is None else _process_info(process, _child_of(process))


def state(dest: Dest) -> Mapping[str, object]:
    """Show the state of a server or state machine by its own ``describe``.

    Raises:
        NoProcess: There is no such process.
    """
    process = _existing(dest)
    behaviour = process.behaviour
    if isinstance(behaviour, Server | StateMachine):
        return behaviour.describe()
    return {} if behaviour is None else describe(behaviour)


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
