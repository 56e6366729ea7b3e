"""What a whole node tells of its work: figures for Prometheus, log and audit."""

import json
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import orjson
import pytest
import trio
import yaml

from beamclaw.contracts.ledger_rows import Outcome
from beamclaw.contracts.providers import BreakerState
from beamclaw.telemetry.metrics import table
from beamclaw.telemetry.metrics.looked import looked
from beamclaw.testing.fake_openai import Fault, Reply, Tool, fake_openai
from scripts.metrics import PAGE
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
RULES = EXAMPLES / "alerts.yaml"
PLAYED = Path(__file__).with_name("alerts.yaml")
SELECTOR = re.compile(r"\b((?:beamclaw|process)_\w+|up\b)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"")
SUMMED = re.compile(r"\bby \(([^)]*)\)")
# What a collector adds to every series: where it has it from.
TARGET = {"job", "instance"}
# What a label that is compared can be.
VALUES = {
    "job": {"beamclaw"},
    "outcome": set(get_args(Outcome)),
    "state": set(get_args(BreakerState)),
}


def rules():
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def expressions():
    dashboard = json.loads((EXAMPLES / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (rule["expr"] for rule in rules())


def summed_by(expression):
    for words in SUMMED.findall(expression):
        yield from (word.strip() for word in words.split(",") if word.strip())


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


# What nobody has done yet is not there: these need a person. The collector's own is not.
UNSEEN = {"beamclaw_approvals_asked_total", "beamclaw_approvals_over_total", "up"}


def labels_told(text, name):
    """Of the first series of *name*, with those that the collector adds."""
    if name in UNSEEN:
        known = {family.name: family.labels for family in table()}.get(name, ())
    else:
        first = re.search(rf"^{name}(?:\{{(.*?)\}})? ", text, re.MULTILINE)
        assert first is not None, name
        known = re.findall(r"(\w+)=\"", first[1] or "")
    return {*known, *TARGET}


async def test_what_dashboard_and_alerts_ask_for_is_told_by_a_node(tmp_path):
    async with troubled(tmp_path) as node:
        text = (await node.get("/metrics")).body.decode()
    for expression in expressions():
        asked = SELECTOR.findall(expression)
        assert asked, expression
        for name, matchers in asked:
            known = labels_told(text, name)
            assert set(summed_by(expression)) <= known, expression
            for label, value in MATCHER.findall(matchers):
                assert label in known, expression
                assert set(value.split("|")) <= VALUES[label], expression


def test_the_job_that_the_alerts_ask_for_is_the_one_that_is_shown():
    page = (EXAMPLES.parents[1] / "how-to" / "watch-a-node.md").read_text()
    (job,) = VALUES["job"]
    assert f"job_name: {job}\n" in page


async def promtool(program, *arguments):
    done = await trio.run_process(
        [program, *map(str, arguments)],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


@pytest.mark.peer("promtool")
async def test_prometheus_takes_the_alerts_and_they_fire_for_what_they_should(peer):
    await promtool(peer, "check", "rules", RULES)
    await promtool(peer, "test", "rules", PLAYED)


def test_every_alert_is_played_something_for_which_it_fires():
    played = yaml.safe_load(PLAYED.read_text())["tests"]
    fired = {
        case["alertname"]
        for test in played
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in rules()}


def scraped(text):
    """What a collector makes of the answer *text*, which stays as it is for an hour."""
    yield {"series": 'up{job="beamclaw",instance="a"}', "values": "1+0x60"}
    for line in text.splitlines():
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            name, _, labels = series.rstrip("}").partition("{")
            more = f'{labels},job="beamclaw",instance="a"'.removeprefix(",")
            yield {"series": f"{name}{{{more}}}", "values": f"{value}+0x60"}


@pytest.mark.peer("promtool")
async def test_no_alert_fires_for_a_node_that_has_worked_and_is_quiet(tmp_path, peer):
    async with worked(tmp_path) as node:
        text = (await node.get("/metrics")).body.decode()
    silent = [
        {"alertname": rule["alert"], "eval_time": "50m", "exp_alerts": []}
        for rule in rules()
    ]
    quiet = {"interval": "1m", "input_series": [*scraped(text)]}
    test = {"rule_files": [str(RULES)], "tests": [quiet | {"alert_rule_test": silent}]}
    file = tmp_path / "quiet.yaml"
    file.write_text(yaml.safe_dump(test))
    await promtool(peer, "test", "rules", file)


# --- the page of metrics

ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.+?) \| (.+) \|$", re.MULTILINE)


def families_told(text):
    """Of each family in an answer: its name, kind, labels and words."""
    words = dict(re.findall(r"^# HELP (\w+) (.+)$", text, re.MULTILINE))
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
        ending = "(?:_bucket|_sum|_count)" if kind == "histogram" else ""
        series = re.findall(rf"^{name}{ending}(?:\{{(.*)\}})? ", text, re.MULTILINE)
        assert series, name
        for labels in series:
            found = [each for each in re.findall(r"(\w+)=\"", labels) if each != "le"]
            yield name, kind, found, words[name]


async def test_a_node_tells_what_the_page_of_metrics_says_and_nothing_else(tmp_path):
    page = PAGE.read_text()
    said = {
        name: (kind, re.findall(r"`(\w+)`", labels), words)
        for name, kind, labels, _, words in ROW.findall(page)
    }
    assert len(said) == page.count("\n| `")
    async with troubled(tmp_path) as node:
        text = (await node.get("/metrics")).body.decode()
    told = set[str]()
    for name, kind, labels, words in families_told(text):
        assert (kind, labels, words) == said.get(name), name
        told.add(name)
    for line in text.splitlines():
        name = line.split("{")[0].split()[0]
        known = line.startswith("#") or re.sub("_(bucket|sum|count)$", "", name) in said
        assert known, line
    # What is looked at is there from the start, and what is worth an alert.
    assert {family.name for family in looked()} <= told
    assert {
        "beamclaw_turns_quarantined_total",
        "beamclaw_limits_nearly_reached_total",
    } <= told


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
