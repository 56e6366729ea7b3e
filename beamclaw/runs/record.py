"""What a run writes: drafted, committed together, and told only when it is durable."""

from collections.abc import Callable
from functools import partial

import trio

import supervision
from beamclaw.contracts import ledger, names, news, waits
from beamclaw.contracts.announcements import Place
from beamclaw.contracts.budgets import MILLI
from beamclaw.contracts.clock import Clock
from beamclaw.contracts.ends import concerned, end_run, run_over, trace_of
from beamclaw.contracts.journal import (
    Body,
    ClockMoved,
    Noted,
    ToolBegun,
    ToolEnded,
)
from beamclaw.contracts.ledger_errors import LedgerError, TimeReached
from beamclaw.contracts.ledger_ops import Op, Work
from beamclaw.contracts.ledger_rows import Outcome
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.points import point
from beamclaw.contracts.providers import ProviderError, StopReason
from beamclaw.contracts.runs import RunOrder
from beamclaw.contracts.sessions import (
    Inbound,
    Phase,
    Rouse,
    RunEnded,
    TopicValue,
    Waiting,
)
from beamclaw.contracts.snapshots import Keep
from beamclaw.contracts.transcript import Transcript
from beamclaw.contracts.written import tell_written
from beamclaw.runs.draft import Draft
from beamclaw.runs.hours import AT_ONCE, LEAST, Hours
from beamclaw.runs.wiring import Wiring
from beamclaw.values import frozen


@frozen
class Failure:
    """What went wrong: *kind* for a program, *message* for a person."""

    kind: str
    message: str


class Record:
    """The writing side of one run.

    Attributes:
        id: Of the run.
        key: Of its session.
        progress: What others see of it.
        ended: Set when the end is drafted.
        hours: How long it may work; None: it has not come to work yet.
    """

    def __init__(self, wiring: Wiring, order: RunOrder) -> None:
        self.id = order.progress.run_id
        self.key = order.session_key
        self.progress = order.progress
        self.ended: RunEnded | None = None
        self.hours: Hours | None = None
        self._wiring = wiring
        self._claim = order.claim
        self._ledger = names.of_tenant(order.tenant, "ledger")
        self._draft = Draft(self.id, order.progress.transcript)
        # A clock may be set between the turn's beginning and here, while its session
        # commits that: the run is the first who can see it. A successor's RunStarted
        # takes out all that was before this moment.
        self._clock = order.since or Clock(self.now(), trio.current_time())
        # When tool calls were begun; those that outlived an earlier run, before this.
        self._began: dict[str, float] = {}
        self._since = trio.current_time()
        # Done when the draft is committed.
        self._afterwards: list[Callable[[], object]] = []
        self._mark = self._draft, 0, self._clock

    @property
    def state(self) -> Transcript:
        """The journal, added up, as if the draft had been written."""
        return self._draft.state

    @property
    def turn(self) -> OpenTurn:
        """The turn in it.

        Raises:
            beamclaw.contracts.ledger_errors.LedgerError: It is not this run's any more.
        """
        turn = self.state.turn
        if turn is None or turn.run_id != self.id:
            msg = f"run {self.id} is not the open turn of its session"
            raise LedgerError(msg)
        return turn

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._wiring.outside.wall()

    # --- drafting

    def look_at_clock(self) -> None:
        """Draft that the wall's clock was moved, if it was: the turn's time goes by it.

        Within one life of the node time is measured by Trio's clock, which nobody sets.
        """
        wall, steady = self.now(), trio.current_time()
        by = self._clock.moved(wall, steady)
        if by:
            self._clock = Clock(wall, steady)
            self._draft.add(ClockMoved(by=by), at=wall)

    def add(self, body: Body, *ops: Op, inbound: Inbound | None = None) -> None:
        """Draft an event, and the operations that belong to it."""
        self.look_at_clock()
        if isinstance(body, ToolBegun):
            self._began.setdefault(body.call_id, trio.current_time())
        elif isinstance(body, ToolEnded):
            self._tell_tool(body)
        self._draft.add(body, *ops, at=self.now(), inbound=inbound)

    def _tell_tool(self, body: ToolEnded) -> None:
        turn, id_ = self.turn, body.result.id
        seconds = trio.current_time() - self._began.pop(id_, self._since)
        for call in turn.calls:
            if call.asked.id == id_:
                tell = partial(
                    news.tell_tool,
                    self._wiring.tenant,
                    turn,
                    call.asked.name,
                    id_,
                    body.outcome,
                    seconds=seconds if call.begun is not None else 0.0,
                )
                self.afterwards(tell)

    def add_op(self, op: Op) -> None:
        """Draft an operation that goes with the next event."""
        self._draft.ops.append(op)

    def afterwards(self, do: Callable[[], object]) -> None:
        """Do something when the draft is durable."""
        self._afterwards.append(do)

    def tell(self, value: TopicValue) -> None:
        """Publish *value* when the draft is durable."""
        self._afterwards.append(partial(self.publish, value))

    def end(
        self,
        outcome: Outcome,
        reason: StopReason,
        *,
        note: str = "",
        error: ProviderError | Failure | None = None,
    ) -> None:
        """Draft the end of the turn; *note* is said to the person before."""
        if note:
            self.add(Noted(text=note))
        self.look_at_clock()
        turn = self.turn
        ended = RunEnded(
            run_id=self.id,
            outcome=outcome,
            stop_reason=reason,
            text=turn.text,
            usage=turn.usage,
            error_kind=None if error is None else error.kind,
            error=None if error is None else error.message,
            model=turn.model,
            calls=turn.owed if reason == "tool_calls" else (),
        )
        at = self.now()
        over = end_run(
            ended,
            at=at,
            place=Place(self._wiring.tenant, self.key),
            parent=turn.parent,
            spend=turn.spent(at),
            seconds=turn.own_seconds(at)
            if self.hours is None
            else self.hours.worked(turn, at),
            tainted=self.state.tainted,
            trace=trace_of(turn),
        )
        for key in concerned(turn, outcome):
            self.afterwards(partial(self.rouse, key))
        if turn.open_waits:  # nobody has to answer them any more
            tell = partial(waits.tell_changed, self._wiring.bus, self._wiring.tenant)
            self.afterwards(tell)
        tell = partial(news.tell_ended, self._wiring.tenant, self.key, turn, ended, at)
        self.afterwards(tell)
        self.add(run_over(ended), over)
        self.ended = ended

    def mark(self) -> None:
        """Remember the draft as it is, for :meth:`back`."""
        self._mark = self._draft.copy(), len(self._afterwards), self._clock

    def back(self) -> None:
        """Take back what was drafted since :meth:`mark`, after it was refused."""
        self._draft, count, self._clock = self._mark
        del self._afterwards[count:]

    # --- committing

    async def commit(self) -> None:
        """Commit the draft, if there is one; then it is what the journal says.

        Refused, it stays a draft.
        """
        draft, progress = self._draft, self.progress
        if not draft.events:
            return
        after = progress.transcript.seq
        await self._write(draft)
        progress.transcript = draft.state
        self._keep(draft.state)
        tell_written(
            self._wiring.bus,
            self._claim.tenant,
            self.key,
            draft.events,
            after=after,
        )
        self._draft = Draft(self.id, draft.state)
        for do in self._afterwards:
            do()
        self._afterwards.clear()
        if self.ended is not None:
            progress.ended = self.ended
            self._wiring.flusher.publish(progress)
            self.publish(self.ended)

    async def reserve_time(self) -> None:
        """Have time to go on for, if what was reserved is used up.

        The draft stays one. Where nothing is left of a cap the turn's limit says so.
        """
        self.look_at_clock()
        hours = self.hours
        if hours is None or not hours.due(self.turn, self.now()):
            return
        try:
            with point("run.reserve-time"):
                await self._write(None)
        except TimeReached as reached:
            hours.end(reached.cap)

    async def _write(self, draft: Draft | None) -> None:
        """Commit *draft*, or nothing but time, with as much of that as there is."""
        reached: TimeReached | None = None
        # Of one moment, however often it is tried: what is left was told of that one, and
        # is less by the time that it took to be told.
        now = self.now()
        while True:
            work = self._work(draft, now, reached)
            commit = ledger.Commit(
                claim=self._claim,
                session_key=self.key,
                expected_seq=self.progress.transcript.seq,
                events=() if draft is None else tuple(draft.events),
                ops=(*(() if draft is None else draft.ops), *work),
            )
            try:
                await supervision.call(self._ledger, commit, timeout=None)
            except TimeReached as refused:
                if refused.left < LEAST * MILLI:
                    assert self.hours is not None
                    self.hours.refuse(refused)
                    raise
                reached = refused
            else:
                for each in work:
                    assert self.hours is not None
                    self.hours.keep(each, None if reached is None else reached.cap)
                return

    def _work(
        self, draft: Draft | None, now: float, reached: TimeReached | None
    ) -> tuple[Work, ...]:
        if self.hours is None:
            return ()
        left = AT_ONCE if reached is None else reached.left / MILLI
        if draft is None:
            return (self.hours.more(self.turn, now, left),)
        work = self.hours.work(draft.state.turn, draft.ops, now, left)
        return () if work is None else (work,)

    def _keep(self, state: Transcript) -> None:
        """In a long turn a snapshot becomes due in its middle, too."""
        # The session's claim: the turn may be over when it comes to be written.
        claim = ledger.Claim(self._claim.tenant, self._claim.owner_epoch)
        wanted = Keep(session_key=self.key, claim=claim, transcript=state)
        self.progress.kept.keep(wanted, self._wiring.snapshot_every)

    # --- telling at once

    def wait_for(self, phase: Phase, detail: str, seconds: float | None = None) -> None:
        """Tell what the run waits for."""
        waiting = Waiting(self.id, phase, detail, seconds)
        self.progress.waiting = waiting
        self.publish(waiting)

    def rouse(self, session_key: str) -> None:
        """Have another session look at what was committed. It may be lost."""
        door = names.of_tenant(self._wiring.tenant, "sessions")
        with point("run.rouse"):
            self._wiring.bus.cast(door, Rouse(session_key))

    def publish(self, value: TopicValue) -> None:
        """Tell it now."""
        self._wiring.bus.publish(self.progress.topic, value)
