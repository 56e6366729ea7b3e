"""What supervisors know of their children, and what one may ask of a supervisor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import attrs

from ._child_spec import ChildSpec, ChildType
from ._life import Process
from ._pid import Pid
from ._reasons import ExitReason
from ._restarts import Cooling
from ._signals import From, Signal
from ._timers import Alarm
from .abc import Call

ChildStatus: TypeAlias = Literal[
    "starting",
    "running",
    "restarting",
    "cooling-down",
    "stopping",
    "undefined",
]


# --- what one asks of a supervisor


@attrs.frozen
class ChildInfo:
    """One child, as `which_children` shows it.

    Attributes:
        id: The id of its spec.
        pid: Its process, or ``None`` when it does not run.
        status: ``running``, ``undefined``, ``restarting``, ``cooling-down`` …
        type: ``worker`` or ``supervisor``.
    """

    id: str
    pid: Pid | None
    status: ChildStatus
    type: ChildType


@attrs.frozen
class ChildCounts:
    """How many children there are; those that do not run count by type, too.

    Attributes:
        specs: Child specs (1 for a dynamic supervisor's kind, as in OTP: one per child).
        active: Children that run.
        supervisors: Children of type supervisor.
        workers: Children of type worker.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


@attrs.frozen
class StartChild(Call["Pid | None"]):
    """Add a child and start it."""

    spec: ChildSpec


@attrs.frozen
class TerminateChild(Call[None]):
    """End a child on purpose."""

    child: str | Pid


@attrs.frozen
class RestartChild(Call["Pid | None"]):
    """Start a child that does not run."""

    child: str


@attrs.frozen
class DeleteChild(Call[None]):
    """Forget a child that does not run."""

    child: str


@attrs.frozen
class WhichChildren(Call[list[ChildInfo]]):
    """List the children."""


@attrs.frozen
class CountChildren(Call[ChildCounts]):
    """Count the children."""


@attrs.frozen
class GetChildSpec(Call[ChildSpec]):
    """Show the spec of a child."""

    child: str | Pid


# --- children


class Child:
    """What a supervisor knows of one child."""

    __slots__ = (
        "cooling",
        "last_reason",
        "process",
        "restarts",
        "spec",
        "status",
        "timers",
        "token",
        "waiters",
    )

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.process: Process | None = None
        self.status: ChildStatus = "undefined"
        self.restarts = 0
        self.last_reason: ExitReason | None = None
        self.cooling: Cooling | None = None
        # Identifies the pending retry; one with another token is void.
        self.token: object = None
        # What is to happen to it later: a retry, or a kill.
        self.timers: list[Alarm] | None = None
        # Only of dynamic supervisors: who waits for the child's start or end.
        self.waiters: list[From] | None = None

    @property
    def pid(self) -> Pid | None:
        """Its pid while it runs."""
        return None if self.process is None else self.process.pid

    def clear(self) -> None:
        """Have nothing happen to it later: a pending retry, or kill, is void."""
        self.token = None
        timers, self.timers = self.timers, None
        for timer in timers or ():
            timer.cancel()

    def info(self) -> ChildInfo:
        """Show the child."""
        return ChildInfo(self.spec.id, self.pid, self.status, self.spec.type)


def count(children: Iterable[Child]) -> ChildCounts:
    """Count children by kind and state."""
    listed = list(children)
    supervisors = sum(child.spec.type == "supervisor" for child in listed)
    return ChildCounts(
        specs=len(listed),
        # As in OTP: one whose end waits in the mailbox does not run any more.
        active=sum(
            child.process is not None and child.process.alive for child in listed
        ),
        supervisors=supervisors,
        workers=len(listed) - supervisors,
    )


@attrs.frozen
class Ended(Signal):
    """A child has ended; in the supervisor's mailbox, so in the order of arrival."""

    process: Process
    reason: ExitReason


@attrs.frozen
class Retry(Signal):
    """Try to start *child* again, unless its token has changed."""

    child: Child
    token: object
    counted: bool
