"""One request is followed through gateway, turn, models and tools, by a collector."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from beamclaw.testing.fake_openai import FakeOpenAI, Fault, Reply, Tool, fake_openai
from tests.support.collector import Collector, collecting, decoded
from tests.support.node import Node, open_node
from tests.support.wire import once

pytestmark = pytest.mark.slow

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KEPT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
# Spans of a turn that looks into its folder: message, turn, tool, and two calls of a
# model with a request each.
WHOLE = 7


# Whoever is asked again is so at once.
QUICK = {"providers": {"openai": {"api": "openai", "retry_first": 0.05}}}


def looks(body: dict[str, Any]) -> Reply:
    """Looks into its folder, then says so."""
    if body["messages"][-1]["role"] == "tool":
        return Reply(text="It is empty.")
    call = Tool(id="call_1", name="ls", arguments=('{"path": "."}',))
    return Reply(text="One moment. ", tools=(call,))


def named(collector: Collector, word: str) -> list[dict[str, Any]]:
    """Spans whose name begins with *word*."""
    return [span for span in collector.spans if span["name"].split()[0] == word]


def children(collector: Collector, above: dict[str, Any]) -> list[dict[str, Any]]:
    below = [s for s in collector.spans if s.get("parentSpanId") == above["spanId"]]
    return sorted(below, key=lambda span: int(span["startTimeUnixNano"]))


def headers(fake: FakeOpenAI) -> list[tuple[Any, Any]]:
    """What the provider was told of the trace, request by request."""
    return [
        (entry.headers.get("traceparent"), entry.headers.get("tracestate"))
        for entry in fake.ledger
    ]


@asynccontextmanager
async def opened(
    folder: Path,
    url: str,
    *,
    answer: Callable[[dict[str, Any]], Reply] = looks,
    config: Mapping[str, Any] = QUICK,
    log: str = "debug",
    **more: Any,
) -> AsyncIterator[tuple[Node, FakeOpenAI]]:
    file = folder / "beamclaw.yaml"
    otlp = {
        "endpoint": url,
        "headers": {"x-key": "canary-of-the-collector"},
        "interval": 0.05,
        **more,
    }
    async with fake_openai(answer=answer) as fake:
        given = {"telemetry": {"otlp": otlp}, "logging": {"level": log}, **config}
        file.write_text(json.dumps(given))
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"}
        options = ["--config", str(file)]
        async with open_node(
            folder / "data", env=env, options=options, wait=90.0
        ) as node:
            yield node, fake


async def test_a_turn_with_a_tool_is_one_tree_below_the_step_of_who_asked(tmp_path):
    async with (
        collecting() as collector,
        opened(tmp_path, collector.url) as (node, fake),
    ):
        answer = await node.complete("What is there?", {**KEPT, "tracestate": STATE})
        assert answer.status == 200
        await collector.wait(WHOLE)
        figures = (await node.get("/metrics")).body.decode()
        await node.stop()

    spans = {span["name"]: span for span in collector.spans}
    top, turn = spans["message http"], spans["invoke_agent main"]
    assert {span["traceId"] for span in collector.spans} == {TRACE}
    assert {span["traceState"] for span in collector.spans} == {STATE}
    assert top["parentSpanId"] == SPAN
    assert turn["parentSpanId"] == top["spanId"]
    below = children(collector, turn)
    assert [s["name"].split()[0] for s in below] == ["chat", "execute_tool", "chat"]
    assert len({span["spanId"] for span in collector.spans}) == WHOLE
    for span in (turn, *below):
        begun, ended = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        assert int(top["startTimeUnixNano"]) <= begun
        assert ended <= int(top["endTimeUnixNano"])
    # What went out stands for the step that it was sent by, and nothing else.
    sent_by = [span for call in below for span in children(collector, call)]
    assert [span["name"] for span in sent_by] == ["POST", "POST"]
    assert headers(fake) == [
        (f"00-{TRACE}-{span['spanId']}-01", STATE) for span in sent_by
    ]

    first, tool, _ = (span["attributes"] for span in below)
    assert first["gen_ai.operation.name"] == "chat"
    assert first["gen_ai.provider.name"] == "openai"
    assert first["gen_ai.request.model"] == "gpt-5.4-mini"
    assert first["gen_ai.usage.input_tokens"] > 0
    assert first["gen_ai.response.time_to_first_chunk"] > 0
    assert first["server.address"] == "127.0.0.1"
    assert first["server.port"] == fake.port
    assert tool["gen_ai.tool.name"] == "ls"
    assert tool["gen_ai.tool.call.id"] == "call_1"
    assert turn["attributes"]["gen_ai.agent.id"] == "main"
    assert turn["attributes"]["gen_ai.provider.name"] == "openai"
    conversations = {s["attributes"]["gen_ai.conversation.id"] for s in collector.spans}
    assert all(each.startswith("agent:main:") for each in conversations)
    assert len(conversations) == 1
    request = sent_by[0]["attributes"]
    assert request["http.request.method"] == "POST"
    assert request["http.response.status_code"] == 200
    assert request["url.full"] == f"{fake.base_url}/chat/completions"
    assert "http.request.resend_count" not in request
    assert "status" not in turn
    assert collector.resources[0]["service.name"] == "beamclaw"
    assert collector.requests[0].headers["x-key"] == "canary-of-the-collector"
    assert f'beamclaw_traces_spans_total{{outcome="sent"}} {WHOLE}' in figures
    # Nothing of what was said is in it, and nothing of the key in the log.
    sent = b"".join(request.body for request in collector.requests)
    assert b"What is there" not in sent
    assert b"It is empty" not in sent
    assert "canary-of-the-collector" not in node.stderr()


async def test_each_time_that_is_asked_again_is_a_step_of_its_own(tmp_path):
    async with (
        collecting() as collector,
        opened(tmp_path, collector.url) as (node, fake),
    ):
        fake.fail(Fault(status=503), Fault(status=429, retry_after=0.05))
        assert (await node.complete("What is there?", KEPT)).status == 200
        await collector.wait(WHOLE + 2)
        await node.stop()
    (turn,) = named(collector, "invoke_agent")
    chat = children(collector, turn)[0]
    tries = children(collector, chat)
    told = [span["attributes"] for span in tries]
    assert [each["http.response.status_code"] for each in told] == [503, 429, 200]
    assert [each.get("http.request.resend_count", 0) for each in told] == [0, 1, 2]
    assert [span.get("status", {}).get("message") for span in tries] == [
        "503",
        "429",
        None,
    ]
    assert "status" not in chat  # in the end there was an answer
    assert headers(fake)[:3] == [
        (f"00-{TRACE}-{span['spanId']}-01", None) for span in tries
    ]


async def test_the_next_model_is_another_call(tmp_path):
    async with collecting() as collector, fake_openai(answer=looks) as other:
        more = {
            "providers": {
                "openai": {"api": "openai", "retry_first": 0.05},
                "other": {"api": "openai", "base_url": other.base_url, "api_key": "x"},
            },
            "agents": {
                "main": {"model": "openai/one", "fallbacks": ["other/two"]},
            },
        }
        async with opened(tmp_path, collector.url, config=more) as (node, fake):
            fake.fail(Fault(status=404))
            assert (await node.complete("What is there?", KEPT)).status == 200
            await collector.wait(WHOLE + 2)
            await node.stop()
    chats = named(collector, "chat")
    assert [span["name"] for span in chats] == ["chat one", "chat two", "chat two"]
    assert [each["attributes"]["server.port"] for each in chats] == [
        fake.port,
        other.port,
        other.port,
    ]
    assert chats[0]["attributes"]["error.type"] == "model_not_found"
    posts = [children(collector, chat)[0] for chat in chats]
    assert [parent for parent, _ in (*headers(fake), *headers(other))] == [
        f"00-{TRACE}-{span['spanId']}-01" for span in posts
    ]
    assert all("http.request.resend_count" not in p["attributes"] for p in posts)


def orders(body: dict[str, Any]) -> Reply:
    """Has another agent do it."""
    words = json.dumps(body["messages"])
    if "fetch the milk" in words and '"tool_calls"' not in words:
        arguments = ('{"task": "milk, please", "mode": "wait"}',)
        return Reply(tools=(Tool(id="c1", name="sessions_spawn", arguments=arguments),))
    return Reply(text="Done.")


async def test_what_a_sub_agent_sends_belongs_to_the_call_that_has_ordered_it(tmp_path):
    async with (
        collecting() as collector,
        opened(tmp_path, collector.url, answer=orders) as (node, fake),
    ):
        answer = await node.complete("fetch the milk", {"tracestate": STATE})
        assert answer.status == 200
        await collector.wait(9)
        await node.stop()
    (tool,) = named(collector, "execute_tool")
    (below,) = children(collector, tool)
    assert below["name"] == "invoke_agent main"
    (chat,) = children(collector, below)
    (post,) = children(collector, chat)
    parents = {parent for parent, _ in headers(fake)}
    assert len({span["traceId"] for span in collector.spans}) == 1
    assert f"00-{post['traceId']}-{post['spanId']}-01" in parents
    assert len(parents) == 3
    # Without a parent nobody knows what the state is of.
    assert {state for _, state in headers(fake)} == {None}


@pytest.mark.parametrize("given", [KEPT, {}])
async def test_a_turn_that_a_death_has_cut_goes_on_in_its_trace(tmp_path, given):
    async with (
        collecting() as collector,
        opened(tmp_path, collector.url, answer=slow_at_first()) as (node, fake),
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_complete, node, given)
            while not fake.ledger:  # noqa: ASYNC110 -- another process
                await trio.sleep(0.01)
            node.kill9()
            await node.wait()
        await node.start(wait=90.0)
        await collector.wait(3)
        await node.stop()
    (turn,), (post,) = named(collector, "invoke_agent"), named(collector, "POST")
    (before, _), (after, _) = headers(fake)
    assert after == f"00-{turn['traceId']}-{post['spanId']}-01"
    assert before.split("-")[1] == turn["traceId"]
    assert before != after
    if given:
        assert (turn["traceId"], turn["parentSpanId"]) == (TRACE, SPAN)


async def _complete(node: Node, given: dict[str, str]) -> None:
    # In a session that is there without this request.
    with suppress(Exception):
        await node.complete("Still there?", {**given, "x-openclaw-session-key": "s"})


def slow_at_first() -> Callable[[dict[str, Any]], Reply]:
    replies = iter([Reply(text="Never heard.", delay=60.0)])
    return lambda _: next(replies, Reply(text="Here."))


async def test_vectors_have_a_trace_too(tmp_path):
    more = {"agents": {"main": {"embeddings": "openai/small"}}}
    async with (
        collecting() as collector,
        opened(tmp_path, collector.url, config=more) as (node, fake),
    ):
        fake.fail(Fault(status=500))
        answer = await once(
            f"{node.base_url}/v1/embeddings",
            "POST",
            {**node.bearer, "Content-Type": "application/json", **KEPT},
            b'{"model": "openclaw", "input": "one text"}',
        )
        assert answer.status == 200, answer.body
        await collector.wait(3)
        await node.stop()
    (whole,) = named(collector, "embeddings")
    assert whole["parentSpanId"] == SPAN
    assert whole["name"] == "embeddings small"
    assert whole["attributes"]["gen_ai.usage.input_tokens"] > 0
    assert "gen_ai.usage.output_tokens" not in whole["attributes"]
    posts = children(collector, whole)
    assert [parent for parent, _ in headers(fake)] == [
        f"00-{TRACE}-{span['spanId']}-01" for span in posts
    ]
    url = {span["attributes"]["url.full"] for span in posts}
    assert url == {f"{fake.base_url}/embeddings"}


async def test_a_line_of_the_log_and_a_step_find_each_other(tmp_path):
    async with (
        collecting() as collector,
        opened(tmp_path, collector.url, log="debug") as (node, fake),
    ):
        fake.fail(Fault(status=503))
        assert (await node.complete("What is there?", KEPT)).status == 200
        await collector.wait(WHOLE + 1)
        await node.stop()
    lines = [json.loads(row) for row in node.stderr().splitlines() if row[:1] == "{"]
    ids = {span["spanId"]: span["name"].split()[0] for span in collector.spans}
    found = {}
    for line in lines:
        if "trace_id" in line:
            assert (line["trace_id"], line["trace_flags"]) == (TRACE, "01")
            found.setdefault(line["event"], set()).add(ids[line["span_id"]])
    assert found["beamclaw.turn.started"] == {"invoke_agent"}
    assert found["beamclaw.turn.ended"] == {"invoke_agent"}
    assert found["beamclaw.model.called"] == {"POST"}
    assert found["beamclaw.model.failed"] == {"invoke_agent"}
    assert found["beamclaw.tool.ended"] == {"execute_tool"}
    others = {line["event"] for line in lines if "trace_id" not in line}
    assert "beamclaw.gateway.answered" in others


def test_the_official_definition_was_asked():
    pytest.importorskip("opentelemetry.proto")
    assert decoded(b'{"resourceSpans": []}') is not None


@pytest.mark.parametrize("how", ["down", "slow", "refusing", "late"])
async def test_turns_do_not_notice_how_the_collector_is(tmp_path, how):
    async with collecting() as collector:
        if how == "slow":
            collector.hangs = True
        elif how == "refusing":
            collector.status = 400
        elif how == "late":
            collector.status, collector.headers = 503, {"retry-after": "0"}
        url = "http://127.0.0.1:9/v1/traces" if how == "down" else collector.url
        async with opened(tmp_path, url, queue=7, timeout=0.3) as (node, _):
            for _ in range(5):
                assert (await node.complete("What is there?")).status == 200
            while "beamclaw.traces.lost" not in node.stderr():  # noqa: ASYNC110 -- another process
                await trio.sleep(0.05)
            if how == "late":
                collector.status = 200
                assert (await node.complete("And now?")).status == 200
                await collector.wait(WHOLE)
            assert (await node.get("/readyz")).status == 200
            assert await node.stop() == 0


async def test_whoever_keeps_no_trace_gets_none(tmp_path):
    async with collecting() as collector:
        async with opened(tmp_path, collector.url, sample=0.0) as (node, fake):
            unkept = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
            for given in (unkept, {}, KEPT):
                assert (await node.complete("What?", given)).status == 200
            await collector.wait(WHOLE)
            await node.stop()
        assert len(collector.spans) == WHOLE
    # And whoever is asked is told so.
    flags = [parent.split("-")[3] for parent, _ in headers(fake)]
    assert flags == ["00", "00", "00", "00", "01", "01"]
    traces = [parent.split("-")[1] for parent, _ in headers(fake)]
    assert traces[0] == TRACE
    assert len(set(traces[2:4]) - {TRACE}) == 1


async def test_a_collector_is_found_by_the_variables_of_all_programs(tmp_path: Path):
    async with collecting() as collector, fake_openai(answer=looks) as fake:
        env = {
            "OPENAI_BASE_URL": fake.base_url,
            "OPENAI_API_KEY": "key",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url.removesuffix("/v1/traces"),
            "OTEL_EXPORTER_OTLP_HEADERS": "x-one=1,x-two=a%20b",
            "OTEL_SERVICE_NAME": "mine",
        }
        async with open_node(tmp_path / "data", env=env) as node:
            assert (await node.complete("What is there?")).status == 200
            await node.stop()  # what waits is sent before it is gone
        assert len(collector.spans) == WHOLE
        assert collector.resources[0]["service.name"] == "mine"
        headers = collector.requests[0].headers
        assert (headers["x-one"], headers["x-two"]) == ("1", "a b")
