"""The process of one turn: carries out what the turn machine decides.

It owns the turn's writes while it lives. Killed at any await it leaves the journal as
it stands; its session then either closes the turn (a person stopped it) or starts a
successor, which claims the run's next epoch before it does anything else. Tool calls
are processes of their own: a successor finds those that live.
"""

from contextlib import suppress
from typing import Final, assert_never

import supervision
from beamclaw.agents import AgentDefinition
from beamclaw.contracts import ledger, names, waits
from beamclaw.contracts.journal import RunStarted
from beamclaw.contracts.points import reach
from beamclaw.contracts.providers import ProviderError
from beamclaw.contracts.runs import RunOrder, Steer
from beamclaw.contracts.tools import CallDone
from beamclaw.runs.asking import Asking
from beamclaw.runs.calls import Calls
from beamclaw.runs.compaction import compact
from beamclaw.runs.persons import Persons
from beamclaw.runs.record import Record
from beamclaw.runs.turn import (
    Ask,
    AskPerson,
    Await,
    Begin,
    Compact,
    Conclude,
    Expire,
    Finish,
    decide,
)
from beamclaw.runs.wiring import Wiring

# What a run is told by others while it works.
_HEARD: Final = (CallDone, supervision.Down, waits.Answered, Steer)


async def run_turn(wiring: Wiring, order: RunOrder) -> None:
    """Bring the open turn of a session to its end.

    Raises:
        beamclaw.contracts.ledger.LedgerError: Another writer was faster; the session
            reads again.

    Cancelled, it leaves the journal at its last commit, and its tool calls in progress.
    """
    record = Record(wiring, order)
    supervision.update_value(names.run(wiring.tenant, record.id), record.progress)
    if order.successor:
        _take_over(record, order.claim.run_epoch)
        reach("run.take-over.before")
        await record.commit()
        reach("run.take-over.after")
    definition = await _definition(wiring, record, order.definition)
    await _Run(wiring, record, definition, order.answers).work()


def _take_over(record: Record, epoch: int) -> None:
    turn = record.turn
    ops: list[ledger.Op] = [ledger.ClaimRun(record.now())]
    if turn.asking:
        # How far that call had come nobody knows: it counts as all it could cost.
        ops.append(ledger.Settle(record.id, turn.attempt, record.now(), None))
    started = RunStarted(
        epoch=epoch,
        agent=turn.agent,
        definition=turn.definition,
        params=turn.params,
        retractable=turn.retractable,
    )
    record.add(started, *ops)


async def _definition(
    wiring: Wiring, record: Record, body: bytes | None
) -> AgentDefinition:
    hash_ = record.turn.definition
    body = body or await supervision.call(
        names.of_tenant(wiring.tenant, "ledger"),
        ledger.ReadDefinition(hash_),
        timeout=None,
    )
    if body is None:
        msg = f"the agent definition {hash_} of run {record.id} is not in the ledger"
        raise ledger.LedgerError(msg)
    return AgentDefinition.load(body)


class _Run:
    def __init__(
        self,
        wiring: Wiring,
        record: Record,
        definition: AgentDefinition,
        answers: tuple[ledger.WaitRow, ...],
    ) -> None:
        tools = wiring.tools(definition.id)
        specs = {name: tool.spec for name, tool in tools.items()}
        self._limits = wiring.limits
        self._record = record
        self._system = definition.system
        self._specs = specs
        self._asking = Asking(wiring, record, definition, tuple(specs.values()))
        self._calls = Calls(wiring, record, tools)
        self._persons = Persons(wiring, record)
        self._answers = answers

    async def work(self) -> None:
        self._calls.find()
        for row in self._answers:
            self._persons.hear_answer(row)
        while True:
            await self._look_up()
            step = self._plan()
            try:
                reach("run.commit.before")
                await self._record.commit()
                reach("run.commit.after")
            except ledger.BudgetReached as reached:
                # What was drafted before the call stays, and is the end.
                self._record.back()
                self._record.end("limited", "limit", note=str(reached))
                reach("run.budget.before")
                await self._record.commit()
                reach("run.budget.after")
                return
            if step is None:
                return
            await self._calls.begin()
            match step:
                case Ask():
                    await self._asking.ask(step)
                case Await():
                    await self._listen()
                case Compact():
                    await compact(self._asking, step)
                case Expire():
                    await self._persons.expire(step)
                case _:
                    assert_never(step)

    def _plan(self) -> Ask | Await | Compact | Expire | None:
        """Decide, and draft what that means, up to the next step that has to wait.

        None: the turn is over.
        """
        record = self._record
        while record.ended is None:
            steps = decide(
                record.state,
                now=record.now(),
                limits=self._limits,
                window=self._asking.window(),
                system=self._system,
                tools=self._specs,
                running=self._calls.running,
            )
            for step in steps:
                if isinstance(step, Ask):
                    if self._persons.draft_messages():
                        break
                    self._asking.draft(step)
                    return step
                if isinstance(step, Await | Compact | Expire):
                    return step
                self._draft(step)
        return None

    def _draft(self, step: Begin | AskPerson | Conclude | Finish) -> None:
        match step:
            case Begin():
                self._calls.draft(step)
            case Conclude():
                self._calls.conclude(step)
            case AskPerson():
                self._persons.draft_question(step)
            case Finish(error=error):
                failure = ProviderError("context_length", error) if error else None
                self._record.end(
                    step.outcome, step.stop_reason, note=step.note, error=failure
                )
            case _:
                assert_never(step)

    # --- hearing

    async def _look_up(self) -> None:
        """Hear what came while the model was asked."""
        with suppress(supervision.ReceiveTimeout):
            while True:
                self._hear(await supervision.receive(_HEARD, timeout=0))

    async def _listen(self) -> None:
        """Wait for a call to end or a person to answer, then go on."""
        working = self._calls.working
        self._record.wait_for("tools" if working else "person", working)
        with suppress(supervision.ReceiveTimeout):
            self._hear(await supervision.receive(_HEARD, timeout=self._patience()))
        self._record.progress.waiting = None

    def _patience(self) -> float:
        """Seconds until something is due though nothing is heard."""
        turn, now = self._record.turn, self._record.now()
        due = [wait.expires_at - now for wait in turn.open_waits]
        if self._calls.running:
            due.append(self._limits.seconds - turn.busy_seconds(now))
        return max(0.0, min(due))

    def _hear(
        self, message: CallDone | supervision.Down | waits.Answered | Steer
    ) -> None:
        match message:
            case waits.Answered(row):
                self._persons.hear_answer(row)
            case Steer():
                self._persons.hear(message)
            case _:
                self._calls.hear(message)
