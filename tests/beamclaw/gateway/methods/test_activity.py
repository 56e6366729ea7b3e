"""What is proved: what was done is listed, of whom it was and how it came out, not what was said."""

from functools import partial
from pathlib import Path

import attrs
import orjson
import pytest

from beamclaw.contracts.journal import (
    Answered,
    Body,
    RunOver,
    RunStarted,
    ToolBegun,
    ToolEnded,
    event,
)
from beamclaw.contracts.ledger_reads import ActivityRead, ActivityRow
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import Message, ToolCall, ToolResult, Usage
from beamclaw.gateway.events.activity import about, line, named
from beamclaw.gateway.methods import activity
from beamclaw.testing.world import World
from tests.beamclaw.gateway.methods.conftest import configuration, port
from tests.beamclaw.gateway.methods.conftest import said as say
from tests.beamclaw.gateway.methods.test_sessions import KEY, begun, ok, refused
from tests.beamclaw.gateway.socket.talk import connected
from tests.support.inside import open_inside
from tests.support.protocol import faults

SECRET = "a-word-that-nobody-else-says"


def row(body: Body, number: int = 7) -> ActivityRow:
    return ActivityRow(number=number, session_key=KEY, agent="now", event=of(body))


def of(body: Body, seq: int = 3) -> Event:
    new = event(body, at=1.5, run_id="r")
    given = {"kind": new.kind, "version": new.version, "at": new.at, "body": new.body}
    return Event(seq=seq, run_id=new.run_id, **given)


STARTED = RunStarted(epoch=1, agent="then", definition="d")
BEGUN = ToolBegun(call_id="c", tool="put", effect="pure", key="k")
ASKED = Answered(
    attempt=1,
    message=Message("assistant", (ToolCall("c2", "nothing", "{}"),)),
    stop_reason="tool_calls",
    usage=Usage(),
)
KNOWN = about([of(STARTED), of(ASKED), of(BEGUN)])


def over(outcome: str) -> RunOver:
    return RunOver(outcome=outcome, stop_reason="stop")  # pyright: ignore[reportArgumentType]


def ended(outcome: str, id: str = "c") -> ToolEnded:
    result = ToolResult(id, SECRET)
    return ToolEnded(outcome=outcome, result=result)  # pyright: ignore[reportArgumentType]


LINES = [
    (STARTED, "agent.run.started", "started", None, None),
    (over("ok"), "agent.run.finished", "succeeded", None, None),
    (over("limited"), "agent.run.finished", "blocked", "run_blocked", None),
    (over("error"), "agent.run.finished", "failed", "run_failed", None),
    (over("quarantined"), "agent.run.finished", "failed", "run_failed", None),
    (over("aborted"), "agent.run.finished", "cancelled", "run_cancelled", None),
    (BEGUN, "tool.action.started", "started", None, "put"),
    (ended("ok"), "tool.action.finished", "succeeded", None, "put"),
    (ended("error"), "tool.action.finished", "failed", "tool_failed", "put"),
    (ended("stopped"), "tool.action.finished", "cancelled", "tool_cancelled", "put"),
    (
        ended("unknown"),
        "tool.action.finished",
        "unknown",
        "tool_outcome_unknown",
        "put",
    ),
    # What was never begun is known by what the model has asked for.
    (
        ended("refused", "c2"),
        "tool.action.finished",
        "blocked",
        "tool_blocked",
        "nothing",
    ),
    (ended("ok", "c3"), "tool.action.finished", "succeeded", None, None),
]


@pytest.mark.peer("gateway-protocol")
@pytest.mark.parametrize(("body", "action", "status", "code", "tool"), LINES)
def test_a_line_says_what_was_done(body, action, status, code, tool):
    shown = line(row(body), KNOWN)
    assert shown is not None
    assert (shown["action"], shown["status"]) == (action, status)
    assert (shown.get("errorCode"), shown.get("toolName")) == (code, tool)
    assert (shown["agentId"], shown["sequence"]) == ("then", 7)
    assert (shown["occurredAt"], shown["sourceSequence"]) == (1500, 3)
    assert SECRET not in str(shown)
    assert faults("AuditEvent", shown) == []
    assert faults("AuditActivityListResult", {"events": [named(shown)]}) == []


def test_a_turn_that_goes_on_after_a_death_has_not_begun_again():
    assert line(row(attrs.evolve(STARTED, epoch=2)), KNOWN) is None


def test_of_a_turn_whose_beginning_is_not_known_the_sessions_agent_is_told():
    shown = line(row(over("ok")), about([]))
    assert shown is not None
    assert shown["agentId"] == "now"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, True),
        ({"agent_id": "then"}, True),
        ({"agent_id": "now"}, False),
        ({"status": "succeeded"}, True),
        ({"status": "failed"}, False),
        ({"after": 1500, "before": 1500}, True),
        ({"after": 1501}, False),
        ({"before": 1499}, False),
    ],
)
def test_only_what_is_wanted_is_listed(given, wanted):
    read = ActivityRead(rows=(row(over("ok")),), turns={"r": (of(STARTED),)}, before=0)
    assert len(activity.lines(read, activity.ListParams(**given))) == wanted


# --- over the socket


async def test_what_was_said_and_done_is_listed(tmp_path: Path):
    world = World(tmp_path / "world")
    config = configuration(tmp_path / "data")
    async with open_inside(config, toolbox=lambda _: world.tools()) as node:
        await node.url()
        async with connected(port()) as talk:
            await begun(talk)
            await say(talk, KEY, SECRET, "k1")
            order = {"name": "put", "args": {"text": SECRET}}
            await ok(talk, "tools.invoke", {**order, "idempotencyKey": "k2"})
            found = (await ok(talk, "audit.list"))["events"]
            assert SECRET not in orjson.dumps(found).decode()
            assert [each["action"] for each in found][::-1] == [
                "agent.run.started",
                "agent.run.finished",
                "agent.run.started",
                "tool.action.started",
                "tool.action.finished",
                "agent.run.finished",
            ]
            assert {each.get("toolName") for each in found} == {None, "put"}
            assert found[-1]["sessionKey"] == KEY
            assert found[-1]["runId"] == "k1"
            named = (await ok(talk, "audit.activity.list"))["events"]
            assert [each["eventId"] for each in named] == [
                each["eventId"] for each in found
            ]
            await _pages(partial(ok, talk), found)
            await _filters(partial(ok, talk), found)


async def _pages(ok, found):
    pages: list[object] = []
    given: dict[str, object] = {"limit": 2, "status": "started"}
    while True:
        page = await ok("audit.list", given)
        assert len(page["events"]) <= 2
        pages += page["events"]
        if "nextCursor" not in page:
            break
        given["cursor"] = page["nextCursor"]
    assert pages == [each for each in found if each["status"] == "started"]


async def _filters(ok, found):
    for given, count in (
        ({"kind": "tool_action"}, 2),
        ({"kind": "agent_run"}, 4),
        ({"sessionKey": "main"}, 2),
        ({"sessionKey": KEY, "agentId": "main"}, 2),
        ({"runId": "k1"}, 2),
        ({"runId": "k1", "kind": "tool_action"}, 0),
        ({"agentId": "bob"}, 0),
        ({"after": found[0]["occurredAt"] + 60_000}, 0),
        ({"limit": 1}, 1),
    ):
        assert len((await ok("audit.list", given))["events"]) == count, given
        assert len((await ok("audit.activity.list", given))["events"]) == count, given
    for given in ({"kind": "message"}, {"direction": "inbound"}, {"channel": "x"}):
        assert await ok("audit.activity.list", given) == {"events": []}


async def test_a_long_way_is_gone_in_several_requests(talk, monkeypatch):
    await begun(talk)
    await say(talk, KEY, "hi", "k1")
    monkeypatch.setattr(activity, "MOST_READS", 0)
    page = await ok(talk, "audit.list", {"cursor": "5"})
    assert page == {"events": [], "nextCursor": "5"}


@pytest.mark.parametrize("cursor", ["0", "x", "-1", "1.5", "٣"])
async def test_a_cursor_of_somebody_elses_is_refused(talk, cursor):
    error = await refused(talk, "audit.list", {"cursor": cursor})
    assert error["details"]["reason"] == "INVALID_CURSOR"


@pytest.mark.parametrize("method", ["audit.list", "audit.activity.list"])
async def test_who_may_only_answer_questions_is_not_told(start, method):
    async with start(), connected(port(), scopes=["operator.approvals"]) as talk:
        error = await refused(talk, method)
    assert error["details"]["missingScope"] == "operator.read"
