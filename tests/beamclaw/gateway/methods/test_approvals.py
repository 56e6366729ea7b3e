"""What is proved: a client hears of a question, answers it once, and the turn goes on."""

from contextlib import asynccontextmanager

import pytest
import trio

from beamclaw.testing.node import Orders
from tests.audit.known import Verdict
from tests.beamclaw.gateway.edge import running
from tests.beamclaw.gateway.socket.talk import connected
from tests.faults.plan import Plan
from tests.faults.stage import open_stage

KEY = "agent:careful:q"
PLAN = Plan(rounds=(("send",),))
METHODS = {
    "exec.approval.list": {},
    "exec.approval.get": {"id": "x"},
    "exec.approval.resolve": {"id": "x", "decision": "deny"},
    "exec.approval.waitDecision": {"id": "x"},
    "exec.approval.grants.list": {},
    "exec.approval.grants.revoke": {"grantId": "1"},
    "plugin.approval.list": {},
    "openclaw.approval.list": {},
    "approval.get": {"id": "x"},
    "approval.resolve": {"id": "x", "kind": "exec", "decision": "deny"},
    "approval.history": {},
}


@asynccontextmanager
async def opened(folder):
    async with open_stage(folder, Orders()) as stage:
        await stage.up.wait()
        yield stage


def client(stage, *scopes):
    return connected(
        int(stage.node.base_url.rpartition(":")[2]),
        auth={"token": stage.node.token},
        scopes=list(scopes) or ["operator.approvals"],
    )


@pytest.mark.slow
@pytest.mark.parametrize("decision", ["allow-once", "deny"])
async def test_a_question_is_told_and_its_first_answer_counts(tmp_path, decision):
    async with (
        opened(tmp_path) as stage,
        trio.open_nursery() as nursery,
        client(stage) as talk,
        client(stage) as other,
        client(stage, "operator.read") as reader,
    ):
        nursery.start_soon(stage.ask, PLAN, "q", KEY)
        told = (await talk.event("exec.approval.requested"))["payload"]
        assert told["request"]["sessionKey"] == KEY
        assert (await talk.call("exec.approval.list"))["payload"] == [told]
        found = await talk.call("exec.approval.get", {"id": told["id"]})
        assert found["payload"]["commandText"].startswith("send(")

        waiting = await other.request("exec.approval.waitDecision", {"id": told["id"]})
        given = {"id": told["id"], "decision": decision}
        forever = await talk.call(
            "exec.approval.resolve", given | {"decision": "allow-always"}
        )
        unavailable = "APPROVAL_ALLOW_ALWAYS_UNAVAILABLE"
        assert forever["error"]["details"]["reason"] == unavailable
        done = await talk.call("exec.approval.resolve", given)
        assert done["payload"] == {"ok": True}
        allowed = decision == "allow-once"
        verdict = Verdict(
            wait_id=told["id"],
            verdict="allow" if allowed else "deny",
            by="operator (token)",
            counts=True,
        )
        stage.known.verdicts.append(verdict)
        late = await talk.call("exec.approval.resolve", given)
        reason = late["error"]["details"]["reason"]
        assert reason == "APPROVAL_ALREADY_RESOLVED"

        over = (await talk.event("exec.approval.resolved"))["payload"]
        assert (over["id"], over["decision"]) == (told["id"], decision)
        assert over["resolvedBy"] == "operator (token)"
        heard = await other.answer(waiting)
        assert heard["payload"]["decision"] == decision
        await stage.settled()

        (item,) = (await talk.call("approval.history"))["payload"]["items"]
        assert item["status"] == ("allowed" if allowed else "denied")
        shown = (await talk.call("approval.get", {"id": told["id"]}))["payload"]
        assert shown["approval"] == item
        again = given | {"kind": "exec"}
        again = (await talk.call("approval.resolve", again))["payload"]
        assert again == {"applied": False, "approval": item}
        assert [e["event"] for e in reader.events if "approval" in e["event"]] == []
        assert stage.look() == []
        assert bool(stage.known.effects) == allowed


@pytest.mark.parametrize("method", METHODS)
async def test_only_who_may_decide_is_asked(method):
    async with (
        running() as node,
        connected(node.port, scopes=["operator.write"]) as talk,
    ):
        error = (await talk.call(method, METHODS[method]))["error"]
    assert error["details"]["missingScope"] == "operator.approvals"


@pytest.mark.parametrize(
    ("method", "given", "words"),
    [
        ("exec.approval.resolve", {"id": "x", "decision": "yes"}, "at /decision"),
        ("exec.approval.get", {}, "'id' is missing"),
        ("approval.history", {"limit": 1000}, "at /limit"),
        ("approval.resolve", {"id": "x", "decision": "deny"}, "'kind' is missing"),
    ],
)
async def test_what_does_not_fit_is_refused(method, given, words):
    async with (
        running() as node,
        connected(node.port, scopes=["operator.approvals"]) as talk,
    ):
        error = (await talk.call(method, given))["error"]
    assert error["message"].startswith(f"invalid {method} params: ")
    assert words in error["message"]
