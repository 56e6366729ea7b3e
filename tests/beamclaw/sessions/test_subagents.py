"""Sub-agents: a tool call that is a turn in another session."""

# ruff: noqa: ASYNC110 -- the ledger is looked at, it tells nobody

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

import attrs
import orjson
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts import waits
from beamclaw.contracts.ledger_reads import ReadSession
from beamclaw.contracts.messages import said as say
from beamclaw.contracts.providers import End, ModelRequest, ProviderEvent
from beamclaw.contracts.sessions import Abort, GetSessionsStatus, abort
from beamclaw.sessions import Retention
from beamclaw.testing.session_tools import session_tools
from supervision import sys
from tests.beamclaw.sessions.conftest import (
    ALLOWED,
    KEY,
    TURN_LIMITS,
    Model,
    Tenant,
    one_late,
)
from tests.beamclaw.sessions.family import (
    ask_ledger,
    children,
    do,
    faults,
    kinds,
    obey,
    sessions,
    since_a_person,
    spawn,
)
from tests.beamclaw.sessions.test_commands import ask
from tests.beamclaw.sessions.test_waits import asked

Open = Callable[..., AbstractAsyncContextManager[Tenant]]


@pytest.fixture
def model() -> Model:
    return Model(scripts=[obey], tools=dict(session_tools()))


# --- waiting for a result


async def test_the_result_of_a_sub_agent_is_the_result_of_the_call(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    end = await tenant.ask(do(spawn("say hi")))
    assert (end.outcome, end.text) == ("ok", "got say hi")
    (child,) = await children()
    assert child.session_key.startswith("agent:main:subagent:")
    assert (child.state, child.outcome, child.text) == ("closed", "ok", "say hi")
    assert (await sessions())[child.session_key].parent == KEY
    assert await faults() == []


async def test_an_isolated_sub_agent_knows_its_task_alone(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("hello")
    await tenant.ask(do(spawn("what do you know?")))
    (request,) = [c for c in tenant.model.calls if len(c.messages) == 1][1:]
    assert request.messages[0].text == "what do you know?"


async def test_a_forked_sub_agent_knows_what_was_said_before(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("hello")
    said = do(spawn("and now?", context="fork"))
    assert (await tenant.ask(said)).text == "got and now?"
    texts = [[m.text for m in call.messages] for call in tenant.model.calls]
    assert ["hello", "hello", said, "and now?"] in texts
    assert await faults() == []


async def test_sub_agents_of_one_answer_work_at_once(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    end = await tenant.ask(do(spawn("a"), spawn("b"), spawn("c")))
    assert end.text == "got a, b, c"
    assert len(await children()) == 3
    assert await faults() == []


async def test_sub_agents_have_sub_agents(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    end = await tenant.ask(do(spawn(do(spawn(do(spawn("deep")))))))
    assert end.text == "got got got deep"
    keys = await sessions()
    assert len(keys) == 4
    assert all(":subagent:" in key for key in keys if key != KEY)
    assert await faults() == []


async def test_what_goes_wrong_below_is_told_to_the_model(
    open_tenant: Open, autojump_clock
) -> None:
    rules = attrs.evolve(ALLOWED, spawns={"main": ("*",)})
    async with open_tenant(rules=rules) as tenant:
        end = await tenant.ask(do(spawn("a", agent="nobody")))
        assert end.outcome == "ok"
        assert "[The sub-agent has failed: there is no agent 'nobody']" in end.text
        end = await tenant.ask(do(("spawn", {"agent": "other"})))
        assert "does not understand that" in end.text
        assert await faults() == []


@pytest.mark.parametrize(
    "asked_for, said",
    [
        ({"task": " "}, "there is no task"),
        ({"task": "a", "agent": "no such id!"}, "an agent id has"),
        ({"task": "a", "tokens": 0}, "too little is left"),
        ({"task": "a", "seconds": -1.0}, "too little is left"),
        ({"task": "a", "cost": 1e308}, "got a"),
        ({"task": "a", "tokens": 2**62}, "got a"),
    ],
)
async def test_whatever_is_asked_for_the_turn_goes_on(
    open_tenant: Open, autojump_clock, asked_for, said
) -> None:
    rules = attrs.evolve(ALLOWED, spawns={"main": ("*",)})
    async with open_tenant(rules=rules) as tenant:
        end = await tenant.ask(do(("spawn", {"mode": "wait", **asked_for})))
        assert end.outcome == "ok"
        assert said in end.text
        assert await faults() == []


async def test_the_fault_of_a_tool_is_told_and_is_not_the_turns(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    class Broken:
        spec = session_tools()["spawn"].spec
        does = "spawn"

        def request(self, order):
            raise KeyError("oh")

    tenant.model.tools["spawn"] = Broken()
    end = await tenant.ask(do(spawn("a")))
    assert end.outcome == "ok"
    assert "a fault of its own" in end.text
    assert await faults() == []


# --- announcing it


async def test_a_result_that_is_announced_comes_as_a_message(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    end = await tenant.ask(do(spawn("later", mode="announce")))
    assert end.outcome == "ok"
    accepted = orjson.loads(end.text.removeprefix("got "))
    assert accepted["status"] == "accepted"
    await trio.sleep(5)
    told = [m.text for m in tenant.model.calls[-1].messages]
    assert (
        told[-1] == f"[The sub-agent {accepted['childSessionKey']} has answered]\nlater"
    )
    assert (await kinds()).count("inbound") == 2
    assert await faults() == []


async def test_what_a_sub_agent_wants_to_keep_quiet_is_not_announced(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask(do(spawn("ANNOUNCE_SKIP", mode="announce")))
    await trio.sleep(5)
    assert (await kinds()).count("inbound") == 1
    (child,) = await children()
    assert child.state == "closed"
    assert await faults() == []


async def test_a_turn_that_is_stopped_while_its_end_is_written_leaves_nobody_working(
    open_tenant: Open, model: Model, autojump_clock: MockClock
) -> None:
    slow = trio.Event()

    async def hangs_below(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        results, said = since_a_person(request.messages)
        if said == "hang":
            await trio.sleep_forever()
        async for event in obey(request):
            if results and isinstance(event, End):
                slow.set()
            yield event

    model.scripts = [hangs_below]
    async with (
        trio.open_nursery() as nursery,
        open_tenant(later=one_late(slow, nursery)) as tenant,
    ):
        receipt = await tenant.send(do(spawn("hang", mode="announce")))
        await slow.wait()
        await trio.sleep(0.4)
        assert await abort(tenant.bus, "default", KEY, receipt.run_id)
        assert (await tenant.end(receipt)).outcome == "ok"
        await trio.sleep(5)
        (child,) = await children()
        assert (child.state, child.outcome) == ("closed", "aborted")
        assert await faults() == []


async def test_a_sub_agent_ends_though_one_below_it_keeps_its_answer_quiet(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    below = do(spawn("ANNOUNCE_SKIP", mode="announce"), ("wait", {}))
    end = await tenant.ask(do(spawn(below)))
    assert (end.outcome, trio.current_time() < 10) == ("ok", True)
    # Twice the person's turn, and once each of those below it: nothing was there to add.
    assert len(tenant.model.calls) == 4
    assert await faults() == []


async def test_a_turn_ends_that_waits_for_what_will_be_announced(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    said = do(spawn("later", mode="announce"), ("wait", {}))
    end = await tenant.ask(said)
    assert (end.outcome, end.text) == ("ok", "")
    await trio.sleep(5)
    assert tenant.model.calls[-1].messages[-1].text.endswith("later")
    assert await faults() == []


async def test_a_sub_agent_is_over_when_those_below_it_are(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    below = do(spawn("leaf", mode="announce"), ("wait", {}))
    end = await tenant.ask(do(spawn(below)))
    assert end.text == "got heard leaf"
    assert await faults() == []


# --- limits


async def test_no_deeper_than_allowed(open_tenant: Open, autojump_clock) -> None:
    rules = attrs.evolve(ALLOWED, depth=1)
    async with open_tenant(rules=rules) as tenant:
        end = await tenant.ask(do(spawn(do(spawn("deep")))))
        assert (
            "spawn is not allowed here: a sub-agent on level 1 starts none" in end.text
        )
        shown = [[tool.name for tool in call.tools] for call in tenant.model.calls]
        assert ["spawn", "tell", "hand_over", "wait"] in shown
        assert ["wait"] in shown
        assert await faults() == []


@pytest.mark.parametrize(
    "key, most, said",
    [
        ("children", 2, "2 sub-agents of this session work already"),
        ("concurrent", 2, "2 sub-agents work already"),
        ("per_turn", 2, "this turn has started 2 sub-agents"),
    ],
)
async def test_no_more_than_allowed(
    open_tenant: Open, autojump_clock, key, most, said
) -> None:
    async with open_tenant(rules=attrs.evolve(ALLOWED, **{key: most})) as tenant:
        end = await tenant.ask(do(spawn("a"), spawn("b"), spawn("c")))
        assert end.outcome == "ok"
        assert f"it was not carried out: {said}" in end.text
        assert f"limits.subagents.{key}" in end.text
        assert len(await children()) == 2
        assert await faults() == []


async def test_only_agents_that_are_allowed(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    assert (await tenant.ask(do(spawn("a", agent="other")))).text == "got a"
    end = await tenant.ask(do(spawn(do(spawn("b", agent="main")), agent="other")))
    assert "agent other may not start agent main" in end.text
    assert await faults() == []


async def test_a_full_inbox_is_told_to_the_model(
    open_tenant: Open, autojump_clock
) -> None:
    async with open_tenant(inbox_limit=1) as tenant:
        end = await tenant.ask(do(spawn("a"), spawn("b")))
        assert "messages are waiting already" in end.text or "got a, b" in end.text
        assert await faults() == []


# --- budgets


async def test_a_sub_agent_may_use_a_part_of_what_is_left_and_the_rest_comes_back(
    open_tenant: Open, autojump_clock
) -> None:
    limits = attrs.evolve(TURN_LIMITS, model_calls=7)
    async with open_tenant(turn_limits=limits) as tenant:
        # Each asks three times, and is ended at that: one of seven is the parent's.
        busy = do(spawn("x", model_calls=1), spawn("y", model_calls=1))
        end = await tenant.ask(do(spawn(busy, model_calls=4)))
        assert end.text == "got got x, y"
        (child,) = await children()
        assert child.spend.model_calls == 4
        assert child.spend.tokens == 400
        assert await faults() == []


async def test_who_has_used_its_part_up_is_ended_in_words(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    end = await tenant.ask(do(spawn(do(("nothing", {})), model_calls=1)))
    assert "[The sub-agent has come to a limit]" in end.text
    assert "limits.turn.model_calls" in end.text
    assert await faults() == []


async def test_nothing_is_carved_from_nothing(open_tenant: Open, autojump_clock):
    limits = attrs.evolve(TURN_LIMITS, tokens=10_000)
    async with open_tenant(turn_limits=limits) as tenant:
        end = await tenant.ask(do(spawn("a", tokens=9_899), spawn("b")))
        assert "too little is left of what this turn may use" in end.text
        assert "limits.turn.tokens" in end.text
        assert await faults() == []


# --- time


async def test_the_time_that_a_person_takes_below_is_nobodys(
    open_tenant: Open, autojump_clock
) -> None:
    limits = attrs.evolve(TURN_LIMITS, seconds=60.0, wait_seconds=10_000.0)
    async with open_tenant(turn_limits=limits) as tenant:
        receipt = await tenant.send(do(spawn("slow")))
        (child,) = await began(tenant)
        tenant.wall.add(5_000.0)
        end = await tenant.end(receipt)
        assert end.outcome == "ok", child


async def began(tenant: Tenant, number: int = 1):
    while len(rows := await children()) < number:
        await trio.sleep(0.01)
    return rows


# --- stopping


async def test_a_waiting_parent_counts_as_one_who_waits(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    hold = Hold()
    tenant.model.scripts = [hold]
    receipt = await tenant.send(do(spawn("a")))
    await hold.reached(2)
    status = await supervision.call("default/sessions", GetSessionsStatus())
    assert (status.running, status.asking) == (2, 1)
    hold.release.set()
    assert (await tenant.end(receipt)).text == "got a"


class Hold:
    """Obeys, but goes no further than the beginning of a call that says *held*."""

    def __init__(self) -> None:
        self.release = trio.Event()
        self.count = 0

    async def __call__(self, request):
        self.count += 1
        if self.count > 1:
            await self.release.wait()
        async for event in obey(request):
            yield event

    async def reached(self, count: int) -> None:
        while self.count < count:
            await trio.sleep(0.01)


async def test_a_stop_goes_down_to_the_leaf(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    reached = trio.Event()

    async def hold(request):
        if request.messages[-1].text == "leaf":
            reached.set()
            await trio.sleep_forever()
        async for event in obey(request):
            yield event

    tenant.model.scripts = [hold]
    receipt = await tenant.send(do(spawn(do(spawn(do(spawn("leaf")))))))
    await reached.wait()
    assert await abort(tenant.bus, "default", KEY, receipt.run_id)
    await trio.sleep(1)
    status = await supervision.call("default/sessions", GetSessionsStatus())
    assert status.running == 0
    for key in await sessions():
        for row in await children(key):
            assert (row.state, row.outcome) == ("closed", "aborted")
    assert (await kinds()).count("inbound") == 1
    assert await faults() == []


async def test_a_stop_ends_what_a_turn_has_begun_that_is_over(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    async def late(request):
        if request.messages[-1].text == "later":
            await trio.sleep_forever()
        async for event in obey(request):
            yield event

    tenant.model.scripts = [late]
    receipt = await tenant.send(do(spawn("later", mode="announce")))
    await tenant.end(receipt)
    await trio.sleep(400)  # the session sleeps by now
    assert await abort(tenant.bus, "default", KEY, receipt.run_id)
    await trio.sleep(1)
    (child,) = await children()
    assert (child.state, child.outcome) == ("closed", "aborted")
    assert not await abort(tenant.bus, "default", KEY, receipt.run_id)
    assert await faults() == []


async def test_a_command_stops_what_turns_have_left_at_work(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    async def late(request):
        if request.messages[-1].text == "later":
            await trio.sleep_forever()
        async for event in obey(request):
            yield event

    tenant.model.scripts = [late]
    receipt = await tenant.send(do(spawn("later", mode="announce")))
    await tenant.end(receipt)
    found = await ask(tenant, "stop", session="main")
    assert found["stopped"] == [receipt.run_id]
    await trio.sleep(1)
    assert [row.outcome for row in await children()] == ["aborted"]
    (row,) = [row for row in await ask(tenant, "list") if row["parent"]]
    assert row["parent"] == KEY
    assert await faults() == []


async def test_a_message_that_interrupts_stops_the_sub_agent_too(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    async def hold(request):
        if request.messages[-1].text == "held":
            await trio.sleep_forever()
        async for event in obey(request):
            yield event

    tenant.model.scripts = [hold]
    first = await tenant.send(do(spawn("held")))
    await began(tenant)
    await trio.sleep(1)
    assert (await tenant.ask("no, this", queue="interrupt")).text == "no, this"
    assert (await tenant.end(first)).outcome == "aborted"
    await trio.sleep(1)
    assert [row.outcome for row in await children()] == ["aborted"]
    assert await faults() == []


async def test_a_sub_agent_that_was_never_begun_is_withdrawn(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    release = trio.Event()

    async def hold(request):
        await release.wait()
        async for event in obey(request):
            yield event

    tenant.model.scripts = [hold]
    receipt = await tenant.send(do(spawn("never")))
    await tenant.there("default/run/run-1")
    await sys.suspend("default/sessions")  # nobody wakes the sub-agent
    release.set()
    await began(tenant)
    assert await supervision.call(f"default/session/{KEY}", Abort(receipt.run_id))
    await sys.resume("default/sessions")
    await trio.sleep(5)
    (row,) = await children()
    assert (row.state, row.outcome) == ("closed", "aborted")
    assert await kinds(row.session_key) == []
    assert len(tenant.model.calls) == 1
    assert await faults() == []


# --- with a person


async def test_a_person_may_have_to_agree(
    open_tenant: Open, model: Model, autojump_clock
) -> None:
    model.tools = dict(session_tools(asks=True))
    async with open_tenant() as tenant:
        receipt = await tenant.send(do(spawn("a")))
        (row,) = await asked(tenant)
        assert row.question == 'spawn({"task":"a","mode":"wait"})'
        assert await children() == ()
        given = waits.Answer(wait_id=row.wait_id, verdict="allow", by="anna")
        await waits.answer(tenant.bus, "default", KEY, given)
        assert (await tenant.end(receipt)).text == "got a"
        assert await faults() == []


async def test_what_is_announced_goes_where_the_first_answer_went(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask(do(spawn("later", mode="announce")), reply_to="chat:7")
    await trio.sleep(5)
    read = await ask_ledger(ReadSession(KEY))
    started = [orjson.loads(e.body) for e in read.events if e.kind == "run-started"]
    assert [body["reply_to"] for body in started] == ["chat:7", "chat:7"]
    assert [body.get("hops", 0) for body in started] == [0, 1]


async def test_agents_do_not_go_on_by_themselves_for_ever(
    open_tenant: Open, autojump_clock
) -> None:
    async def restless(request):
        _, said = since_a_person(request.messages)
        if said.startswith("[") and request.messages[-1].role == "user":
            more = do(spawn("more", mode="announce"))
            request = attrs.evolve(request, messages=(say("user", more),))
        async for event in obey(request):
            yield event

    async with open_tenant(rules=attrs.evolve(ALLOWED, rounds=3)) as tenant:
        tenant.model.scripts = [restless]
        await tenant.ask(do(spawn("more", mode="announce")))
        await trio.sleep(100)
        assert len(await children()) == 3
        ended = [
            orjson.loads(event.body)["result"]["text"]
            for event in (await ask_ledger(ReadSession(KEY))).events
            if event.kind == "tool-ended"
        ]
        assert "limits.subagents.rounds: 3" in ended[-1]
        assert await faults() == []


# --- afterwards


async def test_the_session_of_a_sub_agent_is_deleted_after_a_while(
    open_tenant: Open, autojump_clock
) -> None:
    async with open_tenant(retention=Retention(subagent=1_000, every=60)) as tenant:
        await tenant.ask(do(spawn(do(spawn("a")))))
        await trio.sleep(600)
        assert len(await sessions()) == 3
        await trio.sleep(1_000)
        assert list(await sessions()) == [KEY]
        assert (await tenant.ask(do(spawn("b")))).text == "got b"
        assert await faults() == []
