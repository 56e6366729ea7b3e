"""The process of one turn: carries out what the turn machine decides.

It owns the turn's writes while it lives. Killed at any await it leaves the journal as
it stands; its session then either closes the turn (a person stopped it) or starts a
successor, which claims the run's next epoch before it does anything else. Tool calls
are processes of their own: a successor finds those that live.
"""

from contextlib import suppress
from functools import partial
from typing import Final, assert_never

import trio

import supervision
from beamclaw.agents import AgentDefinition
from beamclaw.contracts import keys, names, news, waits
from beamclaw.contracts.budgets import Cap, of_root
from beamclaw.contracts.journal import RunStarted
from beamclaw.contracts.ledger_errors import BudgetReached, LedgerError
from beamclaw.contracts.ledger_ops import ClaimRun, Op, Settle
from beamclaw.contracts.ledger_reads import ReadDefinition, ReadRoot
from beamclaw.contracts.ledger_rows import RootRow
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.points import point
from beamclaw.contracts.runs import ChildOver, RunOrder, Steer
from beamclaw.contracts.tools import CallDone
from beamclaw.runs.alerts import Alerts
from beamclaw.runs.allowances import within
from beamclaw.runs.asking import Asking
from beamclaw.runs.calls import Calls
from beamclaw.runs.children import Children
from beamclaw.runs.clearing import Clearings
from beamclaw.runs.compaction import compact
from beamclaw.runs.hours import Hours
from beamclaw.runs.persons import Persons, TakeMessages
from beamclaw.runs.record import Failure, Record
from beamclaw.runs.turn import decide
from beamclaw.runs.turn_steps import (
    Act,
    Ask,
    AskPerson,
    AskTool,
    Await,
    Begin,
    Compact,
    Conclude,
    Expire,
    Finish,
    Linger,
)
from beamclaw.runs.wiring import Wiring

# A step that the run does not only write down.
_Waiting = Ask | Act | AskTool | Await | Linger | Compact | Expire | TakeMessages
# What a run is told by others while it works.
_HEARD: Final = (CallDone, supervision.Down, waits.Answered, Steer, ChildOver)
_Heard = CallDone | supervision.Down | waits.Answered | Steer | ChildOver


async def run_turn(wiring: Wiring, order: RunOrder) -> None:
    """Bring the open turn of a session to its end.

    Raises:
        beamclaw.contracts.ledger_errors.LedgerError: Another was faster; the session
            reads again.

    Cancelled, it leaves the journal at its last commit, and its tool calls in progress.
    """
    record = Record(wiring, order)
    supervision.update_value(names.run(wiring.tenant, record.id), record.progress)
    before = None
    if order.successor:
        before = record.turn
        _take_over(record, order.claim.run_epoch)
        with point("run.take-over"):
            await record.commit()
    definition = await _definition(wiring, record, order.definition)
    root = await _root(wiring, record.key)
    await wiring.loading.wait()
    news.tell_started(wiring.tenant, record.key, record.turn)
    await _Run(wiring, record, definition, order, before, root).work()


def _take_over(record: Record, epoch: int) -> None:
    turn = record.turn
    ops: list[Op] = [ClaimRun(record.now())]
    if turn.asking:
        # How far that call had come nobody knows: it counts as all it could cost.
        ops.append(Settle(record.id, turn.attempt, record.now(), None))
    started = RunStarted(
        epoch=epoch,
        agent=turn.agent,
        definition=turn.definition,
        params=turn.params,
        retractable=turn.retractable,
        parent=turn.parent,
        hops=turn.hops,
        reply_to=turn.reply_to,
        traceparent=turn.traceparent,
        tracestate=turn.tracestate,
    )
    record.add(started, *ops)


async def _definition(
    wiring: Wiring, record: Record, body: bytes | None
) -> AgentDefinition:
    if body is not None:
        return AgentDefinition.load(body)
    hash_ = record.turn.definition

    async def read() -> bytes:
        found = await supervision.call(
            names.of_tenant(wiring.tenant, "ledger"),
            ReadDefinition(hash_),
            timeout=None,
        )
        if found is None:
            msg = (
                f"the agent definition {hash_} of run {record.id} is not in the ledger"
            )
            raise LedgerError(msg)
        return found

    return await wiring.definitions.of(hash_, read)


async def _root(wiring: Wiring, key: str) -> RootRow | None:
    """The conversation that a sub-agent works for; all others are not looked up."""
    if keys.parse(key).kind != "subagent":
        return None
    ledger = names.of_tenant(wiring.tenant, "ledger")
    return await supervision.call(ledger, ReadRoot(key), timeout=None)


def _caps(wiring: Wiring, agent: str, root: RootRow | None) -> tuple[Cap, ...]:
    """What the run must not go beyond, as it is set now."""
    own = wiring.caps(agent)
    return own if root is None else (*own, *of_root(wiring.caps(root.agent)))


class _Run:
    def __init__(  # noqa: PLR0917 -- what a run is made of
        self,
        wiring: Wiring,
        record: Record,
        definition: AgentDefinition,
        order: RunOrder,
        before: OpenTurn | None,
        root: RootRow | None,
    ) -> None:
        turn = record.turn
        allowance = None if turn.parent is None else turn.parent.allowance
        limits = wiring.limits_of(definition.id)
        limits = within(limits, allowance, turn.params.seconds)
        self._hours = record.hours = Hours(
            run_id=record.id,
            agent=definition.id,
            full=limits,
            caps=partial(_caps, wiring, definition.id, root),
        )
        self._record = record
        self._alerts = Alerts(wiring, record, limits, before)
        self._system = definition.system
        self._asking = Asking(wiring, record, definition, self._hours, root)
        toolbox = self._asking.toolbox
        self._calls = Calls(wiring, record, definition, toolbox)
        self._clearings = Clearings(toolbox, limits.clear_seconds)
        self._persons = Persons(wiring, record, definition.id)
        self._children = Children(wiring, record, definition, self._hours, toolbox)
        self._order = order

    async def work(self) -> None:
        self._find()
        while True:
            await self._look_up()
            if self._record.ended is None:
                await self._record.reserve_time()
            step = self._plan()
            try:
                with point("run.commit"):
                    await self._record.commit()
            except BudgetReached as reached:
                # What was drafted before the call stays, and is the end.
                self._record.back()
                self._record.end("limited", "limit", note=str(reached))
                with point("run.budget"):
                    await self._record.commit()
                self._alerts.tell()
                return
            self._alerts.tell()
            if step is None:
                return
            refused = await self._calls.begin()
            # The results of those are drafted: what follows is decided first.
            if not (refused and isinstance(step, Await)):
                await self._take(step)

    async def _take(self, step: "_Waiting") -> None:
        match step:
            case Ask():
                await self._asking.ask(step)
            case Await() | Linger():
                await self._listen(step)
            case AskTool():
                # Not answered by then, it is asked again, if the turn may go on.
                with trio.move_on_after(self._asking.seconds_left()):
                    await self._clearings.ask(self._calls.order(step))
            case Act():
                await self._children.act(step)
            case Compact():
                await compact(self._asking, step)
            case Expire():
                await self._persons.expire(step)
            case TakeMessages():
                await self._persons.take_messages()
            case _:
                assert_never(step)

    def _find(self) -> None:
        """What outlived an earlier run, and what has come since it died."""
        self._calls.find()
        for row in self._order.answers:
            self._persons.hear_answer(row)
        for row in self._order.results:
            self._children.hear(ChildOver(row))

    def _plan(self) -> "_Waiting | None":
        """Decide, and draft what that means, up to the next step that has to wait.

        None: the turn is over.
        """
        record = self._record
        if record.ended is None:
            self._alerts.look()
        while record.ended is None:
            toolbox = self._asking.toolbox()
            record.look_at_clock()
            steps = decide(
                record.state,
                now=record.now(),
                limits=self._hours.limits(record.turn),
                window=self._asking.window(),
                system=self._system,
                tools=toolbox.specs,
                running=self._calls.running,
                denied=toolbox.denied,
                clearances=self._clearings.known,
            )
            for step in steps:
                if isinstance(step, Ask | Linger) and self._persons.came:
                    return TakeMessages()
                if isinstance(step, Ask):
                    refusal = self._asking.draft(step)
                    if refusal:
                        record.end("limited", "limit", note=refusal)
                        break
                    return step
                if isinstance(step, Act | AskTool | Await | Linger | Compact | Expire):
                    return step
                self._draft(step)
        return None

    def _draft(self, step: Begin | AskPerson | Conclude | Finish) -> None:
        match step:
            case Begin():
                self._calls.draft(step)
            case Conclude() if step.call.child is not None:
                self._children.conclude(step)
            case Conclude():
                self._calls.conclude(step)
            case AskPerson():
                self._persons.draft_question(step)
            case Finish(error=error):
                failure = Failure(step.kind, error) if error else None
                self._record.end(
                    step.outcome, step.stop_reason, note=step.note, error=failure
                )
            case _:
                assert_never(step)

    # --- hearing

    async def _look_up(self) -> None:
        """Hear what came while the model was asked.

        When that has ended the turn, it is for the session, which looks at all of it.
        """
        if self._record.ended is not None:
            return
        with suppress(supervision.ReceiveTimeout):
            while True:
                self._hear(await supervision.receive(_HEARD, timeout=0))

    async def _listen(self, step: Await | Linger) -> None:
        """Wait for a call to end, a person to answer or a sub-agent, then go on."""
        self._say_what_for()
        patience = self._patience(step)
        with suppress(supervision.ReceiveTimeout):
            self._hear(await supervision.receive(_HEARD, timeout=patience))
        self._record.progress.waiting = None

    def _say_what_for(self) -> None:
        record = self._record
        if self._calls.working:
            record.wait_for("tools", self._calls.working)
        elif record.turn.open_waits:
            record.wait_for("person", "")
        else:
            record.wait_for("agents", self._children.working)

    def _patience(self, step: Await | Linger) -> float | None:
        """Seconds until something is due though nothing is heard; None: nothing is."""
        # Put back during the commit, it would have a limit waited for that much longer.
        self._record.look_at_clock()
        turn, now = self._record.turn, self._record.now()
        due = [wait.expires_at - now for wait in turn.open_waits]
        # While it waits for somebody its clock stands: no time brings it to its limit.
        goes = turn.waiting_since is None
        if goes and (self._calls.running or isinstance(step, Linger)):
            due.append(self._hours.seconds(turn) - turn.busy_seconds(now))
            due.append(self._alerts.seconds_left())
        return max(0.0, min(due)) if due else None

    def _hear(self, message: _Heard) -> None:
        match message:
            case waits.Answered(row):
                self._persons.hear_answer(row)
            case Steer():
                self._persons.hear(message)
            case ChildOver():
                self._children.hear(message)
            case _:
                self._calls.hear(message)
