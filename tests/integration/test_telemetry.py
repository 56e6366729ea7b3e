"""What a whole node tells of its work: figures for Prometheus, log and audit."""

import json
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
import trio
import yaml

from beamclaw.testing.fake_openai import Fault, Reply, Tool, fake_openai
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
        wrong = await node.command("logs", "--event", "gateway.key_mad")
        words = (
            "the node has no event 'gateway.key_mad'; did you mean gateway.key_made?"
        )
        assert (wrong.code, wrong.out, wrong.err.strip()) == (0, "", words)
        none = await node.command("audit", "--event", "beamclaw.gateway.denied")
        assert (none.code, none.out, none.err) == (0, "", "")
        await node.stop()
    again = await node.command("audit")
    (row,) = map(orjson.loads, log.out.splitlines())
    assert (row["name"], row["scopes"]) == ("bot", "operator.read")
    assert "beamclaw.gateway.key_made" in again.out
    assert "name=bot" in again.out
    assert (await node.command("logs")).code == 1


@pytest.mark.parametrize(
    "given, passed_on",
    [(TRACE, {(TRACE, "rojo=1")}), ("nonsense", {(None, None)})],
)
async def test_the_trace_of_a_request_is_passed_on_to_its_provider(
    tmp_path, given, passed_on
):
    async with fake_openai(answer=curious) as fake:
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"}
        async with open_node(tmp_path / "data", env=env) as node:
            headers = {"traceparent": given, "tracestate": "rojo=1"}
            answer = await node.complete("How are you?", headers)
    assert answer.status == 200
    assert passed_on == {
        (entry.headers.get("traceparent"), entry.headers.get("tracestate"))
        for entry in fake.ledger
    }


# --- the dashboard and the alerts

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "prometheus"
METRIC = re.compile(r"\b(?:beamclaw|process)_\w+")
WORDS = re.compile(r"\bby \(([^)]*)\)")


def expressions():
    dashboard = json.loads((EXAMPLES / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    alerts = yaml.safe_load((EXAMPLES / "alerts.yaml").read_text())
    for group in alerts["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def labels_of(expression):
    """Labels by which it sums, and which it compares."""
    for words in WORDS.findall(expression):
        yield from (word.strip() for word in words.split(",") if word.strip())
    yield from re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\"", expression)


@asynccontextmanager
async def troubled(path) -> AsyncIterator[Node]:
    """A node whose first provider was ill, and is refused what it asks of both."""
    async with (
        fake_openai(answer=curious) as fake,
        fake_openai(answer=curious) as other,
    ):
        ill = {"retry_first": 0.05, "max_attempts": 2}
        ill |= {"breaker_failures": 2, "breaker_first": 0.05}
        config = {
            "providers": {
                "openai": {"api": "openai", **ill},
                "other": {"api": "openai", "base_url": other.base_url, "api_key": "x"},
            },
            "agents": {"main": {"model": "openai/a", "fallbacks": ["other/b"]}},
        }
        file = path / "beamclaw.yaml"
        file.write_text(json.dumps(config))
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"}
        options = ["--config", str(file)]
        async with open_node(path / "data", env=env, options=options) as node:
            # It is left alone, and another answers; then it is well again, and busy.
            fake.fail(Fault(status=503), Fault(status=503))
            assert (await node.complete("How are you?")).status == 200
            await trio.sleep(0.1)
            assert (await node.complete("How are you?")).status == 200
            fake.fail(Fault(status=429, retry_after=0.1))
            assert (await node.complete("How are you?")).status == 200
            fake.fail(Fault(status=404))
            other.fail(Fault(status=404))
            assert (await node.complete("How are you?")).status != 200
            assert (await node.command("shell", "-c", "fault limits crash")).code == 0
            yield node


# What nobody has done yet is not there: these need a person.
UNSEEN = {"beamclaw_approvals_asked_total", "beamclaw_approvals_over_total"}


async def test_what_dashboard_and_alerts_ask_for_is_told_by_a_node(tmp_path):
    async with troubled(tmp_path) as node:
        text = (await node.get("/metrics")).body.decode()
    told = set(re.findall(r"^(\w+)(?:\{| )", text, re.MULTILINE))
    for expression in expressions():
        names = set(METRIC.findall(expression))
        assert names, expression
        assert names - UNSEEN <= told, expression
        for name in names - UNSEEN:
            series = re.findall(rf"^{name}\{{(.*?)\}} ", text, re.MULTILINE)
            known = set(re.findall(r"(\w+)=\"", "".join(series[:1])))
            assert set(labels_of(expression)) <= known, expression


async def test_what_becomes_of_calls_that_fail_is_counted(tmp_path):
    async with troubled(tmp_path) as node:
        text = (await node.get("/metrics")).body.decode()
    model = 'tenant="default",provider="openai",model="a"'
    other = 'tenant="default",provider="other",model="b"'
    for line in (
        f'beamclaw_model_retries_total{{{model},kind="overloaded"}} 1',
        f'beamclaw_model_retries_total{{{model},kind="rate_limit"}} 1',
        f'beamclaw_model_fallbacks_total{{{model},kind="overloaded"}} 1',
        f'beamclaw_model_fallbacks_total{{{model},kind="model_not_found"}} 1',
        f'beamclaw_model_given_up_total{{{other},kind="model_not_found"}} 1',
        'beamclaw_model_retry_wait_seconds_count{provider="openai"} 2',
        'beamclaw_model_retry_after_seconds_bucket{provider="openai",le="0.1"} 1',
        'beamclaw_provider_openings_total{provider="openai",kind="overloaded"} 1',
        'beamclaw_provider_closings_total{provider="openai"} 1',
        'beamclaw_provider_breaker{provider="openai",state="closed"} 1',
        'beamclaw_provider_breaker{provider="openai",state="open"} 0',
        'beamclaw_provider_pause_seconds{provider="openai"} 0',
    ):
        assert line in text.splitlines(), line


async def test_crashes_are_counted_by_what_has_crashed(tmp_path):
    key = "agent:main:someone"
    async with worked(tmp_path) as node:
        for _ in range(2):
            headers = {"x-openclaw-session-key": key}
            assert (await node.complete("Hello", headers)).status == 200
            drill = await node.command("shell", "-c", f"fault {key} crash")
            assert drill.code == 0, drill.err
        text = (await node.get("/metrics")).body.decode()
        top = orjson.loads((await node.command("top", "--once", "--json")).out)
    assert 'beamclaw_crashes_total{process="session"} 2' in text.splitlines()
    assert "someone" not in text
    assert top["totals"]["crashes"] == 2


async def test_a_key_that_is_taken_for_a_model_s_name_is_in_no_figure_and_no_line(
    tmp_path,
):
    key = "canary-key-5d0e7a91"
    async with fake_openai(answer=curious) as fake:
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": key}
        async with open_node(tmp_path / "data", env=env) as node:
            headers = {"x-openclaw-model": f"openai/{key}"}
            assert (await node.complete("Hello", headers)).status == 200
            figures = (await node.get("/metrics")).body.decode()
            log = await node.command("logs", "--json")
    assert 'model="[secret]"' in figures
    assert key not in figures + log.out + node.stderr()
