"""Calls of models beside turns: vectors, and probes, a process of its own for each order.

An order is no turn: nothing of it is in a journal, and nobody takes it up again; see
:mod:`beamclaw.runs.paying` for what the ledger has of it.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any, Final

import attrs
import trio

import supervision
from beamclaw.contracts import keys, names, news, tokens
from beamclaw.contracts.embeddings import Embed, Embedded, NotEmbedded
from beamclaw.contracts.ledger_errors import BudgetReached, LedgerError
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.points import point
from beamclaw.contracts.probes import Probe, Probed
from beamclaw.contracts.providers import (
    EmbeddingRequest,
    Embeds,
    ModelRequest,
    Provider,
    ProviderError,
)
from beamclaw.contracts.retry import decide, give_up_words
from beamclaw.contracts.tracing import Given
from beamclaw.runs.answer import Answer
from beamclaw.runs.model_call import Events, ModelCall
from beamclaw.runs.paying import Paying
from beamclaw.runs.probing import probed
from beamclaw.runs.wiring import Wiring

Order = Embed | Probe

_CUT: Final = (
    "a part of this node was restarted meanwhile; what it took counts as all that it "
    "could"
)
_NOT_NOW: Final = "a part of this node is being restarted; ask again"


class EmbeddingServer(supervision.Server):
    """Registered as ``<tenant>/embeddings``: begins the orders, and knows who waits."""

    def __init__(self, wiring: Callable[[], Wiring]) -> None:
        self._wiring = wiring
        self._waiting: dict[supervision.Ref, tuple[supervision.From, Order]] = {}

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """An order; its process answers."""
        if not isinstance(request, Order):
            return await super().handle_call(request, sender)
        wiring = self._wiring()
        runs = names.of_tenant(wiring.tenant, "runs")
        try:
            with point("embedding.begin"):
                work = partial(_work, wiring, request)
                pid = supervision.start_task(runs, carry_out, work, sender)
        except supervision.NoProcess:
            return _not_done(request, "overloaded", _NOT_NOW, retry_after=1.0)
        self._waiting[supervision.monitor(pid)] = sender, request
        return supervision.NO_REPLY

    async def handle_info(self, message: object) -> None:
        """The end of an order: where it has not answered, nobody else will."""
        match message:
            case supervision.Down(ref, _, reason) if ref in self._waiting:
                sender, order = self._waiting.pop(ref)
                if reason != supervision.NORMAL:
                    with point("embedding.cut"):
                        supervision.reply(sender, _not_done(order, "server", _CUT))
            case _:
                await super().handle_info(message)

    def describe(self) -> dict[str, object]:
        """How many are in progress."""
        return {"in_progress": len(self._waiting)}


def _not_done(
    order: Order, kind: str, words: str, *, retry_after: float | None = None
) -> NotEmbedded | Probed:
    if isinstance(order, Probe):
        return Probed(kind=kind, message=words)
    return NotEmbedded(kind=kind, message=words, retry_after=retry_after)


async def _work(wiring: Wiring, order: Order) -> Embedded | NotEmbedded | Probed:
    if isinstance(order, Probe):
        return await probed(wiring, order)
    return await _Embedding(wiring, order).work()


async def carry_out(
    work: Callable[[], Awaitable[object]], sender: supervision.From
) -> None:
    """Do it, and tell *sender*."""
    try:
        answer = await work()
    except LedgerError as error:
        with point("embedding.refuse"):
            supervision.reply_error(sender, error)
    else:
        with point("embedding.answer"):
            supervision.reply(sender, answer)


@attrs.define(eq=False)
class _Embedding:
    wiring: Wiring
    order: Embed
    paying: Paying = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        order, unique = self.order, self.wiring.outside.new_id()
        texts = map(tokens.most_of_text, order.inputs)
        each = (tokens.MESSAGE_OVERHEAD + most for most in texts)
        self.paying = Paying(
            wiring=self.wiring,
            run_id=f"embd-{unique}",
            session=str(keys.embeddings(order.agent, unique)),
            agent=order.agent,
            target=(order.provider, order.model),
            bound=Usage(sum(each), 0, estimated=True),
        )

    async def work(self) -> Embedded | NotEmbedded:
        """Have it done."""
        began, outcome = trio.current_time(), "cancelled"
        try:
            came = await self._carry_out()
            outcome = came.kind if isinstance(came, NotEmbedded) else "ok"
            return came
        finally:
            news.tell_order_ended(
                self.wiring.tenant,
                self.paying.run_id,
                outcome,
                Given(self.order.traceparent, self.order.tracestate),
                seconds=trio.current_time() - began,
            )

    async def _carry_out(self) -> Embedded | NotEmbedded:
        wiring, order, paying = self.wiring, self.order, self.paying
        if refusal := paying.refusal():
            return NotEmbedded(kind="budget", message=refusal)
        policy = wiring.policies[order.provider]
        for attempt in count(1):
            try:
                await paying.reserve(attempt)
            except BudgetReached as reached:
                return NotEmbedded(kind="budget", message=str(reached))
            answer = Answer()
            try:
                return await self._ask(attempt, answer)
            except ProviderError as error:
                await paying.settle(attempt, answer.spent(paying.bound))
                wait = decide(
                    policy,
                    attempt,
                    error,
                    wiring.outside.random(),
                    text_left=False,
                    retractable=True,
                    keys=wiring.keys.get(order.provider, 1),
                )
                then = "given-up" if wait is None else "again" if wait else "other-key"
                target = order.provider, order.model
                news.tell_failed(
                    wiring.tenant,
                    paying.run_id,
                    target,
                    error,
                    then=then,
                    wait=wait or 0.0,
                )
                if wait is None:
                    words = give_up_words(policy, attempt, error, text_left=False)
                    return NotEmbedded(
                        kind=error.kind, message=words, retry_after=error.retry_after
                    )
            await trio.sleep(wait)
        raise AssertionError

    async def _ask(self, attempt: int, answer: Answer) -> Embedded:
        wiring, order, paying = self.wiring, self.order, self.paying
        number = wiring.keys.get(order.provider, 1)
        call = ModelCall(
            wiring=wiring,
            run_id=paying.run_id,
            provider=order.provider,
            request=ModelRequest(model=order.model, messages=()),
            bound=paying.bound,
            keys=tuple((attempt - 1 + place) % number for place in range(number)),
            patient=True,
            wait_for=_tell_nobody,
            say=_tell_nobody,
            heard=_tell_nobody,
            use=_tell_nobody,
            attempt=attempt,
            resends=attempt - 1,
            purpose="embeddings",
            begin=partial(_begin, order, self._outgoing(attempt)),
        )
        await call.make(answer)
        assert answer.vectors is not None
        # Thousands of numbers may be in it.
        vectors, billed = await wiring.outside.worker().run(answer.vectors.read)
        usage = billed or answer.cost(paying.bound)
        await paying.settle(attempt, usage)
        return Embedded(vectors, usage)

    def _outgoing(self, attempt: int) -> str:
        return self.wiring.tracing.outgoing(
            self.paying.run_id, self.order.traceparent, *news.model_step(attempt)
        )


def _begin(order: Embed, traceparent: str, client: Provider) -> Events:
    if not isinstance(client, Embeds):
        words = f"the provider {order.provider} makes no embeddings"
        raise ProviderError("invalid", words)
    return client.embed(
        EmbeddingRequest(
            model=order.model,
            inputs=order.inputs,
            base64=order.base64,
            dimensions=order.dimensions,
            user=order.user,
            traceparent=traceparent,
            tracestate=order.tracestate,
        )
    )


def _tell_nobody(*words: object) -> None:
    """Nobody follows it."""
