"""What is proved: vectors are reserved for before, settled after, and hold the caps."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
import trio

import supervision
from beamclaw.contracts.budgets import Cap, Spent
from beamclaw.contracts.embeddings import Embed, Embedded, NotEmbedded, embed
from beamclaw.contracts.ledger_reads import ReadOpenWork, ReadSessions
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.providers import (
    EmbeddingRequest,
    End,
    ProviderError,
    ProviderEvent,
    Vectors,
)
from tests.beamclaw.sessions.conftest import Model, _tenant
from tests.beamclaw.sessions.test_budgets import spent

ORDER = Embed(agent="main", provider="test", model="m", inputs=("hello", "there"))


class Vectoring(Model):
    """Makes a vector of each text; fails as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[EmbeddingRequest] = []
        self.failures: list[ProviderError] = []
        self.bills: Usage | None = Usage(7, 0)
        self.inside = trio.Event()
        self.go = trio.Event()
        self.go.set()

    @asynccontextmanager
    async def embed(
        self, request: EmbeddingRequest
    ) -> AsyncIterator[AsyncIterator[ProviderEvent]]:
        self.asked.append(request)

        async def events() -> AsyncGenerator[ProviderEvent, None]:
            self.inside.set()
            await self.go.wait()
            if self.failures:
                raise self.failures.pop(0)
            vectors = orjson.dumps([[len(text)] for text in request.inputs])
            yield Vectors(lambda: (vectors, self.bills))
            yield End("stop")

        made = events()
        try:
            yield made
        finally:
            await made.aclose()


@pytest.fixture
def model() -> Vectoring:
    return Vectoring()


async def day() -> Spent:
    found = await spent()
    return next((s for purse, s in found.items() if purse.scope == "tenant"), Spent())


async def ask(tenant, order: Embed = ORDER):
    return await embed(tenant.bus, "default", order)


async def test_they_are_made_and_paid_for(autojump_clock, tenant, model):
    made = await ask(tenant)
    assert made == Embedded(b"[[5],[5]]", Usage(7, 0))
    assert model.asked == [EmbeddingRequest(model="m", inputs=("hello", "there"))]
    assert await day() == Spent(tokens=7, cost=7, calls=1)


async def test_nothing_of_it_is_a_conversation_or_work_to_be_done(
    autojump_clock, tenant
):
    await ask(tenant)
    assert await supervision.call("default/ledger", ReadOpenWork()) == ()
    (row,) = await supervision.call("default/ledger", ReadSessions(limit=10))
    assert (row.ephemeral, row.seq, row.open_run) == (True, 0, None)
    assert row.key.startswith("agent:main:embeddings:")


async def test_what_they_may_take_is_reserved_before(autojump_clock, tenant, model):
    model.go = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, tenant)
        await model.inside.wait()
        reserved = await day()
        model.go.set()
    assert reserved.calls == 1
    assert reserved.tokens > 7
    assert (await day()).tokens == 7


async def test_a_bill_that_says_nothing_is_estimated(autojump_clock, tenant, model):
    model.bills = None
    made = await ask(tenant)
    assert isinstance(made, Embedded)
    assert made.usage.estimated
    assert (await day()).tokens == made.usage.input > 2


@pytest.mark.parametrize(
    "cap",
    [
        Cap("tenant", "calls", 2, "limits.day.calls"),
        Cap("agent", "tokens", 30, "limits.agent.tokens"),
        Cap("session", "tokens", 1, "limits.session.tokens"),
    ],
)
async def test_no_cap_is_passed(autojump_clock, open_tenant, model, *, cap):
    async with open_tenant(caps=(cap,)) as tenant:
        made = [await ask(tenant) for _ in range(4)]
        last = made[-1]
        assert isinstance(last, NotEmbedded)
        assert last.kind == "budget"
        assert cap.name in last.message
        done = [each for each in made if isinstance(each, Embedded)]
        assert len(model.asked) == len(done) < 3
        assert (await day()).of(cap.measure) <= cap.limit


async def test_a_cap_of_money_takes_a_price(autojump_clock, open_tenant, model):
    cap = Cap("tenant", "cost", 1_000_000, "limits.day.cost")
    async with open_tenant(caps=(cap,), prices=None) as tenant:
        made = await ask(tenant)
    assert isinstance(made, NotEmbedded)
    assert "input_price" in made.message
    assert model.asked == []


async def test_what_passes_is_tried_again_and_what_does_not_is_told(
    autojump_clock, tenant, model
):
    model.failures = [ProviderError("overloaded", "busy"), ProviderError("server", "x")]
    assert isinstance(await ask(tenant), Embedded)
    assert len(model.asked) == 3
    assert await day() == Spent(tokens=7, cost=7, calls=3)
    model.failures = [ProviderError("invalid", "too long a text")]
    made = await ask(tenant)
    assert made == NotEmbedded(kind="invalid", message="too long a text")


async def test_a_provider_without_any_says_so(autojump_clock, tmp_path):
    async with _tenant(tmp_path, Model()) as tenant:
        made = await ask(tenant)
    assert isinstance(made, NotEmbedded)
    assert made.message == "the provider test makes no embeddings"


async def test_who_dies_over_it_leaves_what_was_reserved(autojump_clock, tenant, model):
    model.go = trio.Event()
    found: list[object] = []

    async def asking() -> None:
        found.append(await ask(tenant))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asking)
        await model.inside.wait()
        reserved = await day()
        (working,) = [
            child.pid
            for child in await supervision.which_children("default/runs")
            if child.pid is not None
        ]
        supervision.exit(working, supervision.KILL)
    (made,) = found
    assert isinstance(made, NotEmbedded)
    assert "counts as all" in made.message
    assert await day() == reserved
