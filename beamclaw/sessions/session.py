"""The process of one conversation: its inbox in order, one run at a time.

It owns the journal's state while no run does. Rings, stops and ends of runs are its
messages; every await in a handler is a call to the ledger or a supervisor, and a crash
at any of them is made good by reading again.
"""

from functools import partial
from typing import Any

import attrs

import supervision
from beamclaw.agents import UnknownAgent, UnknownModel
from beamclaw.contracts import names, waits
from beamclaw.contracts.announcements import Place
from beamclaw.contracts.codec import decode
from beamclaw.contracts.context import Share
from beamclaw.contracts.ends import concerned, run_ended
from beamclaw.contracts.journal import HandedOver, Revived, RunStarted
from beamclaw.contracts.ledger_errors import (
    AnsweredAlready,
    LedgerError,
    NoSuchWait,
    SequenceConflict,
)
from beamclaw.contracts.ledger_inbox import InboxRow
from beamclaw.contracts.ledger_ops import (
    AnswerWait,
    CancelChildren,
    JoinRun,
    NoteRevival,
    OpenRun,
    PutDefinition,
    Take,
)
from beamclaw.contracts.ledger_reads import ReadRun
from beamclaw.contracts.ledger_rows import Outcome, WaitRow
from beamclaw.contracts.ledger_session_ops import SetAgent
from beamclaw.contracts.lifecycle import ORDERS, Order
from beamclaw.contracts.points import point
from beamclaw.contracts.repair import repaired
from beamclaw.contracts.runs import ABORTED, Progress, RunOrder, Steer, Steered
from beamclaw.contracts.session_meta import BadSetting
from beamclaw.contracts.sessions import (
    Abort,
    HandTo,
    Inbound,
    Joined,
    Ring,
    TopicValue,
    Waiting,
)
from beamclaw.contracts.transcript import OpenTurn
from beamclaw.sessions import ends, lane
from beamclaw.sessions.journal import Journal
from beamclaw.sessions.kin import Kin
from beamclaw.sessions.lane import Lane, Pending
from beamclaw.sessions.opening import Opening, opening, renewed
from beamclaw.sessions.upkeep import Upkeep
from beamclaw.sessions.wiring import Wiring
from supervision.abc import NoReply

Next = supervision.Timeout | supervision.Stop | None


@attrs.frozen
class LookAgain:
    """The door may have lost a ring: look into the inbox."""


@attrs.frozen
class Intake:
    """The door says whether runs may be started."""

    open: bool


@attrs.frozen
class _Rested:
    """The back-off is over."""


@attrs.frozen
class _Quiet:
    """A while has passed since message number *count* came."""

    count: int


@attrs.define
class _Running:
    monitor: supervision.Ref
    pid: supervision.Pid
    progress: Progress
    stopping: bool = False
    stops: list[supervision.From] = attrs.field(factory=list[supervision.From])


class Session(supervision.Server):
    """See the module."""

    def __init__(
        self,
        wiring: Wiring,
        key: str,
        *,
        fresh: bool,
        after_death: bool,
        intake: bool,
    ) -> None:
        self._wiring = wiring
        self._key = key
        self._topic = names.topic(wiring.tenant, key)
        self._place = Place(wiring.tenant, key)
        self._fresh = fresh
        self._succeeds = after_death
        self._intake = intake
        self._journal = Journal(wiring, key)
        self._upkeep = Upkeep(wiring, key, self._journal)
        self._pending: dict[int, Pending] = {}
        # Of those, what the run in progress was given; and whether more may come.
        self._handed: set[int] = set()
        self._gathering = False
        self._arrived = 0
        # Up to which id the inbox was read; rings for these may still come.
        self._read_to = 0
        self._revivals = 0
        # What persons have answered and the journal does not say yet.
        self._answers: dict[str, WaitRow] = {}
        self._kin = Kin(wiring)
        # Who wants another agent here, and waits for the turn in progress to end.
        self._handovers: list[tuple[supervision.From, HandTo]] = []
        self._running: _Running | None = None
        self._resting = False
        self._ephemeral = False
        self._share: Share | None = None

    # --- callbacks

    async def init(self) -> supervision.Continue:
        """Nothing is read before the start is acknowledged."""
        supervision.join(names.of_tenant(self._wiring.tenant, "awake"))
        return supervision.Continue(None)

    async def handle_continue(self, term: object) -> Next:
        """Read the journal, find a run that outlived the last session, go on."""
        self._journal.open()
        if not self._fresh:
            await self._read_again()
            self._find_run()
            await self._mend()
        if self._succeeds:
            # The session before may have died with something written and not told.
            self._wiring.bus.interrupt(self._topic)
        return await self._advance()

    async def handle_cast(self, message: object) -> Next:
        """A ring; or the run has taken messages."""
        match message:
            case Ring(row):
                self._add(row)
            case LookAgain():
                await self._look_again()
            case Steered(inbox_ids):
                for inbox_id in inbox_ids:
                    self._pending.pop(inbox_id, None)
            case _:
                await super().handle_cast(message)
        return await self._advance()

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """A stop, a person's answer; what they ask for may need a while."""
        match request:
            case Abort(run_id):
                await self._stop(sender, run_id)
            case waits.Answer():
                await self._answer(sender, request)
            case request if isinstance(request, ORDERS):
                await self._carry_out(sender, request)
            case HandTo():
                self._handovers.append((sender, request))
            case _:
                return await super().handle_call(request, sender)
        after = await self._advance()
        return after if isinstance(after, supervision.Stop) else NoReply(after)

    async def handle_info(self, message: object) -> Next:
        """The end of a run, the end of a back-off, a drain, or having been idle."""
        match message:
            case supervision.Down(ref, _, reason) if (
                self._running is not None and ref == self._running.monitor
            ):
                await self._run_is_over(self._running, reason)
            case _Rested():
                self._resting = False
            case _Quiet(count):
                self._gathering = self._gathering and count != self._arrived
            case Intake(is_open):
                self._intake = is_open
            case supervision.TIMEOUT:
                if self.stop_if_idle():
                    return supervision.Stop(supervision.NORMAL)
            case _:
                await super().handle_info(message)
        return await self._advance()

    def describe(self) -> dict[str, object]:
        """What introspection shows; no text of the conversation."""
        turn = self._journal.transcript.turn
        running = self._running
        share = (running and running.progress.share) or self._share
        return {
            "key": self._key,
            "seq": self._journal.transcript.seq,
            "messages": len(self._journal.transcript.messages),
            "run": None if turn is None else turn.run_id,
            "running": running is not None,
            "resting": self._resting,
            "revivals": self._revivals,
            "pending": len(self._pending),
            # Of the window of the model that was asked last; nothing: none was yet.
            "prompt": None
            if share is None
            else {**attrs.asdict(share), "free": share.free},
        }

    async def _mend(self) -> None:
        """Make a damaged conversation whole; while a run writes the journal, it waits."""
        found = repaired(self._journal.transcript)
        if found is None or self._running is not None:
            return
        with point("session.mend"):
            await self._journal.commit((None, found), ops=())
        supervision.emit(
            "beamclaw.session.repaired",
            {"places": len(found.splices)},
            {
                "tenant": self._wiring.tenant,
                "session": self._key,
                "first": found.splices[0].why,
            },
        )

    async def _carry_out(self, sender: supervision.From, order: Order) -> None:
        """Somebody wants something done with the session as a whole."""
        try:
            answer = await self._upkeep.carry_out(order, self._busy())
        except (LedgerError, BadSetting) as refusal:
            with point("session.order-refused"):
                supervision.reply_error(sender, refusal)
            return
        with point("session.order-done"):
            supervision.reply(sender, answer)

    def _busy(self) -> str:
        """What goes on here, in words; nothing: nothing does."""
        if self._running is not None or self._journal.transcript.turn is not None:
            return "a turn is in progress"
        return "messages wait for their turn" if self._pending else ""

    # --- what to do next

    async def _advance(self) -> Next:  # noqa: C901 -- a table
        while True:
            if self._handovers and self._journal.transcript.turn is None:
                await self._hand_over()
            step = lane.decide(
                Lane(
                    transcript=self._journal.transcript,
                    pending=tuple(self._pending.values()),
                    running=self._running is not None,
                    resting=self._resting,
                    intake=self._intake,
                    revivals=self._revivals,
                    handed=self._handed,
                    stopping=self._running is not None and self._running.stopping,
                    gathering=self._gathering,
                    cancelled=self._kin.cancelled,
                ),
                self._wiring.rules,
            )
            match step:
                case lane.Begin(pending, more):
                    await self._begin(pending, more)
                case lane.Hand(pending):
                    self._hand(pending)
                case lane.Interrupt():
                    self._interrupt()
                case lane.Revive():
                    await self._revive()
                case lane.Quarantine(revivals):
                    await self._quarantine(revivals)
                case lane.Withdraw(pending):
                    await self._withdraw(pending)
                case lane.Close():
                    await self._close_turn("aborted")
                case lane.Wait():
                    return None
                case lane.Idle():
                    return self._idle()

    def _idle(self) -> Next:
        self._journal.keep()
        # The session of a single request has no next message: nothing to stay up for.
        last = self._ephemeral or self._upkeep.about.dropped
        if last and self.stop_if_idle():
            return supervision.Stop(supervision.NORMAL)
        return supervision.Timeout(self._wiring.settings.idle_seconds)

    # --- beginning, reviving

    async def _begin(self, pending: Pending, more: tuple[Pending, ...]) -> None:
        """Take the message and open its run in one commit; then start the run.

        *more* are taken with it, and get its answer.
        """
        inbound = pending.inbound
        at = self._wiring.outside.wall()
        self._ephemeral = inbound.ephemeral
        agent = self._journal.transcript.agent or inbound.agent
        about, together = self._upkeep.about, (pending, *more)
        opened = opening(
            together,
            self._journal.transcript,
            about.meta,
            rule=self._wiring.reset_rule(agent),
            archived=about.archived,
            now=at,
            new_id=self._wiring.outside.new_id,
        )
        if opened.word_alone:
            await self._renew(pending, opened)
            return
        try:
            definition = self._wiring.resolve(agent, opened.model)
        except (UnknownAgent, UnknownModel) as error:
            await self._refuse(pending, str(error))
            return
        run_id = inbound.run_id
        started = RunStarted(
            epoch=1,
            agent=agent,
            definition=definition.hash,
            params=opened.params,
            retractable=inbound.retractable,
            parent=inbound.parent,
            hops=inbound.hops,
            reply_to=inbound.reply_to,
        )
        body = definition.body
        with point("session.take"):
            await self._journal.commit(
                *((None, each) for each in (*opened.before, *opened.kept)),
                (run_id, started),
                inbounds={each.inbox_id: each.inbound for each in together},
                ops=(
                    *opened.ops,
                    PutDefinition(definition.hash, body),
                    Take(tuple(each.inbox_id for each in together)),
                    OpenRun(run_id, at),
                    *(JoinRun(each.inbound.run_id, run_id) for each in more),
                ),
            )
        about.archived = False
        for each in together:
            del self._pending[each.inbox_id]
        for each in more:
            self._publish(Joined(each.inbound.run_id, run_id))
        self._handed = set()
        self._revivals = 0
        self._answers = {}
        await self._start_run(run_id, 1, successor=False, definition=body)

    def _hand(self, pending: tuple[Pending, ...]) -> None:
        """Give messages to the run; what it takes it says, what it does not stays."""
        assert self._running is not None
        for each in pending:
            self._handed.add(each.inbox_id)
            with point("session.steer"):
                supervision.send(self._running.pid, Steer(each.inbox_id, each.inbound))

    def _interrupt(self) -> None:
        """Stop the run for the message behind it; its text so far stays."""
        running = self._running
        assert running is not None
        running.stopping = True
        self._stop_calls(running.progress.transcript.turn)
        with point("session.interrupt"):
            supervision.exit(running.pid, supervision.Shutdown(ABORTED))

    async def _revive(self) -> None:
        """Count the revival first: a turn that kills the node must run out of them."""
        turn = self._journal.transcript.turn
        assert turn is not None
        note = NoteRevival(turn.run_id, again=turn.moves)
        with point("session.revive"):
            await self._journal.commit((turn.run_id, Revived()), ops=(note,))
        self._revivals = 1 if turn.moves else self._revivals + 1
        await self._start_run(turn.run_id, turn.epoch + 1, successor=True)

    async def _start_run(
        self,
        run_id: str,
        epoch: int,
        *,
        successor: bool,
        definition: bytes | None = None,
    ) -> None:
        tenant = self._wiring.tenant
        journal = self._journal
        progress = Progress(run_id, self._topic, journal.transcript, kept=journal.kept)
        order = RunOrder(
            tenant=tenant,
            session_key=self._key,
            claim=self._journal.claim(run_id, epoch),
            progress=progress,
            successor=successor,
            definition=definition,
            answers=tuple(self._answers.values()),
            results=tuple(self._kin.results.values()),
        )
        with point("session.run"):
            pid = await supervision.start_child(
                names.of_tenant(tenant, "runs"),
                supervision.ChildSpec(
                    run_id,
                    partial(self._wiring.run_turn, order),
                    name=names.run(tenant, run_id),
                    restart="temporary",
                ),
            )
        assert pid is not None
        self._running = _Running(supervision.monitor(pid), pid, progress)

    def _find_run(self) -> None:
        """Watch a run of the open turn that outlived the session before this one."""
        turn = self._journal.transcript.turn
        if turn is None:
            return
        entry = supervision.lookup(names.run(self._wiring.tenant, turn.run_id))
        if entry is not None and isinstance(entry.value, Progress):
            monitor = supervision.monitor(entry.pid)
            self._running = _Running(monitor, entry.pid, entry.value)
            self._journal.kept = entry.value.kept
            for row in self._answers.values():
                with point("session.tell-found"):
                    supervision.send(entry.pid, waits.Answered(row))
            self._kin.tell(entry.pid)

    # --- ends

    async def _run_is_over(
        self, running: _Running, reason: supervision.ExitReason
    ) -> None:
        self._running = None
        self._handed = set()
        self._share = running.progress.share or self._share
        stopped = False
        if running.progress.ended is not None:
            self._journal.transcript = running.progress.transcript
        elif running.stops or reason == supervision.Shutdown(ABORTED):
            stopped = await self._close_stopped(running.progress)
        else:
            await self._after_death(running)
        for sender in running.stops:
            with point("session.stopped"):
                supervision.reply(sender, stopped)

    async def _after_death(self, running: _Running) -> None:
        """A run died: what it committed is read, then a successor after a back-off."""
        await self._read_again()
        if self._journal.transcript.turn is None:
            await self._tell_end(running.progress.run_id)
            return
        settings = self._wiring.settings
        self._resting = True
        supervision.send_after(
            lane.back_off(
                self._revivals + 1,
                first=settings.revive_first,
                most=settings.revive_most,
            ),
            supervision.self_pid(),
            _Rested(),
        )

    async def _tell_end(self, run_id: str) -> None:
        """The run committed its end and died before it could say so."""
        row = await supervision.call(self._wiring.ledger, ReadRun(run_id), timeout=None)
        end = None if row is None else run_ended(row)
        if end is not None:
            self._publish(end)

    async def _stop(self, sender: supervision.From, run_id: str) -> None:
        """A person stops a run: queued, running, or between two attempts."""
        running = self._running
        if running is not None and running.progress.run_id == run_id:
            running.stops.append(sender)
            self._stop_calls(running.progress.transcript.turn)
            with point("session.stop"):
                supervision.exit(running.pid, supervision.Shutdown(ABORTED))
            return
        queued = [p for p in self._pending.values() if p.inbound.run_id == run_id]
        turn = self._journal.transcript.turn
        stopped = False
        if queued:
            await self._withdraw(queued[0])
        elif turn is not None and turn.run_id == run_id:
            await self._close_turn("aborted")
        else:
            stopped = await self._stop_children(run_id)
        stopped = stopped or bool(queued) or self._journal.transcript.turn is not turn
        with point("session.stopped-now"):
            supervision.reply(sender, stopped)

    async def _stop_children(self, run_id: str) -> bool:
        """Stop what a turn has begun that is over itself; whether there was anything."""
        working = [
            row.session_key
            for row in (await self._journal.look()).children
            if (row.parent_run, row.state, row.kind) == (run_id, "open", "spawn")
        ]
        if working:
            with point("session.stop-children"):
                await self._journal.commit_beside((CancelChildren(run_id),))
            self._kin.rouse(working)
        return bool(working)

    async def _hand_over(self) -> None:
        """Another agent gets the session: the last one that was named."""
        waiting, self._handovers = self._handovers, []
        _, last = waiting[-1]
        with point("session.hand-over"):
            await self._journal.commit(
                (None, HandedOver(agent=last.agent, by=last.by)),
                ops=(SetAgent(last.agent),),
            )
        for sender, _ in waiting:
            with point("session.handed-over"):
                supervision.reply(sender, None)

    async def _answer(self, sender: supervision.From, given: waits.Answer) -> None:
        """A person answers a question: durable first, then the run hears of it."""
        op = AnswerWait(
            wait_id=given.wait_id,
            verdict=given.verdict,
            by=given.by,
            text=given.text,
            at=self._wiring.outside.wall(),
        )
        try:
            with point("session.answer"):
                await self._journal.commit_beside((op,))
        except (AnsweredAlready, NoSuchWait) as refusal:
            with point("session.answer-late"):
                supervision.reply_error(sender, refusal)
            return
        with point("session.answered"):
            supervision.reply(sender, None)
        found = await self._journal.look()
        for row in found.waits:
            if row.wait_id == given.wait_id:
                self._answers[row.wait_id] = row
                if self._running is not None:
                    with point("session.tell-answer"):
                        supervision.send(self._running.pid, waits.Answered(row))

    async def _close_stopped(self, progress: Progress) -> bool:
        """Keep the stopped run's text, marked aborted; False: it had ended before.

        Its own last commit may have been under way, so the journal is read first.
        """
        while True:
            await self._read_again()
            if self._journal.transcript.turn is None:
                await self._tell_end(progress.run_id)
                return False
            try:
                await self._close_turn(
                    "aborted", self._partial(progress), received=progress.received
                )
            except SequenceConflict:
                continue
            return True

    def _partial(self, progress: Progress) -> str:
        """What there is of an answer that is not in the journal."""
        turn = self._journal.transcript.turn
        if turn is None or not turn.asking or turn.attempt != progress.attempt:
            return ""
        return "".join(progress.pieces)

    def _stop_calls(self, turn: OpenTurn | None) -> None:
        """End the tool calls of a turn: nobody waits for them any more."""
        if turn is None:
            return
        for call in turn.open_calls:
            name = names.call(self._wiring.tenant, turn.run_id, call.asked.id)
            pid = supervision.whereis(name)
            if pid is not None:
                with point("session.stop-call"):
                    supervision.exit(pid, supervision.Shutdown(ABORTED))

    async def _quarantine(self, revivals: int) -> None:
        error = (
            f"the turn was begun {revivals + 1} times and never ended "
            f"(sessions.revive_limit: {self._wiring.rules.revive_limit}); "
            "it is put aside, the conversation goes on"
        )
        supervision.emit(
            "beamclaw.session.quarantined",
            {"revivals": float(revivals)},
            {"tenant": self._wiring.tenant, "session": self._key},
        )
        await self._close_turn("quarantined", error=error)

    async def _close_turn(
        self,
        outcome: Outcome,
        text: str = "",
        error: str | None = None,
        received: int = 0,
    ) -> None:
        """End the open turn in the run's place; a late commit of it is refused."""
        transcript, at = self._journal.transcript, self._wiring.outside.wall()
        turn = transcript.turn
        assert turn is not None
        self._stop_calls(turn)
        end = ends.closed(
            transcript,
            outcome,
            text,
            at=at,
            place=self._place,
            error=error,
            received=received,
        )
        with point("session.close"):
            await self._journal.commit(*end.bodies, ops=end.ops)
        self._kin.rouse(concerned(turn, outcome))
        self._publish(end.told)

    async def _withdraw(self, pending: Pending) -> None:
        """Stop a waiting message; the open turn's run may be writing meanwhile."""
        at = self._wiring.outside.wall()
        end = ends.withdrawn(pending, at=at, place=self._place)
        with point("session.withdraw"):
            await self._journal.commit_beside(end.ops)
        del self._pending[pending.inbox_id]
        self._tell_parent(pending)
        self._publish(end.told)

    async def _renew(self, pending: Pending, opened: Opening) -> None:
        """Begin a new conversation for the word alone, which is answered at once."""
        at = self._wiring.outside.wall()
        end = renewed(pending, opened, at=at, place=self._place)
        with point("session.renew"):
            await self._journal.commit(*end.bodies, ops=end.ops)
        self._upkeep.about.archived = False
        del self._pending[pending.inbox_id]
        self._tell_parent(pending)
        self._publish(end.told)

    async def _refuse(self, pending: Pending, error: str) -> None:
        """Take a message that can have no run, and say why."""
        at = self._wiring.outside.wall()
        end = ends.refused(
            self._journal.transcript, pending, error, at=at, place=self._place
        )
        inbounds = {pending.inbox_id: pending.inbound}
        with point("session.refuse"):
            await self._journal.commit(*end.bodies, ops=end.ops, inbounds=inbounds)
        del self._pending[pending.inbox_id]
        self._tell_parent(pending)
        self._publish(end.told)

    def _tell_parent(self, pending: Pending) -> None:
        parent = pending.inbound.parent
        if parent is not None:
            self._kin.rouse((parent.session_key,))

    # --- what came in, what is told

    async def _read_again(self) -> None:
        """Bring transcript, inbox and open run up to what is durable."""
        found = await self._journal.read()
        self._upkeep.about.see(found.row)
        waiting = {row.id for row in found.inbox}
        for inbox_id in self._pending.keys() - waiting:
            del self._pending[inbox_id]  # a run took it
        self._add_all(found.inbox)
        self._answers = {
            row.wait_id: row for row in found.waits if row.verdict is not None
        }
        self._revivals = 0 if found.open_run is None else found.open_run.revivals
        self._kin.see(found)
        self._kin.ring(found)

    async def _look_again(self) -> None:
        """Something was written for this session: messages, a result, a stop."""
        found = await self._journal.look()
        self._add_all(found.inbox)
        self._kin.see(found)
        if self._running is not None:
            self._kin.tell(self._running.pid)

    def _add(self, row: InboxRow) -> None:
        if row.id <= self._read_to:
            return
        self._pending[row.id] = Pending(row.id, decode(row.body, Inbound))
        if self._running is not None:
            self._publish(Waiting(row.run_id, "queue"))
        if self._running is not None or self._gathering:
            self._gather()

    def _gather(self) -> None:
        """More may follow the message that has just come."""
        self._arrived += 1
        self._gathering = True
        seconds = self._wiring.settings.collect_seconds
        supervision.send_after(seconds, supervision.self_pid(), _Quiet(self._arrived))

    def _add_all(self, rows: tuple[InboxRow, ...]) -> None:
        for row in rows:
            self._read_to = max(self._read_to, row.id)
            if row.id not in self._pending:
                self._pending[row.id] = Pending(row.id, decode(row.body, Inbound))

    def _publish(self, value: TopicValue) -> None:
        self._wiring.bus.publish(self._topic, value)
