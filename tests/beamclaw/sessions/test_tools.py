"""Turns that use tools: the loop, and what becomes of an effect at every death."""
# ruff: noqa: PLR0917 -- fixtures, and the columns of tables

from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.messages import Message, ToolCall, ToolResult
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    TextDelta,
    ToolCallDelta,
)
from beamclaw.contracts.sessions import Delta, Reset, RunEnded, ToolUse, abort
from beamclaw.contracts.tools import Order
from beamclaw.contracts.turns import TurnLimits
from beamclaw.testing.world import World
from tests.beamclaw.sessions.conftest import KEY, TURN_LIMITS, Model, Script, Tenant

TOOLS = names.of_tenant("default", "tools")


def use(*calls: tuple[str, Any], say: str = "") -> Script:
    """A script that asks for tools: name, and arguments or text in their place."""

    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        if say:
            yield TextDelta(say)
        for index, (name, given) in enumerate(calls):
            text = given if isinstance(given, str) else orjson.dumps(given).decode()
            yield ToolCallDelta(index, f"call_{index}", name, text[:3])
            yield ToolCallDelta(index, None, None, text[3:])
        yield End("tool_calls")

    return script


def say(text: str) -> Script:
    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        yield TextDelta(text)
        yield End("stop")

    return script


async def report(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    """Say what the tools have said."""
    for result in results(request.messages):
        yield TextDelta(f"{result.id}={result.text};")
    yield End("stop")


def results(messages: Sequence[Message]) -> list[ToolResult]:
    parts = [part for message in messages for part in message.parts]
    return [part for part in parts if isinstance(part, ToolResult)]


def are_paired(messages: Sequence[Message]) -> bool:
    """Each call has its one result, before anything else is said."""
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            (result,) = results((message,))
            if result.id not in waiting:
                return False
            waiting.remove(result.id)
        elif waiting:
            return False
        waiting += [part.id for part in message.parts if isinstance(part, ToolCall)]
    return not waiting


class Hold:
    """Lets a tool go no further; ``reached`` says that it has come there."""

    def __init__(self, times: int = 1) -> None:
        self.reached = trio.Event()
        self.release = trio.Event()
        self.times = times
        self.orders: list[Order] = []
        self.cancelled = 0

    async def __call__(self, order: Order) -> None:
        self.orders.append(order)
        if len(self.orders) > self.times:
            return
        self.reached.set()
        try:
            await self.release.wait()
        except trio.Cancelled:
            self.cancelled += 1
            raise


@pytest.fixture
def world(tmp_path: Path, model: Model) -> World:
    made = World(tmp_path / "world")
    model.tools.update(made.tools())
    return made


@pytest.fixture
def begins(model: Model) -> Callable[..., None]:
    def begin(*scripts: Script) -> None:
        model.scripts = list(scripts)

    return begin


# --- the loop


async def test_a_tool_is_used_and_its_result_comes_to_the_model(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    begins(use(("put", {"text": "x"})), report)
    end = await tenant.ask("hello")
    assert (end.outcome, end.text) == ("ok", "call_0=put: x;")
    assert [one["arguments"] for one in world.effects()] == [{"text": "x"}]
    first, second = tenant.model.calls
    assert [tool.name for tool in first.tools] == ["look", "put", "order", "send"]
    assert second.messages[1:] == (
        Message("assistant", (ToolCall("call_0", "put", '{"text":"x"}'),)),
        Message("tool", (ToolResult("call_0", "put: x"),)),
    )
    assert supervision.whereis(names.call("default", "run-1", "call_0")) is None


async def test_calls_of_one_answer_are_carried_out_at_once(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    together = trio.Event()
    inside: list[str] = []

    async def meet(order: Order) -> None:
        inside.append(order.call_id)
        if len(inside) == 3:
            together.set()
        await together.wait()

    world.before = meet
    begins(use(("put", {}), ("send", {}), ("look", {})), report)
    end = await tenant.ask("hello")
    assert end.outcome == "ok"
    assert sorted(inside) == ["call_0", "call_1", "call_2"]
    assert are_paired(tenant.model.calls[1].messages)


async def test_a_turn_may_use_tools_again_and_again(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    begins(*(use(("put", {"text": str(n)}), say=f"step {n}") for n in range(5)), report)
    end = await tenant.ask("hello")
    assert [one["arguments"]["text"] for one in world.effects()] == list("01234")
    # Servers that number their calls from nought in every answer do no harm.
    assert [each.id for each in results(tenant.model.calls[-1].messages)] == [
        "call_0",
        *(f"call_0_{n}" for n in range(2, 6)),
    ]
    assert end.text.split("\n\n")[:5] == [f"step {n}" for n in range(5)]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("dance", {}), "there is no tool 'dance'; tools: look, order, put, send"),
        (("put", '{"text"'), "the arguments are no JSON"),
        (("put", "[1]"), "the arguments have to be a JSON object"),
        (("put", {"text": "fail"}), "it was told to fail"),
        (("put", {"text": "crash"}), "the tool failed by a fault of its own"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock, call, words
) -> None:
    begins(use(call), report)
    end = await tenant.ask("hello")
    assert end.outcome == "ok"
    assert words in end.text
    assert "told to crash" not in end.text
    (result,) = results(tenant.model.calls[1].messages)
    assert result.is_error
    assert world.effects() == []


async def test_what_is_told_meanwhile(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    begins(use(("put", {"text": "x"}), say="let me"), say("done"))
    topic = names.topic("default", KEY)
    with tenant.bus.subscribe(topic) as subscription:
        receipt = await tenant.send("hello")
        await tenant.end(receipt)
        values = []
        with pytest.raises(trio.WouldBlock):
            while True:
                values.append(subscription.receive_nowait())
    deltas = [value for value in values if isinstance(value, Delta)]
    assert [(each.attempt, each.offset, each.text) for each in deltas] == [
        (1, 0, "let me"),
        (2, 6, "\n\ndone"),
    ]
    uses = [value for value in values if isinstance(value, ToolUse)]
    assert uses == [
        ToolUse("run-1", "call_0", "put"),
        ToolUse("run-1", "call_0", "put", "ok"),
    ]


async def test_a_long_output_is_shortened_for_the_model(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    begins(use(("put", {"text": "x" * 5_000})), report)
    await tenant.ask("hello")
    (result,) = results(tenant.model.calls[1].messages)
    assert len(result.text) < 1_200
    assert "4,005 of 5,005 characters left out" in result.text


# --- deaths


async def test_a_tool_outlives_its_run(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    hold = world.after = Hold()
    begins(use(("send", {"text": "x"})), report)
    receipt = await tenant.send("hello")
    await hold.reached.wait()
    await tenant.kill("default/run/run-1")
    await trio.sleep(1)
    hold.release.set()
    end = await tenant.end(receipt)
    assert end.text == "call_0=send: x;"
    assert len(world.effects("send")) == 1
    assert len(tenant.model.calls) == 2


async def test_a_result_that_came_while_nobody_was_there_is_taken(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    hold = world.after = Hold()
    begins(use(("send", {"text": "x"})), report)
    receipt = await tenant.send("hello")
    await hold.reached.wait()
    run = tenant.kill("default/run/run-1")
    hold.release.set()
    await run
    assert (await tenant.end(receipt)).text == "call_0=send: x;"
    assert len(world.effects("send")) == 1


@pytest.mark.parametrize(
    ("tool", "when", "effects", "words"),
    [
        ("look", "before", 1, "0 looks before"),
        ("look", "after", 2, "1 looks before"),
        ("put", "before", 1, "put: x"),
        ("put", "after", 1, "put: x"),
        ("order", "before", 1, "order: x"),
        ("order", "after", 1, "order: x (found)"),
        ("send", "before", 0, "Whether it was done is not known"),
        ("send", "after", 1, "Whether it was done is not known"),
    ],
)
async def test_a_node_that_dies_while_a_tool_works(
    open_tenant, world: World, model: Model, autojump_clock, tool, when, effects, words
) -> None:
    hold = Hold()
    setattr(world, when, hold)
    model.scripts = [use((tool, {"text": "x"})), report]
    async with open_tenant() as tenant:
        receipt = await tenant.send("hello")
        await hold.reached.wait()
    async with open_tenant() as tenant:
        end = await tenant.end(receipt)
    assert words in end.text
    assert len(world.effects(tool)) == effects
    assert len({one["key"] for one in world.effects(tool)}) == min(1, effects)
    assert len(model.calls) == 2
    assert are_paired(model.calls[1].messages)


async def test_a_tool_that_takes_the_node_with_it_is_begun_so_often_only(
    open_tenant, world: World, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [use(("put", {"text": "x"})), report]
    receipt = None
    for _ in range(3):
        hold = world.before = Hold()
        async with open_tenant() as tenant:
            if receipt is None:
                receipt = await tenant.send("hello")
            await hold.reached.wait()
    async with open_tenant() as tenant:
        assert receipt is not None
        end = await tenant.end(receipt)
    assert "begun 3 times and never came to an end" in end.text


async def test_a_call_that_loses_its_process_is_told_as_a_fault(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    hold = world.before = Hold()
    begins(use(("send", {})), report)
    receipt = await tenant.send("hello")
    await hold.reached.wait()
    await tenant.kill(names.call("default", "run-1", "call_0"))
    end = await tenant.end(receipt)
    assert "whether it did any of its work is not known" in end.text


# --- stopping


async def test_a_stop_ends_the_tools_at_once_and_leaves_a_good_transcript(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    hold = world.before = Hold(times=2)
    begins(use(("send", {}), ("put", {}), say="wait"), say("fresh"))
    receipt = await tenant.send("hello")
    await hold.reached.wait()
    before = trio.current_time()
    assert await abort(tenant.bus, "default", KEY, receipt.run_id)
    assert trio.current_time() == before
    end = await tenant.end(receipt)
    assert (end.outcome, end.text) == ("aborted", "wait")
    await trio.testing.wait_all_tasks_blocked()
    assert hold.cancelled == 2
    assert (await supervision.count_children(TOOLS)).active == 0
    await tenant.ask("and now?")
    assert are_paired(tenant.model.calls[-1].messages)
    stopped = results(tenant.model.calls[-1].messages)
    assert all("stopped by the person" in result.text for result in stopped)


async def test_a_turn_that_is_put_aside_leaves_a_good_transcript(
    open_tenant, world: World, model: Model, autojump_clock: MockClock
) -> None:
    async def deadly(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        yield TextDelta("x")
        raise RuntimeError("on purpose")

    model.scripts = [use(("put", {})), deadly]
    async with open_tenant() as tenant:
        end = await tenant.ask("hello")
        assert end.outcome == "quarantined"
        model.scripts = [say("fresh")]
        assert (await tenant.ask("again")).text == "fresh"
    assert are_paired(model.calls[-1].messages)


# --- limits


def with_limits(**numbers: float) -> TurnLimits:
    return attrs.evolve(TURN_LIMITS, **numbers)


@pytest.mark.parametrize(
    ("numbers", "words", "calls"),
    [
        ({"model_calls": 3}, "limit of 3 calls of the model", 3),
        ({"tool_calls": 4}, "limit of 4 tool calls", 4),
        ({"tokens": 8_000}, "may take 8,000 tokens (limits.turn.tokens)", 3),
        ({"repeats": 3}, "the same call of put 3 times and always got the same", 3),
    ],
)
async def test_a_model_that_never_ends_is_stopped_in_words(
    open_tenant, world: World, model: Model, autojump_clock, numbers, words, calls
) -> None:
    model.scripts = [use(("put", {"text": "x"}), say="and")]
    async with open_tenant(turn_limits=with_limits(**numbers)) as tenant:
        end = await tenant.ask("hello")
        assert (end.outcome, end.stop_reason) == ("limited", "limit")
        assert words in end.text
        assert end.text.startswith("and\n\n")
        assert len(model.calls) == calls
        model.scripts = [say("fresh")]
        assert (await tenant.ask("go on")).text == "fresh"
    assert are_paired(model.calls[-1].messages)


@pytest.mark.slow
async def test_a_circle_of_many_calls_at_once_is_one(
    open_tenant, world: World, model: Model, autojump_clock
) -> None:
    many = [("put", {"text": str(number)}) for number in range(9)]
    model.scripts = [use(*many)]
    limits = with_limits(repeats=5, tool_calls=100)
    async with open_tenant(turn_limits=limits) as tenant:
        end = await tenant.ask("hello")
    assert end.outcome == "limited"
    assert "the same call of put 5 times" in end.text
    assert len(model.calls) == 5


async def test_the_same_call_made_many_times_at_once_is_none(
    open_tenant, world: World, model: Model, autojump_clock
) -> None:
    model.scripts = [use(*[("put", {"text": "x"})] * 3), say("put")]
    async with open_tenant(turn_limits=with_limits(repeats=3)) as tenant:
        assert (await tenant.ask("hello")).text == "put"


async def test_progress_is_no_loop(
    open_tenant, world: World, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [*(use(("look", {})) for _ in range(6)), say("seen")]
    async with open_tenant(turn_limits=with_limits(repeats=2)) as tenant:
        assert (await tenant.ask("hello")).text == "seen"


# --- text of several model calls


async def test_only_the_part_that_was_begun_anew_is_taken_back(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    async def breaks(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        yield TextDelta("no")
        raise ProviderError("network", "cut off")

    begins(use(("put", {}), say="first"), breaks, say("second"))
    receipt = await tenant.send("hello")
    values = await tenant.values(receipt)
    resets = [value for value in values if isinstance(value, Reset)]
    assert resets == [Reset("run-1", 3, 5)]
    assert isinstance(values[-1], RunEnded)
    assert values[-1].text == "first\n\nsecond"


async def test_what_cannot_be_taken_back_is_only_what_the_last_call_said(
    tenant: Tenant, world: World, begins, autojump_clock: MockClock
) -> None:
    async def breaks(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        raise ProviderError("network", "cut off")
        yield

    begins(use(("put", {}), say="first"), breaks, say("second"))
    end = await tenant.ask("hello", retractable=False)
    assert (end.outcome, end.text) == ("ok", "first\n\nsecond")
