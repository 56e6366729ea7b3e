"""The process of one conversation: its inbox in order, one run at a time.

It owns the journal's state while no run does. Rings, stops and ends of runs are its
messages; every await in a handler is a call to the ledger or a supervisor, and a crash
at any of them is made good by reading again.
"""

from typing import Any, cast

import attrs

import supervision
from beamclaw.agents import Heard, Tick, UnknownAgent, UnknownModel, Unready
from beamclaw.contracts import names, waits
from beamclaw.contracts.context import Share
from beamclaw.contracts.intake import unasked
from beamclaw.contracts.journal import HandedOver, Revived, RunStarted
from beamclaw.contracts.ledger_errors import NotWaiting, SequenceConflict
from beamclaw.contracts.ledger_inbox import InboxRow
from beamclaw.contracts.ledger_ops import (
    JoinRun,
    NoteRevival,
    OpenRun,
    PutDefinition,
    Take,
)
from beamclaw.contracts.ledger_session_ops import SetAgent
from beamclaw.contracts.lifecycle import (
    ORDERS,
    DeleteSession,
    Order,
    ResetSession,
    no_such_session,
)
from beamclaw.contracts.path import end_of
from beamclaw.contracts.points import point
from beamclaw.contracts.runs import ABORTED, Progress, Steered
from beamclaw.contracts.sessions import (
    Abort,
    HandTo,
    Inbound,
    Joined,
    Ring,
    StopBeginning,
    TopicValue,
    Waiting,
)
from beamclaw.sessions import lane
from beamclaw.sessions.answers import Answers
from beamclaw.sessions.closing import Closing
from beamclaw.sessions.inbox import Inbox, Quiet
from beamclaw.sessions.journal import Journal, replayed
from beamclaw.sessions.kin import Kin
from beamclaw.sessions.lane import Lane, Pending
from beamclaw.sessions.opening import opening, ordered
from beamclaw.sessions.preparing import Preparing
from beamclaw.sessions.running import Running, Runs, stop_calls
from beamclaw.sessions.upkeep import Upkeep
from beamclaw.sessions.wiring import Wiring
from beamclaw.values import frozen
from supervision.abc import NoReply

Next = supervision.Timeout | supervision.Stop | None


@frozen
class LookAgain:
    """The door may have lost a ring: look into the inbox."""


@frozen
class Intake:
    """The door says whether runs may be started."""

    open: bool


@frozen
class _Rested:
    """The back-off is over."""


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
        self._fresh = fresh
        self._succeeds = after_death
        self._intake = intake
        self._journal = Journal(wiring, key)
        self._upkeep = Upkeep(wiring, key, self._journal)
        self._inbox = Inbox(wiring.settings.collect_seconds)
        self._answers = Answers(wiring, self._journal)
        self._kin = Kin(wiring)
        self._runs = Runs(wiring, key, self._journal, self._answers, self._kin)
        self._closing = Closing(
            wiring, key, journal=self._journal, inbox=self._inbox, kin=self._kin
        )
        self._preparing = Preparing(wiring, key)
        self._revivals = 0
        self._crashed = False
        # Who wants another agent here, and waits for the turn in progress to end.
        self._handovers: list[tuple[supervision.From, HandTo]] = []
        # Who wants something done with the whole session, in order; *ending*: the turn
        # in progress is over, and they have seen that before us.
        self._orders: list[tuple[supervision.From, Order]] = []
        self._ending = False
        self._running: Running | None = None
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
            self._running = self._runs.find()
            if self._running is None:  # else that run writes the journal
                await self._journal.mend()
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
                self._inbox.drop(inbox_ids)
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
            case StopBeginning():
                _tell_stopped(sender, await self._stop_beginning())
            case waits.Answer():
                run = None if self._running is None else self._running.pid
                await self._answers.take(sender, request, run)
            case request if isinstance(request, ORDERS):
                self._orders.append((sender, request))
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
            case Quiet(count):
                self._inbox.quiet(count)
            case Intake(is_open):
                self._intake = is_open
                if not is_open:  # by the time that it may begin all may be otherwise
                    self._preparing.give_up()
            case supervision.Response() | Tick():
                self._hear(cast("Heard", message))
            case supervision.TIMEOUT:
                if self.stop_if_idle():
                    return supervision.Stop(supervision.NORMAL)
            case _:
                await super().handle_info(message)
        return await self._advance()

    def describe(self) -> dict[str, object]:
        """What introspection shows; no text of the conversation."""
        turn = self._journal.transcript.turn
        run = self._running
        share = (run and run.progress.share) or self._share
        # Its run writes on; what we have is the turn as it was when that began.
        now = None if run is None else run.progress.transcript.turn
        return {
            "key": self._key,
            "seq": self._journal.transcript.seq,
            "messages": len(self._journal.transcript.messages),
            "run": None if turn is None else turn.run_id,
            "running": run is not None,
            "waits_for": None if now is None else now.waits_for,
            "since": None if now is None else now.touched_at,
            "resting": self._resting,
            "revivals": self._revivals,
            "pending": len(self._inbox.pending),
            # What a turn waits for that has not begun; nothing: there is none.
            "preparing": self._preparing.waits_for,
            # Of the window of the model that was asked last; nothing: none was yet.
            "prompt": None
            if share is None
            else {**attrs.asdict(share), "free": share.free},
        }

    def _busy(self) -> str:
        """What goes on here, in words; nothing: nothing does."""
        if self._running is not None or self._journal.transcript.turn is not None:
            return "a turn is in progress"
        if self._preparing.turn is not None:
            return (
                f"a turn is about to begin (it waits for {self._preparing.waits_for})"
            )
        return "messages wait for their turn" if self._inbox.pending else ""

    async def _serve_orders(self) -> None:
        while self._orders and not self._ending:
            sender, order = self._orders[0]
            stops = isinstance(order, ResetSession | DeleteSession) and order.stop
            if stops and not await self._make_way(order):
                return
            running = self._running is not None
            busy = "" if stops else self._busy()
            if await self._upkeep.serve(sender, order, busy, running=running):
                del self._orders[0]
            else:
                self._ending = True

    async def _make_way(self, order: Order) -> bool:
        """Stop what goes on here, for an order that ends it; False: a run still does.

        No message begins meanwhile: orders go before them.
        """
        if self._running is not None:
            if not self._running.stopping:
                self._interrupt()
            return False
        if self._journal.transcript.turn is not None:
            await self._closing.turn("aborted")
        await self._stop_beginning()
        children = (await self._journal.look()).children
        for run_id in {row.parent_run for row in children if row.state == "open"}:
            await self._closing.children(run_id)
        if isinstance(order, DeleteSession):
            for pending in tuple(self._inbox.pending.values()):
                await self._withdraw(pending)
        return True

    # --- what to do next

    async def _advance(self) -> Next:  # noqa: C901 -- a table
        while True:
            await self._serve_orders()
            if self._handovers and self._journal.transcript.turn is None:
                await self._hand_over()
            self._preparing.keep_to(self._inbox.pending)
            step = lane.decide(
                Lane(
                    transcript=self._journal.transcript,
                    pending=tuple(self._inbox.pending.values()),
                    running=self._running is not None,
                    resting=self._resting,
                    intake=self._intake,
                    revivals=self._revivals,
                    crashed=self._crashed,
                    answered=self._answers.answered,
                    handed=self._inbox.handed,
                    stopping=self._running is not None and self._running.stopping,
                    gathering=self._inbox.gathering,
                    cancelled=self._kin.cancelled,
                    meta=self._upkeep.about.meta,
                    preparing=self._preparing.turn,
                    prepared=self._preparing.ready,
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
                case lane.Revive(innocent):
                    await self._revive(innocent=innocent)
                case lane.Quarantine(revivals):
                    await self._closing.quarantine(revivals)
                case lane.Withdraw(pending):
                    await self._withdraw(pending)
                case lane.Close():
                    await self._closing.turn("aborted")
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
        if problem := await self._not_here(inbound):
            await self._closing.turn_away(pending, problem)
            return
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
            await self._closing.renew(pending, opened)
            about.archived = False
            return
        self._runs.settle()  # by the same configuration as the agent is defined by
        try:
            definition = self._preparing.definition(
                lane.Begin(pending, more), agent, opened.wanted.model
            )
        except (UnknownAgent, UnknownModel, Unready) as error:
            await self._closing.refuse(pending, str(error))
            return
        if definition is None:  # it begins when that is there
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
            ordered=inbound.call is not None,
            compacts=inbound.compacts,
            traceparent=inbound.traceparent,
            tracestate=inbound.tracestate,
            wanted=opened.wanted,
        )
        body = definition.body
        with point("session.take"):
            since = await self._journal.commit(
                *((None, each) for each in (*opened.before, *opened.kept)),
                (run_id, started),
                *((run_id, each) for each in ordered(inbound)),
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
        self._inbox.drop(each.inbox_id for each in together)
        for each in more:
            self._publish(Joined(each.inbound.run_id, run_id))
        self._inbox.handed = set()
        self._revivals = 0
        self._answers.clear()
        self._running = await self._runs.begin(
            run_id, 1, successor=False, since=since, definition=body
        )

    async def _not_here(self, inbound: Inbound) -> str:
        """Why the message cannot be said here, in words; nothing: it can, from here."""
        state, back_to = self._journal.transcript, None
        if inbound.follows is not None and inbound.follows != state.last_run:
            events = await self._journal.all()
            back_to = end_of(inbound.follows, events)
            if back_to is None:
                return "what this is said behind is not in the conversation any more"
            state = await replayed(events, back_to)
        if state.seq and unasked(inbound, state.owed):
            return (
                "nobody waits for the results of these tool calls: the conversation "
                "has gone on, or they were given before"
            )
        if back_to is not None:
            await self._journal.rewind(back_to, state)
        return ""

    def _hand(self, pending: tuple[Pending, ...]) -> None:
        assert self._running is not None
        for each in pending:
            self._inbox.handed.add(each.inbox_id)
            self._running.hand(each)

    def _interrupt(self) -> None:
        """Stop the run for the message behind it; its text so far stays."""
        assert self._running is not None
        self._running.stopping = True
        stop_calls(self._wiring, self._running.progress.transcript.turn)
        with point("session.interrupt"):
            supervision.exit(self._running.pid, supervision.Shutdown(ABORTED))

    async def _revive(self, *, innocent: bool) -> None:
        """Count the revival first: a turn that kills the node must run out of them."""
        turn = self._journal.transcript.turn
        assert turn is not None
        note = NoteRevival(turn.run_id, again=innocent)
        with point("session.revive"):
            await self._journal.commit((turn.run_id, Revived()), ops=(note,))
        self._revivals = 1 if innocent else self._revivals + 1
        self._crashed = False
        self._running = await self._runs.begin(
            turn.run_id, turn.epoch + 1, successor=True
        )

    # --- ends

    async def _run_is_over(self, run: Running, reason: supervision.ExitReason) -> None:
        self._running = None
        self._ending = False
        self._inbox.handed = set()
        self._share = run.progress.share or self._share
        stopped = False
        if run.progress.ended is not None:
            self._journal.transcript = run.progress.transcript
        else:
            await self._catch_up()
            if run.stops or reason == supervision.Shutdown(ABORTED):
                stopped = await self._close_stopped(run.progress)
            else:
                self._after_death(reason)
            if self._journal.transcript.turn is None:
                # It had written results, and died before it let their calls go.
                stop_calls(self._wiring, run.progress.transcript.turn)
        if run.stops and not stopped:
            # It had ended before it was told, and may have left others working.
            stopped = await self._closing.children(run.progress.run_id)
        for sender in run.stops:
            with point("session.stopped"):
                supervision.reply(sender, stopped)

    async def _catch_up(self) -> None:
        """Read what a run that is gone has written; its last commit was under way.

        Only behind that commit can its followers see what it could not tell any more:
        its end, or that it had taken a message over whose sender waits for the answer.
        """
        await self._read_again()
        self._wiring.bus.interrupt(self._topic)

    def _after_death(self, reason: supervision.ExitReason) -> None:
        """A run died: it gets a successor after a back-off, unless its turn is over."""
        if self._journal.transcript.turn is None:
            return  # it had written its end
        settings = self._wiring.settings
        self._crashed = isinstance(reason, supervision.Crash)
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

    async def _stop(self, sender: supervision.From, run_id: str) -> None:
        """A person stops a run: queued, running, or between two attempts."""
        run = self._running
        if run is not None and run.progress.run_id == run_id:
            run.stops.append(sender)
            stop_calls(self._wiring, run.progress.transcript.turn)
            with point("session.stop"):
                supervision.exit(run.pid, supervision.Shutdown(ABORTED))
            return
        queued = self._inbox.of_run(run_id)
        turn = self._journal.transcript.turn
        if queued is not None:
            stopped = await self._withdraw(queued)
        elif turn is not None and turn.run_id == run_id:
            await self._closing.turn("aborted")
            stopped = True
        else:
            stopped = await self._closing.children(run_id)
        _tell_stopped(sender, stopped)

    async def _stop_beginning(self) -> str | None:
        """Stop the turn that is about to begin; its run."""
        begin = self._preparing.turn
        if begin is None:
            return None
        self._preparing.give_up()
        for pending in (begin.pending, *begin.more):
            await self._withdraw(pending)
        return begin.pending.inbound.run_id

    async def _withdraw(self, queued: Pending) -> bool:
        """Stop a waiting message; False: the turn in progress has just taken it."""
        try:
            await self._closing.withdraw(queued)
        except NotWaiting:
            self._inbox.drop((queued.inbox_id,))
            return False
        return True

    async def _hand_over(self) -> None:
        """Another agent gets the session: the last one that was named."""
        waiting, self._handovers = self._handovers, []
        _, last = waiting[-1]
        # Deleted, while they waited for its turn to end.
        gone = no_such_session(self._key) if self._upkeep.about.dropped else None
        if gone is None:
            with point("session.hand-over"):
                await self._journal.commit(
                    (None, HandedOver(agent=last.agent, by=last.by)),
                    ops=(SetAgent(last.agent),),
                )
        for sender, _ in waiting:
            with point("session.handed-over"):
                if gone is None:
                    supervision.reply(sender, None)
                else:
                    supervision.reply_error(sender, gone)

    async def _close_stopped(self, progress: Progress) -> bool:
        """Keep the stopped run's text, marked aborted; False: it had ended before."""
        while (turn := self._journal.transcript.turn) is not None:
            try:
                await self._closing.turn(
                    "aborted",
                    self._partial(progress),
                    received=progress.heard(turn.attempt),
                )
            except SequenceConflict:
                await self._catch_up()
                continue
            return True
        return False

    def _partial(self, progress: Progress) -> str:
        """What there is of an answer that is not in the journal."""
        turn = self._journal.transcript.turn
        if turn is None or not turn.asking or turn.attempt != progress.attempt:
            return ""
        return "".join(progress.pieces)

    # --- what came in, what is told

    async def _read_again(self) -> None:
        """Bring transcript, inbox and open run up to what is durable."""
        found = await self._journal.read()
        self._upkeep.about.see(found.row)
        self._inbox.see(found.inbox)
        self._answers.see(found.waits)
        self._revivals = 0 if found.open_run is None else found.open_run.revivals
        self._kin.see(found)
        self._kin.ring(found)

    async def _look_again(self) -> None:
        """Something was written for this session: messages, a result, a stop."""
        found = await self._journal.look()
        self._inbox.add(found.inbox)
        self._kin.see(found)
        if self._running is not None:
            self._kin.tell(self._running.pid)

    def _add(self, row: InboxRow) -> None:
        if not self._inbox.ring(row):
            return
        begun = self._running is not None or self._preparing.turn is not None
        if begun:
            self._publish(Waiting(row.run_id, "queue"))
        if begun or self._inbox.gathering:
            self._inbox.gather()

    def _hear(self, message: Heard) -> None:
        """Something for the turn that is about to begin."""
        run_id = self._preparing.hear(message)
        if run_id is not None:
            words = self._preparing.waits_for or ""
            self._publish(Waiting(run_id, "files", words))

    def _publish(self, value: TopicValue) -> None:
        self._wiring.bus.publish(self._topic, value)


def _tell_stopped(sender: supervision.From, what: object) -> None:
    """There was no run to wait for: it is done."""
    with point("session.stopped-now"):
        supervision.reply(sender, what)
