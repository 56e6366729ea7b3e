"""What static and dynamic supervisors have in common: one child's start, end and wait."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import trio

from ._child_spec import BrutalKill, ChildSpec, CoolDown, check_limits
from ._children import Child, Retry
from ._errors import NoProcess, SupervisionError
from ._limited_mailbox import limit_mailbox
from ._pid import Dest
from ._process import (
    IN_LOOP,
    RUNNING,
    Process,
    claim_at_start,
    find,
    report_unkillable,
)
from ._reasons import KILLED, SHUTDOWN, ExitReason, Killed, Shutdown, is_orderly
from ._restarts import Cooling, RestartWindow
from ._signals import Exit, StopOrder, SystemMessage
from ._strategies import Strategy
from ._telemetry import COOLING_DOWN, GAVE_UP, RECOVERED, RESTART, TERMINATED, emit
from ._timers import timers
from ._trio_parts import begin_task, start_task

# After a kill a child is given this long, in seconds, before it is reported. A killed
# supervisor's children without a limit of their own get the other one.
UNKILLABLE_AFTER: Final = 1.0
_GRACE_OF_KILLED: Final = 5.0
# So many end in one turn of the loop, when all have to.
_TOLD_AT_ONCE: Final = 32


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
        # The child that made it do so, with the path to it, and that one's last reason.
        self.gave_up_over: tuple[str, ExitReason | None] | None = None
        # The last child that gave up itself, and over whom.
        self._given_up: tuple[Child, tuple[str, ExitReason | None]] | None = None
        # Whether the loop was parked for want of messages; see `is_idle`.
        self.parked = False

    def children(self) -> Sequence[Child]:
        """The children in start order."""
        raise NotImplementedError

    # --- without the loop

    def is_idle(self) -> bool:
        """Whether the loop would take a message up at once.

        Then what it would do with the end of a child may be done in that child's exit
        step: nothing can come in between, and a restart needs two switches of tasks less.
        """
        process = self.process
        return (
            self.parked
            and process.waiting == IN_LOOP
            and process.reason is None
            and not process.suspended
            and process.debug is None
        )

    def admits_at_once(self, child: Child) -> bool:
        """Whether *child* may be restarted now, without a wait and without giving up."""
        return (
            child.spec.cool_down is None
            and self.cool_down is None
            and self.window.has_room(trio.current_time())
        )

    # --- between two messages, by `supervision.sys`

    def get_state(self) -> dict[str, object]:
        """Return the flags and the specs."""
        return {
            "strategy": self.strategy,
            "max_restarts": self.window.max_restarts,
            "max_seconds": self.window.max_seconds,
            "cool_down": self.cool_down,
            "children": tuple(child.spec for child in self.children()),
        }

    def replace_state(self, state: Mapping[str, Any]) -> None:
        """Take over the limits of *state*; nothing else of it may differ.

        Raises:
            SupervisionError: Something else does.
        """
        limits = ("max_restarts", "max_seconds", "cool_down")
        now = self.get_state()
        if {**state, **{key: now[key] for key in limits}} != now:
            raise SupervisionError(
                "of a supervisor max_restarts, max_seconds and cool_down can be "
                "replaced; suspend it and use change_code for more",
            )
        self.set_limits(*(state[key] for key in limits))

    def set_limits(
        self,
        max_restarts: int,
        max_seconds: float,
        cool_down: CoolDown | None,
    ) -> None:
        """Tolerate so many restarts from now on; the past ones count, as in OTP."""
        check_limits(max_restarts, max_seconds)
        self.window = self.window.resized(max_restarts, max_seconds)
        self.cool_down = cool_down

    # --- one child

    def launch(self, child: Child, *, at_once: bool) -> Process:
        """Make the next incarnation of *child*.

        Args:
            child: The child.
            at_once: Take its first step now if that can be done, so that it may be
                initialised, or have ended, by the time that this returns; else Trio
                comes to it later.

        Raises:
            NameTaken: Another process holds its name.
        """
        here = self.process
        assert here.task is not None
        assert here.nursery is not None
        spec = child.spec
        start: Callable[..., object] = spec.start
        home = here.home
        process = Process(home, self, here.pid, spec.id, spec.grace)
        if spec.mailbox is not None:
            limit_mailbox(process, spec.mailbox)
        if spec.name is not None:
            start = claim_at_start(process, spec.name, start)
        home.processes[process] = None
        home.runtime.spawned += 1
        process.restarts = child.restarts
        self.by_process[process] = child
        child.process = process
        child.status = "starting"
        child.clear()
        if child.cooling is not None and child.cooling.alarmed:
            self._watch_recovery(child, process, child.cooling)
        # Children get the supervisor's context, not that of whoever is running.
        context = here.task.context.copy()
        begin = begin_task if at_once else start_task
        begin(here.nursery, context, spec.id, process.run, start, ())
        return process

    def child_ready(self, child: Process) -> None:
        """Hear that *child* is initialised."""
        raise NotImplementedError

    def child_ended(self, child: Process, reason: ExitReason) -> None:
        """Hear that *child* has ended, in its exit step."""
        raise NotImplementedError

    def note_awaited(self, child: Process, reason: ExitReason) -> bool:
        """Take note of an end that `await_end` waits for."""
        if child.engine is not None and child.engine.gave_up_over is not None:
            entry = self.by_process.get(child)
            self._given_up = entry and (entry, child.engine.gave_up_over)
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
        if child.cooling is None or child.cooling.rule is not rule:
            child.cooling = Cooling(rule)
        return child.cooling.delay(trio.current_time(), random.random)

    def give_up(self, child: Child) -> None:
        """Report that the restarts of *child* are too many."""
        self.gave_up = True
        over, reason = child.spec.id, child.last_reason
        if self._given_up is not None and self._given_up[0] is child:
            inner, reason = self._given_up[1]
            over = f"{over} > {inner}"
        self.gave_up_over = over, reason
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

    def _watch_recovery(self, child: Child, process: Process, cooling: Cooling) -> None:
        """Take the alarm back if this incarnation stays up for long enough."""

        def look() -> None:
            if not process.alive:
                return
            if process.status is not RUNNING:  # its init takes that long
                self._watch_recovery(child, process, cooling)
            else:
                cooling.reset()
                emit(
                    RECOVERED,
                    {"restarts": child.restarts},
                    {
                        "supervisor": self.process.pid,
                        "id": child.spec.id,
                        "pid": process.pid,
                    },
                )

        due = trio.current_time() + cooling.rule.after.max_seconds
        child.timers = [timers().at(due, look)]

    def retry_later(self, child: Child, delay: float) -> None:
        """Have *child* started again after *delay* seconds, with an alarm."""
        child.clear()
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
        due = trio.current_time() + delay
        child.timers = [timers().at(due, lambda: self.process.deliver(retry))]

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
                isinstance(got, StopOrder | SystemMessage)
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

    async def end_all(
        self,
        processes: Collection[Process],
        tell: Callable[[Process], None],
        grace: float,
        *,
        interruptible: bool = True,
    ) -> None:
        """Tell *processes* to end by *tell*, and wait for all of them together.

        They are told so many at once that everybody else has a turn in between.
        """
        self.awaited = {process for process in processes if process.alive}
        for number, process in enumerate(processes, 1):
            tell(process)
            if number % _TOLD_AT_ONCE == 0:
                await trio.lowlevel.cancel_shielded_checkpoint()
                if interruptible and self.process.reason is not None:
                    raise Interrupted
        await self.await_end(processes, grace, interruptible=interruptible)

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
        child.clear()
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
        those that do have their grace. To a child supervisor it is the exit of its
        parent: it stops its children in order. It waits for all of them: nothing is left
        behind.
        """
        for child in self.children():
            child.clear()
        left = [process for process in self.by_process if process.alive]
        graces = [_GRACE_OF_KILLED, *(process.shutdown or 0.0 for process in left)]

        def tell(process: Process) -> None:
            process.signal(self.process.pid, KILLED)

        await self.end_all(left, tell, min(max(graces), 60.0), interruptible=False)


def _is_shutdown_error(spec: ChildSpec, reason: ExitReason) -> bool:
    if isinstance(reason, Shutdown):
        return spec.restart == "permanent" and reason.term is not None
    if isinstance(reason, Killed):
        return not isinstance(spec.shutdown, BrutalKill)
    return not (is_orderly(reason) and spec.restart != "permanent")


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
