"""What is proved: machine, log, work in progress and usage are told, to who may look."""

from functools import partial

import attrs
import pytest

import supervision
from beamclaw.contracts.commands import StopCommand
from beamclaw.contracts.ledger_reads import ReadCommands, ReadSessions, ReadWaits
from beamclaw.contracts.ledger_rows import CommandRow, SessionRow
from beamclaw.contracts.ledger_usage import ReadUsage, UsageRow
from beamclaw.contracts.logs import ReadLog
from beamclaw.contracts.messages import Usage
from beamclaw.telemetry.tail import Tail
from supervision import ChildSpec
from tests.beamclaw.gateway import edge
from tests.beamclaw.gateway.socket.talk import connected

COMMAND = CommandRow(
    command_id="c1",
    session_key="agent:main:main",
    agent="main",
    title="sleep \u202e9",
    at=5.0,
)
CHILD = SessionRow(
    key="agent:main:subagent:x",
    session_id="s",
    agent="main",
    seq=3,
    created_at=1.0,
    updated_at=2.0,
    open_run="r9",
    parent="agent:main:main",
)
USAGE = UsageRow(
    day="2027-01-14",
    agent="main",
    provider="p",
    model="m",
    calls=2,
    usage=Usage(100, 20, 40),
    reserved=Usage(),
    cost=1_500_000,
)
ROWS = {
    ReadWaits: (),
    ReadCommands: (COMMAND,),
    ReadSessions: (
        CHILD,
        attrs.evolve(CHILD, key="k", open_run=None),
        attrs.evolve(CHILD, key="agent:main:main", parent=None),
    ),
    ReadUsage: (USAGE, attrs.evolve(USAGE, day="2027-01-15", agent="bob")),
}
METHODS = {
    "system.info": "operator.read",
    "logs.tail": "operator.read",
    "tasks.list": "operator.read",
    "tasks.get": "operator.read",
    "tasks.cancel": "operator.write",
    "usage.cost": "operator.read",
    "usage.status": "operator.read",
    "models.authStatus": "operator.read",
    "question.list": "operator.questions",
}


class Ledger(supervision.Server):
    async def handle_call(self, request, sender):
        return ROWS[type(request)]


class FakeLog(supervision.Server):
    def __init__(self, tail: Tail) -> None:
        self.tail = tail

    async def handle_call(self, request, sender):
        assert isinstance(request, ReadLog)
        return self.tail.read(request)


@pytest.fixture
async def talk():
    tail = Tail(1_000)
    tail.add("a\nb\n")
    beside = [
        ChildSpec("rows", Ledger, name="default/ledger"),
        ChildSpec("log", partial(FakeLog, tail), name="telemetry/log"),
    ]
    scopes = ["operator.read", "operator.questions"]
    async with (
        edge.running(tenant_up=False, beside=beside) as node,
        connected(node.port, scopes=scopes) as talk,
    ):
        yield talk


async def test_the_machine(talk):
    found = (await talk.call("system.info"))["payload"]
    assert found["cpuCount"] >= 1
    assert found["memoryTotalBytes"] > found["memoryFreeBytes"] >= 0
    assert found["nodeVersion"].startswith("python 3.")
    # A name and a path of it are for who administers the node.
    assert found["hostname"] == "beamclaw"
    assert "diskPath" not in found


async def test_who_administers_sees_the_disk(tmp_path):
    async with edge.running() as node, connected(node.port) as talk:
        object.__setattr__(node.config, "data", tmp_path)
        found = (await talk.call("system.info"))["payload"]
    assert found["diskPath"] == str(tmp_path)
    assert found["diskTotalBytes"] >= found["diskAvailableBytes"] >= 0


async def test_the_log_is_read_on_from_a_cursor(talk):
    found = (await talk.call("logs.tail", {"limit": 1}))["payload"]
    assert found == {"file": "standard error", "cursor": 4, "size": 4, "lines": ["b"]}
    found = (await talk.call("logs.tail", {"cursor": 0}))["payload"]
    assert found["lines"] == ["a", "b"]
    found = (await talk.call("logs.tail", {"cursor": 99}))["payload"]
    assert found["reset"] is True


async def test_what_goes_on_beside_conversations(talk):
    found = (await talk.call("tasks.list"))["payload"]["tasks"]
    assert [(task["id"], task["kind"]) for task in found] == [
        ("c1", "exec"),
        ("r9", "subagent"),
    ]
    assert found[0]["title"] == "sleep \\u202e9"
    assert found[1]["sessionKey"] == "agent:main:main"
    for given in (
        {"status": "failed"},
        {"status": ["queued", "failed"]},
        {"agentId": "bob"},
        {"sessionKey": "other"},
    ):
        assert (await talk.call("tasks.list", given))["payload"] == {"tasks": []}
    given = {"status": ["running"], "limit": 1}
    answer = await talk.call("tasks.list", given)
    assert answer["ok"], answer
    assert len(answer["payload"]["tasks"]) == 1


async def test_what_models_cost(talk):
    found = (await talk.call("usage.cost"))["payload"]
    assert found["days"] == 30
    assert [day["date"] for day in found["daily"]] == ["2027-01-14", "2027-01-15"]
    assert found["totals"]["totalCost"] == 3.0
    assert found["totals"]["totalTokens"] == 240
    assert found["daily"][0] | {"date": ""} == found["daily"][1] | {"date": ""}
    assert (found["daily"][0]["input"], found["daily"][0]["cacheRead"]) == (60, 40)
    one = (await talk.call("usage.cost", {"agentId": "bob"}))["payload"]
    assert one["totals"]["calls"] == 2
    to = {"endDate": "2027-01-14", "startDate": "2027-01-14"}
    one = (await talk.call("usage.cost", to))["payload"]
    assert (one["days"], len(one["daily"])) == (1, 1)


@pytest.mark.parametrize(
    "given",
    [
        {"startDate": "2027-13-01"},
        {"startDate": "2027-02-01", "endDate": "2027-01-01"},
        {"endDate": "0001-01-01", "days": 3650},
        {"agentId": "a", "agentScope": "all"},
        {"days": 0},
    ],
)
async def test_days_that_are_none_are_refused(talk, given):
    assert (await talk.call("usage.cost", given))["error"]["code"] == "INVALID_REQUEST"


async def test_what_there_is_nothing_to_say_of(talk):
    assert (await talk.call("question.list"))["payload"] == {"questions": []}
    assert (await talk.call("usage.status"))["payload"]["providers"] == []
    found = (await talk.call("models.authStatus", {"refresh": True}))["payload"]
    assert found["providers"][0]["provider"] == "demo"
    assert found["providers"][0]["status"] == "static"


@pytest.mark.parametrize("kind", ["plugin", "openclaw"])
async def test_of_two_kinds_of_questions_nobody_asks_any(node, kind):
    async with connected(node.port, scopes=["operator.approvals"]) as talk:
        assert (await talk.call(f"{kind}.approval.list"))["payload"] == []


@pytest.mark.parametrize("method", METHODS)
async def test_only_who_may_look_is_told(method):
    async with (
        edge.running() as node,
        connected(node.port, scopes=["operator.pairing"]) as talk,
    ):
        error = (await talk.call(method))["error"]
    assert error["details"]["missingScope"] == METHODS[method]


class FakeCommand(supervision.Server):
    async def handle_call(self, request, sender):
        assert isinstance(request, StopCommand)
        return True


async def test_a_task_is_looked_at_and_stopped():
    beside = [
        ChildSpec("rows", Ledger, name="default/ledger"),
        ChildSpec("command", FakeCommand, name="default/command/c1"),
    ]
    async with (
        edge.running(tenant_up=False, beside=beside) as node,
        connected(node.port, scopes=["operator.write"]) as talk,
    ):
        found = (await talk.call("tasks.get", {"taskId": "c1"}))["payload"]["task"]
        assert (found["id"], found["kind"], found["status"]) == (
            "c1",
            "exec",
            "running",
        )
        error = (await talk.call("tasks.get", {"taskId": "c2"}))["error"]
        assert error["details"]["reason"] == "task-not-found"
        given = {"taskId": "c1", "reason": "enough"}
        done = (await talk.call("tasks.cancel", given))["payload"]
        assert (done["found"], done["cancelled"]) == (True, True)
        assert done["task"]["id"] == "c1"
        none = (await talk.call("tasks.cancel", {"taskId": "c2"}))["payload"]
        assert (none["found"], none["cancelled"]) == (False, False)
