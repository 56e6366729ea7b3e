"""Paths, headers and bad bodies over real sockets."""

import gzip

import orjson
import pytest
import trio
from werkzeug.routing import Rule

import supervision
from beamclaw.contracts import names
from beamclaw.gateway.app import GatewayApp
from supervision.testing import settle
from tests.beamclaw.gateway.edge import TOKEN, user


def doubled() -> bytes:
    return orjson.dumps(user("hello")).replace(b"{", b'{"model":"openclaw",', 1)


# --- health


@pytest.mark.parametrize("path", ["/healthz", "/health"])
async def test_whoever_asks_is_told_that_the_node_lives(node, path):
    answer = await node.request("GET", path, token=None)
    assert answer.status == 200
    assert answer.json == {"ok": True, "status": "live"}


@pytest.mark.parametrize("path", ["/readyz", "/ready"])
async def test_it_is_ready_when_the_tenant_is_there(node, path):
    answer = await node.request("GET", path, token=None)
    assert answer.status == 200
    assert answer.json["ready"] is True
    assert answer.json["failing"] == []
    assert answer.json["uptimeMs"] >= 0


@pytest.mark.parametrize("name", ["default/ledger", "default/sessions", "bus"])
async def test_it_is_not_ready_while_a_needed_part_is_down(node, name):
    ready = await node.request("GET", "/readyz", token=None)
    assert ready.status == 200
    supervision.unregister(name)
    answer = await node.request("GET", "/readyz", token=None)
    assert answer.status == 503
    assert answer.json["failing"] == [name]
    assert (await node.request("GET", "/startupz", token=None)).status == 200


async def test_the_lag_of_the_loop_is_told_if_somebody_watches_it(node):
    figures = {"tasksLiving", "tasksRunnable"}
    answer = await node.request("GET", "/readyz", token=None)
    assert set(answer.json["eventLoop"]) == figures
    supervision.spawn(supervision.Watchdog, name=names.WATCHDOG)
    await settle()
    answer = await node.request("GET", "/readyz", token=None)
    loop = answer.json["eventLoop"]
    assert set(loop) == figures | {"lagMs", "worstLagMs"}
    assert 0 <= loop["lagMs"] < 10_000


async def test_before_it_was_ever_ready_it_is_starting(start):
    async with start(tenant_up=False) as node:
        answer = await node.request("GET", "/readyz", token=None)
        assert answer.json["failing"] == [
            "starting",
            "default/ledger",
            "default/sessions",
        ]
        assert (await node.request("GET", "/startupz", token=None)).status == 503
        assert (await node.request("GET", "/healthz", token=None)).status == 200


# --- pages


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/healthz"),
        ("GET", "/"),
        ("GET", "/v1/models"),
        ("GET", "/nothing"),
        ("POST", "/v1/chat/completions"),
    ],
)
async def test_every_answer_has_the_headers_that_protect_it(node, method, path):
    answer = await node.request(method, path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "content-security-policy" in answer.headers
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/healthz", 405),
        ("GET", "/v1/models/gpt-4o", 404),
        ("GET", "/static/../secret", 404),
        ("GET", "/%2e%2e/%00", 404),
        ("GET", "//evil.example", 404),
        ("HEAD", "/healthz", 200),
    ],
)
async def test_paths_that_lead_nowhere_say_so(node, method, path, status):
    answer = await node.request(method, path)
    assert answer.status == status
    if status != 200:
        assert answer.error["message"]


# --- who may ask


def test_a_path_costs_no_program_that_nobody_runs(monkeypatch):
    """It would be most of what the gateway does at start."""
    compiled: list[object] = []
    monkeypatch.setattr(Rule, "_get_func_code", lambda *asked: compiled.append(asked))
    app = GatewayApp(__name__, static_folder=None, template_folder=None)

    async def answer(name: str) -> str:
        return name

    app.add_url_rule("/some/<path:name>", view_func=answer)

    found, arguments = app.url_map.bind("here").match("/some/name/or/other")
    assert (found, arguments) == ("answer", {"name": "name/or/other"})
    assert compiled == []


async def test_without_a_token_nothing_but_health_is_told(node):
    for path in ("/v1/models", "/v1/chat/completions", "/nothing"):
        answer = await node.request("GET", path, token=None)
        assert answer.status == 401
        assert answer.error["type"] == "unauthorized"
        assert answer.headers["www-authenticate"] == 'bearer realm="beamclaw"'


async def test_a_token_in_the_address_is_refused_and_repeated_nowhere(node):
    answer = await node.request("GET", f"/v1/models?token={TOKEN}", token=None)
    assert answer.status == 401
    assert TOKEN.encode() not in answer.body
    assert not any(TOKEN in repr(event) for event in node.events)


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example", "x-forwarded-host": "localhost"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_foreign_names_and_pages_are_turned_away(node, headers, status):
    answer = await node.post(user("hello"), headers)
    assert answer.status == status
    assert node.tenant.inbounds == []


async def test_a_page_of_an_admitted_origin_may_read_the_answer(start):
    origin = "https://chat.example.org"
    async with start(origins=(origin,)) as node:
        asked = {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, content-type",
        }
        path = "/v1/chat/completions"
        allowed = await node.request("OPTIONS", path, b"", asked, token=None)
        answer = await node.post(user("hello"), {"origin": origin})
        foreign = await node.request("OPTIONS", path, b"", asked | {"origin": "x"})
    assert allowed.status == 204
    assert allowed.headers["access-control-allow-origin"] == origin
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    assert "POST" in allowed.headers["access-control-allow-methods"].upper()
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert foreign.status == 403


async def test_where_nobody_needs_a_token_none_is_asked_for(start):
    async with start(auth="none") as node:
        answer = await node.request("GET", "/v1/models", token=None)
    assert answer.status == 200


# --- bad bodies


@pytest.mark.parametrize(
    "body, words",
    [
        (b"", "empty"),
        (b"hello", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"messages": "\xff"}', "not valid UTF-8"),
        (b'{"temperature": NaN}', "not valid JSON"),
        (b'{"a":' * 10_000, "64 levels"),
        (doubled(), "stands twice"),
        (orjson.dumps(user("")), "empty"),
        (b'{"messages": []}', "at least one message"),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_400_in_words(node, body, words):
    answer = await node.post(body)
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert words in answer.error["message"]
    assert node.tenant.inbounds == []


async def test_an_unknown_agent_is_a_400_that_names_the_known_ones(node):
    answer = await node.post(user("hello", model="openclaw/eve"))
    assert answer.status == 400
    assert "openclaw/bob" in answer.error["message"]
    answer = await node.post(user("hello"), {"x-openclaw-model": "nowhere/x"})
    assert answer.status == 400
    assert answer.error["code"] == "model_not_found"


async def test_a_large_body_is_read_away_from_the_loop(node):
    answer = await node.post(user("x" * 300_000))
    assert answer.status == 200
    assert len(answer.json["choices"][0]["message"]["content"]) == 300_000


async def test_a_compressed_body_is_not_looked_into(node):
    bomb = gzip.compress(b"0" * 10_000_000)
    answer = await node.post(bomb, {"content-encoding": "gzip"})
    assert answer.status == 415


async def test_a_body_that_is_no_json_by_its_own_account_is_refused(node):
    answer = await node.post(user("hello"), {"content-type": "text/plain"})
    assert answer.status == 415


@pytest.mark.parametrize("framing", ["length", "chunked", "expect"])
async def test_a_body_that_is_too_large_is_refused_before_it_is_read(start, framing):
    async with start(max_body_bytes=100_000) as node, await node.connect() as stream:
        lines = {
            "length": "Content-Length: 1000000000",
            "chunked": "Transfer-Encoding: chunked",
            "expect": "Content-Length: 1000000000\r\nExpect: 100-continue",
        }[framing]
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\r\n"
        )
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        await stream.send_all(head.encode())
        if framing != "expect":
            for _ in range(3):
                await stream.send_all(piece)
        with trio.fail_after(60):
            got = await stream.receive_some()
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"gateway.max_body_bytes" in got


async def test_a_client_that_waits_is_told_to_send_its_body(node):
    body = orjson.dumps(user("hello"))
    async with await node.connect() as stream:
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\r\n"
        )
        await stream.send_all(head.encode())
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(body)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_headers_that_are_too_large_are_refused(node):
    answer = await node.request("GET", "/healthz", b"", {"x": "y" * 70_000})
    assert answer.status == 431
