"""Asking the model: the reservation before, the call, its answer or its failure."""

import zlib
from collections.abc import Collection, Mapping
from functools import partial

import attrs
import trio

import supervision
from beamclaw.agents import AgentDefinition
from beamclaw.contracts import context, names, news, tokens
from beamclaw.contracts.budgets import Price, needs_price
from beamclaw.contracts.context import Window, share
from beamclaw.contracts.conversation import packed
from beamclaw.contracts.journal import Answered, Asked, AttemptFailed, Purpose
from beamclaw.contracts.ledger_ops import Reserve, Settle
from beamclaw.contracts.ledger_rows import RootRow
from beamclaw.contracts.limits import Paid
from beamclaw.contracts.messages import ModelParams, ToolCall, Usage
from beamclaw.contracts.points import point
from beamclaw.contracts.providers import ModelRequest, ProviderError, StopReason
from beamclaw.contracts.retry import decide, falls_back, give_up_words
from beamclaw.contracts.sessions import Reset
from beamclaw.contracts.toolbox import Caller, Toolbox
from beamclaw.contracts.tools import ToolSpec
from beamclaw.contracts.turns import TurnLimits
from beamclaw.runs import client_tools
from beamclaw.runs.answer import Answer
from beamclaw.runs.bill import Bill
from beamclaw.runs.hours import Hours
from beamclaw.runs.model_call import ModelCall, OutOfTimeError
from beamclaw.runs.record import Record
from beamclaw.runs.turn import beyond, unpriced, with_instructions
from beamclaw.runs.turn_steps import Ask
from beamclaw.runs.wiring import Wiring

# Provider and model, and tools by their names.
_Told = tuple[tuple[str, str], Mapping[str, ToolSpec]]


@attrs.define(eq=False)
class Asking:
    """The model calls of one run, by the agent's definition."""

    wiring: Wiring
    record: Record
    definition: AgentDefinition
    hours: Hours
    # Whose conversation pays for a sub-agent, too.
    root: RootRow | None
    # Tokens of the system's words, and of what the client has brought; and the bound for
    # both together.
    _system: int = attrs.field(init=False, default=0)
    _brought: int = attrs.field(init=False, default=0)
    _around: int = attrs.field(init=False, default=0)
    # Which tools who was told of that was asked last; and the same of who has billed last,
    # in this run, for them and for the system's words.
    _told: _Told | None = attrs.field(init=False, default=None)
    _billed: _Told | None = attrs.field(init=False, default=None)
    # What the call that was drafted last may use at most, and what that is worth.
    _bound: Usage = attrs.field(init=False, default=Usage())
    _worth: int = attrs.field(init=False, default=0)
    # The tools of the model that is asked, by its place in the chain.
    _toolbox: tuple[int, Toolbox] | None = attrs.field(init=False, default=None)
    # Which key of a provider was used last: what it has in its cache is not paid again.
    _key: dict[str, int] = attrs.field(init=False, factory=dict[str, int])

    def __attrs_post_init__(self) -> None:
        params = self.record.turn.params
        system = with_instructions(self.definition.system, params.instructions)
        if system is not None:
            self._system = tokens.MESSAGE_OVERHEAD + tokens.of_text(system)
            self._around = tokens.MESSAGE_OVERHEAD + tokens.most_of_text(system)
        self._brought = client_tools.size(params)
        self._around += client_tools.most(params)

    @property
    def limits(self) -> TurnLimits:
        """Of the turn, as it stands."""
        return self.hours.limits(self.record.turn)

    @property
    def target(self) -> tuple[str, str]:
        """Provider and model that are asked now."""
        return self.definition.model_at(self.record.turn.link)

    @property
    def _overhead(self) -> int:
        """Tokens of the system's words and of the tools."""
        return self._system + self.toolbox().tokens + self._brought

    def toolbox(self) -> Toolbox:
        """What the model that is asked now has of tools, and what it asks for may be done."""
        turn, known = self.record.turn, self._toolbox
        if known is not None and known[0] == turn.link:
            return known[1]
        provider, model = self.target
        caller = Caller(
            agent=self.definition.id, provider=provider, model=model, depth=turn.depth
        )
        found = self.wiring.tools(caller)
        self._toolbox = turn.link, found
        return found

    @property
    def is_configured(self) -> bool:
        """Whether the provider is still there."""
        return self.target[0] in self.wiring.policies

    @property
    def keys(self) -> tuple[int, ...]:
        """The provider's keys, the one first that is used with this conversation."""
        provider = self.target[0]
        count = self.wiring.keys.get(provider, 1)
        first = self._key.get(provider)
        if first is None:
            first = zlib.crc32(self.record.key.encode("utf-8", "surrogatepass"))
        return tuple((first + place) % count for place in range(count))

    def window(self) -> Window:
        """What fits into the model."""
        wiring = self.wiring
        return Window(
            tokens=wiring.window(*self.target),
            output=self._max_tokens(self.record.turn.params),
            overhead=self._overhead,
            system=self._system,
            keep=wiring.keep_tokens,
            model="/".join(self.target),
        )

    # --- before

    def refusal(self, bound: Usage) -> str:
        """In words, why no call is made that may use so much; nothing: it may be."""
        wiring, (provider, model) = self.wiring, self.target
        price = wiring.price(provider, model)
        if price is None:
            cap = needs_price(self.hours.caps())
            name = "limits.turn.cost" if self.limits.cost is not None else ""
            if cap is not None or name:
                return unpriced(provider, model, name if cap is None else cap.name)
        cost = 0 if price is None else price.cost(bound)
        return beyond(self.record.turn, self.limits, bound, cost)

    def reserve(self, attempt: int, bound: Usage, purpose: Purpose = "answer") -> None:
        """Draft that a call is about to be made, and what it may cost at most."""
        wiring, record = self.wiring, self.record
        provider, model = self.target
        price = wiring.price(provider, model) or Price()
        cost = price.cost(bound)
        self._bound, self._worth = bound, cost
        record.add(
            Asked(
                attempt=attempt,
                provider=provider,
                model=model,
                purpose=purpose,
                bound=bound,
                cost=cost,
            ),
            Reserve(
                run_id=record.id,
                attempt=attempt,
                agent=self.definition.id,
                provider=provider,
                model=model,
                at=record.now(),
                bound=bound,
                cost=cost,
                caps=self.hours.caps(),
            ),
        )

    def cost(self, usage: Usage) -> int:
        """What *usage* of the model that is asked costs, in millionths of a dollar."""
        return (self.wiring.price(*self.target) or Price()).cost(usage)

    def settle(self, usage: Usage | None) -> Settle:
        """What the last call did cost; None: nobody knows, so all that was reserved."""
        record = self.record
        cost = 0 if usage is None else self.cost(usage)
        if usage is not None:
            self._compare(usage, cost)
        if self.hours.caps():
            self._tell_paid(Paid(self.definition.id, record.key))
            if self.root is not None:
                self._tell_paid(Paid(self.root.agent, self.root.key))
        return Settle(record.id, record.turn.attempt, record.now(), usage, cost)

    def _tell_paid(self, paid: Paid) -> None:
        limits = names.of_tenant(self.wiring.tenant, "limits")
        self.record.afterwards(partial(supervision.cast, limits, paid))

    def _compare(self, usage: Usage, cost: int) -> None:
        """Tell if the provider bills more than the call could use."""
        bill = Bill(
            tenant=self.wiring.tenant,
            agent=self.definition.id,
            session=self.record.key,
            target=self.target,
            bound=self._bound,
            worth=self._worth,
        )
        self.record.afterwards(partial(bill.compare, usage, cost))

    def draft(self, step: Ask) -> str:
        """Draft the call, in a way that can be taken back if it is too dear.

        Returns:
            Why no call was drafted, in words for a person; nothing: it was.
        """
        record, turn = self.record, self.record.turn
        record.mark()
        bound = self._most(step)
        refusal = self.refusal(bound)
        if refusal:
            return refusal
        record.progress.share = share(record.state, self.window())
        if turn.unanswered:
            record.tell(Reset(record.id, step.attempt, len(turn.text)))
        self.reserve(step.attempt, bound)
        return ""

    def _most(self, step: Ask) -> Usage:
        output = self._max_tokens(step.params)
        toolbox = self.toolbox()
        asked = context.most(
            self.record.state,
            "/".join(self.target),
            self._around + toolbox.most,
            same=self._billed == (self.target, toolbox.specs),
        )
        return Usage(asked, output, estimated=True)

    def _params(self, step: Ask) -> ModelParams:
        """The client's settings; the agent's where it has none."""
        params, definition = step.params, self.definition
        # What is reserved is a bound only if the model is told where to stop, and every
        # turn has a limit of tokens.
        params = attrs.evolve(params, max_tokens=self._max_tokens(params))
        if params.temperature is None and definition.temperature is not None:
            params = attrs.evolve(params, temperature=definition.temperature)
        return params

    def _max_tokens(self, params: ModelParams) -> int:
        """What an answer may have: as the client, the agent or the model has it."""
        most = params.max_tokens or self.definition.max_tokens
        return most or self.wiring.max_output(*self.target)

    # --- the call

    async def ask(self, step: Ask) -> None:
        """Make the call that was committed; draft what came of it."""
        record, provider = self.record, self.target[0]
        answer = Answer("/".join(self.target))
        if not self.is_configured:
            words = (
                f"the turn began with the provider {provider!r}, which is not "
                "configured any more (providers)"
            )
            self._give_up(answer, Usage(), ProviderError("invalid", words))
            return
        toolbox = self.toolbox()
        self._told = self.target, toolbox.specs
        request = ModelRequest(
            model=self.target[1],
            messages=step.messages,
            params=self._params(step),
            tools=client_tools.offered(step.params, toolbox.specs),
            traceparent=self.outgoing(step.attempt),
            tracestate=record.turn.tracestate,
            goes_on=True,
        )
        self.listen(step.attempt)
        bound = self._bound
        call = ModelCall(
            wiring=self.wiring,
            run_id=record.id,
            attempt=step.attempt,
            resends=record.turn.failed_in_a_row,
            provider=provider,
            request=request,
            bound=bound,
            keys=self.keys,
            patient=not self._has_another,
            wait_for=record.wait_for,
            say=self._say,
            heard=self.heard,
            use=partial(self._key.__setitem__, provider),
            seconds=self.seconds_left(),
        )
        try:
            await call.make(answer)
        except ProviderError as error:
            await self._failed(answer, bound, error)
        except OutOfTimeError:
            self._cut(answer)
        else:
            reason, usage = answer.stop_reason or "stop", answer.cost(bound)
            if usage.input and not usage.estimated:
                self._billed = self._told
            self._answered(answer, reason, usage)
        finally:
            record.progress.waiting = None

    def seconds_left(self) -> float:
        """How long the turn may still take, also if somebody has just set the clock."""
        record = self.record
        record.look_at_clock()
        turn = record.turn
        return max(0.0, self.hours.seconds(turn) - turn.busy_seconds(record.now()))

    def _cut(self, answer: Answer) -> None:
        """The turn is over in the middle of an answer; what was said of it stays.

        What the provider goes on with unheard it may bill: as after a crash, the whole
        reservation counts.
        """
        spent = self._bound if answer.unheard else Usage()
        self._answered(answer, "error", spent)
        note = self.hours.note(self.record.turn, self.record.now())
        self.record.end("limited", "limit", note=note)

    def outgoing(self, attempt: int) -> str:
        """The header ``traceparent`` of that call."""
        turn, tracing = self.record.turn, self.wiring.tracing
        return tracing.outgoing(
            turn.run_id, turn.traceparent, *news.model_step(attempt)
        )

    @property
    def _has_another(self) -> bool:
        """Whether there is a model that can be asked in place of this one."""
        turn = self.record.turn
        left = turn.failed + 1 < self.limits.failures
        return left and turn.link < len(self.definition.fallbacks)

    def listen(self, attempt: int) -> None:
        """What comes from here on is of the model call *attempt*."""
        flusher, progress = self.wiring.flusher, self.record.progress
        flusher.publish(progress)
        flusher.restart(progress, attempt, self.record.turn.text)

    def heard(self, most: int) -> None:
        """What has come of the call in progress, seen or not, can be so many tokens."""
        self.record.progress.received = most

    def _say(self, text: str) -> None:
        self.record.progress.waiting = None
        self.wiring.flusher.add(self.record.progress, text)

    def _answered(self, answer: Answer, reason: StopReason, usage: Usage) -> None:
        taken = self._call_ids() if answer.asks_for_tools else ()
        whole = reason != "error" and not answer.broken_off
        message = answer.message(taken, whole=whole)
        answered = Answered(
            attempt=self.record.turn.attempt,
            message=message,
            stop_reason=reason,
            usage=usage,
            provider=self.target[0],
            model=self.target[1],
            cost=self.cost(usage),
        )
        self.record.add(answered, self.settle(usage))

    def _call_ids(self) -> Collection[str]:
        """Those that are taken, also by calls of this turn that were summed up since."""
        return {
            *self.record.turn.call_ids,
            *(
                part.id
                for message in packed(self.record.state.messages)
                if not isinstance(message, str)
                for part in message.parts
                if isinstance(part, ToolCall)
            ),
        }

    async def _failed(self, answer: Answer, bound: Usage, error: ProviderError) -> None:
        """Another attempt, if the policy has one left; else the turn fails in words."""
        turn = self.record.turn
        spent = answer.spent(bound)
        if error.kind == "context_length" and not answer.begun:
            # Our own count was wrong: what is done about it is decided from this.
            self._note_failure(error, spent)
            self._tell(error, "shorter")
            return
        policy = self.wiring.policies[self.target[0]]
        attempt, text_left = turn.failed_in_a_row + 1, bool(answer.text)
        retractable = turn.retractable
        wait = decide(
            policy,
            attempt,
            error,
            self.wiring.outside.random(),
            text_left=text_left,
            retractable=retractable,
            keys=len(self.keys),
        )
        if wait == 0.0:
            self._key[self.target[0]] = self.keys[1 % len(self.keys)]
        budget_left = turn.failed + 1 < self.limits.failures
        if self._has_another and falls_back(
            error, wait, text_left=text_left, retractable=retractable
        ):
            self._tell(error, "fallback")
            self._note_failure(error, spent, link=turn.link + 1)
            return
        if wait is None or not budget_left:
            words = give_up_words(policy, attempt, error, text_left=text_left)
            self._tell(error, "given-up")
            self._give_up(answer, spent, ProviderError(error.kind, words))
            return
        self._tell(error, "again" if wait else "other-key", wait)
        self._note_failure(error, spent)
        with point("run.retry"):
            await self.record.commit()
        self.record.wait_for("retry", error.message, wait)
        await trio.sleep(min(wait, self.seconds_left()))

    def _tell(self, error: ProviderError, then: news.Then, wait: float = 0.0) -> None:
        tenant, run_id = self.wiring.tenant, self.record.id
        news.tell_failed(tenant, run_id, self.target, error, then=then, wait=wait)

    def _note_failure(
        self, error: ProviderError, spent: Usage, *, link: int | None = None
    ) -> None:
        turn = self.record.turn
        settle = self.settle(spent)
        failed = AttemptFailed(
            attempt=turn.attempt,
            kind=error.kind,
            error=error.message,
            link=turn.link if link is None else link,
            usage=spent,
            cost=self.cost(spent),
        )
        self.record.add(failed, settle)

    def _give_up(self, answer: Answer, spent: Usage, error: ProviderError) -> None:
        self._answered(answer, "error", spent)
        self.record.end("error", "error", error=error)
