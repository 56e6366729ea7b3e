"""Turns from end to end inside a tenant, and what survives which death."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import supervision
from beamclaw.contracts import points, tokens
from beamclaw.contracts.ledger_errors import IdempotencyConflict, Overloaded
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.ledger_rows import ChildRow
from beamclaw.contracts.limits import GetUsage
from beamclaw.contracts.messages import ModelParams, Usage, said
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    TextDelta,
)
from beamclaw.contracts.runs import ChildOver
from beamclaw.contracts.sessions import (
    Delta,
    GetSessionsStatus,
    Reset,
    RunEnded,
    SetIntake,
    Waiting,
    abort,
)

from .conftest import KEY, MAX_OUTPUT, Model, Tenant, echo, one_late

Open = Callable[..., AbstractAsyncContextManager[Tenant]]


class Held:
    """A script that says one piece, then waits until it is let go."""

    def __init__(self, text: str = "half ") -> None:
        self.text = text
        self.reached = trio.Event()
        self.go = trio.Event()

    async def __call__(
        self, request: ModelRequest
    ) -> AsyncGenerator[ProviderEvent, None]:
        yield TextDelta(self.text)
        self.reached.set()
        await self.go.wait()
        yield TextDelta("done")
        yield End("stop")


def failing(*errors: ProviderError, before: str = "") -> list[Any]:
    def script(error: ProviderError) -> Any:
        async def fail(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
            if before:
                yield TextDelta(before)
            raise error
            yield

        return fail

    return [*(script(error) for error in errors), echo]


async def test_a_message_is_answered(tenant: Tenant, autojump_clock: MockClock) -> None:
    end = await tenant.ask("hello")
    assert (end.outcome, end.text) == ("ok", "you said: hello")
    assert end.usage == Usage(10, 2)


async def test_a_session_remembers(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    await tenant.ask("two")
    assert [message.text for message in model.calls[1].messages] == [
        "one",
        "you said: one",
        "two",
    ]


async def test_words_come_as_they_are_said(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    receipt = await tenant.send("hello")
    await held.reached.wait()
    seen: list[object] = []

    async def read() -> None:
        seen.extend(await tenant.values(receipt))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        held.go.set()
    assert seen[0] == Delta("run-1", 1, 0, "half ")
    assert seen[1] == Delta("run-1", 1, 5, "done")
    assert isinstance(seen[-1], RunEnded)


async def test_the_next_message_waits_for_the_first(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    first = await tenant.send("one")
    await held.reached.wait()
    with tenant.bus.subscribe(f"default/topic/{KEY}") as subscription:
        second = await tenant.send("two")
        assert await subscription.receive() == Waiting("run-2", "queue")
    held.go.set()
    assert (await tenant.end(second)).text == "you said: two"
    assert (await tenant.end(first)).text == "half done"


async def test_a_killed_run_is_followed_by_a_successor(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    receipt = await tenant.send("hello")
    await held.reached.wait()
    await tenant.kill("default/run/run-1")
    values = await tenant.values(receipt)
    end = values[-1]
    assert isinstance(end, RunEnded)
    assert (end.outcome, end.text) == ("ok", "you said: hello")
    assert len(model.calls) == 2


async def test_a_reader_is_told_that_a_new_attempt_begins(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    receipt = await tenant.send("hello")
    await held.reached.wait()
    values: list[object] = []

    async def read() -> None:
        values.extend(await tenant.values(receipt))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        await tenant.kill("default/run/run-1")
    kinds = [type(value) for value in values if not isinstance(value, Waiting)]
    assert kinds == [Delta, Reset, Delta, Delta, RunEnded]


async def test_a_killed_session_finds_its_run_again(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    receipt = await tenant.send("hello")
    await held.reached.wait()
    await tenant.kill(f"default/session/{KEY}")
    await tenant.there(f"default/session/{KEY}")
    held.go.set()
    assert (await tenant.end(receipt)).text == "half done"
    assert (await tenant.ask("again")).text == "you said: again"
    assert len(model.calls) == 2


@pytest.mark.parametrize(
    "name",
    ["default/sessions", "default/awake", "default/runs", "default/ledger", "bus"],
)
async def test_a_turn_survives_the_death_of(
    tenant: Tenant, model: Model, name: str, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    receipt = await tenant.send("hello")
    await held.reached.wait()
    await tenant.send("next")
    await tenant.kill(name)
    held.go.set()
    end = await tenant.end(receipt)
    assert end.outcome == "ok"
    assert (await tenant.ask("again")).text == "you said: again"
    said_last = [call.messages[-1].text for call in model.calls]
    assert said_last[-2:] == ["next", "again"]


async def test_a_lost_ring_is_made_good(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.kill("default/sessions")
    receipt = await tenant.send("hello")
    assert (await tenant.end(receipt)).text == "you said: hello"


async def test_open_turns_are_finished_after_a_restart(
    open_tenant: Open, model: Model, autojump_clock: MockClock
) -> None:
    held = [Held() for _ in range(5)]
    model.scripts[:0] = held
    async with open_tenant() as tenant:
        receipts = [
            await tenant.send(f"m{n}", key=f"agent:main:direct:p{n}") for n in range(5)
        ]
        for script in held:
            await script.reached.wait()
    async with open_tenant() as tenant:
        ends = [await tenant.end(receipt) for receipt in receipts]
    assert sorted(end.text for end in ends) == [f"you said: m{n}" for n in range(5)]
    assert len(model.calls) == 10


async def test_a_stopped_turn_keeps_its_text(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held("half an")
    model.scripts.insert(0, held)
    receipt = await tenant.send("hello")
    await held.reached.wait()
    assert await abort(tenant.bus, "default", KEY, receipt.run_id)
    end = await tenant.end(receipt)
    assert (end.outcome, end.stop_reason, end.text) == ("aborted", "aborted", "half an")
    await tenant.ask("and now?")
    assert model.calls[1].messages[1] == said("assistant", "half an")


async def test_a_waiting_message_can_be_stopped(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    first = await tenant.send("one")
    await held.reached.wait()
    second = await tenant.send("two")
    assert await abort(tenant.bus, "default", KEY, second.run_id)
    held.go.set()
    assert (await tenant.end(second)).outcome == "aborted"
    assert (await tenant.end(first)).text == "half done"
    assert len(model.calls) == 1


async def test_what_is_over_cannot_be_stopped(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    receipt = await tenant.send("hello")
    await tenant.end(receipt)
    assert not await abort(tenant.bus, "default", KEY, receipt.run_id)
    assert not await abort(tenant.bus, "default", "agent:main:other", "run-9")


async def test_what_comes_when_the_end_is_decided_changes_nothing(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    reached, go = trio.Event(), trio.Event()

    async def fail(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        reached.set()
        await go.wait()
        raise ProviderError("auth", "no such key")
        yield

    model.scripts = [fail]
    receipt = await tenant.send("hello")
    await reached.wait()
    run = supervision.whereis(f"default/run/{receipt.run_id}")
    assert run is not None
    row = ChildRow(
        run_id="child",
        session_key="agent:main:subagent:child",
        parent_session=KEY,
        parent_run=receipt.run_id,
        call_id="call_0",
        kind="spawn",
        mode="wait",
        state="closed",
        at=0.0,
        outcome="ok",
    )
    supervision.send(run, ChildOver(row))
    go.set()
    assert (await tenant.end(receipt)).error_kind == "auth"
    assert len(model.calls) == 1


async def test_a_passing_failure_is_tried_again(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = failing(
        ProviderError("overloaded", "busy"),
        ProviderError("rate_limit", "slow down", retry_after=7.0),
    )
    began = trio.current_time()
    assert (await tenant.ask("hello")).text == "you said: hello"
    assert trio.current_time() - began >= 7.0
    assert len(model.calls) == 3


async def test_a_lasting_failure_ends_the_turn_in_words(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = failing(ProviderError("auth", "the key in $X was refused"))
    end = await tenant.ask("hello")
    assert (end.outcome, end.error_kind) == ("error", "auth")
    assert end.error == "the key in $X was refused"
    assert (await tenant.ask("again")).outcome == "ok"


async def test_text_that_cannot_be_taken_back_is_not_said_twice(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = failing(ProviderError("network", "cut"), before="half")
    end = await tenant.ask("hello", retractable=False)
    assert (end.outcome, end.text, len(model.calls)) == ("error", "half", 1)


async def test_text_that_can_be_taken_back_is_said_anew(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = failing(ProviderError("network", "cut"), before="half")
    end = await tenant.ask("hello")
    assert (end.outcome, end.text) == ("ok", "you said: hello")


async def test_a_turn_that_always_dies_is_put_aside(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    async def deadly(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        supervision.exit(supervision.self_pid(), supervision.KILL)
        await trio.sleep_forever()
        yield End("stop")

    model.scripts = [deadly]
    end = await tenant.ask("hello")
    assert end.outcome == "quarantined"
    assert "sessions.revive_limit" in (end.error or "")
    assert len(model.calls) == 4
    model.scripts = [echo]
    assert (await tenant.ask("again")).text == "you said: again"


async def test_an_unknown_agent_is_an_answer_in_words(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    end = await tenant.ask("hello", agent="nobody")
    assert (end.outcome, end.error) == ("error", "there is no agent 'nobody'")


async def test_an_idle_session_falls_asleep_and_wakes_with_its_history(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    await trio.sleep(301)
    assert supervision.whereis(f"default/session/{KEY}") is None
    await tenant.ask("two")
    assert len(model.calls[1].messages) == 3


async def test_the_session_of_one_request_sleeps_at_once(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    key = "agent:main:openai:1"
    await tenant.ask("one", key=key, ephemeral=True)
    await tenant.gone(f"default/session/{key}")


async def test_a_repeat_joins_the_first_run(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    first = await tenant.send("hello", external_id="same", run_id="a")
    second = await tenant.send("hello", external_id="same", run_id="b")
    assert second.duplicate
    assert second.run_id == first.run_id
    assert (await tenant.end(second)).text == "you said: hello"
    assert len(model.calls) == 1


async def test_an_id_used_for_another_message_is_refused(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.send("hello", external_id="same")
    with pytest.raises(IdempotencyConflict):
        await tenant.send("something else", external_id="same")


async def test_a_full_inbox_refuses_the_next_message(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    await tenant.send("first")
    await held.reached.wait()
    for number in range(20):
        await tenant.send(f"m{number}")
    with pytest.raises(Overloaded, match="inbox_limit: 20"):
        await tenant.send("one too many")


async def test_no_turn_begins_while_the_node_drains(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.bus.call("default/sessions", SetIntake(open=False))
    receipt = await tenant.send("hello")
    await wait_all_tasks_blocked()
    assert model.calls == []
    await tenant.bus.call("default/sessions", SetIntake(open=True))
    assert (await tenant.end(receipt)).outcome == "ok"


async def test_sessions_without_a_place_wait_for_one(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    async with open_tenant(max_awake=2) as tenant:
        receipts = [
            await tenant.send("m", key=f"agent:main:openai:{n}", ephemeral=True)
            for n in range(5)
        ]
        for receipt in receipts:
            assert (await tenant.end(receipt)).outcome == "ok"
        status = await tenant.bus.call("default/sessions", GetSessionsStatus())
        assert status.parked == 0


async def test_usage_is_counted(tenant: Tenant, autojump_clock: MockClock) -> None:
    await tenant.ask("one")
    await tenant.ask("two")
    (row,) = (await tenant.bus.call("default/limits", GetUsage())).rows
    assert (row.provider, row.model, row.calls) == ("test", "m", 2)
    assert (row.usage, row.reserved) == (Usage(20, 4), Usage())


async def test_a_call_reserves_what_it_may_cost_before_it_is_made(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts = [held]
    free = await tenant.send("four words of mine")
    await held.reached.wait()
    (row,) = (await tenant.bus.call("default/limits", GetUsage())).rows
    assert row.reserved.input >= 4
    assert row.reserved.output == MAX_OUTPUT
    held.go.set()
    await tenant.end(free)

    held = model.scripts[0] = Held()
    limited = await tenant.send("again", params=ModelParams(max_tokens=7))
    await held.reached.wait()
    (row,) = (await tenant.bus.call("default/limits", GetUsage())).rows
    assert row.reserved.output == 7
    held.go.set()
    await tenant.end(limited)


async def test_an_end_is_told_though_all_died_who_were_to_tell_it(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    def kill(name: str) -> None:
        # The first after the model was asked is of the commit that ends the turn.
        if name == "ledger.reply.before" and tenant.model.calls and not killed:
            killed.append(name)
            for entry in supervision.names("default/"):
                supervision.exit(entry.pid, supervision.KILL)

    killed: list[str] = []
    with points.hooked(kill):
        end = await tenant.ask("hello")
    assert (end.outcome, end.text) == ("ok", "you said: hello")


async def test_a_turn_that_is_stopped_while_its_end_is_written_has_ended(
    open_tenant: Open, model: Model, autojump_clock: MockClock
) -> None:
    slow = trio.Event()
    ends: list[RunEnded] = []

    async def follows(tenant: Tenant, receipt: Receipt) -> None:
        ends.append(await tenant.end(receipt))

    async def last(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        yield TextDelta("all of it")
        slow.set()
        yield End("stop")

    model.scripts = [last]
    async with (
        trio.open_nursery() as nursery,
        open_tenant(later=one_late(slow, nursery)) as tenant,
    ):
        receipt = await tenant.send("hello")
        with trio.fail_after(60):
            async with trio.open_nursery() as following:
                following.start_soon(follows, tenant, receipt)
                await slow.wait()
                await trio.sleep(0.4)
                assert not await abort(tenant.bus, "default", KEY, receipt.run_id)
        assert [(end.outcome, end.text) for end in ends] == [("ok", "all of it")]


async def prompt(session: supervision.Pid) -> dict[str, int] | None:
    status: Any = await supervision.sys.get_status(session)
    return status.state["prompt"]


async def test_a_session_shows_how_its_prompt_uses_the_window(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    receipt = await tenant.send("hello")
    session = await tenant.there(f"default/session/{KEY}")
    await tenant.end(receipt)
    shown = await prompt(session)
    assert shown is not None
    asked = tokens.of_messages([said("user", "hello")])
    assert (shown["window"], shown["messages"]) == (1_000_000, asked)
    assert shown["free"] == 1_000_000 - 50_000 - MAX_OUTPUT - asked
