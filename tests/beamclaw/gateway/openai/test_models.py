"""The agents as models."""

import orjson

from beamclaw.gateway.agents import Agents
from beamclaw.gateway.openai.models import model, model_list
from beamclaw.gateway.problem import Problem

AGENTS = Agents.of(["main", "bob"])


def test_without_main_the_first_agent_is_the_default():
    assert Agents.of(["zoe", "bob"]).default == "zoe"


def test_an_agent_called_default_is_listed_once():
    assert Agents.of(["default"]).models == ("openclaw", "openclaw/default")
    assert Agents.of(["main", "default"]).select("openclaw/default") == "default"


def test_the_names_of_models_are_all_that_is_listed():
    listed = orjson.loads(model_list(AGENTS, created=5))
    assert [listing["id"] for listing in listed["data"]] == [
        "openclaw",
        "openclaw/default",
        "openclaw/main",
        "openclaw/bob",
    ]
    assert isinstance(model(AGENTS, "gpt-4o", created=5), Problem)
