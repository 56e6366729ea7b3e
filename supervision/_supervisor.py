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

from collections.abc import Sequence

import trio

from ._calls import call, reply, reply_error
from ._child_spec import (
    AutoShutdown,
    ChildSpec,
    CoolDown,
    check_ids,
    check_limits,
    check_significant,
)
from ._children import (
    Child,
    CountChildren,
    DeleteChild,
    Ended,
    GetChildSpec,
    RestartChild,
    Retry,
    StartChild,
    TerminateChild,
    WhichChildren,
    count,
)
from ._engine import Engine, Interrupted
from ._errors import (
    AlreadyPresent,
    AlreadyStarted,
    BadChildSpec,
    ChildError,
    ChildRestarting,
    ChildRunning,
    NameTaken,
    NotFound,
    StartFailed,
)
from ._pid import Dest, Pid
from ._process import (
    IGNORED,
    RUNNING,
    STARTING,
    Process,
    driven_by,
    report_dropped,
)
from ._reasons import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    Crash,
    ExitReason,
    ProcessExit,
    Shutdown,
)
from ._restarts import wants_restart
from ._signals import Exit, From, StopOrder, SystemMessage
from ._strategies import Strategy, concerned, ends_supervisor
from .abc import Behaviour


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

    is_supervisor = True

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
            raise BadChildSpec(
                "strategy is one of one_for_one, one_for_all, rest_for_one, not "
                f"{strategy!r}",
            )
        if auto_shutdown not in ("never", "any_significant", "all_significant"):
            raise BadChildSpec(
                "auto_shutdown is one of never, any_significant, all_significant, not "
                f"{auto_shutdown!r}",
            )
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
        # Invariant: the child whose start everything else waits for; and whether that
        # is a restart in the exit step of its predecessor, for which no loop waits.
        self._starting: Child | None = None
        self._at_once = False
        self._start_reason: ExitReason = NORMAL

    def children(self) -> Sequence[Child]:
        return self._children

    def change_code(self, behaviour: object) -> None:
        """Go on with other flags and specs; children that run stay as they are.

        Specs are merged by their ids, as in OTP: a known child gets its new spec for its
        next start, a new one is not started, and those without a new spec are kept: they
        come after the others.
        """
        if not isinstance(behaviour, Supervisor):
            raise TypeError(f"a supervisor goes on as one, not as {behaviour!r}")
        self.set_limits(
            behaviour.max_restarts, behaviour.max_seconds, behaviour.cool_down
        )
        self.strategy = behaviour.strategy
        self.auto_shutdown = behaviour.auto_shutdown
        kept = {child.spec.id: child for child in self._children}
        merged: list[Child] = []
        for spec in behaviour.children:
            child = kept.pop(spec.id, None) or Child(spec)
            child.spec = spec
            merged.append(child)
        self._children = [*merged, *kept.values()]

    # --- told by children, in their own tasks

    def child_ready(self, child: Process) -> None:
        starting = self._starting
        if starting is None or starting.process is not child:
            return
        if self._at_once:
            starting.status = "running"
            self._starting = None
            self._at_once = False
        if not self.parked:
            self.process.wake()

    def child_ended(self, child: Process, reason: ExitReason) -> None:
        if self.note_awaited(child, reason):
            return
        starting = self._starting
        if (
            starting is not None
            and starting.process is child
            and child.status is not RUNNING
        ):
            self._start_reason = reason
            if self._at_once:
                self._fail_at_once(starting, child, reason)
            self.process.wake()
        elif not (self.is_idle() and self._restart_at_once(child, reason)):
            self.process.deliver(Ended(child, reason))

    def _restart_at_once(self, process: Process, reason: ExitReason) -> bool:
        """Do the loop's work for the plainest of ends; says whether it was one."""
        child = self.by_process.get(process)
        if (
            child is None
            or self._starting is not None
            or self.strategy != "one_for_one"
            or not wants_restart(child.spec.restart, reason)
            or not self.admits_at_once(child)
        ):
            return False
        self.process.count()
        del self.by_process[process]
        child.process = None
        child.last_reason = reason
        self.admit(child)
        self.note_restart(child, reason)
        self._starting = child
        self._at_once = True
        try:
            self.launch(child, at_once=True)
        except NameTaken as taken:
            self._starting = None
            self._at_once = False
            child.last_reason = Crash(AlreadyStarted(taken.pid))
            self.retry_now(child)
        return True

    def _fail_at_once(self, child: Child, process: Process, reason: ExitReason) -> None:
        self._starting = None
        self._at_once = False
        del self.by_process[process]
        child.process = None
        child.status = "undefined"
        if process.status is not IGNORED:
            child.last_reason = reason
            self.retry_now(child)

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
            while self._at_once:
                # Nothing else is served before it is initialised.
                await self.park()
            found, message = self.next_message()
            if not found:
                self.parked = True
                await self.park()
                self.parked = False
                continue
            if not process.left:
                await trio.lowlevel.checkpoint()
            process.count()
            if process.debug is not None:
                process.debug("in", message)
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
            case SystemMessage():
                return message.handle(self.process)
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
        child.clear()
        if wants_restart(child.spec.restart, ended.reason):
            return await self._recover(child)
        if child.spec.restart == "temporary":
            self._children.remove(child)
        active = any(
            # One that is about to be started again is active.
            other.spec.significant and other.status != "undefined"
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
        # Stopped temporary ones are forgotten by now.
        return [
            child
            for child in group
            if child is failed or child.spec.restart != "temporary"
        ]

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
        self._starting = child
        try:
            process = self.launch(child, at_once=True)
            while process.alive and process.status is STARTING:
                await self.park()
        except NameTaken as taken:
            child.status = "undefined"
            return Crash(AlreadyStarted(taken.pid))
        finally:
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
        return await call(dest, StartChild(spec), timeout=None)

    async def terminate_for_caller(self, child: str | Pid, dest: Dest) -> None:
        """Terminate a child on behalf of the calling task."""
        await call(dest, TerminateChild(child), timeout=None)

    async def _handle_request(self, sender: From) -> None:
        try:
            value = await self._answer(sender.request)
        except ChildError as refusal:
            reply_error(sender, refusal)
        else:
            reply(sender, value)

    async def _answer(self, request: object) -> object:  # noqa: PLR0911 - a table
        match request:
            case StartChild(spec):
                return await self._start_child(spec)
            case TerminateChild(child):
                return await self._terminate_child(child)
            case RestartChild(child):
                return await self._restart_child(child)
            case DeleteChild(child):
                self._children.remove(self._resting(child))
                return None
            case WhichChildren():
                return [child.info() for child in reversed(self._children)]
            case CountChildren():
                return count(self._children)
            case GetChildSpec(child):
                return self._find(child).spec
            case _:
                raise ChildError(f"a supervisor has no answer to {request!r}")

    def _find(self, key: str | Pid) -> Child:
        for child in self._children:
            if key in (child.spec.id, child.pid):
                return child
        raise NotFound(f"{self.process.label!r} has no child {key!r}")

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
