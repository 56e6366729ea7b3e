"""Conversations that do not fit any more: summed up, never twice, never for ever."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import count, pairwise
from pathlib import Path

import orjson
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts import tokens
from beamclaw.contracts.budgets import Cap
from beamclaw.contracts.context import trimmed
from beamclaw.contracts.journal import Compacted, read
from beamclaw.contracts.ledger_reads import ReadSession
from beamclaw.contracts.ledger_usage import ReadUsage
from beamclaw.contracts.messages import Usage, said
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
from tests.beamclaw.sessions.conftest import KEY, MAX_OUTPUT, Model, Script, Tenant
from tests.beamclaw.sessions.test_session import Held
from tests.beamclaw.sessions.test_tools import are_paired

LONG = "word " * 400  # about 670 tokens
WINDOW = MAX_OUTPUT + 3_000


def is_summary(request: ModelRequest) -> bool:
    return "too long to go on with" in request.messages[0].text


def model_of(summary: Script | str, answer: str = "ok") -> Script:
    """A script that answers, and sums up by *summary*, text or another script."""

    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        if not is_summary(request):
            yield TextDelta(answer)
            yield End("stop")
        elif not isinstance(summary, str):
            async for event in summary(request):
                yield event
        else:
            yield TextDelta(summary)
            yield UsageReport(Usage(900, 20))
            yield End("stop")

    return script


async def compactions() -> list[Compacted]:
    found = await supervision.call("default/ledger", ReadSession(KEY))
    bodies = [read(event) for event in found.events]
    return [body for body in bodies if isinstance(body, Compacted)]


async def talk(tenant: Tenant, times: int) -> None:
    for number in range(times):
        end = await tenant.ask(f"number {number}: {LONG}")
        assert end.outcome == "ok"


def summaries(model: Model) -> list[ModelRequest]:
    return [call for call in model.calls if is_summary(call)]


async def test_what_does_not_fit_is_summed_up(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [model_of("they counted words")]
    async with open_tenant(window=WINDOW) as tenant:
        await talk(tenant, 5)
        (one,) = await compactions()
    assert (one.method, one.summary, one.first) == ("model", "they counted words", 1)
    assert one.usage == Usage(900, 20)
    (asked,) = summaries(model)
    assert "user: number 0" in asked.messages[1].text
    last = model.calls[-1].messages
    assert last[0].text.endswith("they counted words")
    assert last[-1].text.startswith("number 4")
    assert are_paired(last)


async def test_nothing_is_summed_up_twice_and_nothing_is_lost_from_the_journal(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [model_of("short")]
    async with open_tenant(window=WINDOW) as tenant:
        await talk(tenant, 14)
        found = await compactions()
        journal = await supervision.call("default/ledger", ReadSession(KEY))
    assert len(found) >= 3
    for before, after in pairwise(found):
        assert after.first == before.last + 1
        assert after.last > before.last
    assert [event.kind for event in journal.events].count("inbound") == 14
    # Once for what has come since the last time, not once for each turn.
    assert len(summaries(model)) == len(found) < 7


async def fails(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    raise ProviderError("server", "down")
    yield


async def dies(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    raise RuntimeError("on purpose")
    yield


async def hangs(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    yield TextDelta("and ")
    await trio.sleep_forever()


async def empty(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    yield End("stop")


@pytest.mark.parametrize("summary", [fails, dies, hangs, empty])
async def test_without_a_summary_of_a_model_it_goes_on(
    open_tenant, model: Model, autojump_clock: MockClock, summary
) -> None:
    model.scripts = [model_of(summary)]
    async with open_tenant(window=WINDOW) as tenant:
        await talk(tenant, 5)
        (one,) = await compactions()
        rows = await supervision.call("default/ledger", ReadUsage())
    assert one.method == "trim"
    assert "user: number 0: word word" in one.summary
    assert len(summaries(model)) == 1
    # Nothing stays reserved.
    assert all(row.reserved == Usage() for row in rows)


async def breaks_off(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    """As some do: the prompt's tokens before anything else."""
    yield UsageReport(Usage(900, 0))
    yield TextDelta("what was said first, at some length ")
    raise ProviderError("network", "cut")


async def test_a_summary_that_broke_off_is_paid_for_what_came_of_it(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [model_of(breaks_off)]
    async with open_tenant(window=WINDOW) as tenant:
        await talk(tenant, 5)
        (one,) = await compactions()
    assert one.method == "trim"
    assert one.usage.input == 900
    assert one.usage.output > 0


async def test_a_summary_that_a_person_stops_is_paid_for_what_came_of_it(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held(LONG)
    model.scripts = [model_of(held)]
    async with open_tenant(window=WINDOW) as tenant:
        await talk(tenant, 3)
        receipt = await tenant.send(LONG)
        await held.reached.wait()
        assert await abort(tenant.bus, "default", KEY, receipt.run_id)
        end = await tenant.end(receipt)
    assert (end.outcome, end.text) == ("aborted", "")
    assert end.usage.output >= tokens.of_text(LONG) // 2


async def test_where_money_is_short_no_model_is_asked_for_a_summary(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [model_of("short")]
    cap = Cap("session", "calls", 3, "limits.session.calls")
    async with open_tenant(window=WINDOW, caps=(cap,)) as tenant:
        await talk(tenant, 3)
        end = await tenant.ask(LONG)
        (one,) = await compactions()
    assert one.method == "trim"
    assert end.outcome == "limited"
    assert summaries(model) == []


async def test_the_room_of_a_small_window_is_shared_whatever_is_configured(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [model_of("short")]
    async with open_tenant(window=WINDOW, keep_tokens=20_000) as tenant:
        await talk(tenant, 14)
        found = await compactions()
    assert {each.method for each in found} == {"model"}
    assert len(summaries(model)) == len(found) <= 6
    # It is told how short it has to be.
    assert "Write at most 220 words" in summaries(model)[0].messages[0].text


async def test_what_was_asked_for_stays_word_for_word_while_it_is_worked_on(
    open_tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    model.tools.update(World(tmp_path / "world").tools())
    rounds = count()

    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        if is_summary(request):
            yield TextDelta("it works")
            yield End("stop")
        elif (number := next(rounds)) < 8:
            arguments = orjson.dumps({"text": f"{number} {LONG}"}).decode()
            yield ToolCallDelta(0, f"call_{number}", "put", arguments)
            yield End("tool_calls")
        else:
            yield TextDelta("done")
            yield End("stop")

    model.scripts = [script]
    async with open_tenant(window=WINDOW) as tenant:
        assert (await tenant.ask("put 8 texts")).text == "done"
        assert len(await compactions()) >= 2
    (first, *_) = model.calls[-1].messages
    assert first.text.endswith("it works\n\n[What was asked for last]\nput 8 texts")


async def test_a_model_without_any_room_is_not_asked(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant(window=MAX_OUTPUT) as tenant:
        for _ in range(3):
            end = await tenant.ask("hi")
            assert (end.outcome, end.error_kind) == ("error", "context_length")
            assert "providers.test.models.m.context_window" in end.error
            assert "agents.main.tools" in end.error
        assert await compactions() == []
    assert model.calls == []


def refusing(most: int):
    """A model whose window is smaller than anybody has told."""

    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        if is_summary(request):
            yield TextDelta("short")
            yield End("stop")
            return
        if sum(len(message.text) for message in request.messages) > most:
            raise ProviderError("context_length", "too long")
        yield TextDelta("ok")
        yield End("stop")

    return script


async def test_a_model_that_refuses_a_prompt_gets_a_shorter_one(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [refusing(5_000)]
    await talk(tenant, 6)
    assert 2 <= len(await compactions()) <= 5


async def test_what_cannot_be_made_shorter_fails_in_words_after_few_calls(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [refusing(5_000)]
    await talk(tenant, 2)
    before = len(model.calls)
    end = await tenant.ask(LONG * 5)
    assert (end.outcome, end.error_kind) == ("error", "context_length")
    assert "does not fit into the model any more" in (end.error or "")
    assert len(model.calls) - before <= 4
    assert (await tenant.ask("short")).outcome in ("ok", "error")


async def test_the_id_of_a_call_that_was_summed_up_does_not_come_again(
    open_tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = World(tmp_path / "world")
    model.tools.update(world.tools())
    rounds = count()

    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        if is_summary(request):
            yield TextDelta("they put words")
            yield End("stop")
        elif (number := next(rounds)) == 8:
            yield TextDelta("done")
            yield End("stop")
        else:  # as servers do that count from nought in every answer
            arguments = orjson.dumps({"text": f"{number} {LONG}"}).decode()
            yield ToolCallDelta(0, "call_0", "put", arguments)
            yield End("tool_calls")

    model.scripts = [script]
    async with open_tenant(window=WINDOW) as tenant:
        end = await tenant.ask("put them")
        assert await compactions()
    assert (end.outcome, end.text) == ("ok", "done")
    # Under an old key it would have been done already.
    keys = [effect["key"] for effect in world.effects("put")]
    assert len(set(keys)) == 8


async def test_a_death_while_a_summary_is_written_does_no_harm(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held("half of it ")
    model.scripts = [model_of("short")]
    async with open_tenant(window=WINDOW) as tenant:
        await talk(tenant, 4)
        model.scripts = [held, model_of("short")]
        receipt = await tenant.send(f"number 4: {LONG}")
        await held.reached.wait()
        await tenant.kill("default/run/run-5")
        assert (await tenant.end(receipt)).text == "ok"
        (one,) = await compactions()
    assert one.summary == "short"


def test_the_summary_without_a_model_is_bounded() -> None:
    text = trimmed([said("user", f"{n} {LONG}") for n in range(1_000)])
    assert len(text) < 4_500
    assert "messages before are left out" in text
    assert "999 word" in text


# --- by order

ORDER = {"messages": (), "compacts": True, "queue": "followup"}


async def test_a_summary_can_be_ordered_and_nothing_is_answered(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [model_of("they counted words")]
    async with open_tenant(window=4 * WINDOW) as tenant:
        await talk(tenant, 3)
        assert await compactions() == []
        end = await tenant.ask("", **ORDER)
        assert (end.outcome, end.text) == ("ok", "")
        (one,) = await compactions()
        assert (one.method, one.summary) == ("model", "they counted words")
        assert len(model.calls) == 4
        # Once more there is nothing to be made shorter.
        assert (await tenant.ask("", **ORDER)).outcome == "ok"
        assert len(await compactions()) == 1
        assert (await tenant.ask("go on")).outcome == "ok"
        last = model.calls[-1].messages
        assert last[0].text.endswith("they counted words")
        assert last[-1].text == "go on"


async def test_an_ordered_summary_outlives_who_writes_it(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    reached = trio.Event()

    async def first(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        if is_summary(request) and not reached.is_set():
            reached.set()
            await trio.sleep_forever()
        async with aclosing(model_of("at last")(request)) as events:
            async for event in events:
                yield event

    model.scripts = [first]
    async with open_tenant(window=4 * WINDOW) as tenant:
        await talk(tenant, 3)
        order = await tenant.send("", **ORDER)
        await reached.wait()
        behind = await tenant.send("behind it", queue="steer")
        await tenant.kill(f"default/run/{order.run_id}")
        assert (await tenant.end(order)).outcome == "ok"
        (one,) = await compactions()
        assert (one.method, one.summary) == ("model", "at last")
        assert (await tenant.end(behind)).outcome == "ok"
        rows = await supervision.call("default/ledger", ReadUsage())
    assert all(row.reserved == Usage() for row in rows)


async def test_where_money_is_short_an_ordered_summary_needs_no_model(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [model_of("short")]
    cap = Cap("session", "calls", 3, "limits.session.calls")
    async with open_tenant(window=4 * WINDOW, caps=(cap,)) as tenant:
        await talk(tenant, 3)
        assert (await tenant.ask("", **ORDER)).outcome == "ok"
        (one,) = await compactions()
    assert one.method == "trim"
    assert summaries(model) == []
