"""What is proved: who administers the node can try a provider's keys, and is told of each."""

import pytest

from beamclaw.config.schema import (
    AgentConfig,
    BudgetConfig,
    Config,
    LimitsConfig,
    ProviderConfig,
)
from beamclaw.contracts.probes import Probe, Probed
from beamclaw.contracts.secret import Secret
from beamclaw.gateway.methods import probing
from beamclaw.gateway.methods.offers import model_at
from tests.beamclaw.gateway.methods.conftest import port
from tests.beamclaw.gateway.methods.test_sessions import ok, refused
from tests.beamclaw.gateway.socket.talk import connected

KEYS = (Secret("one"), Secret("two"), Secret("three"))
PROVIDERS = {
    "demo": ProviderConfig(delay=0.0),
    "own": ProviderConfig(api="openai", default_model="m", api_key=KEYS),
    "empty": ProviderConfig(api="openai", base_url="http://127.0.0.1:9/v1"),
}


async def test_a_provider_that_answers_is_well_and_the_call_is_in_the_usage(talk):
    before = (await ok(talk, "usage.cost"))["totals"]["calls"]
    found = await ok(talk, "models.probe", {"provider": "demo", "timeoutMs": 20_000})
    assert (found["provider"], found["status"]) == ("demo", "ok")
    (one,) = found["results"]
    assert (one["label"], one["status"]) == ("key 1: demo", "ok")
    assert found["latencyMs"] == one["latencyMs"]
    after = (await ok(talk, "usage.cost"))["totals"]
    assert after["calls"] == before + 1
    assert after["totalTokens"] > 0


ENDS = [
    ([Probed(), Probed(kind="auth", message="no"), Probed(seconds=1.0)], "ok"),
    ([Probed(kind="quota"), Probed(kind="auth"), Probed(kind="server")], "auth"),
    ([Probed(kind="quota"), Probed(kind="overloaded"), Probed(kind="x")], "billing"),
    ([Probed(kind="network"), Probed(kind="rate_limit")] * 2, "rate_limit"),
    ([Probed(kind="timeout"), Probed(kind="invalid")] * 2, "timeout"),
    ([Probed(kind="model_not_found"), Probed(kind="invalid")] * 2, "format"),
    ([Probed(kind="model_not_found"), Probed(kind="server")] * 2, "no_model"),
    ([Probed(kind="network"), Probed(kind="refused")] * 2, "unknown"),
]


@pytest.mark.parametrize(("ends", "status"), ENDS)
async def test_each_key_is_tried_and_one_that_works_is_enough(
    start, monkeypatch, ends, status
):
    asked: list[Probe] = []

    async def answer(bus, tenant, order):
        asked.append(order)
        return ends[order.key]

    monkeypatch.setattr(probing, "probe", answer)
    async with start(providers=PROVIDERS), connected(port()) as talk:
        given = {"provider": "own", "agentId": "bob", "timeoutMs": 1500}
        found = await ok(talk, "models.probe", given)
    assert found["status"] == status
    assert len(found["results"]) == 3
    assert {(one.model, one.agent, one.seconds) for one in asked} == {("m", "bob", 1.5)}
    assert [one.key for one in asked] == [0, 1, 2]


async def test_where_no_model_is_configured_nothing_is_asked(start):
    providers = {**PROVIDERS, "empty": ProviderConfig(api="a-package")}
    async with start(providers=providers), connected(port()) as talk:
        found = await ok(talk, "models.probe", {"provider": "empty"})
    assert (found["status"], found["results"]) == ("no_model", [])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"provider": "nobody"}, "there is no provider 'nobody'; providers: demo"),
        ({"provider": "demo", "profileId": "p"}, "there are no profiles here"),
        ({"provider": "demo", "agentId": "nobody"}, "there is no agent 'nobody'"),
        ({"provider": "demo", "timeoutMs": 60_001}, "timeoutMs"),
    ],
)
async def test_what_cannot_be_tried_is_refused(talk, given, words):
    assert words in (await refused(talk, "models.probe", given))["message"]


async def test_no_cap_is_passed_by_it(start):
    limits = LimitsConfig(day=BudgetConfig(calls=1))
    async with start(limits=limits), connected(port()) as talk:
        await ok(talk, "models.probe", {"provider": "demo"})
        error = await refused(talk, "models.probe", {"provider": "demo"})
    assert error["details"]["reason"] == "budget"
    assert error["message"].startswith("nothing was asked: ")


async def test_who_only_talks_spends_nothing_so(start):
    scopes = ["operator.read", "operator.write"]
    async with start(), connected(port(), scopes=scopes) as talk:
        error = await refused(talk, "models.probe", {"provider": "demo"})
    assert error["details"]["missingScope"] == "operator.admin"


def test_an_agents_own_model_is_asked_first():
    config = Config(
        providers={
            "a": ProviderConfig(api="openai", default_model="x", models={}),
            "b": ProviderConfig(api="openai", default_model="y"),
        },
        agents={"main": AgentConfig(model="a/mine"), "bob": AgentConfig(model="b")},
    )
    assert model_at(config, "main", "a") == "mine"
    assert model_at(config, "bob", "a") == "mine"
    assert model_at(config, "main", "b") == "y"
