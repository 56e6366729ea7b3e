"""What is proved: a probe is one small call, reserved before, settled after, within the caps."""

import pytest
import trio

import supervision
from beamclaw.contracts.budgets import Cap, Spent
from beamclaw.contracts.ledger_reads import ReadOpenWork, ReadSessions
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.probes import Probe, Probed, probe
from beamclaw.contracts.providers import End, ProviderError, TextDelta, UsageReport
from beamclaw.runs.probing import INPUT, OUTPUT
from tests.beamclaw.sessions.test_budgets import spent

ORDER = Probe(agent="main", provider="test", model="m", seconds=5.0)


async def answers(request):
    yield TextDelta("ok")
    yield UsageReport(Usage(9, 1))
    yield End("stop")


async def hangs(request):
    yield TextDelta("o")
    await trio.sleep_forever()


async def fails(request):
    raise ProviderError("auth", "this key is no good")
    yield


async def day() -> Spent:
    found = await spent()
    return next((s for purse, s in found.items() if purse.scope == "tenant"), Spent())


async def ask(tenant, order: Probe = ORDER) -> Probed:
    return await probe(tenant.bus, "default", order)


async def test_a_model_is_asked_for_a_word_and_paid_for_it(autojump_clock, tenant):
    tenant.model.scripts = [answers]
    assert await ask(tenant) == Probed()
    (request,) = tenant.model.calls
    assert (request.model, request.params.max_tokens) == ("m", OUTPUT)
    assert request.tools == ()
    assert await day() == Spent(tokens=10, cost=19, calls=1)


async def test_nothing_of_it_is_a_conversation_or_work_to_be_done(
    autojump_clock, tenant
):
    await ask(tenant)
    assert await supervision.call("default/ledger", ReadOpenWork()) == ()
    (row,) = await supervision.call("default/ledger", ReadSessions(limit=10))
    assert (row.ephemeral, row.seq, row.open_run) == (True, 0, None)
    assert row.key.startswith("agent:main:probe:")


async def test_what_is_wrong_is_told_and_not_tried_again(autojump_clock, tenant):
    tenant.model.scripts = [fails]
    found = await ask(tenant)
    assert (found.kind, found.message) == ("auth", "this key is no good")
    assert len(tenant.model.calls) == 1
    assert await day() == Spent(tokens=0, cost=0, calls=1)


async def test_who_does_not_answer_in_time_is_not_waited_for(autojump_clock, tenant):
    tenant.model.scripts = [hangs]
    found = await ask(tenant)
    assert (found.kind, found.seconds) == ("timeout", 5.0)
    assert "within 5 seconds" in found.message
    # It may be worked for unheard, so all that it can take counts.
    assert (await day()).tokens == INPUT + OUTPUT


@pytest.mark.parametrize(
    "cap",
    [
        Cap("tenant", "calls", 2, "limits.day.calls"),
        Cap("agent", "tokens", INPUT + OUTPUT + 11, "limits.agent.tokens"),
    ],
)
async def test_no_cap_is_passed(autojump_clock, open_tenant, cap):
    async with open_tenant(caps=(cap,)) as tenant:
        tenant.model.scripts = [answers]
        found = [await ask(tenant) for _ in range(3)]
        assert [each.kind for each in found] == [None, None, "budget"]
        assert cap.name in found[-1].message
        assert len(tenant.model.calls) == 2


async def test_a_cap_of_money_takes_a_price(autojump_clock, open_tenant):
    cap = Cap("tenant", "cost", 1_000_000, "limits.day.cost")
    async with open_tenant(caps=(cap,), prices=None) as tenant:
        found = await ask(tenant)
    assert (found.kind, tenant.model.calls) == ("budget", [])
    assert "input_price" in found.message


async def test_who_dies_over_it_leaves_what_was_reserved(autojump_clock, tenant):
    inside = trio.Event()

    async def hanging(request):
        inside.set()
        async for each in hangs(request):
            yield each

    tenant.model.scripts = [hanging]
    found: list[Probed] = []

    async def asking() -> None:
        found.append(await ask(tenant))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asking)
        await inside.wait()
        (working,) = [
            child.pid
            for child in await supervision.which_children("default/runs")
            if child.pid is not None
        ]
        supervision.exit(working, supervision.KILL)
    assert found[0].kind == "server"
    assert "counts as all" in found[0].message
    assert (await day()).tokens == INPUT + OUTPUT
