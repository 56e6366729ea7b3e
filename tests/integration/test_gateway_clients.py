"""A whole node and a client that stays connected: turns told, asked for, stopped, kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import supervision
from beamclaw.config.schema import AuthConfig, Config, GatewayConfig
from beamclaw.contracts import gateway
from beamclaw.contracts.secret import Secret
from beamclaw.tree import tree
from tests.beamclaw.gateway.edge import TOKEN, until
from tests.beamclaw.gateway.socket.talk import Talk, connected

pytestmark = pytest.mark.slow

MAIN = "agent:main:main"


@asynccontextmanager
async def node(folder: Path, **numbers: Any) -> AsyncIterator[int]:
    config = Config(
        data=folder / "data",
        gateway=GatewayConfig(port=0, auth=AuthConfig(token=Secret(TOKEN)), **numbers),
    )
    spec = supervision.ChildSpec("node", partial(tree, config), type="supervisor")
    async with supervision.open_supervisor([spec]):
        address = gateway.address()
        assert address is not None
        yield address.port


async def told(talk: Talk) -> list[Any]:
    """All events up to the end of the turn and what follows it."""
    last = await talk.event("sessions.changed", lambda p: p.get("phase") == "end")
    return sorted([*talk.events, last], key=lambda frame: frame["seq"])


async def test_a_turn_is_accepted_told_and_answered(tmp_path: Path):
    async with node(tmp_path) as port, connected(port) as talk:
        assert (await talk.call("sessions.subscribe"))["payload"] == {
            "subscribed": True
        }
        asked = {"message": "hi", "sessionKey": "main", "idempotencyKey": "k1"}
        id_ = await talk.request("agent", asked)
        accepted = (await talk.answer(id_))["payload"]
        assert (accepted["runId"], accepted["status"]) == ("k1", "accepted")
        assert accepted["sessionKey"] == MAIN
        final = (await talk.answer(id_))["payload"]
        assert (final["status"], final["summary"]) == ("ok", "completed")
        text = final["result"]["payloads"][0]["text"]
        assert text.startswith("You said: hi")
        events = await told(talk)
        numbers = [frame["seq"] for frame in events]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        chat = [e["payload"] for e in events if e["event"] == "chat"]
        deltas = [each["deltaText"] for each in chat if each["state"] == "delta"]
        assert "".join(deltas) == text
        assert chat[-1]["state"] == "final"
        rows = [e["payload"] for e in events if e["event"] == "session.message"]
        assert [row["message"]["role"] for row in rows] == ["user", "assistant"]
        settled = events[-1]["payload"]
        assert settled["reason"] == "agent.input.settled"
        assert settled["session"]["hasActiveRun"] is False


async def test_a_message_with_one_key_is_one_turn_and_another_one_a_conflict(
    tmp_path: Path,
):
    async with node(tmp_path) as port, connected(port) as talk:
        asked = {"sessionKey": "main", "message": "hi", "idempotencyKey": "k1"}
        assert (await talk.call("chat.send", asked))["payload"]["status"] == "started"
        waited = await talk.call("agent.wait", {"runId": "k1"})
        assert waited["payload"]["status"] == "ok"
        again = (await talk.call("chat.send", asked))["payload"]
        assert again == {"runId": "k1", "status": "ok"}
        other = await talk.call("chat.send", asked | {"message": "other"})
        assert other["error"]["details"] == {"reason": "chat-request-conflict"}
        # The same key in another session is another message's, and has its own run.
        there = await talk.call("chat.send", asked | {"sessionKey": "agent:main:x"})
        assert there["payload"]["runId"] != "k1"


async def test_a_history_and_a_note(tmp_path: Path):
    async with node(tmp_path) as port, connected(port) as talk:
        empty = (await talk.call("chat.history", {"sessionKey": "main"}))["payload"]
        assert empty["messages"] == []
        asked = {"sessionKey": "main", "message": "hi", "idempotencyKey": "k1"}
        await talk.call("chat.send", asked)
        await talk.call("agent.wait", {"runId": "k1"})
        note = {"sessionKey": "main", "message": "remember", "label": "me"}
        assert (await talk.call("chat.inject", note))["payload"]["ok"]
        final = await talk.event(
            "chat", lambda p: p["state"] == "final" and p["runId"] != "k1"
        )
        text = final["payload"]["message"]["content"][0]["text"]
        assert text == "[me]\n\nremember"
        whole = (await talk.call("chat.history", {"sessionKey": "main"}))["payload"]
        roles = [row["role"] for row in whole["messages"]]
        assert roles == ["user", "assistant", "assistant"]
        last = {"sessionKey": "main", "limit": 1, "maxChars": 4}
        (row,) = (await talk.call("chat.history", last))["payload"]["messages"]
        assert row["content"][0]["text"] == "[me]…"
        page = {"sessionKey": "main", "limit": 1, "offset": 2}
        found = (await talk.call("chat.history", page))["payload"]
        assert [row["role"] for row in found["messages"]] == ["user"]
        assert found["hasMore"] is False


async def test_a_screen_that_opens_a_conversation_has_all_it_shows_at_once(
    tmp_path: Path,
):
    async with node(tmp_path) as port, connected(port) as talk:
        empty = (await talk.call("chat.startup", {"sessionKey": "main"}))["payload"]
        assert (empty["sessionKey"], empty["messages"]) == (MAIN, [])
        assert empty["defaults"]["model"]
        asked = {"sessionKey": "main", "message": "hi", "idempotencyKey": "k1"}
        await talk.call("chat.send", asked)
        await talk.call("agent.wait", {"runId": "k1"})
        small = {"sessionKey": "main", "maxBytes": 1}
        begun = (await talk.call("chat.startup", small))["payload"]
        (row,) = begun["messages"]
        assert (row["role"], begun["hasMore"], begun["nextOffset"]) == (
            "assistant",
            True,
            1,
        )
        assert begun["metadata"] == (await talk.call("chat.metadata"))["payload"]
        assert {each["name"] for each in begun["metadata"]["commands"]} >= {"new"}
        short = {"shortId": begun["sessionId"][:8]}
        found = (await talk.call("chat.startup", short))["payload"]
        assert found["resolution"]["key"] == MAIN
        assert len(found["messages"]) == 2
        unknown = (await talk.call("chat.startup", {"shortId": "zz"}))["payload"]
        assert unknown == {"resolution": {"ok": False}}
        neither = await talk.call("chat.startup", {})
        assert "exactly one" in neither["error"]["message"]
        elsewhere = {"sessionKey": "main", "cursor": "of another gateway"}
        assert (await talk.call("chat.history", elsewhere))["payload"] == {
            "kind": "reset"
        }
        id_ = row["__openclaw"]["id"]
        one = {"sessionKey": "main", "messageId": id_}
        assert (await talk.call("chat.message.get", one))["payload"]["message"] == row
        none = await talk.call("chat.message.get", one | {"messageId": "none"})
        assert none["payload"] == {"ok": False, "unavailableReason": "not_found"}


async def test_a_turn_is_stopped_and_what_it_has_said_is_kept(tmp_path: Path):
    async with node(tmp_path) as port, connected(port) as talk:
        asked = {"sessionKey": "main", "message": "hi " * 200, "idempotencyKey": "k1"}
        await talk.call("chat.send", asked)
        first = await talk.event("chat", lambda p: p["state"] == "delta")
        stopped = (await talk.call("chat.abort", {"sessionKey": "main"}))["payload"]
        assert stopped == {"ok": True, "aborted": True, "runIds": ["k1"]}
        final = await talk.event("chat", lambda p: p["state"] == "aborted")
        assert final["payload"]["stopReason"] == "rpc"
        assert final["payload"]["message"]["content"][0]["text"].startswith("You")
        waited = (await talk.call("agent.wait", {"runId": "k1"}))["payload"]
        assert waited == {
            "runId": "k1",
            "status": "error",
            "error": "aborted",
            "stopReason": "rpc",
        }
        again = await talk.call("chat.abort", {"sessionKey": "main", "runId": "k1"})
        assert again["payload"]["aborted"] is False
        # Nothing is missing, and nobody is made to think so.
        numbers = sorted(frame["seq"] for frame in (first, final, *talk.events))
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_a_run_is_found_again_on_another_connection(tmp_path: Path):
    async with node(tmp_path) as port:
        async with connected(port) as talk:
            asked = {"sessionKey": "main", "message": "hi", "idempotencyKey": "k1"}
            await talk.call("chat.send", asked)
        async with connected(port) as talk:
            waited = await talk.call("agent.wait", {"runId": "k1", "timeoutMs": 60_000})
            assert waited["payload"]["status"] == "ok"
            unknown = await talk.call("agent.wait", {"runId": "no", "timeoutMs": 10})
            assert unknown["payload"] == {"runId": "no", "status": "timeout"}


async def test_only_who_wants_them_gets_messages_of_sessions(tmp_path: Path):
    async with (
        node(tmp_path) as port,
        connected(port) as talk,
        connected(port) as follower,
        connected(port, scopes=["operator.approvals"]) as stranger,
    ):
        await follower.call("sessions.messages.subscribe", {"key": "main"})
        asked = {"sessionKey": "main", "message": "hi", "idempotencyKey": "k1"}
        await talk.call("chat.send", asked)
        await follower.event("session.message", lambda p: p["messageSeq"] > 1)
        await talk.event("chat", lambda p: p["state"] == "final")
        assert not [e for e in talk.events if e["event"] == "session.message"]
        await follower.call("sessions.messages.unsubscribe", {"key": "main"})
        # Who may not read hears nothing of it.
        refused = await stranger.call("chat.history", {"sessionKey": "main"})
        assert refused["error"]["code"] == "FORBIDDEN"
        assert {e["event"] for e in stranger.events} <= {"health", "presence", "tick"}


@pytest.mark.parametrize(
    "method, params, words",
    [
        ("chat.send", {"sessionKey": "agent:main:subagent:x"}, "belong to the node"),
        ("chat.send", {"sessionKey": "agent:nobody:main"}, "unknown agent id 'nobody'"),
        ("chat.send", {"sessionKey": "a/b"}, "a session key consists of"),
        ("chat.send", {"idempotencyKey": "../x"}, "idempotencyKey has 1 to 200"),
        ("chat.send", {"message": ""}, "message or attachment required"),
        ("chat.send", {"thinking": "much"}, "thinking is one of"),
        ("chat.send", {"attachments": [{"content": "?"}]}, "attachments/0 needs"),
        ("chat.send", {"queueMode": "x"}, "invalid chat.send params: at /queueMode"),
        ("agent", {"model": "no/such"}, "no"),
        ("agent", {"deliver": True}, "there is no channel"),
        ("agent", {"agentId": "x"}, "unknown agent id 'x'"),
        ("chat.inject", {"sessionKey": "agent:main:none"}, "there is no session"),
    ],
)
async def test_what_is_refused(tmp_path: Path, method, params, words):
    given = {"sessionKey": "main", "message": "hi", "idempotencyKey": "k1"} | params
    if method == "chat.inject":
        del given["idempotencyKey"]
    async with node(tmp_path) as port, connected(port) as talk:
        answer = await talk.call(method, given)
        assert answer["error"]["code"] == "INVALID_REQUEST"
        assert words in answer["error"]["message"]


async def test_broadcast_dies_and_clients_see_that_something_may_be_missing(
    tmp_path: Path,
):
    async with node(tmp_path) as port, connected(port) as talk:
        first = await talk.event("health")
        pid = supervision.whereis("gateway/broadcast")
        assert pid is not None
        supervision.exit(pid, supervision.KILL)
        await until(lambda: supervision.whereis("gateway/broadcast") not in (None, pid))
        await until(lambda: supervision.whereis("gateway/server") is not None)
        asked = {"sessionKey": "main", "message": "hi", "idempotencyKey": "k1"}
        await talk.call("chat.send", asked)
        last = await talk.event("chat", lambda p: p["state"] == "final")
        numbers = {frame["seq"] for frame in (first, *talk.events, last)}
        assert set(range(first["seq"], last["seq"])) - numbers, "there is no gap"
