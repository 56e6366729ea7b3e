"""What strangers may send to the APIs under ``/v1``: each path, each attack."""

from itertools import count

import orjson
import pytest
import trio

from beamclaw.contracts.ledger_errors import Overloaded
from beamclaw.contracts.messages import ToolCall
from tests.beamclaw.gateway.edge import TOKEN, Run, read_all, running

BODIES = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
    "/v1/responses": {"input": "hello"},
    "/v1/messages": {
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hello"}],
    },
}
paths = pytest.mark.parametrize("path", BODIES)


def told(path: str, answer) -> str:
    """The message of an error, which has the shape of its API."""
    if path == "/v1/messages":
        assert answer.json.keys() == {"type", "error"}
        assert answer.error.keys() == {"type", "message"}
    else:
        assert answer.error.keys() == {"message", "type", "param", "code"}
    return answer.error["message"]


@paths
async def test_it_answers(node, path):
    answer = await node.request("POST", path, orjson.dumps(BODIES[path]))
    assert answer.status == 200
    assert b"hello" in answer.body


@paths
async def test_nobody_gets_in_without_the_token(node, path):
    body = orjson.dumps(BODIES[path])
    answer = await node.request("POST", path, body, token=None)
    assert answer.status == 401
    assert TOKEN not in told(path, answer)
    answer = await node.request("POST", path, body, {"x-api-key": TOKEN}, token=None)
    assert answer.status == 200


@paths
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"5", b"\xff", b'{"a":1,"a":2}', b"[" * 100_000, b"NaN"],
    ids=["none", "cut", "list", "number", "bytes", "twice", "deep", "nan"],
)
async def test_a_body_that_is_no_request_is_refused_in_its_own_shape(node, path, body):
    answer = await node.request("POST", path, body)
    assert answer.status == 400
    assert told(path, answer)
    assert node.tenant.runs == []


@paths
async def test_a_body_that_is_too_large_is_refused(start, path):
    async with start(max_body_bytes=1000) as node:
        answer = await node.request("POST", path, b"x" * 2000)
        assert answer.status == 413
        assert "gateway.max_body_bytes" in told(path, answer)


@paths
async def test_a_request_may_come_byte_by_byte(node, path):
    body = orjson.dumps(BODIES[path] | {"stream": True})
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    async with await node.connect() as stream:
        with trio.fail_after(60):
            for byte in head.encode() + body:
                await stream.send_all(bytes([byte]))
            got = await read_all(stream)
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"event-stream" in got


@paths
async def test_a_full_inbox_is_said_to_be_that(node, path):
    node.tenant.refuse = Overloaded(10, 10)
    answer = await node.request("POST", path, orjson.dumps(BODIES[path]))
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert told(path, answer)


@paths
async def test_a_provider_that_was_too_busy_is_another_matter(node, path):
    async def busy(run: Run) -> None:
        run.end("error", "error", error_kind="overloaded", error="too busy")

    node.tenant.think = busy
    answer = await node.request("POST", path, orjson.dumps(BODIES[path]))
    assert answer.status == 502
    assert answer.error.get("code") in (None, "provider_overloaded")


@paths
async def test_calls_of_the_clients_tools_are_in_the_answer(node, path):
    async def ask(run: Run) -> None:
        calls = (ToolCall("c1", "weather", '{"town":"Oslo"}'),)
        run.end("ok", "tool_calls", calls=calls)

    node.tenant.think = ask
    body = BODIES[path]
    whole = await node.request("POST", path, orjson.dumps(body))
    stream = await node.request("POST", path, orjson.dumps(body | {"stream": True}))
    for answer in (whole, stream):
        assert answer.status == 200
        assert b"weather" in answer.body
        assert b"c1" in answer.body


async def test_a_response_is_of_the_second_in_which_it_came():
    body = orjson.dumps(BODIES["/v1/responses"])
    headers = {"idempotency-key": "one"}
    seconds = map(float, count(1_800_000_000))  # another one at each look
    async with running(wall=lambda: next(seconds)) as node:
        first = await node.request("POST", "/v1/responses", body, headers=headers)
        again = await node.request("POST", "/v1/responses", body, headers=headers)
    assert again.json["id"] == first.json["id"]
    (accepted,) = node.tenant.accepted.values()
    kept = orjson.loads(accepted.about)["created_at"]
    # Told now, told to who repeats the request, and told to who reads it later.
    assert first.json["created_at"] == again.json["created_at"] == kept
    assert kept == accepted.at


async def test_a_response_that_nobody_keeps_is_not_found(node):
    for method, path in (
        ("GET", "/v1/responses/resp_x"),
        ("GET", "/v1/responses/resp_x/input_items"),
        ("DELETE", "/v1/responses/resp_x"),
        ("POST", "/v1/responses/resp_x/cancel"),
    ):
        answer = await node.request(method, path)
        assert answer.status == 404
        assert "resp_x" in answer.error["message"]


async def test_tokens_are_counted_without_asking_anybody(node):
    path = "/v1/messages"
    answer = await node.request(
        "POST", f"{path}/count_tokens", orjson.dumps(BODIES[path])
    )
    assert answer.status == 200
    assert answer.json["input_tokens"] > 0
    assert node.tenant.runs == []
