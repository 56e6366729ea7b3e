"""One request is followed through gateway, turn, models and tools, by a collector."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from beamclaw.testing.fake_openai import FakeOpenAI, Reply, Tool, fake_openai
from tests.support.collector import collecting, decoded
from tests.support.node import Node, open_node

pytestmark = pytest.mark.slow

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def looks(body: dict[str, Any]) -> Reply:
    """Looks into its folder, then says so."""
    if body["messages"][-1]["role"] == "tool":
        return Reply(text="It is empty.")
    call = Tool(id="call_1", name="ls", arguments=('{"path": "."}',))
    return Reply(text="One moment. ", tools=(call,))


@asynccontextmanager
async def opened(
    folder: Path, url: str, **more: Any
) -> AsyncIterator[tuple[Node, FakeOpenAI]]:
    config = folder / "beamclaw.yaml"
    otlp = {
        "endpoint": url,
        "headers": {"x-key": "canary-of-the-collector"},
        "interval": 0.05,
        "timeout": 0.3,
        **more,
    }
    async with fake_openai(answer=looks) as fake:
        text = json.dumps({"telemetry": {"otlp": otlp}, "logging": {"level": "debug"}})
        config.write_text(text)
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"}
        options = ["--config", str(config)]
        async with open_node(folder / "data", env=env, options=options) as node:
            yield node, fake


async def test_a_turn_with_a_tool_is_one_tree_below_the_step_of_who_asked(tmp_path):
    async with collecting() as collector, opened(tmp_path, collector.url) as (node, _):
        header = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
        assert (await node.complete("What is there?", header)).status == 200
        await collector.wait(5)
        figures = (await node.get("/metrics")).body.decode()
        await node.stop()

    spans = {span["name"]: span for span in collector.spans}
    top, turn = spans["message http"], spans["invoke_agent main"]
    assert {span["traceId"] for span in collector.spans} == {TRACE}
    assert top["parentSpanId"] == SPAN
    assert turn["parentSpanId"] == top["spanId"]
    below = [s for s in collector.spans if s["parentSpanId"] == turn["spanId"]]
    assert [s["name"].split()[0] for s in below] == ["chat", "execute_tool", "chat"]
    assert len({span["spanId"] for span in collector.spans}) == 5
    for span in (turn, *below):
        begun, ended = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        assert int(top["startTimeUnixNano"]) <= begun
        assert ended <= int(top["endTimeUnixNano"])

    first, tool, _ = (span["attributes"] for span in below)
    assert first["gen_ai.operation.name"] == "chat"
    assert first["gen_ai.provider.name"] == "openai"
    assert first["gen_ai.request.model"] == "gpt-5.4-mini"
    assert first["gen_ai.usage.input_tokens"] > 0
    assert tool["gen_ai.tool.name"] == "ls"
    assert tool["gen_ai.tool.call.id"] == "call_1"
    assert turn["attributes"]["gen_ai.agent.id"] == "main"
    assert turn["attributes"]["gen_ai.conversation.id"].startswith("agent:main:")
    assert "status" not in turn
    assert collector.resources[0]["service.name"] == "beamclaw"
    assert collector.requests[0].headers["x-key"] == "canary-of-the-collector"
    assert 'beamclaw_traces_spans_total{outcome="sent"} 5' in figures
    # Nothing of what was said is in it, and nothing of the key in the log.
    sent = b"".join(request.body for request in collector.requests)
    assert b"What is there" not in sent
    assert b"It is empty" not in sent
    assert "canary-of-the-collector" not in node.stderr()


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
        async with opened(tmp_path, url, queue=7) as (node, _):
            for _ in range(5):
                assert (await node.complete("What is there?")).status == 200
            while "beamclaw.traces.lost" not in node.stderr():  # noqa: ASYNC110 -- another process
                await trio.sleep(0.05)
            if how == "late":
                collector.status = 200
                assert (await node.complete("And now?")).status == 200
                await collector.wait(5)
            assert (await node.get("/readyz")).status == 200
            assert await node.stop() == 0


async def test_whoever_keeps_no_trace_gets_none(tmp_path):
    async with collecting() as collector:
        async with opened(tmp_path, collector.url, sample=0.0) as (node, _):
            unkept = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
            kept = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
            for headers in (unkept, {}, kept):
                assert (await node.complete("What?", headers)).status == 200
            await collector.wait(5)
            await node.stop()
        assert len(collector.spans) == 5


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
        assert len(collector.spans) == 5
        assert collector.resources[0]["service.name"] == "mine"
        headers = collector.requests[0].headers
        assert (headers["x-one"], headers["x-two"]) == ("1", "a b")
