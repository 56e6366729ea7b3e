"""Caps hold: what is reserved counts, and a call that could go beyond is not made."""
# ruff: noqa: PLR0917 -- fixtures, and the columns of tables

from collections.abc import AsyncGenerator

import pytest
from trio.testing import MockClock

import supervision
from beamclaw.contracts.budgets import Cap, Purse, Spent
from beamclaw.contracts.ledger import ReadSpent
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    TextDelta,
    UsageReport,
)
from tests.beamclaw.sessions.conftest import KEY, MAX_OUTPUT, Model, Tenant
from tests.beamclaw.sessions.test_session import Held

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
    cap = Cap("tenant", "tokens", MAX_OUTPUT + 100, "limits.day.tokens")
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
