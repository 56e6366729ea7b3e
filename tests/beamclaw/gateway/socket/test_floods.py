"""What is proved: however much one client wants, there is a number, and nobody else feels it."""

from contextlib import AsyncExitStack, suppress

import orjson
import pytest
import trio

from beamclaw.config.schema import SocketConfig
from tests.beamclaw.gateway.edge import TOKEN, until
from tests.beamclaw.gateway.socket.talk import connected, opened, params
from tests.beamclaw.gateway.socket.test_client import UPGRADE, gone, raw_client
from tests.conformance.websocket.frames import TEXT, frame

FEW = 3


async def test_who_does_not_say_who_he_is_has_so_many_places(start):
    numbers = SocketConfig(max_strangers=FEW)
    async with start(socket=numbers) as node, AsyncExitStack() as stack:
        talks = []
        for _ in range(FEW):
            talk = await stack.enter_async_context(opened(node.port))
            await talk.receive()
            talks.append(talk)
        refused = await node.request("GET", "/", headers=UPGRADE)
        assert (refused.status, refused.error["code"]) == (503, "too_many_strangers")
        assert refused.headers["retry-after"] == "1"
        # It is about strangers: whoever sends his token with each request is served.
        assert (await node.request("GET", "/v1/models")).status == 200
        # And a place is free again when one of them has said it.
        assert (await talks[0].call("connect", params()))["ok"]
        async with opened(node.port) as talk:
            assert (await talk.receive())["event"] == "connect.challenge"


async def test_when_the_house_is_full_a_client_is_told_so(start):
    numbers = SocketConfig(max_clients=1)
    async with start(socket=numbers) as node, connected(node.port) as first:
        async with opened(node.port) as talk:
            await talk.receive()
            error = (await talk.call("connect", params()))["error"]
            assert error["details"]["reason"] == "too-many-clients"
            assert error["retryAfterMs"] > 0
            assert (await talk.closed())[0] != 1000
        assert (await first.call("health"))["ok"]


async def test_so_many_requests_of_one_client_go_on_at_once(start):
    numbers = SocketConfig(max_requests=FEW)
    async with (
        start(socket=numbers) as node,
        connected(node.port) as talk,
        connected(node.port) as other,
    ):
        wait = {"runId": "nobody", "timeoutMs": 600_000}
        for _ in range(FEW):
            await talk.request("agent.wait", wait)
        error = (await talk.call("agent.wait", wait))["error"]
        assert error["details"]["reason"] == "too-many-requests"
        assert (await other.call("health"))["ok"]


async def test_who_asks_and_does_not_read_is_given_up(start):
    numbers = SocketConfig(max_buffered_bytes=200_000)
    async with (
        start(socket=numbers) as node,
        connected(node.port) as other,
        await raw_client(node.port) as stream,
    ):
        asked = {"type": "req", "id": "x", "method": "config.schema"}
        with suppress(trio.BrokenResourceError):
            for _ in range(100):
                await stream.send_all(frame(TEXT, orjson.dumps(asked)))
                await trio.lowlevel.checkpoint()
        await until(lambda: gone(node))
        assert [each["cause"] for each in gone(node)] == ["slow"]
        (slow,) = (e for e in node.events if e.name == "beamclaw.gateway.client.slow")
        # No more waited than there is room, but for the one answer that was too much.
        assert slow.measurements["waiting"] < 2 * 200_000
        assert (await other.call("health"))["ok"]


async def test_no_compression_is_agreed_to_so_that_none_can_be_a_bomb(start):
    deflate = {"sec-websocket-extensions": "permessage-deflate; client_max_window_bits"}
    async with start() as node:
        head = f"GET / HTTP/1.1\r\nhost: 127.0.0.1:{node.port}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in (UPGRADE | deflate).items()
        )
        async with await node.connect() as stream:
            await stream.send_all(f"{head}\r\n".encode())
            got = b""
            while b"\r\n\r\n" not in got:
                got += await stream.receive_some()
            assert got.startswith(b"HTTP/1.1 101 ")
            assert b"sec-websocket-extensions" not in got.lower()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "User-Agent": "Mozilla/5.0"},
        {"Cookie": f"token={TOKEN}", "Authorization": f"Bearer {TOKEN}"},
    ],
)
async def test_what_a_browser_adds_by_itself_lets_nobody_in(node, headers):
    given = list(headers.items())
    async with opened(node.port, extra_headers=given) as talk:
        await talk.receive()
        error = (await talk.call("connect", params(auth=...)))["error"]
        assert error["details"]["code"] == "DEVICE_IDENTITY_REQUIRED"


@pytest.mark.parametrize(
    "auth",
    [
        b'{"token":"wrong","token":"%s"}' % TOKEN.encode(),
        b'{"token":"%s","token":"wrong"}' % TOKEN.encode(),
        b'{"token":["%s"]}' % TOKEN.encode(),
        b'{"token":{"$ne":null}}',
        b'{"token":null}',
        b'{"token":true}',
        b'"%s"' % TOKEN.encode(),
    ],
)
async def test_a_secret_is_a_text_that_stands_once(node, auth):
    whole = orjson.dumps(
        {
            "type": "req",
            "id": "1",
            "method": "connect",
            "params": params(auth="SECRET"),
        }
    ).replace(b'"SECRET"', auth)
    async with opened(node.port) as talk:
        await talk.receive()
        await talk.send(whole.decode())
        code, reason = await talk.closed()
        assert code == 1008 or (code, reason) == (1000, "")
        assert not [each for each in talk.events if each.get("ok")]


@pytest.mark.parametrize(
    "auth",
    [
        {"token": TOKEN, "password": "wrong"},
        {"token": "wrong", "password": TOKEN},
        {"token": "wrong"},
        {"token": TOKEN[:-1]},
        {"token": f"{TOKEN} "},
        {"password": "wrong"},
    ],
)
async def test_wrong_secrets_are_all_refused_in_the_same_words(node, auth):
    async with opened(node.port) as talk:
        await talk.receive()
        error = (await talk.call("connect", params(auth=auth)))["error"]
        assert error["details"]["code"] == "AUTH_TOKEN_MISMATCH"
        assert error["message"] == (
            "unauthorized: gateway token mismatch (it is not the one of this gateway)"
        )
