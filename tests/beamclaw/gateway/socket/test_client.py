"""What is proved: a client over a real socket is greeted, answered, told and refused."""

from contextlib import suppress

import orjson
import pytest
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import Request, TextMessage

from beamclaw.config.schema import SocketConfig
from tests.beamclaw.gateway.edge import TOKEN, until
from tests.beamclaw.gateway.socket.talk import (
    CLIENT,
    UI,
    connected,
    opened,
    params,
)


async def test_a_client_is_greeted(node):
    async with connected(node.port, scopes=["operator.read"]) as talk:
        hello = talk.hello
        assert hello["type"] == "hello-ok"
        assert hello["protocol"] == 4
        assert hello["auth"] == {"role": "operator", "scopes": ["operator.read"]}
        assert "health" in hello["features"]["methods"]
        assert "tick" in hello["features"]["events"]
        assert hello["snapshot"]["sessionDefaults"]["mainSessionKey"] == (
            "agent:main:main"
        )
        assert hello["policy"]["maxPayload"] == 25 * 1024 * 1024
        health = await talk.event("health")
        assert health["seq"] == 1
        assert health["payload"]["ok"] is True


async def test_a_method_is_answered(node):
    async with connected(node.port) as talk:
        answer = await talk.call("health")
        assert answer["ok"]
        assert answer["payload"]["ok"] is True
        assert [agent["agentId"] for agent in answer["payload"]["agents"]] == [
            "main",
            "bob",
        ]


async def test_any_path_is_fine_and_a_token_in_it_says_nothing(node):
    async with opened(node.port, f"/x?token={TOKEN}") as talk:
        await talk.receive()
        answer = await talk.call("connect", params(auth=...))
        assert answer["error"]["details"]["code"] == "DEVICE_IDENTITY_REQUIRED"
        assert await talk.closed() == (1008, "device identity required")


@pytest.mark.parametrize(
    "first, error, close",
    [
        (params(auth=...), ("NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED"), 1008),
        (params(auth={}), ("NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED"), 1008),
        (
            params(auth={"token": "wrong"}),
            ("INVALID_REQUEST", "AUTH_TOKEN_MISMATCH"),
            1008,
        ),
        (
            params(auth={"password": "wrong"}),
            ("INVALID_REQUEST", "AUTH_TOKEN_MISMATCH"),
            1008,
        ),
        (
            params(minProtocol=3, maxProtocol=3),
            ("INVALID_REQUEST", "PROTOCOL_MISMATCH"),
            1002,
        ),
        (params(client=CLIENT | {"id": "x"}), ("INVALID_REQUEST", None), 1008),
        (params(role="node"), ("NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED"), 1008),
    ],
)
async def test_who_is_refused(node, first, error, close):
    async with opened(node.port) as talk:
        await talk.receive()
        answer = await talk.call("connect", first)
        assert answer["ok"] is False
        details = answer["error"].get("details", {})
        assert (answer["error"]["code"], details.get("code")) == error
        code, reason = await talk.closed()
        assert code == close
        assert answer["error"]["message"].startswith(reason)


@pytest.mark.parametrize(
    "first, close",
    [
        ("hello", (1000, "")),
        ("[]", (1008, "invalid request frame")),
        (
            '{"type":"req","id":"1","method":"health"}',
            (1008, "invalid handshake: first request must be connect"),
        ),
        (b"\x00", (1003, "text frames only")),
        ("x" * (64 * 1024 + 1), (1009, "message too large")),
    ],
)
async def test_what_is_no_beginning(node, first, close):
    async with opened(node.port) as talk:
        await talk.receive()
        await talk.send(first)
        assert await talk.closed() == close


async def test_who_says_nothing_is_cut_off(start):
    async with (
        start(socket=SocketConfig(handshake_timeout=0.05)) as node,
        opened(node.port) as talk,
    ):
        assert await talk.closed() == (1008, "handshake timeout")


@pytest.mark.parametrize(
    "scopes, method, given, error",
    [
        (["operator.admin"], "no.such", None, "unknown method: no.such"),
        (["operator.admin"], "connect", {}, "unknown method: connect"),
        (["operator.read"], "no.such", None, "missing scope: operator.admin"),
        (["operator.read"], "connect", {}, "missing scope: operator.admin"),
        ([], "health", None, "missing scope: operator.read"),
        (["operator.admin"], "health", {"x": 1}, "invalid health params: there is no"),
        (["operator.admin"], "health", 3, "invalid health params: expected an object"),
    ],
)
async def test_a_refused_request_leaves_the_client_connected(
    node, scopes, method, given, error
):
    async with connected(node.port, scopes=scopes) as talk:
        answer = await talk.call(method, given)
        assert answer["ok"] is False
        assert answer["error"]["message"].startswith(error)
        again = await talk.call(method, given)
        assert again["error"] == answer["error"]


async def test_after_the_greeting_what_is_no_json_is_passed_over(node):
    async with connected(node.port) as talk:
        await talk.send("hello")
        await talk.send('{"type":"req","id":"7"}')
        answer = await talk.answer("7")
        assert answer["error"]["message"].startswith(
            "invalid request frame: at /method"
        )
        assert (await talk.call("health"))["ok"]


async def test_events_are_numbered_without_gaps(node):
    async with connected(node.port, client=UI) as talk:
        async with connected(node.port, client=UI):
            present = await talk.event(
                "presence", lambda payload: len(payload["presence"]) == 2
            )
        before, talk.events = talk.events, []
        gone = await talk.event(
            "presence", lambda payload: len(payload["presence"]) == 1
        )
        numbers = [each["seq"] for each in (*before, *talk.events, present, gone)]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        assert gone["stateVersion"]["presence"] > present["stateVersion"]["presence"]


async def test_who_comes_for_one_question_is_not_listed(node):
    async with connected(node.port) as talk, connected(node.port, client=UI):
        there = (await talk.call("system-presence"))["payload"]
        assert [entry["mode"] for entry in there] == ["ui"]
        assert there[0]["host"] == "openclaw-linux"


async def test_a_client_hears_from_the_node_when_nothing_happens(start):
    numbers = SocketConfig(tick_seconds=0.02)
    async with start(socket=numbers) as node, connected(node.port) as talk:
        for _ in range(3):
            assert (await talk.event("tick"))["payload"]["ts"] > 0


async def test_a_client_that_does_not_answer_a_ping_is_given_up(start):
    async with (
        start(socket=SocketConfig(ping_seconds=0.05)) as node,
        await raw_client(node.port) as stream,
    ):
        await until(lambda: gone(node))
        assert gone(node)[0]["cause"] == "silent"
        with trio.fail_after(60), suppress(trio.BrokenResourceError):
            while await stream.receive_some(65536):
                pass


def gone(node):
    return [
        event.metadata
        for event in node.events
        if event.name == "beamclaw.gateway.client.gone"
    ]


async def raw_client(port: int) -> trio.SocketStream:
    """A client that is let in and never answers anything."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    ws = WSConnection(ConnectionType.CLIENT)
    await stream.send_all(ws.send(Request(host=f"127.0.0.1:{port}", target="/")))
    seen = b""
    while b"connect.challenge" not in seen:
        data = await stream.receive_some(65536)
        seen += data
        ws.receive_data(data)
        list(ws.events())
    frame = {"type": "req", "id": "1", "method": "connect", "params": params()}
    await stream.send_all(ws.send(TextMessage(orjson.dumps(frame).decode())))
    return stream


async def test_a_client_may_say_good_bye(node):
    async with connected(node.port) as talk:
        await talk.socket.aclose(4000, "done")
        assert talk.socket.closed is not None
        assert talk.socket.closed.code == 4000
    await until(lambda: node.now.connections == 0)


async def test_a_web_page_of_somebody_else_gets_no_socket(node):
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{node.port}.x"):
        answer = await node.request("GET", "/", headers=UPGRADE | {"origin": origin})
        assert answer.status == 403
    own = f"http://127.0.0.1:{node.port}"
    async with opened(node.port, extra_headers=[("Origin", own)]) as talk:
        assert (await talk.receive())["event"] == "connect.challenge"


UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"host": "evil.example"}, 421),
        ({"sec-websocket-version": "8"}, 426),
        ({"sec-websocket-version": ""}, 426),
        ({"sec-websocket-key": "short"}, 400),
        ({"sec-websocket-key": "ä" * 16}, 400),
        ({"sec-websocket-key": ""}, 400),
        ({"content-length": "3"}, 400),
        ({"transfer-encoding": "chunked"}, 400),
    ],
)
async def test_a_request_that_is_no_good_gets_no_socket(node, headers, status):
    answer = await node.request("GET", "/", headers=UPGRADE | headers)
    assert answer.status == status
    await until(lambda: node.now.connections == 0)


async def test_an_upgrade_to_something_else_is_passed_over(node):
    answer = await node.request(
        "GET",
        "/healthz",
        headers=UPGRADE | {"upgrade": "h2c", "connection": "upgrade, close"},
    )
    assert answer.status == 200
    only = {"connection": "close", "upgrade": "websocket"}
    assert (await node.request("GET", "/healthz", headers=only)).status == 200
