"""What is proved: a client's order is one tool call, like a model's, and nobody is asked."""

import pytest
import trio

import supervision
from beamclaw.contracts import names, waits
from beamclaw.contracts.messages import ToolCall, ToolResult
from beamclaw.contracts.providers import ModelRequest
from beamclaw.contracts.resets import ResetRule
from beamclaw.contracts.sessions import RunEnded, abort
from beamclaw.testing.world import World

KEY = "agent:main:main"


def order(tool: str, text: str = "x") -> ToolCall:
    return ToolCall(f"of-{tool}", tool, f'{{"text":"{text}"}}')


@pytest.fixture
def world(tmp_path, model) -> World:
    made = World(tmp_path / "world")
    model.tools = made.tools()
    return made


async def ordered(tenant, tool: str, text: str = "x", **more) -> RunEnded:
    return await tenant.ask("an order", call=order(tool, text), **more)


async def test_the_call_is_done_and_no_model_is_asked(
    autojump_clock, tenant, world, model
):
    end = await ordered(tenant, "send", "hello")
    assert (end.outcome, end.stop_reason, end.text) == ("ok", "stop", "send: hello")
    assert model.calls == []
    assert [one["arguments"] for one in world.effects()] == [{"text": "hello"}]


@pytest.mark.parametrize(
    "call, kind, words",
    [
        (("put", "fail"), "tool_error", "it was told to fail"),
        (("nothing", "x"), "tool_refused", "there is no tool 'nothing'"),
    ],
)
async def test_what_does_not_work_is_said(
    autojump_clock, tenant, world, *, call, kind, words
):
    end = await ordered(tenant, *call)
    assert (end.outcome, end.error_kind) == ("error", kind)
    assert words in str(end.error)
    assert world.effects() == []


async def test_the_conversation_knows_of_it_afterwards(
    autojump_clock, tenant, world, model
):
    await tenant.ask("hi")
    await ordered(tenant, "put", "a")
    await tenant.ask("and now?")
    last: ModelRequest = model.calls[-1]
    roles = [message.role for message in last.messages]
    assert roles == ["user", "assistant", "user", "assistant", "tool", "user"]
    (result,) = list(last.messages)[4].parts
    assert isinstance(result, ToolResult)
    assert result.text == "put: a"


async def test_it_waits_for_the_turn_in_progress_and_steers_none(
    autojump_clock, tenant, world, model
):
    first = await tenant.send("hi", queue="steer")
    second = await tenant.send("order", call=order("put"), queue="steer")
    third = await tenant.send("there", queue="steer")
    ends = [await tenant.end(each) for each in (first, second, third)]
    assert [end.text for end in ends] == [
        "you said: hi",
        "put: x",
        "you said: there",
    ]


async def test_a_person_is_asked_as_for_a_models_call(autojump_clock, tenant, world):
    world.asks = "always"
    receipt = await tenant.send("an order", call=order("send"))
    while not (open_ := await waits.read_waits(tenant.bus, "default")):  # noqa: ASYNC110 -- virtual
        await trio.sleep(0.01)
    assert world.effects() == []
    given = waits.Answer(wait_id=open_[0].wait_id, verdict="allow", by="ann")
    await waits.answer(tenant.bus, "default", KEY, given)
    assert (await tenant.end(receipt)).text == "send: x"


@pytest.mark.parametrize(
    "tool, outcome, times", [("put", "ok", 1), ("send", "error", 1), ("look", "ok", 2)]
)
async def test_a_death_in_its_middle_does_nothing_twice(
    autojump_clock, tenant, world, *, tool, outcome, times
):
    inside, once = trio.Event(), True

    async def after(_: object) -> None:
        nonlocal once
        if once:
            once = False
            inside.set()
            await trio.sleep_forever()

    world.after = after
    receipt = await tenant.send("an order", call=order(tool))
    await inside.wait()
    call = names.call("default", receipt.run_id, f"of-{tool}")
    run = supervision.whereis(names.run("default", receipt.run_id))
    assert run is not None
    supervision.exit(run, supervision.KILL)
    await tenant.kill(call)
    end = await tenant.end(receipt)
    assert end.outcome == outcome
    assert len(world.effects(tool)) == times
    if outcome == "error":
        assert end.error_kind == "tool_unknown"


async def test_who_stops_it_is_told_what_stands_in_the_conversation(
    autojump_clock, tenant, world, model
):
    inside = trio.Event()

    async def after(_: object) -> None:
        inside.set()
        await trio.sleep_forever()

    world.after = after
    receipt = await tenant.send("an order", call=order("send"))
    await inside.wait()
    assert await abort(tenant.bus, "default", KEY, receipt.run_id)
    end = await tenant.end(receipt)
    assert end.outcome == "aborted"
    assert "what it had done by then is not known" in end.text
    await tenant.ask("and now?")
    results = [
        part.text
        for message in model.calls[-1].messages
        for part in message.parts
        if isinstance(part, ToolResult)
    ]
    assert results == [end.text]


async def test_the_same_order_under_one_id_is_one(autojump_clock, tenant, world):
    first = await tenant.send("o", external_id="k", call=order("send"))
    again = await tenant.send("o", external_id="k", call=order("send"))
    assert (again.duplicate, again.run_id) == (True, first.run_id)
    await tenant.end(first)
    assert len(world.effects()) == 1


async def test_it_ends_no_conversation_whose_time_is_over(
    autojump_clock, open_tenant, world, model
):
    rule = ResetRule(mode="idle", idle_minutes=1)
    async with open_tenant(reset_rule=rule) as tenant:
        await tenant.ask("hi")
        tenant.wall.add(3600)
        await ordered(tenant, "put")
        await tenant.ask("still there?")
    assert len(model.calls[-1].messages) == 6
