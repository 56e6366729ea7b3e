"""Messages that come while a turn is in progress."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.ledger_reads import ReadRun, ReadSession
from beamclaw.contracts.messages import Message, ModelParams
from beamclaw.contracts.sessions import QueueMode, abort
from beamclaw.testing.world import World
from supervision import sys
from tests.beamclaw.sessions.conftest import KEY, Model, Tenant
from tests.beamclaw.sessions.test_session import Held
from tests.beamclaw.sessions.test_tools import Hold, are_paired, say, use


@pytest.fixture
def world(tmp_path: Path, model: Model) -> World:
    made = World(tmp_path / "world")
    model.tools.update(made.tools())
    return made


def said_by_user(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages if message.role == "user"]


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_steering_is_taken_before_the_model_is_asked_again(
    tenant: Tenant, world: World, autojump_clock: MockClock
) -> None:
    hold = world.before = Hold()
    tenant.model.scripts = [use(("put", {})), say("both")]
    first = await tenant.send("one")
    await hold.reached.wait()
    second = await tenant.send("two", queue="steer")
    third = await tenant.send("three", queue="steer")
    await settle()
    hold.release.set()
    assert [(await tenant.end(each)).text for each in (first, second, third)] == [
        "both"
    ] * 3
    assert len(tenant.model.calls) == 2
    assert said_by_user(tenant.model.calls[1].messages) == ["one", "two", "three"]
    assert are_paired(tenant.model.calls[1].messages)
    row = await supervision.call("default/ledger", ReadRun(second.run_id))
    assert row is not None
    assert (row.state, row.joined) == ("joined", first.run_id)


async def test_what_is_stopped_while_it_waits_to_be_taken_is_left_out(
    tenant: Tenant, world: World, autojump_clock: MockClock
) -> None:
    hold = world.before = Hold()
    tenant.model.scripts = [use(("put", {})), say("both")]
    first = await tenant.send("one")
    await hold.reached.wait()
    more = [await tenant.send(text, queue="steer") for text in ("two", "three")]
    await settle()  # the run has both, and takes them later
    assert await abort(tenant.bus, "default", KEY, more[0].run_id)
    hold.release.set()
    ends = [await tenant.end(each) for each in (first, *more)]
    assert [(end.outcome, end.text) for end in ends] == [
        ("ok", "both"),
        ("aborted", ""),
        ("ok", "both"),
    ]
    assert said_by_user(tenant.model.calls[-1].messages) == ["one", "three"]
    await no_run_has_died(first)


@pytest.mark.parametrize("over", [True, False])
async def test_who_stops_what_was_taken_just_now_stops_its_turn_if_that_goes_on(
    tenant: Tenant, world: World, autojump_clock: MockClock, over: bool
) -> None:
    hold = world.before = Hold()
    tenant.model.scripts = [use(("put", {})), say("both") if over else Held()]
    first = await tenant.send("one")
    await hold.reached.wait()
    second = await tenant.send("two", queue="steer")
    await settle()
    session = supervision.whereis(f"default/session/{KEY}")
    assert session is not None
    stopped: list[bool] = []

    async def stop() -> None:
        stopped.append(await abort(tenant.bus, "default", KEY, second.run_id))

    async with trio.open_nursery() as nursery:
        await sys.suspend(session)
        nursery.start_soon(stop)
        await settle()
        hold.release.set()
        await (
            settle()
        )  # the run takes it, and the session hears of the stop before that
        await sys.resume(session)
    ends = [await tenant.end(each) for each in (first, second)]
    expected = ("ok", "both") if over else ("aborted", "half ")
    assert {(end.outcome, end.text) for end in ends} == {expected}
    assert stopped == [not over]
    await no_run_has_died(first)


async def test_who_stops_what_a_turn_has_taken_stops_the_turn(
    tenant: Tenant, world: World, autojump_clock: MockClock
) -> None:
    hold, held = Hold(), Held()
    world.before = hold
    tenant.model.scripts = [use(("put", {})), held]
    first = await tenant.send("one")
    await hold.reached.wait()
    second = await tenant.send("two", queue="steer")
    await settle()
    hold.release.set()
    await held.reached.wait()  # the model is asked about both
    assert await abort(tenant.bus, "default", KEY, second.run_id)
    ends = [await tenant.end(each) for each in (first, second)]
    assert {(end.outcome, end.text) for end in ends} == {("aborted", "half ")}
    assert not await abort(tenant.bus, "default", KEY, second.run_id)


async def test_who_stops_what_was_collected_stops_the_turn_of_all(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held, again = Held(), Held()
    model.scripts = [held, again]
    first = await tenant.send("one")
    await held.reached.wait()
    more = [await tenant.send(text, queue="collect") for text in ("two", "three")]
    held.go.set()
    await again.reached.wait()
    assert await abort(tenant.bus, "default", KEY, more[1].run_id)
    ends = [await tenant.end(each) for each in (first, *more)]
    assert [end.outcome for end in ends] == ["ok", "aborted", "aborted"]


async def test_a_turn_that_rests_is_stopped_by_what_it_has_taken(
    open_tenant, model: Model, world: World, autojump_clock: MockClock
) -> None:
    hold, held = Hold(), Held()
    world.before = hold
    model.scripts = [use(("put", {})), held, say("again")]
    async with open_tenant() as tenant:
        first = await tenant.send("one")
        await hold.reached.wait()
        second = await tenant.send("two", queue="steer")
        await settle()
        hold.release.set()
        await held.reached.wait()
        await tenant.kill("default/run/run-1")
        assert await abort(tenant.bus, "default", KEY, second.run_id)
        assert {(await tenant.end(each)).outcome for each in (first, second)} == {
            "aborted"
        }
    assert len(model.calls) == 2


async def no_run_has_died(receipt: Receipt) -> None:
    row = await supervision.call("default/ledger", ReadRun(receipt.run_id))
    assert row is not None
    assert row.revivals == 0


@pytest.mark.parametrize("mode", ["steer", "followup", "collect"])
async def test_what_comes_too_late_gets_a_turn_of_its_own(
    tenant: Tenant, model: Model, autojump_clock: MockClock, mode: QueueMode
) -> None:
    held = Held()
    model.scripts = [held, say("next")]
    first = await tenant.send("one")
    await held.reached.wait()
    second = await tenant.send("two", queue=mode)
    await settle()
    held.go.set()
    assert (await tenant.end(first)).text == "half done"
    assert (await tenant.end(second)).text == "next"
    assert said_by_user(model.calls[1].messages) == ["one", "two"]


@pytest.mark.parametrize(
    ("mode", "calls"), [("followup", 4), ("collect", 2), ("steer", 2)]
)
async def test_how_many_turns_three_messages_make(
    tenant: Tenant, model: Model, autojump_clock: MockClock, mode, calls
) -> None:
    held = Held()
    model.scripts = [held, say("next")]
    first = await tenant.send("one")
    await held.reached.wait()
    more = [await tenant.send(text, queue=mode) for text in ("two", "three", "four")]
    await settle()
    held.go.set()
    await tenant.end(first)
    ends = [await tenant.end(each) for each in more]
    assert [(end.run_id, end.text) for end in ends] == [
        (each.run_id, "next") for each in more
    ]
    assert len(model.calls) == calls
    assert said_by_user(model.calls[-1].messages) == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"model": "other"}, "other"),
        ({"params": ModelParams(thinking="high")}, "m"),
        ({"reply_to": "elsewhere"}, "m"),
    ],
)
async def test_what_wants_another_answer_is_not_steered_but_follows(
    tenant: Tenant, world: World, autojump_clock: MockClock, options, asked
) -> None:
    hold = world.before = Hold()
    tenant.model.scripts = [use(("put", {})), say("first"), say("second")]
    first = await tenant.send("one")
    await hold.reached.wait()
    second = await tenant.send("two", queue="steer", **options)
    third = await tenant.send("three", queue="steer", **options)
    await settle()
    hold.release.set()
    assert (await tenant.end(first)).text == "first"
    assert (await tenant.end(second)).text == "second"
    assert (await tenant.end(third)).text == "second"
    assert [call.model for call in tenant.model.calls] == ["m", "m", asked]
    assert said_by_user(tenant.model.calls[1].messages) == ["one"]
    assert said_by_user(tenant.model.calls[2].messages) == ["one", "two", "three"]


@pytest.mark.parametrize("dies", ["run/run-1", f"session/{KEY}", "ledger"])
async def test_what_a_turn_was_asked_for_is_known_after_a_death(
    tenant: Tenant, world: World, autojump_clock: MockClock, dies: str
) -> None:
    hold = world.before = Hold()
    tenant.model.scripts = [use(("put", {})), say("both"), say("alone")]
    first = await tenant.send("one", model="other")
    await hold.reached.wait()
    await tenant.kill(f"default/{dies}")
    for name in ("run/run-1", f"session/{KEY}"):
        await tenant.there(f"default/{name}")
    await settle()
    alike = await tenant.send("two", queue="steer", model="other")
    apart = await tenant.send("three", queue="steer")
    await settle()
    hold.release.set()
    ends = [await tenant.end(each) for each in (first, alike, apart)]
    assert [end.text for end in ends] == ["both", "both", "alone"]


async def test_collecting_waits_until_it_is_quiet(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held, say("next")]
    first = await tenant.send("one")
    await held.reached.wait()
    second = await tenant.send("two", queue="collect")
    held.go.set()
    await tenant.end(first)
    await trio.sleep(0.4)
    third = await tenant.send("three", queue="collect")
    await trio.sleep(0.4)
    assert len(model.calls) == 1
    assert (await tenant.end(second)).text == (await tenant.end(third)).text == "next"
    assert len(model.calls) == 2


async def test_an_interruption_stops_the_turn_and_is_answered(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held, say("next")]
    first = await tenant.send("one")
    await held.reached.wait()
    second = await tenant.send("two", queue="interrupt")
    assert (await tenant.end(second)).text == "next"
    end = await tenant.end(first)
    assert (end.outcome, end.text) == ("aborted", "half ")
    assert [message.text for message in model.calls[1].messages] == [
        "one",
        "half ",
        "two",
    ]


async def test_the_configuration_says_what_happens_to_others(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held, say("next")]
    first = await tenant.send("one")
    await held.reached.wait()
    more = [await tenant.send(text) for text in ("two", "three")]
    await settle()
    held.go.set()
    await tenant.end(first)
    for each in more:
        await tenant.end(each)
    assert len(model.calls) == 3


# --- deaths


@pytest.mark.parametrize("dies", ["run/run-1", f"session/{KEY}", "ledger", "sessions"])
async def test_steering_survives_a_death(
    tenant: Tenant, world: World, autojump_clock: MockClock, dies: str
) -> None:
    hold = world.before = Hold()
    tenant.model.scripts = [use(("put", {})), say("both")]
    first = await tenant.send("one")
    await hold.reached.wait()
    second = await tenant.send("two", queue="steer")
    await tenant.kill(f"default/{dies}")
    await settle()
    hold.release.set()
    ends = [await tenant.end(each) for each in (first, second)]
    assert {end.text for end in ends} == {"both"}
    assert said_by_user(tenant.model.calls[-1].messages) == ["one", "two"]
    read = await supervision.call("default/ledger", ReadSession(KEY))
    assert [event.kind for event in read.events].count("inbound") == 2


async def test_collected_messages_are_answered_after_a_restart(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held, say("again"), say("next")]
    async with open_tenant() as tenant:
        receipts = [await tenant.send("one")]
        await held.reached.wait()
        receipts += [
            await tenant.send(text, queue="collect") for text in ("two", "three")
        ]
    async with open_tenant() as tenant:
        texts = [(await tenant.end(each)).text for each in receipts]
    assert texts == ["again", "next", "next"]
    assert said_by_user(model.calls[-1].messages) == ["one", "two", "three"]


async def test_a_repeat_of_a_joined_message_gets_the_same_answer(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held, say("next")]
    first = await tenant.send("one")
    await held.reached.wait()
    for id_ in ("b", "c"):
        await tenant.send("two", queue="collect", external_id=id_)
    await settle()
    held.go.set()
    await tenant.end(first)
    again = await tenant.send("two", queue="collect", external_id="c")
    assert again.duplicate
    assert (await tenant.end(again)).text == "next"
    assert len(model.calls) == 2
