"""Caps hold: what is reserved counts, and a call that could go beyond is not made."""
# ruff: noqa: PLR0917 -- fixtures, and the columns of tables

from collections.abc import AsyncGenerator
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts import tokens
from beamclaw.contracts.budgets import Cap, Purse, Spent
from beamclaw.contracts.ledger_usage import ReadSpent
from beamclaw.contracts.limits import GetLimits
from beamclaw.contracts.messages import ModelParams, Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.contracts.sessions import abort
from beamclaw.testing.world import World
from supervision.testing import Recorder
from tests.beamclaw.sessions.conftest import (
    KEY,
    MAX_OUTPUT,
    TURN_LIMITS,
    Model,
    Tenant,
)
from tests.beamclaw.sessions.test_session import Held
from tests.beamclaw.sessions.test_tools import Hold

NEARLY = "beamclaw.limits.nearly_reached"
DAY = "1970-01-12"  # the wall of the tests begins a million seconds after the epoch


def billing(usage: Usage):
    """A script that says something and bills so much."""

    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        yield TextDelta("so")
        yield UsageReport(usage)
        yield End("stop")

    return script


async def spent(*days: str) -> dict[Purse, Spent]:
    rows = await supervision.call("default/ledger", ReadSpent(days or (DAY, "")))
    return dict(rows)


async def test_a_call_is_paid_from_three_purses(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [billing(Usage(1_000, 100))]
    await tenant.ask("hello")
    await tenant.ask("again", key="agent:main:other")
    one = Spent(tokens=1_100, cost=2_000, calls=1)
    two = Spent(tokens=2_200, cost=4_000, calls=2)
    assert await spent() == {
        Purse("tenant", "", DAY): two,
        Purse("agent", "main", DAY): two,
        Purse("session", KEY, ""): one,
        Purse("session", "agent:main:other", ""): one,
    }


async def test_what_is_reserved_counts_until_it_is_settled(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held]
    receipt = await tenant.send("hello")
    await held.reached.wait()
    reserved = (await spent())[Purse("session", KEY, "")]
    assert reserved.tokens > MAX_OUTPUT
    assert reserved.cost > 10 * MAX_OUTPUT
    held.go.set()
    await tenant.end(receipt)
    settled = (await spent())[Purse("session", KEY, "")]
    assert settled.tokens < 100
    assert settled.calls == 1


async def test_what_the_model_has_billed_for_is_not_reserved_by_its_bytes_again(
    tenant: Tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Of the second call of a turn only what is new to the model is."""
    held = Held()
    model.tools = World(tmp_path / "world").tools()
    model.scripts = [wanting, held]
    receipt = await tenant.send("hello " * 1_000)
    await held.reached.wait()
    told, asked, result = model.calls[1].messages
    reserved = (await spent())[Purse("session", KEY, "")].tokens - 1_100
    assert reserved == 1_000 + tokens.most_of_messages((asked, result)) + MAX_OUTPUT
    assert tokens.of_message(told) > 1_000
    held.go.set()
    await tenant.end(receipt)


@pytest.mark.parametrize(
    ("cap", "turns", "words"),
    [
        (Cap("session", "calls", 2, "limits.session.calls"), 2, "2 calls of the model"),
        (
            Cap("agent", "tokens", 3 * 1_100 + MAX_OUTPUT, "limits.agent.tokens"),
            3,
            "today, this agent may use 7,396 tokens (limits.agent.tokens), 3,300 are",
        ),
        (
            Cap("tenant", "cost", 42_000, "limits.day.cost"),
            1,
            "today, all agents together may use $0.04 (limits.day.cost)",
        ),
    ],
)
async def test_a_call_that_could_go_beyond_a_cap_is_not_made(
    open_tenant, model: Model, autojump_clock: MockClock, cap, turns, words
) -> None:
    model.scripts = [billing(Usage(1_000, 100))]
    async with open_tenant(caps=(cap,)) as tenant:
        ends = [await tenant.ask("hello") for _ in range(turns + 1)]
    assert [end.outcome for end in ends] == ["ok"] * turns + ["limited"]
    assert words in ends[-1].text
    assert len(model.calls) == turns


async def test_the_cap_holds_for_turns_that_ask_at_once(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held, billing(Usage(10, 10))]
    cap = Cap("tenant", "tokens", MAX_OUTPUT + 500, "limits.day.tokens")
    async with open_tenant(caps=(cap,)) as tenant:
        first = await tenant.send("hello")
        await held.reached.wait()
        second = await tenant.ask("hello", key="agent:main:other")
        assert second.outcome == "limited"
        held.go.set()
        assert (await tenant.end(first)).outcome == "ok"
        # What was not used is there again.
        assert (await tenant.ask("hello", key="agent:main:other")).outcome == "ok"


async def test_tomorrow_is_another_day(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [billing(Usage(10, 10))]
    cap = Cap("agent", "calls", 1, "limits.agent.calls")
    async with open_tenant(caps=(cap,)) as tenant:
        assert (await tenant.ask("one")).outcome == "ok"
        assert (await tenant.ask("two")).outcome == "limited"
        tenant.wall.add(86_400)
        assert (await tenant.ask("three")).outcome == "ok"


async def test_a_call_that_was_cut_by_a_death_counts_as_all_it_could_cost(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held, billing(Usage(10, 10))]
    async with open_tenant() as tenant:
        receipt = await tenant.send("hello")
        await held.reached.wait()
    async with open_tenant() as tenant:
        await tenant.end(receipt)
        purse = (await spent())[Purse("session", KEY, "")]
    assert purse.calls == 2
    assert purse.tokens > MAX_OUTPUT
    assert purse.cost > 10 * MAX_OUTPUT


async def test_what_a_death_has_cut_counts_though_a_person_stops_the_turn_then(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held]
    receipt = await tenant.send("hello")
    await held.reached.wait()
    # Its session rests before it begins a successor.
    await tenant.kill(f"default/run/{receipt.run_id}")
    assert await abort(tenant.bus, "default", KEY, receipt.run_id)
    assert (await tenant.end(receipt)).outcome == "aborted"
    purse = (await spent())[Purse("session", KEY, "")]
    assert purse.calls == 1
    assert purse.tokens > MAX_OUTPUT


async def test_what_failed_before_it_said_anything_costs_nothing(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    async def fails(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        raise ProviderError("overloaded", "busy")
        yield

    model.scripts = [fails, billing(Usage(10, 10))]
    await tenant.ask("hello")
    purse = (await spent())[Purse("session", KEY, "")]
    assert purse == Spent(tokens=20, cost=110, calls=2)


async def test_what_may_have_been_billed_counts_with_its_prompt(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    async def stalls(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        error = ProviderError("network", "silence")
        error.unclear = True
        raise error
        yield

    model.scripts = [stalls, billing(Usage(10, 10))]
    await tenant.ask("hello")
    purse = (await spent())[Purse("session", KEY, "")]
    # "hello" is thirteen tokens at most: its five bytes, and what stands around it.
    assert purse == Spent(tokens=33, cost=123, calls=2)


# --- one turn


async def wanting(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    """Wants a tool, another one each time, and bills two thousandths of a dollar."""
    number = len(request.messages)
    yield ToolCallDelta(0, f"t{number}", "put", f'{{"text": "{number}"}}')
    yield UsageReport(Usage(1_000, 100))
    yield End("tool_calls")


async def test_a_turn_may_cost_only_so_much(
    open_tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Its next call is not made, because it could go beyond."""
    model.tools = World(tmp_path / "world").tools()
    model.scripts = [wanting]
    # One call may cost 41 thousandths of a dollar at most, and costs two.
    limits = attrs.evolve(TURN_LIMITS, cost=44_500)
    async with open_tenant(turn_limits=limits) as tenant:
        end = await tenant.ask("hello")
    assert end.outcome == "limited"
    assert "this turn may cost $0.04 (limits.turn.cost), $0.00 are used" in end.text
    assert len(model.calls) == 2


async def test_what_a_death_has_cut_counts_for_the_turn(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held, billing(Usage(10, 10))]
    limits = attrs.evolve(TURN_LIMITS, cost=60_000)
    async with open_tenant(turn_limits=limits) as tenant:
        receipt = await tenant.send("hello")
        await held.reached.wait()
        await tenant.kill("default/run/run-1")
        end = await tenant.end(receipt)
    assert end.outcome == "limited"
    assert "limits.turn.cost" in end.text
    assert len(model.calls) == 1


# --- prices that are not known

HARD = Cap("tenant", "cost", 10_000_000, "limits.day.cost")


@pytest.mark.parametrize(
    ("caps", "cost", "outcome"),
    [
        ((), None, "ok"),
        ((attrs.evolve(HARD, soft=True),), None, "ok"),
        ((HARD,), None, "limited"),
        ((), 1_000_000, "limited"),
    ],
)
async def test_a_model_without_a_price_is_refused_where_money_is_limited(
    open_tenant, model: Model, autojump_clock: MockClock, caps, cost, outcome
) -> None:
    limits = attrs.evolve(TURN_LIMITS, cost=cost)
    async with open_tenant(caps=caps, prices=None, turn_limits=limits) as tenant:
        end = await tenant.ask("hello")
    assert end.outcome == outcome
    if outcome == "limited":
        assert "what this model costs is not known" in end.text
        assert "providers.test.models.m" in end.text
        assert ("limits.day.cost" if caps else "limits.turn.cost") in end.text
        assert model.calls == []


@pytest.mark.parametrize(
    "caps",
    [
        (),
        (Cap("tenant", "calls", 10, "x"),),
        (attrs.evolve(HARD, soft=True),),
        (HARD,),
        (Cap("session", "tokens", 100_000, "x"),),
    ],
)
@pytest.mark.parametrize(("wanted", "sent"), [(None, MAX_OUTPUT), (7, 7)])
async def test_the_model_is_told_where_to_stop_which_is_what_is_reserved(
    open_tenant, model: Model, autojump_clock: MockClock, caps, wanted, sent
) -> None:
    """Under any caps and under none: a turn has a limit of tokens of its own."""
    held = Held()
    model.scripts = [held]
    async with open_tenant(caps=caps) as tenant:
        receipt = await tenant.send("hello", params=ModelParams(max_tokens=wanted))
        await held.reached.wait()
        reserved = (await spent())[Purse("session", KEY, "")]
        held.go.set()
        assert (await tenant.end(receipt)).outcome == "ok"
    assert model.calls[0].params.max_tokens == sent
    assert reserved.tokens == 13 + sent


# --- told before it is too late, and when it was


async def test_a_cap_that_is_nearly_reached_is_told_of_once(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [billing(Usage(10, 10))]
    caps = (
        Cap("agent", "calls", 5, "limits.agent.calls"),
        Cap("session", "calls", 10, "limits.session.calls"),
    )
    with Recorder.attached() as recorder:
        async with open_tenant(caps=caps) as tenant:
            for count, told in ((3, 0), (1, 1), (1, 1)):
                for _ in range(count):
                    await tenant.ask("hello")
                await trio.sleep(2)
                assert len(recorder.named(NEARLY)) == told
            # Whoever told it dies: it is not told again.
            await tenant.kill("default/limits")
            assert (await tenant.ask("hello")).outcome == "limited"
            await trio.sleep(2)
        async with open_tenant(caps=caps) as tenant:
            tenant.sent = 100  # its messages are others
            await tenant.ask("hello", key="agent:main:other")
            await trio.sleep(2)
            assert len(recorder.named(NEARLY)) == 1
            # Tomorrow it is.
            tenant.wall.add(86_400)
            for _ in range(4):
                await tenant.ask("hello", key="agent:main:other")
            await trio.sleep(2)
        (first, second) = recorder.named(NEARLY)
    assert first.metadata["cap"] == second.metadata["cap"] == "limits.agent.calls"
    assert first.metadata["why"] == (
        "today, this agent: 4 of 5 calls of the model are used or reserved "
        "(limits.agent.calls)"
    )
    assert first.measurements == {"used": 4, "limit": 5}


async def test_another_number_is_another_cap(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [billing(Usage(10, 10))]
    with Recorder.attached() as recorder:
        for limit in (5, 6, 7):
            caps = (Cap("session", "calls", limit, "limits.session.calls"),)
            async with open_tenant(caps=caps) as tenant:
                tenant.sent = limit * 100  # its messages are others
                calls = 4 if limit == 5 else 1
                for _ in range(calls):
                    await tenant.ask("hello")
                await trio.sleep(2)
        limits = [event.measurements["limit"] for event in recorder.named(NEARLY)]
    assert limits == [5, 6, 7]


async def test_who_bills_beyond_the_reservation_is_told_of_and_counted(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [billing(Usage(50_000, 100))]
    cap = Cap("session", "tokens", 40_000, "limits.session.tokens")
    with Recorder.attached() as recorder:
        async with open_tenant(caps=(cap,)) as tenant:
            assert (await tenant.ask("hello")).outcome == "ok"
            assert (await tenant.ask("again")).outcome == "limited"
        (overrun,) = recorder.named("beamclaw.limits.overrun")
    assert overrun.measurements["tokens"] == 50_100
    assert overrun.measurements["reserved_tokens"] < 5_000
    assert overrun.measurements["cost"] == pytest.approx(0.051)
    assert overrun.metadata["session"] == KEY


async def test_how_the_caps_stand(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [billing(Usage(1_000, 100))]
    caps = (
        Cap("tenant", "cost", 42_000_000, "limits.day.cost"),
        Cap("agent", "calls", 10, "limits.agent.calls"),
    )
    async with open_tenant(caps=caps) as tenant:
        status = await supervision.call("default/limits", GetLimits())
        assert (status.day, status.spent) == (DAY, Spent())
        await tenant.ask("hello")
        status = await supervision.call("default/limits", GetLimits())
    assert status.spent == Spent(tokens=1_100, cost=2_000, calls=1)
    found = {(one.name, one.key): (one.used, one.limit) for one in status.caps}
    assert found == {
        ("limits.day.cost", ""): (2_000, 42_000_000),
        ("limits.agent.calls", "main"): (1, 10),
    }


# --- what a turn is near to

NEAR = "beamclaw.limits.turn_nearly_reached"


def near(recorder: Recorder) -> list[str]:
    return [str(event.metadata["cap"]) for event in recorder.named(NEAR)]


async def test_a_turn_that_is_near_to_its_limits_is_told_of_once_for_each(
    open_tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    model.tools = World(tmp_path / "world").tools()
    model.scripts = [wanting]
    limits = attrs.evolve(TURN_LIMITS, model_calls=10, tool_calls=10)
    with Recorder.attached() as recorder:
        async with open_tenant(turn_limits=limits) as tenant:
            end = await tenant.ask("hello")
            status = await supervision.call("default/limits", GetLimits())
        (calls, tools) = recorder.named(NEAR)
    assert end.outcome == "limited"
    assert calls.measurements == {"used": 8, "limit": 10}
    assert calls.metadata == {
        "tenant": "default",
        "session": KEY,
        "run": "run-1",
        "agent": "main",
        "cap": "limits.turn.model_calls",
        "why": "a turn: 8 of 10 calls of the model are used (limits.turn.model_calls)",
    }
    assert tools.metadata["cap"] == "limits.turn.tool_calls"
    # Where the caps of a day are told of, too.
    assert f"{KEY}, {calls.metadata['why']}" in status.warnings
    assert len(status.warnings) == 2


async def test_who_takes_a_turn_up_does_not_tell_again_what_it_was_near_to(
    open_tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    held = Held()
    model.tools = World(tmp_path / "world").tools()
    model.scripts = [*(wanting,) * 4, held, billing(Usage(10, 10))]
    limits = attrs.evolve(TURN_LIMITS, model_calls=5)
    with Recorder.attached() as recorder:
        async with open_tenant(turn_limits=limits) as tenant:
            receipt = await tenant.send("hello")
            await held.reached.wait()
            assert near(recorder) == ["limits.turn.model_calls"]
            await tenant.kill("default/run/run-1")
            await tenant.end(receipt)
        assert near(recorder) == ["limits.turn.model_calls"]


async def test_time_that_is_nearly_over_is_told_of_while_a_tool_is_at_work(
    open_tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = World(tmp_path / "world")
    hold = world.before = Hold()
    model.tools, model.scripts = world.tools(), [wanting]
    limits = attrs.evolve(TURN_LIMITS, seconds=100.0)
    with Recorder.attached() as recorder:
        async with open_tenant(turn_limits=limits) as tenant:
            receipt = await tenant.send("hello")
            await hold.reached.wait()
            await trio.sleep(79.0)
            assert near(recorder) == []
            await trio.sleep(2.0)
            assert near(recorder) == ["limits.turn.seconds"]
            assert (await tenant.end(receipt)).outcome == "limited"
        assert near(recorder) == ["limits.turn.seconds"]
