"""What a run does with other sessions: sub-agents, messages, its own session's agent.

Such a tool call has no process. What it means is committed together with its intent, so
it is done once or not at all; what comes of it stands in the ledger, so nothing in
memory is waited for.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import attrs
import orjson

import supervision
from beamclaw.agents import AgentDefinition
from beamclaw.contracts import keys, names, news
from beamclaw.contracts.announcements import SOURCE, result
from beamclaw.contracts.journal import HandedOver, ToolBegun, ToolEnded
from beamclaw.contracts.ledger_errors import Overloaded, TooManyChildren
from beamclaw.contracts.ledger_ops import (
    CancelChildren,
    Deliver,
    Op,
    OpenChild,
    TakeChild,
)
from beamclaw.contracts.ledger_reads import ReadAncestors, ReadSessionRow
from beamclaw.contracts.ledger_session_ops import SetAgent
from beamclaw.contracts.messages import Message, said
from beamclaw.contracts.points import point
from beamclaw.contracts.results import bounded, ended, of_output, to_keep
from beamclaw.contracts.runs import ChildOver
from beamclaw.contracts.sessions import Inbound, ToolUse, accept
from beamclaw.contracts.steps import at_once
from beamclaw.contracts.subagents import (
    Allowance,
    Asker,
    ChildBegun,
    ChildKind,
    HandOver,
    Mode,
    Parent,
    Request,
    Send,
    Spawn,
    Yield,
    may_hand_over,
    may_send,
    may_spawn,
)
from beamclaw.contracts.toolbox import Toolbox
from beamclaw.contracts.tools import CallOutcome, ToolFailed
from beamclaw.contracts.transcript import Transcript
from beamclaw.runs.allowances import carve
from beamclaw.runs.hours import Hours
from beamclaw.runs.orders import call_key, crashed, order_of
from beamclaw.runs.record import Record
from beamclaw.runs.turn_steps import Act, Conclude
from beamclaw.runs.wiring import Wiring

T = TypeVar("T")


class Refused(Exception):  # noqa: N818 -- a situation
    """It may not be done; why, in words for the model."""


class Children:
    """See the module. Belongs to one run, which hands it what its session says.

    Args:
        wiring: What all runs share.
        record: The run's.
        definition: Its agent.
        hours: How far its own turn may go.
        toolbox: What it has of tools; those that are done with sessions it does here.
    """

    def __init__(
        self,
        wiring: Wiring,
        record: Record,
        definition: AgentDefinition,
        hours: Hours,
        toolbox: Callable[[], Toolbox],
    ) -> None:
        self._wiring = wiring
        self._record = record
        self._agent = definition.id
        self._hours = hours
        self._toolbox = toolbox

    @property
    def working(self) -> str:
        """The sessions that are waited for, in words."""
        open_ = self._record.turn.open_children
        return ", ".join(child.begun.session_key for child in open_)

    # --- doing

    async def act(self, step: Act) -> None:
        """Commit the call, and all that it means."""
        record = self._record
        record.mark()
        try:
            await self._draft(step, self._request(step))
            with point("run.act"):
                await record.commit()
        except ToolFailed as failed:
            self._refuse(step, str(failed), "error")
        except (Refused, TooManyChildren, Overloaded) as refused:
            record.back()
            supervision.emit(
                "beamclaw.subagent.refused",
                {},
                {
                    "tenant": self._wiring.tenant,
                    "session": record.key,
                    "tool": step.spec.name,
                    "why": str(refused),
                },
            )
            self._refuse(step, f"it was not carried out: {refused}", "refused")

    def _request(self, step: Act) -> Request:
        record, tenant = self._record, self._wiring.tenant
        tainted = record.turn.tainted
        order = order_of(tenant, record, self._agent, step, tainted=tainted)
        try:
            return self._toolbox().acts[order.tool].request(order)
        except ToolFailed:
            raise
        except Exception as error:  # noqa: BLE001 -- a tool's fault is not the turn's
            raise Refused(crashed(order, error)) from None

    async def _draft(self, step: Act, request: Request) -> None:
        try:
            match request:
                case Spawn():
                    self._spawn(step, request)
                case Send():
                    await self._message(step, request)
                case HandOver():
                    self._hand_over(step, request)
                case Yield():
                    self._done(step, "The turn ends here.", last=True)
        except keys.BadKey as error:
            raise Refused(str(error)) from None

    def _spawn(self, step: Act, request: Spawn) -> None:
        wiring, record = self._wiring, self._record
        record.look_at_clock()  # what is left of the turn's time is judged here
        turn = record.turn
        agent = request.agent or self._agent
        _check(None if request.task.strip() else "there is no task")
        _check(may_spawn(wiring.subagents, self._asker(), agent))
        share = wiring.subagents.share
        limits = self._hours.limits(turn)
        allowance = carve(turn, limits, request, share, record.now())
        if isinstance(allowance, str):
            raise Refused(allowance)
        context: tuple[Message, ...] = ()
        if request.context == "fork":
            context = forked(record.state)
        inbound = self._inbound(
            step, str(keys.subagent(agent, wiring.outside.new_id())), agent
        )
        inbound = attrs.evolve(
            inbound,
            messages=(*context, said("user", request.task)),
            model=request.model,
            parent=self._parent(step, "spawn", request.mode, allowance),
            hops=turn.hops,
        )
        self._open(step, inbound)

    async def _message(self, step: Act, request: Send) -> None:
        _check(None if request.text.strip() else "there is nothing to say")
        key = str(keys.resolve(request.session_key, self._agent))
        agent = await self._agent_of(key)
        above = await self._ask(ReadAncestors(key))
        _check(may_send(self._wiring.subagents, self._asker(), agent, key, above))
        inbound = self._inbound(step, key, agent)
        words = f"[From session {self._record.key}]\n{request.text}"
        inbound = attrs.evolve(
            inbound,
            messages=(said("user", words),),
            hops=self._record.turn.hops + 1,
        )
        if request.reply:
            parent = self._parent(step, "send", "announce", None)
            self._open(step, attrs.evolve(inbound, parent=parent))
            return
        self._done(step, _accepted(inbound))
        self._record.add_op(Deliver(accept(inbound, at=self._record.now())))
        self._record.afterwards(partial(self._record.rouse, key))

    def _hand_over(self, step: Act, request: HandOver) -> None:
        agent = request.agent
        _check(may_hand_over(self._wiring.subagents, self._asker(), agent))
        over = HandedOver(agent=agent, by=self._agent)
        self._record.add(over, SetAgent(agent))
        self._done(step, f"From the next message on agent {agent} answers here.")

    # --- what that consists of

    def _asker(self) -> Asker:
        turn = self._record.turn
        return Asker(
            agent=self._agent,
            session_key=self._record.key,
            depth=turn.depth,
            hops=turn.hops,
            children=sum(child.begun.kind == "spawn" for child in turn.children),
        )

    def _parent(
        self, step: Act, kind: ChildKind, mode: Mode, allowance: Allowance | None
    ) -> Parent:
        turn = self._record.turn
        return Parent(
            session_key=self._record.key,
            agent=self._agent,
            run_id=self._record.id,
            call_id=step.call.asked.id,
            kind=kind,
            mode=mode,
            depth=turn.depth + 1,
            allowance=allowance,
            reply_to=turn.reply_to,
            hops=turn.hops,
        )

    def _inbound(self, step: Act, session_key: str, agent: str) -> Inbound:
        turn = self._record.turn
        return Inbound(
            tenant=self._wiring.tenant,
            source=SOURCE,
            account=SOURCE,
            conversation=self._record.key,
            # The same call is the same message, however often it may be sent.
            external_id=call_key(self._record.id, step.call.asked.id),
            session_key=session_key,
            agent=agent,
            messages=(),
            run_id=self._wiring.outside.new_id(),
            sender=self._record.key,
            # A turn of its own: its end is the answer.
            queue="followup",
            tainted=self._record.state.tainted,
            traceparent=self._wiring.tracing.outgoing(
                turn.run_id, turn.traceparent, *news.tool_step(step.call.asked.id)
            ),
            tracestate=turn.tracestate,
        )

    def _open(self, step: Act, inbound: Inbound) -> None:
        """Draft that a turn in another session works for the call."""
        record, rules, parent = self._record, self._wiring.subagents, inbound.parent
        assert parent is not None
        begun = ChildBegun(
            run_id=inbound.run_id,
            session_key=inbound.session_key,
            kind=parent.kind,
            mode=parent.mode,
            allowance=parent.allowance,
        )
        op = OpenChild(
            message=accept(inbound, at=record.now()),
            run_id=record.id,
            call_id=parent.call_id,
            kind=parent.kind,
            mode=parent.mode,
            most_of_session=rules.children,
            most=rules.concurrent,
        )
        self._begun(step, begun, op)
        if parent.mode == "announce":
            self._end(step, ended(parent.call_id, "ok", _accepted(inbound)))
        record.afterwards(partial(record.rouse, inbound.session_key))
        if parent.kind == "spawn":
            record.afterwards(partial(self._tell_started, inbound.session_key, parent))

    def _tell_started(self, session_key: str, parent: Parent) -> None:
        supervision.emit(
            "beamclaw.subagent.started",
            {"depth": float(parent.depth)},
            {
                "tenant": self._wiring.tenant,
                "session": session_key,
                "parent": parent.session_key,
                "mode": parent.mode,
            },
        )

    def _done(self, step: Act, text: str, *, last: bool = False) -> None:
        """Draft a call that is over with this commit."""
        self._begun(step, None)
        over = ended(step.call.asked.id, "ok", text)
        self._end(step, attrs.evolve(over, last=last))

    def _begun(self, step: Act, child: ChildBegun | None, *ops: Op) -> None:
        record, id_ = self._record, step.call.asked.id
        begun = ToolBegun(
            call_id=id_,
            tool=step.spec.name,
            effect=step.spec.effect,
            key=call_key(record.id, id_),
            child=child,
        )
        record.add(begun, *ops)
        record.tell(ToolUse(record.id, id_, step.spec.name))

    def _refuse(self, step: Act, words: str, outcome: CallOutcome) -> None:
        self._end(step, ended(step.call.asked.id, outcome, words))

    def _end(self, step: Act | Conclude, over: ToolEnded, *ops: Op) -> None:
        record, asked = self._record, step.call.asked
        record.add(over, *ops)
        record.tell(ToolUse(record.id, asked.id, asked.name, over.outcome))

    async def _agent_of(self, key: str) -> str:
        row = await self._ask(ReadSessionRow(key))
        if row is None or row.deleted_at is not None:
            raise Refused(f"there is no session {key}")
        return row.agent

    async def _ask(self, request: supervision.Call[T]) -> T:
        name = names.of_tenant(self._wiring.tenant, "ledger")
        return await supervision.call(name, request, timeout=None)

    # --- hearing

    def hear(self, message: ChildOver) -> None:
        """Draft the result of the call that waits for a turn which is over."""
        record, row = self._record, message.row
        for call in record.turn.open_calls:
            if call.child == row.run_id:
                id_, key = call.asked.id, call_key(record.id, call.asked.id)
                output = at_once(bounded(result(row), key, self._wiring.bounds))
                over = attrs.evolve(of_output(id_, key, output), spend=row.spend)
                if kept := to_keep(record.id, key, output, over, at=record.now()):
                    record.add_op(kept)
                record.add(over, TakeChild(row.run_id))
                record.tell(ToolUse(record.id, id_, call.asked.name, over.outcome))

    def conclude(self, step: Conclude) -> None:
        """Draft the result of a call whose sub-agent is not waited for any longer."""
        record, id_ = self._record, step.call.asked.id
        over = ended(id_, step.outcome, step.text)
        self._end(step, over, CancelChildren(record.id, id_))
        for child in record.turn.children:
            if child.call_id == id_:
                record.afterwards(partial(record.rouse, child.begun.session_key))


def forked(state: Transcript) -> tuple[Message, ...]:
    """All that was said before the answer that is in progress."""
    turn, messages = state.turn, tuple(state.messages)
    assert turn is not None
    for place in range(len(messages) - 1, -1, -1):
        if messages[place] == turn.answer:
            return messages[:place]
    return messages


def _check(refusal: str | None) -> None:
    if refusal is not None:
        raise Refused(refusal)


def _accepted(inbound: Inbound) -> str:
    """What OpenClaw's tools of this kind say."""
    said_ = {
        "status": "accepted",
        "childSessionKey": inbound.session_key,
        "runId": inbound.run_id,
    }
    return orjson.dumps(said_).decode()
