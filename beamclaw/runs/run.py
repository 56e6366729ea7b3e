"""The process of one turn: carries out what the turn machine decides.

It owns the turn's writes while it lives. Killed at any await it leaves the journal as
it stands; its session then either closes the turn (a person stopped it) or starts a
successor, which claims the run's next epoch before it does anything else. Tool calls
are processes of their own: a successor finds those that live.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, assert_never

import attrs
import orjson
import trio

import supervision
from beamclaw.agents import AgentDefinition
from beamclaw.contracts import context, ledger, names, tokens, waits
from beamclaw.contracts.context import Window
from beamclaw.contracts.ends import end_run, run_over
from beamclaw.contracts.intake import taken
from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
    Body,
    Compacted,
    InboundTaken,
    Noted,
    RunStarted,
    ToolBegun,
    ToolEnded,
    WaitBegun,
    WaitOver,
)
from beamclaw.contracts.messages import Message, ModelParams, ToolCall, Usage
from beamclaw.contracts.providers import ModelRequest, ProviderError, StopReason
from beamclaw.contracts.results import ended
from beamclaw.contracts.retry import decide as decide_retry
from beamclaw.contracts.retry import give_up_words
from beamclaw.contracts.runs import RunOrder, Steer, Steered
from beamclaw.contracts.sessions import (
    Joined,
    Phase,
    Question,
    Reset,
    RunEnded,
    ToolUse,
    Waiting,
)
from beamclaw.contracts.tools import CallDone, Order, Tool, ToolSpec
from beamclaw.contracts.transcript import OpenTurn, Wait
from beamclaw.runs import compaction
from beamclaw.runs.answer import Answer
from beamclaw.runs.calls import Calls
from beamclaw.runs.draft import Draft
from beamclaw.runs.model_call import ModelCall
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
    await _Run(wiring, order).work()


class _Run:
    def __init__(self, wiring: Wiring, order: RunOrder) -> None:
        self._wiring = wiring
        self._claim = order.claim
        self._key = order.session_key
        self._successor = order.successor
        self._progress = order.progress
        self._body = order.definition
        self._answers = order.answers
        self._id = order.progress.run_id
        self._ledger = names.of_tenant(order.tenant, "ledger")
        self._draft = Draft(self._id, order.progress.transcript)
        # The draft, and how much news there was, before the last call was put into it.
        self._before_ask = self._draft, 0
        self._calls = Calls(wiring.tenant, self._id, wiring.max_result)
        # Messages that came meanwhile; those in the draft; those that were ever given.
        self._steer: list[Steer] = []
        self._steered: list[int] = []
        self._given: set[int] = set()
        # Calls whose intent is in the draft: begun when that is committed.
        self._to_begin: list[Begin] = []
        # Told to whoever follows the run when the draft is committed.
        self._news: list[Reset | ToolUse | Question | Joined] = []
        self._room: Window | None = None
        self._ended: RunEnded | None = None

    @property
    def _turn(self) -> OpenTurn:
        turn = self._draft.state.turn
        if turn is None or turn.run_id != self._id:
            msg = f"run {self._id} is not the open turn of its session"
            raise ledger.LedgerError(msg)
        return turn

    # --- from step to step

    async def work(self) -> None:
        supervision.update_value(
            names.run(self._wiring.tenant, self._id), self._progress
        )
        if self._successor:
            self._take_over()
            await self._commit()
        definition = await self._definition()
        tools = self._wiring.tools(definition.id)
        self._calls.find(call.asked.id for call in self._turn.open_calls)
        for row in self._answers:
            self._hear_answer(row)
        while True:
            await self._look_up()
            step = self._plan(definition, tools)
            try:
                await self._commit()
            except ledger.BudgetReached as reached:
                self._take_back_ask(str(reached))
                await self._commit()
                return
            if step is None:
                return
            await self._begin(tools)
            if isinstance(step, Expire):
                await self._expire(step)
            elif isinstance(step, Compact):
                await self._compact(step, definition)
            elif isinstance(step, Ask):
                await self._ask(step, definition, tools)
            else:
                await self._listen()

    def _plan(
        self, definition: AgentDefinition, tools: Mapping[str, Tool]
    ) -> Ask | Await | Compact | Expire | None:
        """Decide, and draft what that means, up to the next step that has to wait.

        None: the turn is over.
        """
        specs = {name: tool.spec for name, tool in tools.items()}
        while self._ended is None:
            if self._room is None:
                self._room = self._window(definition, specs)
            steps = decide(
                self._draft.state,
                now=self._now(),
                limits=self._wiring.limits,
                window=self._room,
                system=definition.system,
                tools=specs,
                running={*self._calls.running, *self._beginning},
            )
            for step in steps:
                if isinstance(step, Ask):
                    if self._steer:
                        self._draft_steering()
                        break
                    self._draft_ask(step, definition)
                    return step
                if isinstance(step, Await | Compact | Expire):
                    return step
                self._draft_step(step)
        return None

    def _draft_step(self, step: Begin | AskPerson | Conclude | Finish) -> None:
        match step:
            case Begin():
                self._draft_begin(step)
            case AskPerson():
                self._draft_question(step)
            case Conclude():
                self._draft_conclude(step)
            case Finish():
                error = (
                    ProviderError("context_length", step.error) if step.error else None
                )
                self._draft_end(
                    step.outcome, step.stop_reason, note=step.note, error=error
                )
            case _:
                assert_never(step)

    @property
    def _beginning(self) -> set[str]:
        return {step.call.asked.id for step in self._to_begin}

    def _take_over(self) -> None:
        turn = self._turn
        started = RunStarted(
            epoch=self._claim.run_epoch,
            agent=turn.agent,
            definition=turn.definition,
            params=turn.params,
            retractable=turn.retractable,
        )
        ops: list[ledger.Op] = [ledger.ClaimRun(self._now())]
        if turn.asking:
            # How far that call had come nobody knows: it counts as all it could cost.
            ops.append(ledger.Settle(self._id, turn.attempt, self._now(), None))
        self._add(started, *ops)

    async def _definition(self) -> AgentDefinition:
        hash_ = self._turn.definition
        body = self._body or await supervision.call(
            self._ledger, ledger.ReadDefinition(hash_), timeout=None
        )
        if body is None:
            msg = f"the agent definition {hash_} of run {self._id} is not in the ledger"
            raise ledger.LedgerError(msg)
        return AgentDefinition.load(body)

    # --- asking the model

    def _draft_ask(self, step: Ask, definition: AgentDefinition) -> None:
        """Note the call, and what it may cost, before it is made."""
        provider, model = definition.provider, definition.model
        asked = Asked(attempt=step.attempt, provider=provider, model=model)
        bound = self._bound(step, definition)
        reserve = ledger.Reserve(
            run_id=self._id,
            attempt=step.attempt,
            agent=definition.id,
            provider=provider,
            model=model,
            at=self._now(),
            bound=bound,
            cost=self._wiring.price(provider, model).cost(bound),
            caps=self._wiring.caps(definition.id),
        )
        self._before_ask = self._draft.copy(), len(self._news)
        turn = self._turn
        if turn.unanswered:
            self._news.append(Reset(self._id, step.attempt, len(turn.text)))
        self._add(asked, reserve)

    def _take_back_ask(self, words: str) -> None:
        """The call would be too dear: what was drafted before it stays, and is the end."""
        self._draft, news = self._before_ask
        del self._news[news:]
        self._draft_end("limited", "limit", note=words)

    def _bound(self, step: Ask, definition: AgentDefinition) -> Usage:
        most = _params(step, definition).max_tokens
        return Usage(
            tokens.of_messages(step.messages),
            most or self._wiring.max_output(definition.provider, definition.model),
            estimated=True,
        )

    async def _ask(
        self, step: Ask, definition: AgentDefinition, tools: Mapping[str, Tool]
    ) -> None:
        provider, model = definition.provider, definition.model
        bound = self._bound(step, definition)
        if provider not in self._wiring.policies:
            words = (
                f"the turn began with the provider {provider!r}, which is not "
                "configured any more (providers)"
            )
            self._fail(definition, Answer(), Usage(), ProviderError("invalid", words))
            return
        request = ModelRequest(
            model=model,
            messages=step.messages,
            params=_params(step, definition),
            tools=tuple(tool.spec for tool in tools.values()),
        )
        flusher, progress = self._wiring.flusher, self._progress
        flusher.publish(progress)
        flusher.restart(progress, step.attempt, self._turn.text)
        answer = Answer()
        call = ModelCall(
            self._wiring, self._id, provider, request, self._wait_for, self._say
        )
        try:
            await call.make(answer)
        except ProviderError as error:
            await self._failed(definition, answer, bound, error)
            return
        finally:
            progress.waiting = None
        usage = answer.cost(bound)
        reason = answer.stop_reason or "stop"
        self._draft_answer(definition, answer, reason, usage)

    def _say(self, text: str) -> None:
        self._progress.waiting = None
        self._wiring.flusher.add(self._progress, text)

    def _draft_answer(
        self,
        definition: AgentDefinition,
        answer: Answer,
        reason: StopReason,
        usage: Usage,
    ) -> None:
        attempt, whole = self._turn.attempt, reason != "error"
        message = answer.message(self._call_ids(), whole=whole)
        answered = Answered(
            attempt=attempt,
            message=message,
            stop_reason=reason,
            usage=usage,
            provider=definition.provider,
            model=definition.model,
        )
        self._add(answered, self._settle(definition, usage))

    def _settle(self, definition: AgentDefinition, usage: Usage) -> ledger.Settle:
        price = self._wiring.price(definition.provider, definition.model)
        attempt = self._turn.attempt
        return ledger.Settle(self._id, attempt, self._now(), usage, price.cost(usage))

    def _call_ids(self) -> set[str]:
        return {
            part.id
            for message in self._draft.state.messages
            for part in message.parts
            if isinstance(part, ToolCall)
        }

    async def _failed(
        self,
        definition: AgentDefinition,
        answer: Answer,
        bound: Usage,
        error: ProviderError,
    ) -> None:
        """Another attempt, if the policy has one left; else the turn fails in words."""
        turn = self._turn
        # What the provider refused before it said anything, it does not bill.
        spent = answer.cost(bound) if answer.begun else Usage()
        if error.kind == "context_length" and not answer.begun:
            # Our own count was wrong: what is done about it is decided from this.
            failed = AttemptFailed(
                attempt=turn.attempt, kind=error.kind, error=error.message
            )
            self._add(failed, self._settle(definition, spent))
            return
        policy = self._wiring.policies[definition.provider]
        attempt, text_left = turn.failed_in_a_row + 1, bool(answer.text)
        wait = decide_retry(
            policy,
            attempt,
            error,
            self._wiring.outside.random(),
            text_left=text_left,
            retractable=turn.retractable,
        )
        if wait is None:
            words = give_up_words(policy, attempt, error, text_left=text_left)
            self._fail(definition, answer, spent, ProviderError(error.kind, words))
            return
        failed = AttemptFailed(
            attempt=turn.attempt, kind=error.kind, error=error.message
        )
        self._add(failed, self._settle(definition, spent))
        await self._commit()
        self._wait_for("retry", error.message, wait)
        await trio.sleep(wait)

    def _fail(
        self,
        definition: AgentDefinition,
        answer: Answer,
        spent: Usage,
        error: ProviderError,
    ) -> None:
        self._draft_answer(definition, answer, "error", spent)
        self._draft_end("error", "error", error=error)

    # --- making it shorter

    def _window(
        self, definition: AgentDefinition, specs: Mapping[str, ToolSpec]
    ) -> Window:
        wiring, provider, model = self._wiring, definition.provider, definition.model
        output = self._turn.params.max_tokens or definition.max_tokens
        spoken = [definition.system or ""]
        for spec in specs.values():
            spoken += (
                spec.name,
                spec.description,
                orjson.dumps(spec.parameters).decode(),
            )
        return Window(
            tokens=wiring.window(provider, model),
            output=output or wiring.max_output(provider, model),
            overhead=sum(map(tokens.of_text, spoken)),
            keep=wiring.keep_tokens,
        )

    async def _compact(self, step: Compact, definition: AgentDefinition) -> None:
        """Put a summary in the place of what was said first; it stays in the journal."""
        state = self._draft.state
        covered = state.messages[: step.cut]
        first, last = state.covered + 1, state.seqs[step.cut - 1]
        before = tokens.of_messages(state.messages)
        text, usage = "", Usage()
        if step.model:
            text, usage = await self._summary(covered, definition)
        compacted = Compacted(
            first=first,
            last=last,
            summary=text or context.trimmed(covered),
            method="model" if text else "trim",
            before=before,
            usage=usage,
        )
        self._add(compacted)

    async def _summary(
        self, covered: tuple[Message, ...], definition: AgentDefinition
    ) -> tuple[str, Usage]:
        """What a model writes, and what that took; nothing if there is no model to ask."""
        wiring, provider, model = self._wiring, definition.provider, definition.model
        if provider not in wiring.policies:
            return "", Usage()
        room = wiring.window(provider, model) // 2
        asked = compaction.request(covered, model, room)
        bound = Usage(
            tokens.of_messages(asked.messages),
            compaction.OUTPUT_TOKENS,
            estimated=True,
        )
        attempt = self._turn.attempt + 1
        self._add(
            Asked(attempt=attempt, provider=provider, model=model, purpose="summary"),
            ledger.Reserve(
                run_id=self._id,
                attempt=attempt,
                agent=definition.id,
                provider=provider,
                model=model,
                at=self._now(),
                bound=bound,
                cost=wiring.price(provider, model).cost(bound),
                caps=wiring.caps(definition.id),
            ),
        )
        try:
            await self._commit()
        except ledger.BudgetReached:
            self._draft = Draft(self._id, self._progress.transcript)
            return "", Usage()
        self._wait_for("model", f"a summary by {provider}/{model}")
        summary = await compaction.summarise(wiring, self._id, provider, asked, bound)
        self._progress.waiting = None
        settled = summary.usage
        cost = 0 if settled is None else wiring.price(provider, model).cost(settled)
        self._draft.ops.append(
            ledger.Settle(self._id, attempt, self._now(), settled, cost)
        )
        return summary.text, settled or bound

    # --- tool calls

    def _draft_begin(self, step: Begin) -> None:
        id_ = step.call.asked.id
        begun = ToolBegun(
            call_id=id_,
            tool=step.spec.name,
            effect=step.spec.effect,
            key=self._call_key(id_),
            attempt=step.attempt,
        )
        self._add(begun)
        self._to_begin.append(step)
        self._news.append(ToolUse(self._id, id_, step.spec.name))

    def _call_key(self, call_id: str) -> str:
        return f"{self._id}/{call_id}"

    def _draft_conclude(self, step: Conclude) -> None:
        id_ = step.call.asked.id
        self._calls.stop(id_)
        self._add_result(ended(id_, step.outcome, step.text), step.call.asked.name)

    def _add_result(self, result: ToolEnded, tool: str) -> None:
        self._add(result)
        use = ToolUse(self._id, result.result.id, tool, result.outcome)
        self._news.append(use)

    async def _begin(self, tools: Mapping[str, Tool]) -> None:
        """Begin the calls whose intent has just become durable."""
        for step in self._to_begin:
            order = Order(
                tenant=self._wiring.tenant,
                session_key=self._key,
                run_id=self._id,
                call_id=step.call.asked.id,
                tool=step.spec.name,
                arguments=step.arguments,
                key=self._call_key(step.call.asked.id),
                attempt=step.attempt,
            )
            try:
                pid = await self._wiring.begin_call(
                    tools[order.tool], order, check=step.check
                )
            except (supervision.MaxChildren, supervision.NoProcess) as error:
                words = f"it was not carried out, try again later: {error}"
                result = ended(order.call_id, "refused", words)
                self._add_result(result, order.tool)
            else:
                self._calls.watch(order.call_id, pid)
        self._to_begin.clear()

    async def _listen(self) -> None:
        """Hear of calls and answers: wait for one, then take all that are there."""
        self._say_what_for()
        patience = self._patience()
        try:
            while True:
                self._hear(await supervision.receive(_HEARD, timeout=patience))
                patience = 0.0
        except supervision.ReceiveTimeout:
            self._progress.waiting = None

    def _say_what_for(self) -> None:
        turn = self._turn
        tools = {call.asked.id: call.asked.name for call in turn.calls}
        working = [tools[id_] for id_ in self._calls.running]
        if working:
            self._wait_for("tools", ", ".join(working))
        else:
            self._wait_for("person", "")

    def _patience(self) -> float:
        """Seconds until something is due though nothing is heard."""
        turn, now = self._turn, self._now()
        due = [wait.expires_at - now for wait in turn.open_waits]
        if self._calls.running:
            due.append(self._wiring.limits.seconds - turn.busy_seconds(now))
        return max(0.0, min(due))

    async def _look_up(self) -> None:
        """Hear what came while the model was asked."""
        with suppress(supervision.ReceiveTimeout):
            while True:
                self._hear(await supervision.receive(_HEARD, timeout=0))

    def _hear(
        self, message: CallDone | supervision.Down | waits.Answered | Steer
    ) -> None:
        if isinstance(message, waits.Answered):
            self._hear_answer(message.row)
            return
        if isinstance(message, Steer):
            if message.inbox_id not in self._given:
                self._given.add(message.inbox_id)
                self._steer.append(message)
            return
        result = self._calls.result(message)
        if result is None:
            return
        id_ = result.result.id
        for call in self._turn.open_calls:
            if call.asked.id == id_:
                self._add_result(result, call.asked.name)

    # --- persons

    def _draft_steering(self) -> None:
        """Take the messages that came meanwhile, before the model is asked again."""
        for steer in self._steer:
            inbound = steer.inbound
            self._draft.add(
                InboundTaken(
                    messages=taken(inbound, fresh=False), inbox_id=steer.inbox_id
                ),
                ledger.Take((steer.inbox_id,)),
                ledger.JoinRun(inbound.run_id, self._id),
                at=self._now(),
                inbound=inbound,
            )
            self._steered.append(steer.inbox_id)
            self._news.append(Joined(inbound.run_id, self._id))
        self._steer.clear()

    def _draft_question(self, step: AskPerson) -> None:
        asked = step.call.asked
        wait_id = self._call_key(asked.id)
        question = f"{asked.name}({asked.arguments})"
        at = self._now()
        expires_at = at + self._wiring.limits.wait_seconds
        self._add(
            WaitBegun(
                wait_id=wait_id,
                call_id=asked.id,
                question=question,
                expires_at=expires_at,
            ),
            ledger.OpenWait(
                wait_id=wait_id,
                run_id=self._id,
                question=question,
                at=at,
                expires_at=expires_at,
            ),
        )
        self._news.append(Question(self._id, wait_id, question, expires_at))

    def _hear_answer(self, row: ledger.WaitRow) -> None:
        for wait in self._turn.open_waits:
            if wait.id == row.wait_id and row.verdict is not None:
                self._draft_verdict(wait, row.verdict, by=row.by or "", text=row.text)

    async def _expire(self, step: Expire) -> None:
        """Nobody has answered in time; or somebody has, in this very moment."""
        self._draft_verdict(step.wait, "expired", expired=True)
        try:
            await self._commit()
        except ledger.AnsweredAlready:
            self._draft = Draft(self._id, self._progress.transcript)
            self._news.clear()
            self._hear(await supervision.receive(waits.Answered))

    def _draft_verdict(
        self,
        wait: Wait,
        verdict: ledger.Verdict,
        *,
        by: str = "",
        text: str = "",
        expired: bool = False,
    ) -> None:
        over = WaitOver(wait_id=wait.id, verdict=verdict, by=by, text=text)
        self._add(over, ledger.CloseWait(wait.id, unanswered=expired))
        self._news.append(Question(self._id, wait.id, "", wait.expires_at, verdict, by))

    # --- the end

    def _draft_end(
        self,
        outcome: ledger.Outcome,
        reason: StopReason,
        *,
        note: str = "",
        error: ProviderError | None = None,
    ) -> None:
        if note:
            self._add(Noted(text=note))
        turn = self._turn
        ended_ = RunEnded(
            run_id=self._id,
            outcome=outcome,
            stop_reason=reason,
            text=turn.text,
            usage=turn.usage,
            error_kind=None if error is None else error.kind,
            error=None if error is None else error.message,
            model=turn.model,
        )
        self._add(run_over(ended_), end_run(ended_, at=self._now()))
        self._ended = ended_

    # --- writing and telling

    def _add(self, body: Body, *ops: ledger.Op) -> None:
        self._draft.add(body, *ops, at=self._now())

    async def _commit(self) -> None:
        """Commit the draft; the state moves on, and is told, only when it is durable."""
        draft, progress = self._draft, self._progress
        if not draft.events:
            return
        commit = ledger.Commit(
            claim=self._claim,
            session_key=self._key,
            expected_seq=progress.transcript.seq,
            events=tuple(draft.events),
            ops=tuple(draft.ops),
        )
        await supervision.call(self._ledger, commit, timeout=None)
        progress.transcript = draft.state
        self._draft = Draft(self._id, draft.state)
        if self._steered:
            session = names.session(self._wiring.tenant, self._key)
            supervision.cast(session, Steered(tuple(self._steered)))
            self._steered.clear()
        for value in self._news:
            self._tell(value)
        self._news.clear()
        if self._ended is not None:
            progress.ended = self._ended
            self._wiring.flusher.publish(progress)
            self._publish(self._ended)

    def _tell(self, value: Reset | ToolUse | Question | Joined) -> None:
        if isinstance(value, ToolUse) and value.outcome is not None:
            self._calls.dismiss(value.call_id)
        self._publish(value)

    def _wait_for(
        self, phase: Phase, detail: str, seconds: float | None = None
    ) -> None:
        waiting = Waiting(self._id, phase, detail, seconds)
        self._progress.waiting = waiting
        self._publish(waiting)

    def _publish(self, value: object) -> None:
        self._wiring.bus.publish(self._progress.topic, value)

    def _now(self) -> float:
        return self._wiring.outside.wall()


def _params(step: Ask, definition: AgentDefinition) -> ModelParams:
    """The client's settings; the agent's where it has none."""
    params = step.params
    if params.max_tokens is None and definition.max_tokens is not None:
        params = attrs.evolve(params, max_tokens=definition.max_tokens)
    if params.temperature is None and definition.temperature is not None:
        params = attrs.evolve(params, temperature=definition.temperature)
    return params
