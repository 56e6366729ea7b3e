"""Supervisors: processes whose only work is to keep other processes running.

What a supervisor *decides* is in ``_restarts`` and ``_strategies``; here it is done. Every
supervisor is one task with one nursery for its children. Its loop opens no cancel scope:
a signal for it is a reason that it finds as soon as it is awake, so its nursery is never
cancelled, and its children always end before it does.

An example that fails on purpose: the child raises, and is there again.

    async def worker() -> None:
        await supervision.receive()
        raise RuntimeError("on purpose")

    supervision.Supervisor([supervision.ChildSpec("worker", worker)])
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs
import trio

from ._child_spec import (
    AutoShutdown,
    BrutalKill,
    ChildSpec,
    ChildType,
    CoolDown,
    check_ids,
    check_limits,
    check_significant,
)
from ._errors import (
    AlreadyPresent,
    AlreadyStarted,
    BadChildSpec,
    ChildError,
    ChildRestarting,
    ChildRunning,
    NameTaken,
    NoProcess,
    NotFound,
    StartFailed,
    SupervisionError,
)
from ._pid import Dest, Pid
from ._process import (
    BURST,
    IGNORED,
    IN_LOOP,
    RUNNING,
    STARTING,
    Process,
    driven_by,
    find,
    launch,
    report_dropped,
    report_unkillable,
)
from ._reasons import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    Crash,
    ExitReason,
    Killed,
    ProcessExit,
    Shutdown,
    is_orderly,
)
from ._restarts import Cooling, RestartWindow, wants_restart
from ._server import call, reply, reply_error
from ._signals import Exit, From, StopOrder
from ._strategies import Strategy, concerned, ends_supervisor
from ._telemetry import COOLING_DOWN, GAVE_UP, RESTART, TERMINATED, emit
from ._timers import timers
from .abc import Behaviour, Call

# After a kill a child is given this long, in seconds, before it is reported. A killed
# supervisor's children without a limit of their own get the other one.
UNKILLABLE_AFTER: Final = 1.0
_GRACE_OF_KILLED: Final = 5.0

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
class _StartChild(Call["Pid | None"]):
    spec: ChildSpec


@attrs.frozen
class _TerminateChild(Call[None]):
    child: str | Pid


@attrs.frozen
class _RestartChild(Call["Pid | None"]):
    child: str


@attrs.frozen
class _DeleteChild(Call[None]):
    child: str


@attrs.frozen
class _WhichChildren(Call[list[ChildInfo]]):
    pass


@attrs.frozen
class _CountChildren(Call[ChildCounts]):
    pass


@attrs.frozen
class _GetChildSpec(Call[ChildSpec]):
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
        # Only of dynamic supervisors: who waits for the child's start or end.
        self.waiters: list[From] | None = None

    @property
    def pid(self) -> Pid | None:
        """Its pid while it runs."""
        return None if self.process is None else self.process.pid

    def info(self) -> ChildInfo:
        """Show the child."""
        return ChildInfo(self.spec.id, self.pid, self.status, self.spec.type)


def count(children: Iterable[Child]) -> ChildCounts:
    """Count children by kind and state."""
    listed = list(children)
    supervisors = sum(child.spec.type == "supervisor" for child in listed)
    return ChildCounts(
        specs=len(listed),
        active=sum(child.process is not None for child in listed),
        supervisors=supervisors,
        workers=len(listed) - supervisors,
    )


@attrs.frozen
class Ended:
    """A child has ended; in the supervisor's mailbox, so in the order of arrival."""

    process: Process
    reason: ExitReason


@attrs.frozen
class Retry:
    """Try to start *child* again, unless its token has changed."""

    child: Child
    token: object
    counted: bool


class Interrupted(Exception):  # noqa: N818 - control flow inside the loop
    """The supervisor itself was killed."""


class Engine:
    """What static and dynamic supervisors have in common."""

    strategy: Strategy = "one_for_one"

    def __init__(
        self,
        process: Process,
        *,
        max_restarts: int,
        max_seconds: float,
        cool_down: CoolDown | None,
    ) -> None:
        self.process = process
        self.window = RestartWindow(max_restarts, max_seconds)
        self.cool_down = cool_down
        self.by_process: dict[Process, Child] = {}
        # The children whose end somebody waits for in `await_end`; others are reported
        # to the loop.
        self.awaited: set[Process] = set()
        self.reasons: dict[Process, ExitReason] = {}
        self.stopping = False
        self.gave_up = False

    def children(self) -> Sequence[Child]:
        """The children in start order."""
        raise NotImplementedError

    # --- one child

    def launch(self, child: Child) -> Process:
        """Make the next incarnation of *child*; it has not run yet.

        Raises:
            NameTaken: Another process holds its name.
        """
        here = self.process
        spec = child.spec
        process = launch(
            here.home,
            self,
            here.pid,
            spec.start,
            (),
            label=spec.id,
            nursery=here.nursery,
            name=spec.name,
            shutdown=spec.grace,
        )
        process.restarts = child.restarts
        self.by_process[process] = child
        child.process = process
        child.status = "starting"
        child.token = None
        return process

    def child_ready(self, child: Process) -> None:
        """Hear that *child* is initialised."""
        raise NotImplementedError

    def child_ended(self, child: Process, reason: ExitReason) -> None:
        """Hear that *child* has ended, in its exit step."""
        raise NotImplementedError

    def note_awaited(self, child: Process, reason: ExitReason) -> bool:
        """Take note of an end that `await_end` waits for."""
        if child not in self.awaited:
            return False
        self.awaited.discard(child)
        self.reasons[child] = reason
        if not self.awaited:
            self.process.wake()
        return True

    def note_restart(self, child: Child, reason: ExitReason | None) -> None:
        """Count and report a restart that is about to be done."""
        child.restarts += 1
        self.process.home.runtime.restarts += 1
        emit(
            RESTART,
            {"restarts": child.restarts},
            {"supervisor": self.process.pid, "id": child.spec.id, "reason": reason},
        )

    def admit(self, child: Child) -> float | None:
        """Say how long the next restart of *child* has to wait; ``None``: give up."""
        rule = child.spec.cool_down or self.cool_down
        if rule is None:
            return 0.0 if self.window.admit(trio.current_time()) else None
        if child.cooling is None:
            child.cooling = Cooling(rule)
        return child.cooling.delay(trio.current_time(), random.random)

    def give_up(self, child: Child) -> None:
        """Report that the restarts of *child* are too many."""
        self.gave_up = True
        emit(
            GAVE_UP,
            {"max_restarts": self.window.max_restarts},
            {
                "supervisor": self.process.pid,
                "name": self.process.name,
                "id": child.spec.id,
                "reason": child.last_reason,
            },
        )

    def retry_later(self, child: Child, delay: float) -> None:
        """Have *child* started again after *delay* seconds, with an alarm."""
        child.status = "cooling-down"
        token = child.token = object()
        emit(
            COOLING_DOWN,
            {"seconds": delay, "restarts": child.restarts},
            {
                "supervisor": self.process.pid,
                "id": child.spec.id,
                "reason": child.last_reason,
            },
        )
        retry = Retry(child, token, counted=True)
        timers().at(
            trio.current_time() + delay,
            lambda: self.process.deliver(retry),
        )

    def retry_now(self, child: Child) -> None:
        """Have *child* tried again after what waits in the mailbox by now."""
        child.status = "restarting"
        child.token = object()
        self.process.deliver(Retry(child, child.token, counted=False))

    # --- waiting

    def next_message(self) -> tuple[bool, object]:
        """Take the next message, if there is one that may be handled now."""
        process = self.process
        mailbox = process.mailbox
        if not mailbox:
            return False, None
        if not process.suspended:
            return True, mailbox.popleft()
        parent = process.parent_pid
        return mailbox.take(
            lambda got: (
                isinstance(got, StopOrder)
                or (isinstance(got, Exit) and got.pid is parent)
            ),
        )

    async def park(self, deadline: float = float("inf")) -> None:
        """Wait until something has happened, or until *deadline*.

        Raises:
            Interrupted: The supervisor was killed.
        """
        if self.process.reason is not None:
            raise Interrupted
        if deadline == float("inf"):
            await self.process.park(IN_LOOP)
        else:
            await self._park(deadline)
        if self.process.reason is not None:
            raise Interrupted

    async def _park(self, deadline: float) -> None:
        timer = timers().at(deadline, self.process.wake)
        try:
            await self.process.park(IN_LOOP)
        finally:
            timer.cancel()

    async def await_end(
        self,
        processes: Iterable[Process],
        grace: float | None,
        *,
        interruptible: bool = True,
    ) -> None:
        """Wait for the end of *processes*, all of which were told to end.

        Args:
            processes: Children; those that are dead already are skipped.
            grace: Seconds after which those that are left are killed.
            interruptible: Whether the supervisor's own kill ends the wait.
        """
        self.awaited = {process for process in processes if process.alive}
        deadline = float("inf") if grace is None else trio.current_time() + grace
        park = self.park if interruptible else self._park
        while self.awaited:
            await park(deadline)
            if self.awaited and trio.current_time() >= deadline:
                deadline = self._escalate()

    def _escalate(self) -> float:
        """Kill what has outlived its grace, else report what has outlived its kill.

        Returns:
            When to look again.
        """
        late = [process for process in self.awaited if process.reason is not KILLED]
        for process in late:
            process.kill()
        if late:
            return trio.current_time() + UNKILLABLE_AFTER
        for process in self.awaited:
            if process.nursery is None:  # a supervisor reports its own children
                report_unkillable(process)
        return float("inf")

    async def stop_child(self, child: Child) -> None:
        """Terminate *child* as its shutdown value says, and wait for its end."""
        child.token = None
        process = child.process
        if process is None:
            child.status = "undefined"
            return
        child.status = "stopping"
        if isinstance(child.spec.shutdown, BrutalKill):
            process.kill()
            await self.await_end([process], UNKILLABLE_AFTER)
        else:
            process.signal(self.process.pid, SHUTDOWN)
            await self.await_end([process], child.spec.shutdown)
        self.settle_stopped(child, process)

    def settle_stopped(self, child: Child, process: Process) -> None:
        """Note the end of a child that was terminated on purpose."""
        reason = self.reasons.pop(process, SHUTDOWN)
        self.by_process.pop(process, None)
        child.process = None
        child.status = "undefined"
        child.last_reason = reason
        if _is_shutdown_error(child.spec, reason):
            emit(
                TERMINATED,
                {},
                {
                    "supervisor": self.process.pid,
                    "id": child.spec.id,
                    "reason": reason,
                },
            )

    async def end_of_killed(self) -> None:
        """End the children of a supervisor that was killed.

        As over a link they get ``killed``: those that do not trap exits end at once,
        those that do have their grace. Child supervisors are killed in their turn. It
        waits for all of them: nothing is left behind.
        """
        left = [process for process in self.by_process if process.alive]
        graces = [_GRACE_OF_KILLED]
        for process in left:
            if process.nursery is not None:
                process.kill()
                continue
            process.signal(self.process.pid, KILLED)
            graces.append(process.shutdown or 0.0)
        await self.await_end(left, min(max(graces), 60.0), interruptible=False)


def _is_shutdown_error(spec: ChildSpec, reason: ExitReason) -> bool:
    if isinstance(reason, Shutdown):
        return spec.restart == "permanent" and reason.term is not None
    if isinstance(reason, Killed):
        return not isinstance(spec.shutdown, BrutalKill)
    return not (is_orderly(reason) and spec.restart != "permanent")


# --- the static supervisor


class Supervisor(Behaviour):
    """A supervisor of a fixed list of children, started in order, stopped in reverse.

    Args:
        children: The specs, in start order.
        strategy: What one death means for the others: ``one_for_one`` nothing,
            ``one_for_all`` all are restarted, ``rest_for_one`` those after it are.
        max_restarts: More restarts than this inside *max_seconds*, and the supervisor
            gives up: it stops its children and ends with ``SHUTDOWN``.
        max_seconds: The window for *max_restarts*, in seconds.
        auto_shutdown: End when ``any_significant`` or ``all_significant`` children have
            ended by themselves and for good.
        cool_down: The default of its children's `CoolDown`.
    """

    __slots__ = (
        "auto_shutdown",
        "children",
        "cool_down",
        "max_restarts",
        "max_seconds",
        "strategy",
    )

    def __init__(
        self,
        children: Sequence[ChildSpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        max_restarts: int = 3,
        max_seconds: float = 5.0,
        auto_shutdown: AutoShutdown = "never",
        cool_down: CoolDown | None = None,
    ) -> None:
        if strategy not in ("one_for_one", "one_for_all", "rest_for_one"):
            raise BadChildSpec(f"no such strategy: {strategy!r}")
        if auto_shutdown not in ("never", "any_significant", "all_significant"):
            raise BadChildSpec(f"no such auto_shutdown: {auto_shutdown!r}")
        check_limits(max_restarts, max_seconds)
        check_ids(children)
        for spec in children:
            check_significant(spec, auto_shutdown)
        self.children: tuple[ChildSpec, ...] = tuple(children)
        self.strategy: Strategy = strategy
        self.max_restarts: int = max_restarts
        self.max_seconds: float = max_seconds
        self.auto_shutdown: AutoShutdown = auto_shutdown
        self.cool_down: CoolDown | None = cool_down


class StaticEngine(Engine):
    """The loop of a `Supervisor`."""

    def __init__(self, process: Process, definition: Supervisor) -> None:
        super().__init__(
            process,
            max_restarts=definition.max_restarts,
            max_seconds=definition.max_seconds,
            cool_down=definition.cool_down,
        )
        self.strategy = definition.strategy
        self.auto_shutdown: AutoShutdown = definition.auto_shutdown
        self._children = [Child(spec) for spec in definition.children]
        self._starting: Process | None = None
        self._start_reason: ExitReason = NORMAL

    def children(self) -> Sequence[Child]:
        return self._children

    # --- told by children, in their own tasks

    def child_ready(self, child: Process) -> None:
        if child is self._starting:
            self.process.wake()

    def child_ended(self, child: Process, reason: ExitReason) -> None:
        if self.note_awaited(child, reason):
            return
        if child is self._starting and child.status is not RUNNING:
            self._start_reason = reason
            self.process.wake()
            return
        self.process.deliver(Ended(child, reason))

    # --- its life

    async def run(self) -> ExitReason:
        """Start the children, keep them running, and stop them; returns the reason."""
        try:
            failed = await self._start_first()
            if failed is None:
                self.process.acknowledge()
                reason = await self._serve()
            else:
                reason = Shutdown(failed)
            self.stopping = True
            await self._stop_all(self._children)
        except Interrupted:
            self.stopping = True
            await self.end_of_killed()
            return KILLED
        return reason

    async def _start_first(self) -> StartFailed | None:
        for child in tuple(self._children):
            reason = await self._start(child)
            if reason is None:
                continue
            if (child.spec.cool_down or self.cool_down) is None:
                return StartFailed(child.spec.id, reason)
            self._fail_again(child)
            if self.strategy != "one_for_one":
                # The others come with it, as after any failed restart.
                break
        return None

    def _fail_again(self, child: Child) -> None:
        """A child that cools down failed its very first start."""
        delay = self.admit(child)
        if delay:
            self.retry_later(child, delay)
        else:
            self._retry_admitted(child)

    def _retry_admitted(self, child: Child) -> None:
        child.status = "restarting"
        child.token = object()
        self.process.deliver(Retry(child, child.token, counted=True))

    async def _serve(self) -> ExitReason:
        process = self.process
        while True:
            found, message = self.next_message()
            if not found:
                await self.park()
                continue
            process.handled += 1
            if not process.handled & BURST:
                await trio.lowlevel.checkpoint()
            reason = await self._handle(message)
            if reason is not None:
                return reason
            if process.reason is not None:
                raise Interrupted

    async def _handle(self, message: object) -> ExitReason | None:
        match message:
            case Ended():
                return await self._handle_end(message)
            case Retry():
                return await self._handle_retry(message)
            case From():
                await self._handle_request(message)
            case StopOrder(reason):
                return reason
            case Exit(pid, reason) if pid is self.process.parent_pid:
                return reason
            case Exit():
                pass
            case _:
                report_dropped(self.process, message)
        return None

    # --- a child ended

    async def _handle_end(self, ended: Ended) -> ExitReason | None:
        child = self.by_process.pop(ended.process, None)
        if child is None or child.process is not ended.process:
            return None
        child.process = None
        child.status = "undefined"
        child.last_reason = ended.reason
        if wants_restart(child.spec.restart, ended.reason):
            return await self._recover(child)
        if child.spec.restart == "temporary":
            self._children.remove(child)
        active = any(
            other.spec.significant and other.process is not None
            for other in self._children
        )
        if ends_supervisor(
            self.auto_shutdown,
            significant=child.spec.significant,
            significant_left=active,
        ):
            return SHUTDOWN
        return None

    async def _handle_retry(self, retry: Retry) -> ExitReason | None:
        child = retry.child
        if child.token is not retry.token:
            return None
        if retry.counted:
            await self._restart_group(child)
            return None
        return await self._recover(child)

    async def _recover(self, child: Child) -> ExitReason | None:
        """Restart *child* and whoever its death concerns, if that is still tolerated."""
        delay = self.admit(child)
        if delay is None:
            self.give_up(child)
            self._children.remove(child)
            return SHUTDOWN
        if delay == 0.0:
            await self._restart_group(child)
            return None
        await self._stop_group(child)
        self.retry_later(child, delay)
        return None

    async def _stop_group(self, failed: Child) -> list[Child]:
        group = concerned(self.strategy, self._children, failed)
        await self._stop_all([child for child in group if child is not failed])
        return [child for child in group if child in self._children]

    async def _restart_group(self, failed: Child) -> None:
        group = await self._stop_group(failed)
        for child in group:
            self.note_restart(child, child.last_reason)
            reason = await self._start(child)
            if reason is not None:
                child.last_reason = reason
                self.retry_now(child)
                return

    # --- starting and stopping

    async def _start(self, child: Child) -> ExitReason | None:
        """Start *child* and wait until it is initialised; returns why it is not."""
        try:
            process = self.launch(child)
        except NameTaken as taken:
            child.status = "undefined"
            return Crash(AlreadyStarted(taken.pid))
        self._starting = process
        while process.alive and process.status is STARTING:
            await self.park()
        self._starting = None
        if process.status is RUNNING:
            child.status = "running"
            return None
        self.by_process.pop(process, None)
        child.process = None
        child.status = "undefined"
        if process.status is not IGNORED:
            return self._start_reason
        if child.spec.restart == "temporary":
            self._children.remove(child)
        return None

    async def _stop_all(self, children: Sequence[Child]) -> None:
        """Terminate *children* in reverse order; temporary ones are forgotten."""
        for child in reversed(children):
            await self.stop_child(child)
        for child in children:
            if child.spec.restart == "temporary" and child in self._children:
                self._children.remove(child)

    # --- requests

    async def start_for_caller(self, spec: ChildSpec, dest: Dest) -> Pid | None:
        """Start a child on behalf of the calling task."""
        return await call(dest, _StartChild(spec), timeout=None)

    async def terminate_for_caller(self, child: str | Pid, dest: Dest) -> None:
        """Terminate a child on behalf of the calling task."""
        await call(dest, _TerminateChild(child), timeout=None)

    async def _handle_request(self, sender: From) -> None:
        try:
            value = await self._answer(sender.request)
        except ChildError as refusal:
            reply_error(sender, refusal)
        else:
            reply(sender, value)

    async def _answer(self, request: object) -> object:  # noqa: PLR0911 - a table
        match request:
            case _StartChild(spec):
                return await self._start_child(spec)
            case _TerminateChild(child):
                return await self._terminate_child(child)
            case _RestartChild(child):
                return await self._restart_child(child)
            case _DeleteChild(child):
                self._children.remove(self._resting(child))
                return None
            case _WhichChildren():
                return [child.info() for child in reversed(self._children)]
            case _CountChildren():
                return count(self._children)
            case _GetChildSpec(child):
                return self._find(child).spec
            case _:
                raise ChildError(f"a supervisor has no answer to {request!r}")

    def _find(self, key: str | Pid) -> Child:
        for child in self._children:
            if key in (child.spec.id, child.pid):
                return child
        raise NotFound(f"no child {key!r}")

    def _resting(self, key: str) -> Child:
        child = self._find(key)
        if child.process is not None:
            raise ChildRunning(f"child {key!r} is running")
        if child.status != "undefined":
            raise ChildRestarting(f"child {key!r} is about to be started")
        return child

    async def _start_child(self, spec: ChildSpec) -> Pid | None:
        check_significant(spec, self.auto_shutdown)
        for child in self._children:
            if child.spec.id != spec.id:
                continue
            if child.process is not None:
                raise AlreadyStarted(child.process.pid)
            raise AlreadyPresent(f"child {spec.id!r} is known but not running")
        child = Child(spec)
        self._children.append(child)
        reason = await self._start(child)
        if reason is not None:
            self._children.remove(child)
            _raise_start_failure(spec.id, reason)
        return child.pid

    async def _terminate_child(self, key: str | Pid) -> None:
        child = self._find(key)
        await self._stop_all([child])

    async def _restart_child(self, key: str) -> Pid | None:
        child = self._resting(key)
        reason = await self._start(child)
        if reason is not None:
            _raise_start_failure(child.spec.id, reason)
        return child.pid


def _raise_start_failure(id: str, reason: ExitReason) -> None:  # noqa: A002
    if isinstance(reason, Crash) and isinstance(reason.error, AlreadyStarted):
        raise reason.error
    raise StartFailed(id, reason)


async def _supervise(process: Process, definition: Supervisor) -> None:
    process.kind = "supervisor"
    process.trapping = True
    # What it is when somebody cancels the nursery, which no code of ours does.
    reason: ExitReason = SHUTDOWN
    async with trio.open_nursery() as nursery:
        process.nursery = nursery
        engine = process.engine = StaticEngine(process, definition)
        reason = await engine.run()
    raise ProcessExit(reason)


driven_by(Supervisor, _supervise)


# --- the functions


def engine_of(sup: Dest) -> Any:
    """The engine of a supervisor.

    Raises:
        NoProcess: There is no such process.
        SupervisionError: It is no supervisor.
    """
    process = find(sup)
    if process is None:
        raise NoProcess(sup)
    if process.engine is None:
        raise SupervisionError(f"{sup!r} is not a supervisor")
    return process.engine


async def start_child(sup: Dest, spec: ChildSpec) -> Pid | None:
    """Add a child to a running supervisor, and wait until it is initialised.

    Returns:
        Its pid, or ``None`` when its ``init`` chose not to run.

    Raises:
        AlreadyStarted: A child of that id, or a process of that name, is running.
        AlreadyPresent: A child of that id is known but not running.
        StartFailed: Its start failed; the spec is not kept.
        MaxChildren: The dynamic supervisor is full.
        BadChildSpec: The spec does not fit the supervisor.
        NoProcess: There is no such supervisor.
    """
    return await engine_of(sup).start_for_caller(spec, sup)


async def terminate_child(sup: Dest, child: str | Pid) -> None:
    """Terminate a child, and wait for its end; it is not restarted.

    The spec stays, so that `restart_child` works, except that temporary children and
    those of dynamic supervisors are forgotten. Terminating what does not run is fine.

    Raises:
        NotFound: The supervisor has no such child.
        NoProcess: There is no such supervisor.
    """
    await engine_of(sup).terminate_for_caller(child, sup)


async def restart_child(sup: Dest, id: str) -> Pid | None:  # noqa: A002
    """Start a child that was terminated, ignored or has ended for good.

    Not counted against ``max_restarts``.

    Raises:
        ChildRunning: It is running.
        ChildRestarting: It is about to be started.
        NotFound: The supervisor has no such child.
        StartFailed: Its start failed; the spec is kept.
    """
    return await call(_static(sup), _RestartChild(id), timeout=None)


async def delete_child(sup: Dest, id: str) -> None:  # noqa: A002
    """Forget a child that does not run.

    Raises:
        ChildRunning: It is running.
        ChildRestarting: It is about to be started.
        NotFound: The supervisor has no such child.
    """
    await call(_static(sup), _DeleteChild(id), timeout=None)


def _static(sup: Dest) -> Dest:
    if not isinstance(engine_of(sup), StaticEngine):
        raise ChildError("a dynamic supervisor forgets children that do not run")
    return sup


async def which_children(sup: Dest) -> list[ChildInfo]:
    """List the children, the newest first."""
    engine = engine_of(sup)
    if isinstance(engine, StaticEngine):
        return await call(sup, _WhichChildren(), timeout=None)
    return [child.info() for child in reversed(engine.children())]


async def count_children(sup: Dest) -> ChildCounts:
    """Count the children."""
    engine = engine_of(sup)
    if isinstance(engine, StaticEngine):
        return await call(sup, _CountChildren(), timeout=None)
    return count(engine.children())


async def get_child_spec(sup: Dest, child: str | Pid) -> ChildSpec:
    """Return the spec of a child, by its id or pid.

    Raises:
        NotFound: The supervisor has no such child.
    """
    engine = engine_of(sup)
    if isinstance(engine, StaticEngine):
        return await call(sup, _GetChildSpec(child), timeout=None)
    return engine.find(child).spec
