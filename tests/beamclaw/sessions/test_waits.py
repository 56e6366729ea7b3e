"""Turns that wait for a person: the question outlives everything, the first answer counts."""

from collections.abc import AsyncGenerator
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts import names, waits
from beamclaw.contracts.ledger_errors import AnsweredAlready, LedgerError, NoSuchWait
from beamclaw.contracts.ledger_reads import ReadSession
from beamclaw.contracts.ledger_rows import Verdict, WaitRow
from beamclaw.contracts.providers import ModelRequest, ProviderEvent
from beamclaw.contracts.sessions import GetSessionsStatus, Question, abort
from beamclaw.contracts.tools import Order
from beamclaw.runs import turn_calls
from beamclaw.runs.persons import Persons
from beamclaw.testing.world import World
from supervision import sys
from tests.beamclaw.sessions.conftest import KEY, TURN_LIMITS, Model, Tenant
from tests.beamclaw.sessions.test_tools import are_paired, report, say, use

ID = "run-1/call_0"


@pytest.fixture
def world(tmp_path: Path, model: Model) -> World:
    made = World(tmp_path / "world", asks="always")
    model.tools.update(made.tools())
    model.scripts = [use(("send", {"text": "x"})), report]
    return made


async def asked(tenant: Tenant, number: int = 1) -> tuple[WaitRow, ...]:
    """Wait, on the virtual clock, until so many questions are open."""
    rows = await waits.read_waits(tenant.bus, "default")
    while len(rows) < number:  # virtual, so no time is lost
        await trio.sleep(0.01)
        rows = await waits.read_waits(tenant.bus, "default")
    return rows


async def answer(tenant: Tenant, verdict: Verdict = "allow", id_: str = ID) -> None:
    given = waits.Answer(wait_id=id_, verdict=verdict, by="anna", text="so be it")
    await waits.answer(tenant.bus, "default", KEY, given)


async def test_a_tool_runs_when_a_person_has_agreed(
    tenant: Tenant, world: World, autojump_clock: MockClock
) -> None:
    receipt = await tenant.send("hello")
    (row,) = await asked(tenant)
    assert (row.wait_id, row.session_key) == (ID, KEY)
    assert row.question == 'send({"text":"x"})'
    await trio.sleep(60)
    assert world.effects() == []
    await answer(tenant)
    end = await tenant.end(receipt)
    assert end.text == "call_0=send: x;"
    assert await waits.read_waits(tenant.bus, "default") == ()


class Steps(trio.abc.Instrument):
    """Counts what the loop does."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


async def test_a_clock_that_stands_is_not_looked_at_all_the_time(
    open_tenant, world: World, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A tool works while a person thinks, and nearly nothing is left of the turn's time."""

    async def works(order: Order) -> None:
        await trio.sleep(30)

    async def late(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        await trio.sleep(9.99)
        async for event in use(("put", {"text": "x"}), ("send", {"text": "y"}))(
            request
        ):
            yield event

    other = World(tmp_path / "other", before=works)
    model.tools["put"] = other.tools()["put"]
    model.scripts = [late, report]
    limits = attrs.evolve(TURN_LIMITS, seconds=10.0)
    async with open_tenant(turn_limits=limits) as tenant:
        receipt = await tenant.send("hello")
        await asked(tenant)
        steps = Steps()
        trio.lowlevel.add_instrument(steps)
        await trio.sleep(60)
        trio.lowlevel.remove_instrument(steps)
        assert steps.count < 500
        await answer(tenant, id_="run-1/call_1")
        assert (await tenant.end(receipt)).outcome == "ok"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("deny", "it was not carried out: anna said no: so be it"),
        ("expired", "nobody answered in time whether it may be carried out"),
    ],
)
async def test_without_leave_it_does_not_run(
    tenant: Tenant, world: World, autojump_clock: MockClock, verdict, words
) -> None:
    receipt = await tenant.send("hello")
    await asked(tenant)
    if verdict == "deny":
        await answer(tenant, "deny")
    else:
        tenant.wall.add(601)
    end = await tenant.end(receipt)
    assert words in end.text
    assert world.effects() == []
    assert are_paired(tenant.model.calls[-1].messages)
    assert await waits.read_waits(tenant.bus, "default") == ()


async def test_whoever_follows_is_told(
    tenant: Tenant, world: World, autojump_clock: MockClock
) -> None:
    with tenant.bus.subscribe(names.topic("default", KEY)) as subscription:
        receipt = await tenant.send("hello")
        await asked(tenant)
        status = await supervision.call("default/sessions", GetSessionsStatus())
        assert (status.running, status.asking) == (1, 1)
        await answer(tenant)
        await tenant.end(receipt)
        values = []
        with pytest.raises(trio.WouldBlock):
            while True:
                values.append(subscription.receive_nowait())
    questions = [value for value in values if isinstance(value, Question)]
    assert [each.verdict for each in questions] == [None, "allow"]
    assert questions[1].by == "anna"


async def test_the_first_answer_counts(
    tenant: Tenant, world: World, autojump_clock: MockClock
) -> None:
    outcomes: list[str] = []

    async def say_one(verdict: Verdict) -> None:
        try:
            await answer(tenant, verdict)
        except LedgerError as refusal:
            outcomes.append(type(refusal).__name__)
        else:
            outcomes.append(verdict)

    receipt = await tenant.send("hello")
    await asked(tenant)
    async with trio.open_nursery() as nursery:
        for verdict in ("allow", "deny", "deny"):
            nursery.start_soon(say_one, verdict)
    end = await tenant.end(receipt)
    (first,) = [each for each in outcomes if each in ("allow", "deny")]
    assert set(outcomes) - {first} <= {"AnsweredAlready", "NoSuchWait"}
    assert len(world.effects()) == (first == "allow")
    with pytest.raises(NoSuchWait):
        await answer(tenant)
    assert end.outcome == "ok"


async def test_a_question_outlives_any_number_of_restarts(
    open_tenant, world: World, model: Model, autojump_clock: MockClock
) -> None:
    receipt = None
    for _ in range(7):
        async with open_tenant() as tenant:
            receipt = receipt or await tenant.send("hello")
            await asked(tenant)
            await tenant.there("default/run/run-1")
            await trio.sleep(5)
    async with open_tenant() as tenant:
        await asked(tenant)
        await answer(tenant)
        assert receipt is not None
        assert (await tenant.end(receipt)).text == "call_0=send: x;"
    assert len(model.calls) == 2


@pytest.mark.parametrize("given", [True, False])
async def test_a_turn_that_dies_of_its_wait_is_put_aside(
    open_tenant, world: World, model: Model, autojump_clock: MockClock, given: bool
) -> None:
    """Of the answer, or of nothing that has come."""

    def die(*_: object) -> None:
        raise RuntimeError("of this wait")

    async with open_tenant() as tenant:
        receipt = await tenant.send("hello")
        await asked(tenant)
        with pytest.MonkeyPatch.context() as patch:
            if given:
                patch.setattr(Persons, "hear_answer", die)
                await answer(tenant)
            else:
                patch.setattr(turn_calls, "_with_person", die)
                await tenant.kill("default/run/run-1")
            assert (await tenant.end(receipt)).outcome == "quarantined"
        model.scripts = [say("fresh")]
        assert (await tenant.ask("again")).text == "fresh"
    assert are_paired(model.calls[-1].messages)


@pytest.mark.parametrize("dies", ["run/run-1", f"session/{KEY}", "sessions", "ledger"])
async def test_an_answer_is_not_lost_to_a_death(
    tenant: Tenant, world: World, autojump_clock: MockClock, dies: str
) -> None:
    receipt = await tenant.send("hello")
    await asked(tenant)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_surely, tenant)
        await tenant.kill(f"default/{dies}")
    assert (await tenant.end(receipt)).text == "call_0=send: x;"
    assert len(world.effects()) == 1


async def answer_surely(tenant: Tenant) -> None:
    """As a surface does it: until it is known what became of the answer."""
    while True:
        try:
            await answer(tenant)
        except supervision.CallFailed:
            await trio.sleep(0.1)
        except (AnsweredAlready, NoSuchWait):
            return
        else:
            return


async def test_an_answer_given_between_two_lives_of_the_run_counts(
    open_tenant, world: World, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        receipt = await tenant.send("hello")
        await asked(tenant)
        run = tenant.kill("default/run/run-1")
        await answer(tenant)
        await run
        await tenant.kill(f"default/session/{KEY}")
    async with open_tenant() as tenant:
        assert (await tenant.end(receipt)).text == "call_0=send: x;"
    assert len(world.effects()) == 1


async def test_a_stop_closes_the_question(
    tenant: Tenant, world: World, autojump_clock: MockClock
) -> None:
    receipt = await tenant.send("hello")
    await asked(tenant)
    assert await abort(tenant.bus, "default", KEY, receipt.run_id)
    assert await waits.read_waits(tenant.bus, "default") == ()
    with pytest.raises(NoSuchWait):
        await answer(tenant)
    tenant.model.scripts = [say("fresh")]
    assert (await tenant.ask("go on")).text == "fresh"
    assert are_paired(tenant.model.calls[-1].messages)


async def test_the_time_of_a_person_is_not_the_turns(
    open_tenant, world: World, model: Model, autojump_clock: MockClock
) -> None:
    limits = attrs.evolve(TURN_LIMITS, seconds=10.0, wait_seconds=1000.0)
    async with open_tenant(turn_limits=limits) as tenant:
        receipt = await tenant.send("hello")
        await asked(tenant)
        await trio.sleep(500)
        await answer(tenant)
        assert (await tenant.end(receipt)).outcome == "ok"


async def test_an_answer_in_the_moment_of_expiry_counts(
    tenant: Tenant, world: World, autojump_clock: MockClock
) -> None:
    receipt = await tenant.send("hello")
    await asked(tenant)
    async with trio.open_nursery() as nursery:
        # Both commits wait in the mailbox of the ledger, the answer's before the other.
        await sys.suspend("default/ledger")
        nursery.start_soon(answer, tenant)
        await trio.sleep(601)
        await sys.resume("default/ledger")
    assert (await tenant.end(receipt)).text == "call_0=send: x;"
    read = await supervision.call("default/ledger", ReadSession(KEY))
    assert "revived" not in [event.kind for event in read.events]


async def test_some_calls_run_while_others_wait(
    tenant: Tenant, world: World, autojump_clock: MockClock
) -> None:
    plain = World(world.file)
    tenant.model.tools["look"] = plain.tools()["look"]
    tenant.model.scripts = [use(("send", {"text": "x"}), ("look", {})), report]
    receipt = await tenant.send("hello")
    await asked(tenant)
    await trio.sleep(1)
    assert [one["tool"] for one in world.effects()] == ["look"]
    await answer(tenant)
    end = await tenant.end(receipt)
    assert end.text == "call_1=0 looks before;call_0=send: x;"


def test_refusals_are_refusals_of_the_ledger() -> None:
    assert issubclass(AnsweredAlready, LedgerError)
