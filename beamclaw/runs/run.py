"""The process of one turn: carries out what the turn machine decides.

It owns the turn's writes while it lives. Killed at any await it leaves the journal as
it stands; its session then either closes the turn (a person stopped it) or starts a
successor, which claims the run's next epoch before it does anything else.
"""

from collections.abc import Callable, Mapping
from typing import NoReturn, assert_never

import attrs
import trio

import supervision
from beamclaw.agents import AgentDefinition
from beamclaw.contracts import ledger, names, tokens
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.ends import end_run, run_over
from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
    Body,
    OpenTurn,
    RunStarted,
    advance,
    event,
)
from beamclaw.contracts.messages import ModelParams, Usage
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.providers import (
    Acquire,
    End,
    ErrorKind,
    ModelRequest,
    Permit,
    ProviderBusy,
    ProviderError,
    Release,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.contracts.retry import RetryPolicy, give_up_words
from beamclaw.contracts.retry import decide as decide_retry
from beamclaw.contracts.runs import RunOrder
from beamclaw.contracts.sessions import Phase, Reset, RunEnded, Waiting
from beamclaw.runs.answer import Answer
from beamclaw.runs.clients import Clients
from beamclaw.runs.flush import Flusher
from beamclaw.runs.turn import Ask, Finish, decide


@attrs.frozen(kw_only=True)
class Wiring:
    """What all runs of a tenant share.

    Attributes:
        policies: Retries, by provider name.
        max_output: Tokens to expect at most of an answer of a provider's (first) model
            (second) that nobody limits.
    """

    tenant: str
    bus: Bus
    outside: Outside
    flusher: Flusher
    policies: Mapping[str, RetryPolicy]
    max_output: Callable[[str, str], int]


async def run_turn(wiring: Wiring, order: RunOrder) -> None:
    """Bring the open turn of a session to its end.

    Raises:
        beamclaw.contracts.ledger.LedgerError: Another writer was faster; the session
            reads again.

    Cancelled, it leaves the journal at its last commit.
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
        self._id = order.progress.run_id
        self._ledger = names.of_tenant(order.tenant, "ledger")

    @property
    def _turn(self) -> OpenTurn:
        turn = self._progress.transcript.turn
        if turn is None or turn.run_id != self._id:
            msg = f"run {self._id} is not the open turn of its session"
            raise ledger.LedgerError(msg)
        return turn

    async def work(self) -> None:
        supervision.update_value(
            names.run(self._wiring.tenant, self._id), self._progress
        )
        if self._successor:
            await self._take_over()
        definition = await self._definition()
        while self._progress.ended is None:
            step = decide(self._progress.transcript, system=definition.system)
            match step:
                case Ask():
                    await self._ask(step, definition)
                case Finish():
                    await self._finish(step.outcome, step.stop_reason, step.text)
                case _:
                    assert_never(step)

    async def _take_over(self) -> None:
        turn = self._turn
        started = RunStarted(
            epoch=self._claim.run_epoch,
            agent=turn.agent,
            definition=turn.definition,
            params=turn.params,
            retractable=turn.retractable,
        )
        await self._commit(started, ops=(ledger.ClaimRun(self._now()),))

    async def _definition(self) -> AgentDefinition:
        hash_ = self._turn.definition
        body = self._body or await supervision.call(
            self._ledger, ledger.ReadDefinition(hash_), timeout=None
        )
        if body is None:
            msg = f"the agent definition {hash_} of run {self._id} is not in the ledger"
            raise ledger.LedgerError(msg)
        return AgentDefinition.load(body)

    async def _ask(self, step: Ask, definition: AgentDefinition) -> None:
        provider, model = definition.provider, definition.model
        if provider not in self._wiring.policies:
            words = (
                f"the turn began with the provider {provider!r}, which is not "
                "configured any more (providers)"
            )
            error = ProviderError("invalid", words)
            await self._finish("error", "error", "", error=error)
            return
        params = _params(step, definition)
        request = ModelRequest(model=model, messages=step.messages, params=params)
        bound = Usage(
            tokens.of_messages(step.messages),
            params.max_tokens or self._wiring.max_output(provider, model),
            estimated=True,
        )
        await self._reserve(step.attempt, definition, bound)
        if step.attempt > 1:
            self._publish(Reset(self._id, step.attempt))
        self._wiring.flusher.restart(self._progress, step.attempt)
        answer = Answer()
        try:
            await self._call(definition, request, answer)
        except ProviderError as error:
            await self._failed(definition, answer, bound, error)
            return
        usage = answer.cost(bound)
        reason = answer.stop_reason or "stop"
        # The answer and the end of the turn are one commit: a crash leaves both or
        # neither, so an answer that was paid for is never asked for again.
        await self._finish(
            "ok",
            reason,
            "".join(answer.text),
            answered=self._answered(definition, answer, reason, usage),
            settle=usage,
        )

    async def _reserve(
        self, attempt: int, definition: AgentDefinition, bound: Usage
    ) -> None:
        """Note the call, and what it may cost, before it is made."""
        provider, model = definition.provider, definition.model
        reserve = ledger.Reserve(
            run_id=self._id,
            attempt=attempt,
            agent=definition.id,
            provider=provider,
            model=model,
            at=self._now(),
            bound=bound,
        )
        asked = Asked(attempt=attempt, provider=provider, model=model)
        await self._commit(asked, ops=(reserve,))

    async def _call(
        self, definition: AgentDefinition, request: ModelRequest, answer: Answer
    ) -> None:
        permits = names.permits(definition.provider)
        self._wait_for("permit", definition.provider)
        permit = await self._permit(permits)
        release = Release(permit.id)
        try:
            self._wait_for("model", f"{definition.provider}/{definition.model}")
            await self._stream(definition, request, answer)
            release = Release(permit.id, answer.usage or Usage())
        except ProviderError as error:
            release = Release(permit.id, Usage(), error.kind, error.retry_after)
            raise
        finally:
            self._progress.waiting = None
            self._wiring.bus.cast(permits, release)

    async def _permit(self, permits: str) -> Permit:
        try:
            return await self._wiring.bus.call(permits, Acquire(self._id), timeout=None)
        except ProviderBusy as busy:
            raise ProviderError(
                "overloaded", str(busy), retry_after=busy.retry_after
            ) from None
        except supervision.CallFailed as error:
            # The permit server is being restarted: wait for it like for a provider.
            raise ProviderError("overloaded", f"no permit: {error}") from error

    async def _stream(
        self, definition: AgentDefinition, request: ModelRequest, answer: Answer
    ) -> None:
        progress, flusher = self._progress, self._wiring.flusher
        clients = self._clients()
        async with clients.get(definition.provider).stream(request) as events:
            async for received in events:
                match received:
                    case TextDelta(text):
                        if not answer.text:
                            progress.waiting = None
                        answer.text.append(text)
                        flusher.add(progress, text)
                    case ThinkingDelta(text, signature):
                        answer.thinking.append(text)
                        answer.signature = signature or answer.signature
                    case UsageReport(usage):
                        answer.usage = usage
                    case End(stop_reason):
                        answer.stop_reason = stop_reason
                    case ToolCallDelta():
                        self._refuse_tools(definition)
                    case _:
                        assert_never(received)

    def _refuse_tools(self, definition: AgentDefinition) -> NoReturn:
        msg = (
            f"{definition.provider}/{definition.model} asked for a tool, "
            "but it was offered none"
        )
        raise ProviderError("invalid", msg)

    def _clients(self) -> Clients:
        entry = supervision.lookup(names.of_tenant(self._wiring.tenant, "clients"))
        if entry is None or not isinstance(entry.value, Clients):
            msg = "the tenant's connections to providers are being restarted"
            raise ProviderError("network", msg)
        return entry.value

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
        spent = answer.cost(bound) if answer.text or answer.thinking else Usage()
        policy = self._wiring.policies[definition.provider]
        attempt, text_left = turn.failed + 1, bool(answer.text)
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
            await self._finish(
                "error",
                "error",
                "".join(answer.text),
                error=ProviderError(error.kind, words),
                answered=self._answered(definition, answer, "error", spent),
                settle=spent,
            )
            return
        failed = AttemptFailed(
            attempt=turn.attempt, kind=error.kind, error=error.message
        )
        await self._commit(
            failed, ops=(ledger.Settle(self._id, turn.attempt, self._now(), spent),)
        )
        self._wait_for("retry", error.message, wait)
        await trio.sleep(wait)

    def _answered(
        self,
        definition: AgentDefinition,
        answer: Answer,
        reason: StopReason,
        usage: Usage,
    ) -> Answered:
        return Answered(
            attempt=self._turn.attempt,
            message=answer.message(),
            stop_reason=reason,
            usage=usage,
            provider=definition.provider,
            model=definition.model,
        )

    async def _finish(
        self,
        outcome: ledger.Outcome,
        reason: StopReason,
        text: str,
        *,
        error: ProviderError | None = None,
        answered: Answered | None = None,
        settle: Usage | None = None,
    ) -> None:
        turn = self._turn
        usage = turn.usage + (settle or Usage())
        kind: ErrorKind | None = None if error is None else error.kind
        message = None if error is None else error.message
        ended = RunEnded(
            run_id=self._id,
            outcome=outcome,
            stop_reason=reason,
            text=text,
            usage=usage,
            error_kind=kind,
            error=message,
            model="" if answered is None else f"{answered.provider}/{answered.model}",
        )
        over = run_over(ended)
        bodies: tuple[Body, ...] = (over,) if answered is None else (answered, over)
        at = self._now()
        ops: list[ledger.Op] = [end_run(ended, at=at)]
        if settle is not None:
            ops.insert(0, ledger.Settle(self._id, turn.attempt, at, settle))
        await self._commit(*bodies, ops=tuple(ops))
        self._progress.ended = ended
        self._wiring.flusher.publish(self._progress)
        self._publish(ended)

    async def _commit(self, *bodies: Body, ops: tuple[ledger.Op, ...]) -> None:
        """Commit *bodies*; the state moves on only when they are durable."""
        at = self._now()
        progress = self._progress
        await supervision.call(
            self._ledger,
            ledger.Commit(
                claim=self._claim,
                session_key=self._key,
                expected_seq=progress.transcript.seq,
                events=tuple(event(body, at=at, run_id=self._id) for body in bodies),
                ops=ops,
            ),
            timeout=None,
        )
        progress.transcript = advance(
            progress.transcript, ((self._id, body) for body in bodies)
        )

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
