"""Dynamic supervisors: any number of children, started on request and in parallel.

Starting a child is a step of the caller's own task; the supervisor's loop is not in its
way and waits for nobody's ``init``. A child that ends and is not to be restarted is
forgotten in its exit step, without the loop. What the loop does is what only it may do:
restart, cool down, give up, stop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from ._child_spec import BrutalKill, ChildSpec, CoolDown, check_limits
from ._children import Child, Retry
from ._engine import UNKILLABLE_AFTER, Engine, Interrupted, engine_of
from ._errors import (
    AlreadyAProcess,
    AlreadyStarted,
    BadChildSpec,
    CallingSelf,
    ChildError,
    MaxChildren,
    NameTaken,
    NoProcess,
    NotFound,
    StartFailed,
)
from ._limited_mailbox import limit_mailbox
from ._mailbox_limit import MailboxLimit
from ._pid import Dest, Name, Pid
from ._process import (
    IGNORED,
    RUNNING,
    STARTING,
    Process,
    driven_by,
    enter,
    process_of_task,
    report_dropped,
    report_unkillable,
)
from ._reasons import (
    KILLED,
    SHUTDOWN,
    Crash,
    ExitReason,
    ProcessExit,
)
from ._registry import set_value
from ._restarts import wants_restart
from ._signals import Exit, From, StopOrder, SystemMessage
from ._timers import timers
from .abc import Behaviour

# After so many starts their caller lets others run; one less than a power of two.
_START_BURST: Final = 63


class DynamicSupervisor(Behaviour):
    """A supervisor that begins without children and gets them by `start_child`.

    Children are ``one_for_one`` to each other and end all at once, in no order. Their ids
    need not differ; an id stands for the newest child that has it.

    Args:
        max_children: The most children at a time, restarting ones included.
        max_restarts: More restarts than this inside *max_seconds*, and the supervisor
            gives up.
        max_seconds: The window for *max_restarts*, in seconds.
        cool_down: The default of its children's `CoolDown`.
    """

    is_supervisor = True

    __slots__ = ("cool_down", "max_children", "max_restarts", "max_seconds")

    def __init__(
        self,
        *,
        max_children: int | None = None,
        max_restarts: int = 3,
        max_seconds: float = 5.0,
        cool_down: CoolDown | None = None,
    ) -> None:
        check_limits(max_restarts, max_seconds)
        if max_children is not None and max_children < 0:
            raise BadChildSpec("max_children must be >= 0")
        self.max_children: int | None = max_children
        self.max_restarts: int = max_restarts
        self.max_seconds: float = max_seconds
        self.cool_down: CoolDown | None = cool_down


class DynamicEngine(Engine):
    """The loop of a `DynamicSupervisor`, and the steps that others take on it."""

    def __init__(self, process: Process, definition: DynamicSupervisor) -> None:
        super().__init__(
            process,
            max_restarts=definition.max_restarts,
            max_seconds=definition.max_seconds,
            cool_down=definition.cool_down,
        )
        self._max_children = definition.max_children
        self._children: dict[Child, None] = {}
        # An id stands for the newest child that has it. Invariant: that one, or nobody
        # when it was forgotten; whether there may be older ones is in _shared_ids.
        self._by_id: dict[str, Child] = {}
        self._shared_ids = False
        self._started = 0

    def children(self) -> Sequence[Child]:
        return list(self._children)

    def change_code(self, behaviour: object) -> None:
        """Go on with other limits; the children stay."""
        if not isinstance(behaviour, DynamicSupervisor):
            raise TypeError(f"a supervisor goes on as one, not as {behaviour!r}")
        self.set_limits(
            behaviour.max_restarts, behaviour.max_seconds, behaviour.cool_down
        )
        self._max_children = behaviour.max_children

    def find(self, key: str | Pid) -> Child:
        """The child with that id or pid."""
        if isinstance(key, str):
            child = self._by_id.get(key) or self._older(key)
        else:
            process: Process | None = key.process
            child = None if process is None else self.by_process.get(process)
        if child is None:
            raise NotFound(f"{self.process.label!r} has no child {key!r}")
        return child

    def _older(self, id: str) -> Child | None:  # noqa: A002
        """The newest child with *id*, once a newer one was forgotten."""
        for child in reversed(self._children) if self._shared_ids else ():
            if child.spec.id == id:
                self._by_id[id] = child
                return child
        return None

    # --- steps in other tasks

    def _admit(self, spec: ChildSpec, dest: Dest) -> Child:
        if self.stopping or self.process.reason is not None:
            raise NoProcess(dest)
        if spec.significant:
            raise BadChildSpec(f"{spec.id!r}: a dynamic supervisor ends for no child")
        limit = self._max_children
        if limit is not None and len(self._children) >= limit:
            raise MaxChildren(f"{dest!r} holds {limit} children already")
        return Child(spec)

    def _keep(self, child: Child) -> None:
        self._children[child] = None
        self._shared_ids = self._shared_ids or child.spec.id in self._by_id
        self._by_id[child.spec.id] = child

    def _forget(self, child: Child) -> None:
        self._children.pop(child, None)
        if self._by_id.get(child.spec.id) is child:
            del self._by_id[child.spec.id]
        child.status = "undefined"
        child.clear()
        self._tell(child, From.FAILED, child)

    def start_now(self, spec: ChildSpec, dest: Dest) -> Child:
        """Make a child; it has not run yet.

        Raises:
            MaxChildren: There are too many.
            AlreadyStarted: A process of its name is running.
            NoProcess: The supervisor is ending.
        """
        child = self._admit(spec, dest)
        self._launch_first(child, at_once=False)
        return child

    def _launch_first(self, child: Child, *, at_once: bool) -> Process:
        self._keep(child)
        try:
            return self.launch(child, at_once=at_once)
        except NameTaken as taken:
            self._forget(child)
            raise AlreadyStarted(taken.pid) from None

    async def start_for_caller(self, spec: ChildSpec, dest: Dest) -> Pid | None:
        """Start a child on behalf of the calling task, and wait for its ``init``."""
        child = self._admit(spec, dest)
        process = self._launch_first(child, at_once=True)
        if process.alive and process.status is STARTING:
            slot = await self._wait(child)
            if slot.state == From.DIED:
                raise NoProcess(dest)
        self._started += 1
        if not self._started & _START_BURST:
            # What is started at once lets nobody else run.
            await trio.lowlevel.checkpoint()
        if process.status is RUNNING:
            return process.pid
        if process.status is IGNORED:
            return None
        raise StartFailed(spec.id, child.last_reason or KILLED)

    async def terminate_for_caller(self, key: str | Pid, dest: Dest) -> None:
        """Terminate a child on behalf of the calling task, and wait for its end."""
        child = self.find(key)
        process = child.process
        if process is None:
            self._forget(child)
            return
        if process is process_of_task(trio.lowlevel.current_task()):
            raise CallingSelf(dest)
        if child.status != "stopping":
            child.status = "stopping"
            self._order_end(child, process)
        await self._wait(child)

    def _order_end(self, child: Child, process: Process) -> None:
        child.clear()
        grace = child.spec.shutdown
        if isinstance(grace, BrutalKill):
            grace = 0.0
            process.kill()
        else:
            process.signal(self.process.pid, SHUTDOWN)
        if grace is None:
            return
        now = trio.current_time()
        last = now + grace + UNKILLABLE_AFTER
        child.timers = [timers().at(now + grace, process.kill)]
        if process.nursery is None:  # a supervisor reports its own children
            child.timers.append(timers().at(last, lambda: report_unkillable(process)))

    async def _wait(self, child: Child) -> From:
        here = self.process
        slot = From(None, None, here, trio.lowlevel.current_task())
        if child.waiters is None:
            child.waiters = []
        child.waiters.append(slot)
        if not here.pending:
            here.pending = set()
        here.pending.add(slot)
        await trio.lowlevel.wait_task_rescheduled(slot.abort)
        return slot

    def _tell(self, child: Child, state: int, result: object) -> None:
        waiters, child.waiters = child.waiters, None
        for slot in waiters or ():
            slot.settle(state, result)

    # --- told by children, in their own tasks

    def child_ready(self, child: Process) -> None:
        entry = self.by_process.get(child)
        if entry is not None and entry.status == "starting":
            entry.status = "running"
            self._tell(entry, From.REPLIED, None)

    def child_ended(self, child: Process, reason: ExitReason) -> None:
        if self.note_awaited(child, reason):
            return
        entry = self.by_process.pop(child, None)
        if entry is None or entry.process is not child:
            return
        entry.last_reason = reason
        entry.process = None
        if entry.status == "stopping" or not self._tries_again(entry, child, reason):
            self._forget(entry)
        elif self.is_idle() and self.admits_at_once(entry):
            self.process.count()
            self.admit(entry)
            self._restart(entry)
        else:
            self.retry_now(entry)

    def _tries_again(self, entry: Child, child: Process, reason: ExitReason) -> bool:
        if child.status is RUNNING:
            return wants_restart(entry.spec.restart, reason)
        # It never came through its start: a first one fails, a restart is tried again.
        return child.status is not IGNORED and entry.restarts > 0

    # --- its loop

    async def run(self) -> ExitReason:
        """Keep the children running, and stop them at the end; returns the reason."""
        self.process.acknowledge()
        try:
            reason = await self._serve()
            self.stopping = True
            await self._stop_all()
        except Interrupted:
            self.stopping = True
            await self.end_of_killed()
            return KILLED
        return reason

    async def _serve(self) -> ExitReason:
        process = self.process
        while True:
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
            reason = self._handle(message)
            if reason is not None:
                return reason
            if process.reason is not None:
                raise Interrupted

    def _handle(self, message: object) -> ExitReason | None:  # noqa: PLR0911 - a table
        match message:
            case Retry(child, token, counted) if child.token is token:
                if counted:
                    self._restart(child)
                    return None
                return self._recover(child)
            case StopOrder(reason):
                return reason
            case SystemMessage():
                return message.handle(self.process)
            case Exit(pid, reason) if pid is self.process.parent_pid:
                return reason
            case Exit() | Retry():
                return None
            case From():
                refusal = f"a dynamic supervisor has no answer to {message.request!r}"
                message.settle(From.FAILED, ChildError(refusal))
            case _:
                report_dropped(self.process, message)
        return None

    def _recover(self, child: Child) -> ExitReason | None:
        delay = self.admit(child)
        if delay is None:
            self.give_up(child)
            self._forget(child)
            return SHUTDOWN
        if delay == 0.0:
            self._restart(child)
        else:
            self.retry_later(child, delay)
        return None

    def _restart(self, child: Child) -> None:
        self.note_restart(child, child.last_reason)
        try:
            self.launch(child, at_once=True)
        except NameTaken as taken:
            child.last_reason = Crash(AlreadyStarted(taken.pid))
            self.retry_now(child)

    async def _stop_all(self) -> None:
        """End all children at once, and wait for all of them together."""
        stopped = {
            child.process: child
            for child in self._children
            if child.process is not None
        }
        graces = [0.0]
        for child in stopped.values():
            child.status = "stopping"
            if not isinstance(child.spec.shutdown, BrutalKill):
                grace = child.spec.shutdown
                graces.append(float("inf") if grace is None else grace)

        def tell(process: Process) -> None:
            if isinstance(stopped[process].spec.shutdown, BrutalKill):
                process.kill()
            else:
                process.signal(self.process.pid, SHUTDOWN)

        await self.end_all(stopped, tell, max(graces))
        for process, child in stopped.items():
            self.settle_stopped(child, process)
        # Those, too, that were about to be started again.
        for child in tuple(self._children):
            self._forget(child)

    # --- adopting

    def adopt(self, spec: ChildSpec, dest: Dest) -> Process:
        """Make the calling task a child."""
        child = self._admit(spec, dest)
        here = self.process
        try:
            process = enter(here.home, self, here.pid, label=spec.id, name=spec.name)
        except NameTaken as taken:
            raise AlreadyStarted(taken.pid) from None
        if spec.mailbox is not None:
            limit_mailbox(process, spec.mailbox)
        self.by_process[process] = child
        child.process = process
        child.status = "running"
        self._keep(child)
        return process


async def _supervise(process: Process, definition: DynamicSupervisor) -> None:
    process.kind = "supervisor"
    process.trapping = True
    # What it is when somebody cancels the nursery, which no code of ours does.
    reason: ExitReason = SHUTDOWN
    async with trio.open_nursery() as nursery:
        process.nursery = nursery
        engine = process.engine = DynamicEngine(process, definition)
        reason = await engine.run()
    raise ProcessExit(reason)


driven_by(DynamicSupervisor, _supervise)


async def _nobody_restarts() -> None:
    """Stand in for the start of an adopted task, which has begun elsewhere."""


@asynccontextmanager
async def adopt(
    sup: Dest,
    id: str,  # noqa: A002
    *,
    name: Name | None = None,
    value: object = None,
    mailbox: MailboxLimit | None = None,
) -> AsyncGenerator[Pid]:
    """Make the calling task a process, as a temporary child of a dynamic supervisor.

    For tasks that somebody else starts: a request of a web server, a callback of a
    library. Inside the block it has a pid and a mailbox, may be linked and monitored, is
    seen in the tree, and is told when the tree stops. Nobody restarts it.

    Args:
        sup: The dynamic supervisor.
        id: Its id among the children.
        name: Registered for the length of the block.
        value: Registered with the name; a `Via` has one of its own.
        mailbox: The limit of its mailbox; it has none when ``None``.

    An exit signal cancels the block: control goes on *behind* it, as with
    `trio.move_on_after`. An exception that leaves the block is the reason of the process
    and goes on its way.

    Raises:
        AlreadyAProcess: The task is a process.
        AlreadyStarted: A process of that name is running.
        MaxChildren: The supervisor is full.
        NoProcess: There is no such supervisor, or it is ending.
    """
    if process_of_task(trio.lowlevel.current_task()) is not None:
        raise AlreadyAProcess("this task is a process already")
    engine = engine_of(sup)
    if not isinstance(engine, DynamicEngine):
        raise ChildError(f"{sup!r} adopts nobody: only a dynamic supervisor does")
    spec = ChildSpec(
        id, _nobody_restarts, name=name, restart="temporary", mailbox=mailbox
    )
    process = engine.adopt(spec, sup)
    if isinstance(name, str) and value is not None:
        set_value(process, name, value)
    try:
        with trio.CancelScope() as process.scope:
            yield process.pid
    except BaseException as error:
        process.conclude_adopted(error)
        raise
    process.conclude_adopted(None)
