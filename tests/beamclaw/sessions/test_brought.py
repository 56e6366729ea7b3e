"""What clients bring of tool calls that they carry out, also where nobody waits for it."""

from collections.abc import AsyncGenerator

import pytest
from trio.testing import MockClock

import supervision
from beamclaw.contracts.ledger_reads import ReadJournal
from beamclaw.contracts.messages import (
    ClientTool,
    Message,
    ModelParams,
    ToolResult,
    Usage,
    said,
)
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderEvent,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.contracts.repair import repaired
from beamclaw.contracts.sessions import RunEnded
from beamclaw.contracts.transcript import Transcript, replay

from .conftest import KEY, Model, Tenant, echo

PARAMS = ModelParams(tools=(ClientTool(name="f"),))


async def wants(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    yield ToolCallDelta(0, "call_1", "f", "{}")
    yield UsageReport(Usage(10, 2))
    yield End("tool_calls")


async def state() -> Transcript:
    return replay(await supervision.call("default/ledger", ReadJournal(KEY)))


async def bring(tenant: Tenant, id_: str, **more: object) -> RunEnded:
    result = Message("tool", (ToolResult(id_, "done"),))
    return await tenant.ask("", messages=(result,), params=PARAMS, **more)


async def test_what_nobody_waits_for_does_not_damage_the_conversation(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    end = await bring(tenant, "call_9")
    assert (end.outcome, end.error_kind) == ("error", "invalid")
    assert "nobody waits for the results of these tool calls" in (end.error or "")
    assert repaired(await state()) is None
    assert (await tenant.ask("two")).outcome == "ok"
    assert model.calls[-1].messages[-1] == said("user", "two")
    assert [m.role for m in model.calls[-1].messages] == ["user", "assistant", "user"]


async def test_a_wrong_result_takes_no_place_from_the_right_one(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [wants, echo]
    end = await tenant.ask("one", params=PARAMS)
    (call,) = end.calls
    assert (await bring(tenant, "call_9")).outcome == "error"
    assert (await state()).owed == (call.id,)
    assert (await bring(tenant, call.id)).outcome == "ok"
    assert model.calls[-1].messages[-1].parts == (ToolResult(call.id, "done"),)


@pytest.mark.parametrize("behind", ["run-1", "run-99"])
async def test_who_is_turned_away_does_not_move_the_conversation(
    tenant: Tenant, model: Model, autojump_clock: MockClock, behind: str
) -> None:
    await tenant.ask("one")
    await tenant.ask("two")
    before = await state()
    assert (await bring(tenant, "call_9", follows=behind)).outcome == "error"
    assert await state() == before
