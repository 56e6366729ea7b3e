"""What a whole node tells of its work: figures for Prometheus, log and audit."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from beamclaw.testing.fake_openai import FakeOpenAI, Reply, Tool, fake_openai
from tests.support.node import Node, open_node
from tests.support.wire import once

pytestmark = pytest.mark.slow
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def curious(body) -> Reply:
    """Asks for a tool, then says that it is done."""
    if body["messages"][-1]["role"] == "tool":
        return Reply(text="Done.")
    return Reply(tools=(Tool(id="call_1", name="session_status", arguments=("{}",)),))


@asynccontextmanager
async def worked(path) -> AsyncIterator[Node]:
    """A node that has answered once, by way of a tool."""
    async with fake_openai(answer=curious) as fake:
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"}
        async with open_node(path / "data", env=env) as node:
            answer = await node.complete("How are you?")
            assert answer.status == 200, answer.body
            yield node


async def test_a_collector_that_may_look_gets_figures_that_prometheus_reads(tmp_path):
    parser = pytest.importorskip("prometheus_client.parser")
    async with worked(tmp_path) as node:
        answer = await node.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in parser.text_string_to_metric_families(answer.body.decode()):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            assert not math.isnan(sample.value)
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    assert found["beamclaw_turns_total"] == 1
    assert found["beamclaw_messages_total"] == 1
    assert found["beamclaw_model_calls_total"] == 2
    assert found["beamclaw_model_first_seconds_count"] == 2
    assert found["beamclaw_tool_calls_total"] == 1
    assert found["beamclaw_model_tokens_total"] > 0
    assert (
        found["beamclaw_ledger_commits_total"]
        >= found["beamclaw_ledger_transactions_total"]
    )
    assert found["process_resident_memory_bytes"] > 1e6
    assert found["beamclaw_processes"] > 20


async def test_figures_are_for_those_who_may_look(tmp_path):
    async with open_node(tmp_path / "data") as node:
        stranger = await once(f"{node.base_url}/metrics")
    assert stranger.status == 401
    assert b"beamclaw_" not in stranger.body


async def test_the_log_and_who_did_what_are_read_from_a_terminal(tmp_path):
    async with open_node(tmp_path / "data") as node:
        made = await node.command("keys", "create", "bot", "--scope", "operator.read")
        assert made.code == 0, made.err
        log = await node.command("logs", "--event", "gateway.key_made", "--json")
        await node.stop()
    again = await node.command("audit")
    (row,) = map(orjson.loads, log.out.splitlines())
    assert (row["name"], row["scopes"]) == ("bot", "operator.read")
    assert "beamclaw.gateway.key_made" in again.out
    assert "name=bot" in again.out
    assert (await node.command("logs")).code == 1


@pytest.mark.parametrize("given, passed_on", [(TRACE, {TRACE}), ("nonsense", {None})])
async def test_the_trace_of_a_request_is_passed_on_to_its_provider(
    tmp_path, monkeypatch, given, passed_on
):
    seen, key_of = set(), FakeOpenAI.key_of

    def noted(self, headers):
        seen.add(headers.get("traceparent"))
        return key_of(self, headers)

    monkeypatch.setattr(FakeOpenAI, "key_of", noted)
    async with fake_openai(answer=curious) as fake:
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"}
        async with open_node(tmp_path / "data", env=env) as node:
            answer = await node.complete("How are you?", {"traceparent": given})
    assert answer.status == 200
    assert seen == passed_on
