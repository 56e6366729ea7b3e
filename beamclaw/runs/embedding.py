"""Making vectors: reserved before, settled after, in a process of its own for each order.

An order is no turn: nothing of it is in a journal, and nobody takes it up again. What the
ledger has of it is what it may cost and what it did cost, under a run that is over from
its beginning. A death in its middle leaves the reservation, which counts in full.
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, cast

import attrs
import trio

import supervision
from beamclaw.contracts import keys, ledger, names, tokens
from beamclaw.contracts.budgets import Price, needs_price
from beamclaw.contracts.embeddings import Embed, Embedded, NotEmbedded
from beamclaw.contracts.ledger_errors import BudgetReached, LedgerError
from beamclaw.contracts.ledger_ops import EndRun, Op, OpenRun, Reserve, Settle
from beamclaw.contracts.ledger_session_ops import NewSession
from beamclaw.contracts.limits import Paid
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.points import point
from beamclaw.contracts.providers import (
    EmbeddingRequest,
    Embeds,
    ModelRequest,
    Provider,
    ProviderError,
)
from beamclaw.contracts.retry import decide, give_up_words
from beamclaw.runs.answer import Answer
from beamclaw.runs.bill import Bill
from beamclaw.runs.model_call import Events, ModelCall
from beamclaw.runs.turn import unpriced
from beamclaw.runs.wiring import Wiring

_CUT = NotEmbedded(
    kind="server",
    message="a part of this node was restarted meanwhile; what it took counts as all "
    "that it could",
)

_NOT_NOW = NotEmbedded(
    kind="overloaded",
    message="a part of this node is being restarted; ask again",
    retry_after=1.0,
)


class EmbeddingServer(supervision.Server):
    """Registered as ``<tenant>/embeddings``: begins the orders, and knows who waits."""

    def __init__(self, wiring: Callable[[], Wiring]) -> None:
        self._wiring = wiring
        self._waiting: dict[supervision.Ref, supervision.From] = {}

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """An order; its process answers."""
        if not isinstance(request, Embed):
            return await super().handle_call(request, sender)
        wiring = self._wiring()
        runs = names.of_tenant(wiring.tenant, "runs")
        try:
            with point("embedding.begin"):
                pid = supervision.start_task(runs, carry_out, wiring, request, sender)
        except supervision.NoProcess:
            return _NOT_NOW
        self._waiting[supervision.monitor(pid)] = sender
        return supervision.NO_REPLY

    async def handle_info(self, message: object) -> None:
        """The end of an order: where it has not answered, nobody else will."""
        match message:
            case supervision.Down(ref, _, reason) if ref in self._waiting:
                sender = self._waiting.pop(ref)
                if reason != supervision.NORMAL:
                    with point("embedding.cut"):
                        supervision.reply(sender, _CUT)
            case _:
                await super().handle_info(message)

    def describe(self) -> dict[str, object]:
        """How many are in progress."""
        return {"in_progress": len(self._waiting)}


async def carry_out(wiring: Wiring, order: Embed, sender: supervision.From) -> None:
    """Do it, and tell *sender*."""
    try:
        answer = await _Embedding(wiring, order).work()
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
    run_id: str = attrs.field(init=False)
    session: str = attrs.field(init=False)
    bound: Usage = attrs.field(init=False)
    price: Price | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        order, unique = self.order, self.wiring.outside.new_id()
        self.run_id = f"embd-{unique}"
        self.session = str(keys.embeddings(order.agent, unique))
        each = (tokens.MESSAGE_OVERHEAD + tokens.of_text(text) for text in order.inputs)
        self.bound = Usage(sum(each), 0, estimated=True)
        self.price = self.wiring.price(order.provider, order.model)

    async def work(self) -> Embedded | NotEmbedded:
        wiring, order = self.wiring, self.order
        if refusal := self._refusal():
            return NotEmbedded(kind="budget", message=refusal)
        policy = wiring.policies[order.provider]
        for attempt in count(1):
            try:
                await self._reserve(attempt)
            except BudgetReached as reached:
                return NotEmbedded(kind="budget", message=str(reached))
            answer = Answer()
            try:
                return await self._ask(attempt, answer)
            except ProviderError as error:
                await self._settle(attempt, answer.spent(self.bound))
                wait = decide(
                    policy,
                    attempt,
                    error,
                    wiring.outside.random(),
                    text_left=False,
                    retractable=True,
                    keys=wiring.keys.get(order.provider, 1),
                )
                if wait is None:
                    words = give_up_words(policy, attempt, error, text_left=False)
                    return NotEmbedded(
                        kind=error.kind, message=words, retry_after=error.retry_after
                    )
            await trio.sleep(wait)
        raise AssertionError

    async def _ask(self, attempt: int, answer: Answer) -> Embedded:
        wiring, order = self.wiring, self.order
        number = wiring.keys.get(order.provider, 1)
        call = ModelCall(
            wiring=wiring,
            run_id=self.run_id,
            provider=order.provider,
            request=ModelRequest(model=order.model, messages=()),
            bound=self.bound,
            keys=tuple((attempt - 1 + place) % number for place in range(number)),
            patient=True,
            wait_for=_tell_nobody,
            say=_tell_nobody,
            heard=_tell_nobody,
            use=_tell_nobody,
            begin=partial(_begin, order),
        )
        await call.make(answer)
        assert answer.vectors is not None
        # Thousands of numbers may be in it.
        vectors, billed = await wiring.outside.worker().run(answer.vectors.read)
        usage = billed or answer.cost(self.bound)
        await self._settle(attempt, usage)
        return Embedded(vectors, usage)

    # --- what it may cost, and did

    def _refusal(self) -> str:
        """In words, why nothing may be asked of the model; nothing: it may be."""
        order = self.order
        if self.price is not None:
            return ""
        cap = needs_price(self.wiring.caps(order.agent))
        return "" if cap is None else unpriced(order.provider, order.model, cap.name)

    def _cost(self, usage: Usage) -> int:
        return (self.price or Price()).cost(usage)

    async def _reserve(self, attempt: int) -> None:
        order, at = self.order, self.wiring.outside.wall()
        reserve = Reserve(
            run_id=self.run_id,
            attempt=attempt,
            agent=order.agent,
            provider=order.provider,
            model=order.model,
            at=at,
            bound=self.bound,
            cost=self._cost(self.bound),
            caps=self.wiring.caps(order.agent),
        )
        await self._commit(*(self._first(at) if attempt == 1 else ()), reserve)

    def _first(self, at: float) -> tuple[Op, ...]:
        """Under what it is paid for: a run that is over, so that nobody revives it."""
        return (
            NewSession(
                session_id=self.run_id,
                agent=self.order.agent,
                at=at,
                channel="http",
                ephemeral=True,
            ),
            OpenRun(self.run_id, at),
            EndRun(
                run_id=self.run_id,
                at=at,
                outcome="ok",
                stop_reason="stop",
                text="",
                usage=Usage(),
            ),
        )

    async def _settle(self, attempt: int, usage: Usage) -> None:
        wiring, order, cost = self.wiring, self.order, self._cost(usage)
        at = wiring.outside.wall()
        await self._commit(Settle(self.run_id, attempt, at, usage, cost))
        bill = Bill(
            tenant=wiring.tenant,
            agent=order.agent,
            session=self.session,
            target=(order.provider, order.model),
            bound=self.bound,
            worth=self._cost(self.bound),
        )
        bill.compare(usage, cost)
        if wiring.caps(order.agent):
            limits = names.of_tenant(wiring.tenant, "limits")
            with point("embedding.paid"):
                supervision.cast(limits, Paid(order.agent, self.session))

    async def _commit(self, *ops: Op) -> None:
        name = names.of_tenant(self.wiring.tenant, "ledger")
        entry = supervision.lookup(name)
        if entry is None:
            raise LedgerError("the ledger is being restarted")
        epoch = cast("ledger.Owned", entry.value).owner_epoch
        claim = ledger.Claim(self.wiring.tenant, epoch)
        with point("embedding.write"):
            await supervision.call(
                name,
                ledger.Commit(
                    claim=claim, session_key=self.session, expected_seq=None, ops=ops
                ),
                timeout=None,
            )


def _begin(order: Embed, client: Provider) -> Events:
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
        )
    )


def _tell_nobody(*words: object) -> None:
    """Nobody follows it."""
