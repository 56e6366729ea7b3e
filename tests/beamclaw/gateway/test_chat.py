"""Chat completions over real sockets, by OpenAI's own client where that can do it."""

import openai
import orjson
import pytest
import trio

from beamclaw.contracts.gateway import drain
from beamclaw.contracts.ledger_errors import Overloaded
from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.contracts.messages import Image, Text
from beamclaw.contracts.sessions import Delta, Joined, Reset
from tests.beamclaw.gateway.edge import (
    TOKEN,
    Answer,
    Run,
    events,
    kill,
    read_all,
    until,
    user,
)

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def hang(run: Run) -> None:
    """Say something and never end."""
    run.say("so ")
    run.tenant.said.set()
    await trio.sleep_forever()


async def join(run: Run) -> None:
    """Go on in another run, and never end."""
    other = RunRow(run_id="other", session_key=run.inbound.session_key, state="running")
    run.tenant.rows["other"] = other
    run.publish(Joined(run.run_id, "other"))
    run.tenant.said.set()
    await trio.sleep_forever()


async def fail_with(run: Run, kind: str, text: str = "") -> None:
    if text:
        run.say(text)
    run.end("error", "error", error_kind=kind, error=f"in words: {kind}")


def said(chunks) -> str:
    deltas = (c.choices[0].delta.content or "" for c in chunks if c.choices)
    return "".join(deltas)


# --- with the official client


async def test_an_answer_comes_whole(node):
    answer = await node.ask("hello")
    assert answer.choices[0].message.content == "hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id.startswith("chatcmpl_")
    assert answer.id == node.tenant.runs[0].run_id
    assert answer.model == "openclaw"
    assert answer.usage.total_tokens == 10


async def test_an_answer_is_streamed_piece_by_piece(node):
    chunks = await node.ask(
        "hello", stream=True, stream_options={"include_usage": True}
    )
    first, *_, last, usage = chunks
    assert first.choices[0].delta.role == "assistant"
    assert said(chunks) == "hello"
    assert last.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage.prompt_tokens == 7
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert {(c.id, c.created, c.model) for c in chunks} == {
        (first.id, first.created, "openclaw")
    }


async def test_models_are_listed(node):
    client = node.client()

    def work():
        with client:
            names = [model.id for model in client.models.list()]
            return names, client.models.retrieve("openclaw/bob").id

    names, one = await trio.to_thread.run_sync(work)
    assert names == ["openclaw", "openclaw/default", "openclaw/main", "openclaw/bob"]
    assert one == "openclaw/bob"


async def test_a_wrong_token_is_an_authentication_error(node):
    with pytest.raises(openai.AuthenticationError) as caught:
        await node.ask("hello", options={"api_key": "wrong"})
    assert caught.value.type == "unauthorized"
    assert node.tenant.inbounds == []


async def test_an_error_within_a_stream_reaches_the_client(node):
    async def think(run):
        await fail_with(run, "network", "half an ans")

    node.tenant.think = think
    with pytest.raises(openai.APIError, match="in words: network"):
        await node.ask("hello", stream=True)


@pytest.mark.parametrize(
    "kind, error, status, retry",
    [
        ("auth", openai.InternalServerError, 502, "false"),
        ("network", openai.InternalServerError, 502, None),
        ("rate_limit", openai.RateLimitError, 429, None),
        ("context_length", openai.BadRequestError, 400, None),
    ],
)
async def test_a_failed_turn_is_an_error_of_its_class(node, kind, error, status, retry):
    async def think(run):
        await fail_with(run, kind)

    node.tenant.think = think
    with pytest.raises(error, match=f"in words: {kind}") as caught:
        await node.ask("hello")
    assert caught.value.status_code == status
    assert caught.value.response.headers.get("x-should-retry") == retry


# --- sessions


@pytest.mark.parametrize(
    "headers, body, agent, key",
    [
        ({}, {"user": "ann@example.org"}, "main", "openai-user:ann@example.org"),
        ({"x-openclaw-session-key": "main"}, {"user": "ann"}, "main", "main"),
        ({"x-openclaw-agent-id": "bob"}, {"user": "ann"}, "bob", "openai-user:ann"),
        ({"x-openclaw-session-key": "agent:bob:main"}, {}, "bob", "main"),
    ],
)
async def test_a_named_session_is_lasting(node, headers, body, agent, key):
    answer = await node.post(user("hello", **body), headers)
    assert answer.status == 200
    (inbound,) = node.tenant.inbounds
    assert inbound.session_key == f"agent:{agent}:{key}"
    assert inbound.agent == agent
    assert not inbound.ephemeral


async def test_without_a_name_each_request_has_a_session_of_its_own(node):
    await node.post(user("hello"))
    await node.post(user("hello"))
    one, other = node.tenant.inbounds
    assert one.session_key.startswith("agent:main:openai:")
    assert one.session_key != other.session_key
    assert one.ephemeral


async def test_all_messages_and_parameters_are_handed_over(node):
    body = {
        "model": "agent:bob",
        "messages": [
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this?"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/png;base64,aGk="},
                    },
                ],
            },
        ],
        "max_tokens": 5,
        "temperature": 0.5,
        "stop": "END",
        "unheard_of": {"x": 1},
    }
    answer = await node.post(body, {"x-openclaw-model": "demo"})
    assert answer.status == 200
    (inbound,) = node.tenant.inbounds
    assert [m.role for m in inbound.messages] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert inbound.messages[-1].parts == (
        Text("what is this?"),
        Image(data="aGk=", media_type="image/png"),
    )
    assert inbound.params.max_tokens == 5
    assert inbound.params.stop == ("END",)
    assert inbound.model == "demo"
    assert inbound.retractable


async def test_a_stream_cannot_take_back_what_it_showed(node):
    await node.post(user("hello", stream=True))
    assert not node.tenant.inbounds[0].retractable


# --- idempotency


async def test_the_same_idempotency_key_joins_the_same_run(node):
    key = {"Idempotency-Key": "k1"}
    one = await node.post(user("hello"), key)
    other = await node.post(user("hello"), key)
    assert one.json == other.json
    assert len(node.tenant.runs) == 1


async def test_a_run_in_progress_is_joined_with_the_text_it_has(node):
    go_on = trio.Event()

    async def think(run):
        run.say("one ")
        await go_on.wait()
        run.say("two")
        run.end()

    node.tenant.think = think
    key = {"Idempotency-Key": "k1"}
    answers = []

    async def post():
        answers.append(await node.post(user("hello", stream=True), key))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(post)
        nursery.start_soon(post)
        await until(lambda: node.now.streams == 2)
        go_on.set()
    assert len(node.tenant.runs) == 1
    for answer in answers:
        chunks = events(answer.body)
        assert chunks.pop() == "[DONE]"
        deltas = [c["choices"][0]["delta"].get("content", "") for c in chunks]
        assert "".join(deltas) == "one two"


async def test_an_idempotency_key_for_another_message_is_a_conflict(node):
    key = {"Idempotency-Key": "k1"}
    await node.post(user("hello"), key)
    answer = await node.post(user("goodbye"), key)
    assert answer.status == 409
    assert answer.error["code"] == "idempotency_conflict"
    assert answer.headers["x-should-retry"] == "false"


# --- acknowledgement


async def test_the_first_byte_comes_when_the_message_is_kept_and_no_earlier(node):
    node.tenant.think = hang
    with trio.CancelScope() as scope:
        async with await node.connect() as stream:
            await stream.send_all(raw(node, user("hello", stream=True)))
            got = await stream.receive_some()
            assert len(node.tenant.accepted) == 1
            assert got.startswith(b"HTTP/1.1 200")
            assert b'"role":"assistant"' in got
            scope.cancel()


async def test_overload_is_said_at_once_with_a_time(node):
    node.tenant.refuse = Overloaded(5, 5)
    answer = await node.post(user("hello", stream=True))
    assert answer.status == 429
    assert answer.headers["retry-after"] == "1"


# --- leaving


def raw(node, body, **headers) -> bytes:
    data = orjson.dumps(body)
    more = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:{node.port}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n{more}\r\n"
    ).encode() + data


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_takes_its_own_turn_along(node, stream):
    node.tenant.think = hang
    async with await node.connect() as connected:
        await connected.send_all(raw(node, user("hello", stream=stream)))
        await node.begun()
    with trio.fail_after(60):
        await node.tenant.runs[0].aborted.wait()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "fields, headers",
    [({"user": "ann"}, {}), ({}, {"Idempotency-Key": "k1"})],
    ids=["lasting", "with a key"],
)
async def test_a_client_that_may_come_back_only_detaches(node, stream, fields, headers):
    node.tenant.think = hang
    async with await node.connect() as connected:
        body = user("hello", stream=stream, **fields)
        await connected.send_all(raw(node, body, **headers))
        await node.begun()
    await until(lambda: not node.now.requests)
    assert not node.tenant.runs[0].aborted.is_set()


async def test_a_client_that_leaves_is_noticed_even_if_it_sent_more_before(node):
    node.tenant.think = hang
    async with await node.connect() as connected:
        request = raw(node, user("hello"))
        await connected.send_all(request + request)
        await node.begun()
    with trio.fail_after(60):
        await node.tenant.runs[0].aborted.wait()


# --- while waiting


async def test_a_stream_on_which_nothing_happens_gets_comments(start):
    go_on = trio.Event()

    async def think(run):
        await go_on.wait()
        run.say("hello")
        run.end()

    async with start(heartbeat_seconds=0.02) as node:
        node.tenant.think = think
        async with await node.connect() as stream:
            await stream.send_all(raw(node, user("hello", stream=True)))
            got = b""
            while got.count(b": waiting\n\n") < 2:
                got += await stream.receive_some()
            go_on.set()
            while b"[DONE]" not in got:
                got += await stream.receive_some()


async def test_so_does_one_whose_message_another_run_has_joined(start):
    async with start(heartbeat_seconds=0.02) as node:
        node.tenant.think = join
        async with await node.connect() as stream:
            await stream.send_all(raw(node, user("hello", stream=True)))
            await node.tenant.said.wait()
            got = b""
            while got.count(b": waiting\n\n") < 5:
                got += await stream.receive_some()


async def test_many_pieces_that_wait_leave_in_one_write(node):
    async def think(run):
        for _ in range(50):
            run.say("x")
        run.end()

    node.tenant.think = think
    chunks = await node.ask("hello", stream=True)
    assert said(chunks) == "x" * 50


# --- deaths behind the edge


async def test_a_tenant_that_restarts_in_mid_answer_is_waited_for(node):
    go_on = trio.Event()

    async def think(run):
        run.say("one ")
        await go_on.wait()
        # Nobody may have heard this: the subscription lost it.
        run.text += "two "
        run.publish(Delta(run.run_id, 1, 100, "gap"))
        run.say("three")
        run.end()

    node.tenant.think = think
    answers = []

    async def ask():
        answers.append(await node.ask("hello", stream=True))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await node.begun()
        await kill("default/sessions")
        await kill("default/ledger")
        go_on.set()
    assert said(answers[0]) == "one two three"


async def test_a_tenant_that_is_down_is_tried_again_under_the_same_id(node):
    await kill("default/ledger")
    answer = await node.ask("hello")
    assert answer.choices[0].message.content == "hello"


async def test_without_a_tenant_the_answer_is_503(start, autojump_clock):
    async with start(tenant_up=False) as node:
        answer = await node.post(user("hello"))
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"


async def test_an_answer_begun_anew_ends_a_stream_with_an_error(node):
    async def think(run):
        run.say("one")
        run.attempt, run.text = 2, ""
        run.publish(Reset(run.run_id, 2))
        run.say("other")
        run.end()

    node.tenant.think = think
    answer = await node.post(user("hello", stream=True))
    *_, last = events(answer.body)
    assert last["error"]["code"] == "answer_restarted"


async def test_an_answer_begun_anew_is_fine_where_nothing_was_shown(node):
    async def think(run):
        run.say("one")
        run.attempt, run.text = 2, ""
        run.publish(Reset(run.run_id, 2))
        run.say("other")
        run.end()

    node.tenant.think = think
    answer = await node.post(user("hello"))
    assert answer.json["choices"][0]["message"]["content"] == "other"


async def test_a_turn_that_somebody_stops_ends_with_an_error_not_to_be_tried_again(
    node,
):
    async def think(run):
        run.say("so far")
        run.end("aborted", "aborted")

    node.tenant.think = think
    answer = await node.post(user("hello"))
    assert answer.status == 409
    assert answer.headers["x-should-retry"] == "false"


# --- drain


async def test_a_drain_waits_for_open_streams(node):
    go_on = trio.Event()

    async def think(run):
        await go_on.wait()
        run.say("done")
        run.end()

    node.tenant.think = think
    results = {}

    async def ask():
        results["chunks"] = await node.ask("hello", stream=True)

    async def end():
        results["drained"] = await drain(30)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await node.begun()
        nursery.start_soon(end)
        await until(lambda: not node.now.intake)
        refused = await node.post(user("another"))
        ready = await node.request("GET", "/readyz")
        go_on.set()
    assert results["drained"]
    assert said(results["chunks"]) == "done"
    assert refused.status == 503
    assert refused.headers["retry-after"] == "5"
    assert refused.headers["connection"] == "close"
    assert ready.status == 503
    assert ready.json["failing"] == ["draining"]


@pytest.mark.parametrize("think", [hang, join])
@pytest.mark.parametrize("stream", [True, False])
async def test_after_the_deadline_open_requests_get_a_last_word(node, stream, think):
    node.tenant.think = think
    answers = []

    async def ask():
        answers.append(await node.post(user("hello", stream=stream)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await node.begun()
        await node.tenant.said.wait()
        assert not await drain(0)
    (answer,) = answers
    if stream:
        assert events(answer.body)[-1]["error"]["code"] == "draining"
        assert answer.body.endswith(b"0\r\n\r\n")
    else:
        assert answer.status == 503
        assert answer.error["code"] == "draining"
    assert not node.tenant.runs[0].aborted.is_set()


async def test_a_drain_closes_connections_whose_request_is_answered(node):
    async with await node.connect() as idle:
        await idle.send_all(HEALTHZ)
        await idle.receive_some()
        await until(lambda: node.now.waiting == 1)
        assert await drain(1)
        with trio.fail_after(60):
            assert await idle.receive_some() == b""


@pytest.mark.parametrize("before", [b"", HEALTHZ[:9]], ids=["silent", "half a head"])
async def test_a_request_on_its_way_when_a_drain_begins_is_answered(node, before):
    async with await node.connect() as stream:
        if before:
            await stream.send_all(before)
        await until(lambda: node.now.waiting == 1)
        assert await drain(1)
        await stream.send_all(HEALTHZ[len(before) :])
        with trio.fail_after(60):
            raw = await read_all(stream)
    answer = Answer.of(raw)
    assert answer.status == 200
    assert answer.headers["connection"] == "close"


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "lines, kept",
    [
        (["traceparent: {}"], (PARENT, "")),
        (
            ["TraceParent: {}", "TraceState: a=1", "tracestate: b=2,c=3"],
            (PARENT, "a=1,b=2,c=3"),
        ),
        # Of two parents nobody knows which is meant.
        (["traceparent: {}", "traceparent: {}", "tracestate: a=1"], ("", "")),
    ],
)
async def test_what_a_request_says_of_its_trace_is_kept(node, lines, kept):
    body = orjson.dumps(
        {"model": "openclaw", "messages": [{"role": "user", "content": "a"}]}
    )
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {TOKEN}",
        "Content-Type: application/json",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *(line.format(PARENT) for line in lines),
    ]
    async with await node.connect() as stream:
        await stream.send_all("\r\n".join([*head, "", ""]).encode() + body)
        assert Answer.of(await read_all(stream)).status == 200
    (inbound,) = node.tenant.inbounds
    assert (inbound.traceparent, inbound.tracestate) == kept
