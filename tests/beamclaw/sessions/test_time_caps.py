"""Turns work no longer than the caps of their day, agent and session leave."""

from collections.abc import AsyncGenerator
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts.approvals import Clear, Clearance
from beamclaw.contracts.budgets import Cap, Purse, Spent
from beamclaw.contracts.ledger import Commit
from beamclaw.contracts.ledger_ops import Work
from beamclaw.contracts.limits import GetLimits
from beamclaw.contracts.messages import ToolCall
from beamclaw.contracts.providers import End, ModelRequest, ProviderEvent, TextDelta
from beamclaw.contracts.sessions import abort
from beamclaw.contracts.tools import Order
from beamclaw.ledger import LedgerServer
from beamclaw.testing.session_tools import session_tools
from beamclaw.testing.world import World
from supervision import sys
from supervision.testing import Recorder
from tests.beamclaw.sessions.conftest import KEY, TURN_LIMITS, Model, Script
from tests.beamclaw.sessions.family import children, do, obey, spawn
from tests.beamclaw.sessions.test_budgets import DAY, NEARLY, spent
from tests.beamclaw.sessions.test_session import Held
from tests.beamclaw.sessions.test_tools import report, use
from tests.beamclaw.sessions.test_waits import answer, asked

TENANT, AGENT = Purse("tenant", "", DAY), Purse("agent", "main", DAY)
SESSION = Purse("session", KEY, "")
HOUR = 3_600_000


@pytest.fixture
def world(tmp_path: Path, model: Model) -> World:
    made = World(tmp_path / "world")
    model.tools.update(made.tools())
    return made


def of_day(seconds: float) -> Cap:
    return Cap("tenant", "seconds", round(seconds * 1_000), "limits.day.seconds")


def taking(seconds: float, text: str = "so") -> Script:
    """A model that thinks for so long."""

    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        await trio.sleep(seconds)
        yield TextDelta(text)
        yield End("stop")

    return script


async def worked(*purses: Purse) -> list[float]:
    """Seconds, in whole tenths: Trio's steps take a moment each."""
    found = await spent(DAY, "1970-01-13", "")
    return [round(found.get(purse, Spent()).ms / 1_000, 1) for purse in purses]


async def test_the_time_of_a_turn_is_paid_from_three_purses(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [taking(40.0), held]
    async with open_tenant(caps=(of_day(7_200),)) as tenant:
        await tenant.ask("hello")
        assert await worked(TENANT, AGENT, SESSION) == [40.0, 40.0, 40.0]
        receipt = await tenant.send("again", key="agent:main:other")
        await held.reached.wait()
        # What it may go on for is reserved: as long as a call may take.
        assert await worked(TENANT, AGENT, SESSION) == [1_840.0, 1_840.0, 40.0]
        await trio.sleep(5.0)
        held.go.set()
        await tenant.end(receipt)
        assert await worked(TENANT, AGENT, SESSION) == [45.0, 45.0, 40.0]


async def test_without_a_cap_of_time_nobody_counts_it(
    open_tenant, model: Model, autojump_clock: MockClock, monkeypatch
) -> None:
    seen: list[object] = []
    inner = LedgerServer.handle_call

    async def look(self, request, sender):
        if isinstance(request, Commit):
            seen.extend(request.ops)
        return await inner(self, request, sender)

    monkeypatch.setattr(LedgerServer, "handle_call", look)
    model.scripts = [taking(40.0)]
    caps = (Cap("tenant", "calls", 10, "limits.day.calls"),)
    async with open_tenant(caps=caps) as tenant:
        await tenant.ask("hello")
        assert await worked(TENANT) == [0.0]
    assert seen
    assert not [op for op in seen if isinstance(op, Work)]


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("tenant", "today, all agents together may use 50 seconds"),
        ("agent", "today, this agent may use 50 seconds"),
        ("session", "this conversation may use 50 seconds"),
    ],
)
async def test_a_turn_that_nothing_is_left_for_is_refused_in_words(
    open_tenant, model: Model, autojump_clock: MockClock, scope, words
) -> None:
    model.scripts = [taking(49.5)]
    cap = Cap(scope, "seconds", 50_000, f"limits.{scope}.seconds")
    async with open_tenant(caps=(cap,)) as tenant:
        assert (await tenant.ask("hello")).outcome == "ok"
        end = await tenant.ask("again")
        assert (end.outcome, end.stop_reason) == ("limited", "limit")
        assert f"I stopped: {words} ({cap.name}), 49.5 are used" in end.text
        # It has not worked, and pays nothing.
        assert await worked(TENANT) == [49.5]
        if scope != "session":
            tenant.wall.add(86_400)
            model.scripts = [taking(1.0)]
            assert (await tenant.ask("tomorrow")).outcome == "ok"
    assert len(model.calls) == (1 if scope == "session" else 2)


async def test_a_turn_gets_what_is_left_and_ends_in_words_when_that_is_used_up(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    """The cap is smaller than what a turn may take by its own limit."""
    model.scripts = [taking(20.0), taking(100.0)]
    async with open_tenant(caps=(of_day(50.0),)) as tenant:
        await tenant.ask("hello")
        begun = trio.current_time()
        end = await tenant.ask("again")
        assert trio.current_time() - begun == pytest.approx(30.0, abs=0.1)
        assert end.outcome == "limited"
        words = "all agents together may use 50 seconds (limits.day.seconds), 50 are"
        assert words in end.text
        assert await worked(TENANT) == [50.0]


async def test_what_others_give_back_may_be_used_in_the_next_step(
    open_tenant, model: Model, world: World, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held, use(("put", {"text": "x"})), taking(100.0)]
    cap = of_day(1_850.0)
    async with open_tenant(caps=(cap,)) as tenant:
        first = await tenant.send("hello", key="agent:main:other")
        await held.reached.wait()

        async def give_back(order: Order) -> None:
            held.go.set()
            await tenant.end(first)

        world.before = give_back
        # Fifty seconds are left, a hundred are taken.
        assert (await tenant.ask("hello")).outcome == "ok"
        assert await worked(TENANT) == [100.0]


async def test_a_tool_that_takes_longer_has_more_reserved_or_is_stopped(
    open_tenant, model: Model, world: World, autojump_clock: MockClock
) -> None:
    async def long(order: Order) -> None:
        await trio.sleep(1_700.0)

    async def slow(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        await trio.sleep(900.0)
        async for event in use(("put", {"text": "x"}))(request):
            yield event

    world.before = long
    model.scripts = [slow, report]
    cap = Cap("session", "seconds", HOUR, "limits.session.seconds")
    async with open_tenant(caps=(cap,)) as tenant:
        assert (await tenant.ask("hello")).outcome == "ok"
        assert await worked(SESSION) == [2_600.0]
        model.scripts = [slow, report]
        end = await tenant.ask("hello")
        assert end.outcome == "limited"
        assert "this conversation may use 3,600 seconds" in end.text
        (used,) = await worked(SESSION)
        assert used == pytest.approx(3_600.0, abs=0.2)


async def test_a_call_that_takes_longer_than_is_reserved_at_once_is_cut_in_words(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [taking(2_000.0)]
    async with open_tenant(caps=(of_day(7_200),)) as tenant:
        end = await tenant.ask("hello")
        assert end.outcome == "limited"
        assert "a call of the model may take 1,800 seconds" in end.text
        assert "(limits.day.seconds)" in end.text
        assert await worked(TENANT) == [1_800.0]


@pytest.fixture
def slow_ledger(monkeypatch) -> list[Work]:
    """A ledger whose commits take a moment, as a disk's do; the time that they reserve."""
    seen: list[Work] = []
    inner = LedgerServer.handle_call

    async def serve(self, request, sender):
        if isinstance(request, Commit):
            seen.extend(op for op in request.ops if isinstance(op, Work))
            await trio.sleep(0.0047)
        return await inner(self, request, sender)

    monkeypatch.setattr(LedgerServer, "handle_call", serve)
    return seen


async def test_what_is_left_is_had_though_it_takes_a_moment_to_be_told_of_it(
    open_tenant, model: Model, autojump_clock: MockClock, slow_ledger: list[Work]
) -> None:
    model.scripts = [taking(10.0)]
    async with open_tenant(caps=(of_day(50.0),)) as tenant:
        assert (await tenant.ask("hello")).outcome == "ok"
    # More than there is, and then what there is, of the same moment.
    assert [op.used + op.reserve for op in slow_ledger] == [1_800_004, 50_000]


async def test_no_cap_is_passed_while_the_end_is_written_down(
    open_tenant, model: Model, world: World, autojump_clock: MockClock, slow_ledger
) -> None:
    async def long(order: Order) -> None:
        await trio.sleep(100.0)

    world.before = long
    model.scripts = [use(("put", {"text": "x"}))]
    async with open_tenant(caps=(of_day(50.0),)) as tenant:
        assert (await tenant.ask("hello")).outcome == "limited"
        assert (await spent(DAY))[TENANT].ms == 50_000


async def test_a_turn_at_its_own_limit_says_so_where_time_is_limited_too(
    open_tenant, model: Model, autojump_clock: MockClock, slow_ledger: list[Work]
) -> None:
    """Its clock shows no whole thousandths when it asks."""
    model.scripts = [taking(100.0)]
    limits = attrs.evolve(TURN_LIMITS, seconds=20.0)
    async with open_tenant(caps=(of_day(7_200),), turn_limits=limits) as tenant:
        end = await tenant.ask("hello")
        assert end.outcome == "limited"
        assert "its limit of 20 seconds (limits.turn.seconds)" in end.text
    assert slow_ledger


async def test_a_tool_that_is_asked_for_leave_takes_no_more_than_is_reserved(
    open_tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def thinks(order: Order) -> Clearance:
        await trio.sleep(25.0)
        return Clear()

    made = World(tmp_path / "thinking", asks="by-call", clears=thinks)
    model.tools.update(made.tools())
    model.scripts = [use(("put", {"text": "x"}))]
    async with open_tenant(caps=(of_day(5.0),)) as tenant:
        end = await tenant.ask("hello")
        assert end.outcome == "limited"
        assert "(limits.day.seconds)" in end.text
        assert await worked(TENANT) == [5.0]


async def test_a_cap_that_is_set_meanwhile_holds_from_the_next_call_on(
    open_tenant, model: Model, world: World, autojump_clock: MockClock
) -> None:
    caps: list[Cap] = []

    async def set_it(order: Order) -> None:
        await trio.sleep(20.0)
        caps.append(of_day(50.0))

    world.before = set_it
    model.scripts = [use(("put", {"text": "x"})), taking(10.0), taking(100.0)]
    async with open_tenant(caps=caps) as tenant:
        # All that a turn has worked counts, if it is in progress.
        assert (await tenant.ask("hello")).outcome == "ok"
        assert await worked(TENANT) == [30.0]
        begun = trio.current_time()
        assert (await tenant.ask("again")).outcome == "limited"
        assert trio.current_time() - begun == pytest.approx(20.0, abs=0.1)
        caps.clear()
        assert (await tenant.ask("hello")).outcome == "ok"
        assert await worked(TENANT) == [50.0]


async def test_a_cap_that_is_taken_away_meanwhile_stops_nobody(
    open_tenant, model: Model, world: World, autojump_clock: MockClock
) -> None:
    caps = [of_day(50.0)]

    async def take_it_away(order: Order) -> None:
        caps.clear()

    world.before = take_it_away
    model.scripts = [use(("put", {"text": "x"})), taking(100.0)]
    async with open_tenant(caps=caps) as tenant:
        assert (await tenant.ask("hello")).outcome == "ok"
        # Its account was open, and is closed.
        assert await worked(TENANT) == [100.0]


async def test_while_it_waits_for_a_person_nothing_is_reserved(
    open_tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    made = World(tmp_path / "asking", asks="always")
    model.tools.update(made.tools())
    model.scripts = [use(("send", {"text": "x"})), taking(10.0)]
    async with open_tenant(caps=(of_day(1_900),)) as tenant:
        receipt = await tenant.send("hello")
        await asked(tenant)
        assert await worked(TENANT) == [0.0]
        await trio.sleep(500)
        await answer(tenant)
        assert (await tenant.end(receipt)).outcome == "ok"
        assert await worked(TENANT, SESSION) == [10.0, 10.0]


async def test_nothing_may_be_left_when_a_person_has_answered(
    open_tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    made = World(tmp_path / "asking", asks="always")
    model.tools.update(made.tools())
    held = Held()
    model.scripts = [use(("send", {"text": "x"})), held]
    async with open_tenant(caps=(of_day(1_800),)) as tenant:
        receipt = await tenant.send("hello")
        await asked(tenant)
        other = await tenant.send("hello", key="agent:main:other")
        await held.reached.wait()
        await answer(tenant)
        end = await tenant.end(receipt)
        assert end.outcome == "limited"
        assert "may use 1,800 seconds (limits.day.seconds), 1,800 are" in end.text
        assert made.effects() == []
        held.go.set()
        assert (await tenant.end(other)).outcome == "ok"


async def slowly(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    await trio.sleep(10.0)
    async for event in obey(request):
        yield event


async def test_a_sub_agent_pays_for_its_own_time_and_its_parent_waits(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts, model.tools = [slowly], dict(session_tools())
    # Not both of them may reserve as much as they may take.
    async with open_tenant(caps=(of_day(1_850),)) as tenant:
        assert (await tenant.ask(do(spawn("look")))).outcome == "ok"
        (child,) = await children()
        below = Purse("session", child.session_key, "")
        # Its own ten are in the purse of its conversation, too.
        assert await worked(TENANT, SESSION, below) == [30.0, 30.0, 10.0]


async def test_a_conversation_works_no_longer_than_its_cap_with_its_sub_agents(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts, model.tools = [slowly], dict(session_tools())
    cap = Cap("session", "seconds", 25_000, "limits.session.seconds")
    async with open_tenant(caps=(cap,)) as tenant:
        end = await tenant.ask(do(spawn("a"), spawn("b")))
        assert end.outcome == "limited"
        assert await worked(SESSION) == [25.0]
        told = [child.text for child in await children()]
    assert any(
        "the conversation that this sub-agent works for" in text for text in told
    )


async def test_over_midnight_it_is_of_the_day_on_which_it_was_reserved(
    open_tenant, model: Model, world: World, autojump_clock: MockClock
) -> None:
    model.scripts = [use(("put", {"text": "x"})), taking(7.0)]

    async with open_tenant(caps=(of_day(7_200),)) as tenant:

        async def midnight(order: Order) -> None:
            await trio.sleep(5.0)
            tenant.wall.add(86_400)

        world.before = midnight
        assert (await tenant.ask("hello")).outcome == "ok"
        tomorrow = Purse("tenant", "", "1970-01-13")
        assert await worked(TENANT, tomorrow, SESSION) == [5.0, 7.0, 12.0]


async def test_where_a_client_orders_a_call_its_time_counts(
    open_tenant, model: Model, world: World, autojump_clock: MockClock
) -> None:
    async def long(order: Order) -> None:
        await trio.sleep(25.0)

    world.before = long
    call = ToolCall("c1", "put", '{"text":"x"}')
    async with open_tenant(caps=(of_day(40),)) as tenant:
        assert (await tenant.ask("", call=call)).outcome == "ok"
        assert await worked(TENANT) == [25.0]


@pytest.mark.parametrize("goes_on", [True, False])
async def test_what_a_dead_run_has_reserved_counts_until_it_is_known_what_it_took(
    open_tenant, model: Model, world: World, autojump_clock: MockClock, goes_on
) -> None:
    """What it did behind its last event nobody has measured: it is nobody's time."""
    held = Held()
    model.scripts = [use(("put", {"text": "x"})), held, taking(3.0)]

    async def short(order: Order) -> None:
        await trio.sleep(20.0)

    world.before = short
    async with open_tenant(caps=(of_day(7_200),)) as tenant:
        receipt = await tenant.send("hello")
        await held.reached.wait()
        await trio.sleep(30.0)
        # Nobody comes in its place before this goes on.
        session = supervision.whereis(f"default/session/{KEY}")
        assert session is not None
        await sys.suspend(session)
        await tenant.kill(f"default/run/{receipt.run_id}")
        assert await worked(TENANT) == [1_820.0]
        if not goes_on:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(abort, tenant.bus, "default", KEY, receipt.run_id)
                await trio.testing.wait_all_tasks_blocked()
                await sys.resume(session)
            assert (await tenant.end(receipt)).outcome == "aborted"
            assert await worked(TENANT) == [20.0]
            return
        await sys.resume(session)
        assert (await tenant.end(receipt)).outcome == "ok"
        assert await worked(TENANT) == [23.0]


async def test_eighty_percent_warns(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [taking(40.0)]
    cap = Cap("session", "seconds", 100_000, "limits.session.seconds")
    with Recorder.attached() as recorder:
        async with open_tenant(caps=(cap,)) as tenant:
            for told in (0, 1):
                await tenant.ask("hello")
                await trio.sleep(2)
                assert len(recorder.named(NEARLY)) == told
        (event,) = recorder.named(NEARLY)
    assert event.metadata["why"] == (
        "this conversation: 80 of 100 seconds are used or reserved "
        "(limits.session.seconds)"
    )


async def test_how_the_caps_of_time_stand(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [taking(40.0)]
    async with open_tenant(caps=(of_day(100),)) as tenant:
        await tenant.ask("hello")
        status = await supervision.call("default/limits", GetLimits())
    (cap,) = status.caps
    assert (cap.name, cap.measure, cap.limit) == (
        "limits.day.seconds",
        "seconds",
        100_000,
    )
    assert cap.used == pytest.approx(40_000, abs=100)
