"""A cap of a conversation is one of all the sub-agents that work for it, too."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

import attrs
import pytest
import trio
from trio.testing import MockClock

from beamclaw.bus import LocalBus
from beamclaw.contracts import lifecycle
from beamclaw.contracts.budgets import Cap, Measure, Purse, Spent
from beamclaw.contracts.lifecycle import ResetSession
from beamclaw.contracts.providers import ModelRequest, ProviderEvent
from beamclaw.testing.session_tools import session_tools
from supervision.testing import Recorder
from tests.beamclaw.sessions.conftest import ALLOWED, KEY, Model, Script, Tenant
from tests.beamclaw.sessions.family import (
    COST,
    children,
    do,
    faults,
    obey,
    sessions,
    spawn,
)
from tests.beamclaw.sessions.test_budgets import NEARLY, spent
from tests.beamclaw.sessions.test_session import Held

Open = Callable[..., AbstractAsyncContextManager[Tenant]]


@pytest.fixture
def model() -> Model:
    return Model(scripts=[obey], tools=dict(session_tools()))


def cap(limit: int, measure: Measure = "calls") -> Cap:
    return Cap("session", measure, limit, f"limits.session.{measure}")


async def of(key: str = KEY) -> Spent:
    return (await spent()).get(Purse("session", key, ""), Spent())


async def test_a_conversation_may_make_so_many_calls_with_all_of_its_sub_agents(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    async with open_tenant(caps=(cap(2),)) as tenant:
        end = await tenant.ask(do(spawn("a"), spawn("b"), spawn("c")))
        assert end.outcome == "limited"
        assert "this conversation may use 2 calls of the model" in end.text
        assert len(tenant.model.calls) == 2
        ends = sorted(child.outcome or "" for child in await children())
        assert ends == ["limited", "limited", "ok"]
        told = next(c.text for c in await children() if c.outcome == "limited")
        assert "the conversation that this sub-agent works for" in told
        assert "(limits.session.calls)" in told
        assert (await of()).calls == 2
        assert await faults() == []


async def test_so_it_is_however_far_down_they_work(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    async with open_tenant(caps=(cap(3),)) as tenant:
        end = await tenant.ask(do(spawn(do(spawn(do(spawn("deep")))))))
        assert end.outcome == "limited"
        assert len(tenant.model.calls) == 3
        assert (await of()).calls == 3
        # Each has its own purse, too, and what others spend below it is not in that.
        below = [key for key in await sessions() if key != KEY]
        assert sorted([(await of(key)).calls for key in below]) == [0, 1, 1]
        assert await faults() == []


async def test_what_sub_agents_that_announce_spend_is_their_roots_too(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    async with open_tenant(caps=(cap(100),)) as tenant:
        await tenant.ask(do(spawn("a", mode="announce"), spawn("b", mode="announce")))
        await trio.sleep(10)
        assert (await of()).calls == len(tenant.model.calls) > 4
        assert (await of()).tokens == COST * len(tenant.model.calls)


async def test_a_conversation_that_another_one_writes_to_pays_for_itself(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    rules = attrs.evolve(ALLOWED, visibility="agent")
    async with open_tenant(caps=(cap(100),), rules=rules) as tenant:
        await tenant.ask("hello", key="agent:main:other")
        note = {"session_key": "agent:main:other", "text": "hi", "reply": False}
        assert "accepted" in (await tenant.ask(do(("tell", note)))).text
        await trio.sleep(10)
        assert ((await of()).calls, (await of("agent:main:other")).calls) == (2, 2)


def obeys_till(held: Held) -> Script:
    """What is told `below` waits for *held*; all else is obeyed."""

    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        chosen = held if request.messages[-1].text == "below" else obey
        async for event in chosen(request):
            yield event

    return script


async def test_after_a_restart_in_its_middle_the_cap_holds_as_before(
    open_tenant: Open, model: Model, autojump_clock: MockClock
) -> None:
    """The call that was cut counts as all that it could have cost, in both purses."""
    held = Held()
    model.scripts = [obeys_till(held)]
    async with open_tenant(caps=(cap(3),)) as tenant:
        receipt = await tenant.send(do(spawn("below")))
        await held.reached.wait()
        before = await of()
        assert before.calls == 2
    model.scripts = [obey]
    async with open_tenant(caps=(cap(3),)) as tenant:
        end = await tenant.end(receipt)
        assert end.outcome == "limited"
        after = await of()
        (child,) = await children()
        below = await of(child.session_key)
    assert len(model.calls) == after.calls == 3
    assert after.tokens == before.tokens + COST
    assert below.tokens == after.tokens - COST
    assert child.outcome == "ok"


async def test_what_begins_anew_has_nothing_of_a_sub_agents_call_in_its_purse(
    open_tenant: Open, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [obeys_till(held)]
    async with open_tenant(caps=(cap(100),)) as tenant:
        await tenant.ask(do(spawn("below", mode="announce")))
        await held.reached.wait()
        await lifecycle.order(LocalBus(), "default", KEY, ResetSession())
        assert await of() == Spent()
        held.go.set()
        await trio.sleep(10)
        # Its result came to the new conversation, and that was a turn of it.
        assert await of() == Spent(COST, (await of()).cost, 1)
        assert await faults() == []


async def test_the_caps_of_its_agent_hold_for_a_conversation_whoever_works_for_it(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    rules = attrs.evolve(ALLOWED, spawns={"main": ("*",)})

    def caps(agent: str) -> tuple[Cap, ...]:
        return (cap(2 if agent == "main" else 1),)

    async with open_tenant(caps_of=caps, rules=rules) as tenant:
        end = await tenant.ask(do(spawn("a", agent="other")))
        # The other one had one call of its own left, though the first was made before.
        assert [child.outcome for child in await children()] == ["ok"]
        assert end.outcome == "limited"
        assert len(tenant.model.calls) == 2


async def test_that_its_root_has_nearly_used_a_cap_is_told_when_a_sub_agent_pays(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    held = Held()
    with Recorder.attached() as recorder:
        async with open_tenant(caps=(cap(5),)) as tenant:
            tenant.model.scripts = [obey, obey, obey, obey, held]
            receipt = await tenant.send(do(spawn("a"), spawn("b"), spawn("c")))
            await held.reached.wait()
            assert (await of()).calls == 5
            await trio.sleep(2)
            (told,) = recorder.named(NEARLY)
            held.go.set()
            assert (await tenant.end(receipt)).outcome == "ok"
    assert told.metadata["key"] == KEY
