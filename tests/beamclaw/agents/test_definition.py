"""From configuration and request to the definition that a turn uses."""

import pytest

from beamclaw.agents import AgentDefinition, UnknownAgent, UnknownModel, resolve
from beamclaw.config.schema import (
    AgentConfig,
    Chosen,
    Config,
    ModelInfo,
    ProviderConfig,
)

CONFIG = Config(
    providers={
        "demo": ProviderConfig(api="demo"),
        "local": ProviderConfig(
            api="openai", default_model="m", models={"big/one": ModelInfo()}
        ),
        "openai": ProviderConfig(api="openai"),
    },
    agents={
        "main": AgentConfig(),
        "coder": AgentConfig(model="local", system="Be brief.", max_tokens=9),
        "exact": AgentConfig(model="local/a/b"),
    },
    chosen=Chosen("demo/demo", "a reason"),
)


@pytest.mark.parametrize(
    "agent, override, provider, model",
    [
        ("main", None, "demo", "demo"),
        ("coder", None, "local", "m"),
        ("exact", None, "local", "a/b"),
        ("main", "local/x", "local", "x"),
        ("main", "openai", "openai", "gpt-5.4-mini"),
        ("coder", "big/one", "local", "big/one"),
    ],
)
def test_who_is_asked(agent, override, provider, model):
    found = resolve(CONFIG, agent, override)
    assert (found.provider, found.model) == (provider, model)


def test_the_definition_has_what_the_agent_is():
    found = resolve(CONFIG, "coder")
    assert (found.id, found.system, found.max_tokens) == ("coder", "Be brief.", 9)


def test_unknown_things_are_told_with_those_that_exist():
    with pytest.raises(UnknownAgent, match="no agent 'x'; agents: coder, exact, main"):
        resolve(CONFIG, "x")
    for name in ("gpt-5", "x/y", "big/one", ""):
        with pytest.raises(UnknownModel, match="providers: demo, local, openai"):
            resolve(CONFIG, "main", name)
    with pytest.raises(UnknownModel, match="ends after the provider's name"):
        resolve(CONFIG, "main", "local/")


def test_the_hash_is_that_of_the_bytes_and_stays():
    found = resolve(Config(), "main")
    assert found.body == (
        b'{"fallbacks":[],"id":"main","max_tokens":null,"model":"demo",'
        b'"provider":"demo","system":null,"temperature":null}'
    )
    assert found.hash == (
        "8bd8ff681a2d4e24a73335543aa8bd18a3e1dd63fd992dfb1e2a7d009e5d633f"
    )
    assert AgentDefinition.load(found.body) == found


def test_a_definition_of_a_later_version_can_be_read():
    later = b'{"id":"a","model":"m","provider":"p","tools":["x"]}'
    found = AgentDefinition.load(later)
    assert found == AgentDefinition(id="a", provider="p", model="m")
    for bad in (b"[]", b"{", b'{"id":"a"}'):
        with pytest.raises(ValueError, match=r"definition|JSON|line 1"):
            AgentDefinition.load(bad)


def test_fallbacks_are_asked_in_their_order():
    config = Config(agents={"main": AgentConfig(fallbacks=("demo", "demo/other"))})
    found = resolve(config, "main")
    again = AgentDefinition.load(found.body)
    assert again == found
    assert [again.model_at(link) for link in range(4)] == [
        ("demo", "demo"),
        ("demo", "demo"),
        ("demo", "other"),
        ("demo", "other"),
    ]


def test_a_fallback_that_is_no_model_is_told_in_words():
    config = Config(agents={"main": AgentConfig(fallbacks=("nobody/x",))})
    with pytest.raises(UnknownModel, match="nobody/x"):
        resolve(config, "main")
