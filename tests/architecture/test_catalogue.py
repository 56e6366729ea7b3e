"""The tools that there are: each one can be told to a model, and every table knows it."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from beamclaw.config import Config
from beamclaw.config.schema import ToolsConfig
from beamclaw.config.tool_names import GROUPS
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.toolbox import AnyTool, Caller
from beamclaw.contracts.tools import ToolSpec
from beamclaw.toolbox import all_tools, chosen
from beamclaw.tools import Plugins, built_in_for
from beamclaw.tree import subagent_rules
from scripts.tools import PAGE, page


def catalogue() -> Mapping[str, AnyTool]:
    config = Config()
    rules = subagent_rules(config)
    return all_tools(config, Outside(), "default", rules, Plugins())("main")


SPECS = [tool.spec for tool in catalogue().values()]
each = pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])


def objects(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Each argument, and each field of one, with its schema."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}{name}", inner
        yield from objects(inner, f"{path}{name}.")
        yield from objects(inner.get("items", {}), f"{path}{name}[].")


def test_the_table_of_names_is_what_there_is():
    """A mistake in a policy is found by that table, without loading a tool."""
    found = {spec.name: spec.group for spec in SPECS}
    table = {name: group for group, names in GROUPS.items() for name in names}
    assert found == table, "beamclaw/config/tool_names.py: GROUPS"


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"profile": "minimal"},
        {"profile": "coding", "deny": ("group:runtime",)},
        {"allow": ("re*", "group:web"), "deny": ("web_fetch",)},
        {"deny": ("group:openclaw",)},
        {"profile": "full", "deny": ("exec", "read")},
        {"allow": ("read_output",)},
        {"max_kept": 0},
    ],
)
def test_what_an_agent_has_is_known_without_loading_a_tool(policy: dict[str, Any]):
    config = Config(tools=ToolsConfig(**policy))
    tools_of = all_tools(
        config, Outside(), "default", subagent_rules(config), Plugins()
    )
    box = chosen(config, subagent_rules(config), tools_of)
    caller = Caller(agent="main")
    assert built_in_for(config, caller) == set(box(caller).tools)


def test_the_reference_page_has_every_tool_as_it_is():
    text = PAGE.read_text()
    assert text == page(text), "run: python -m scripts.tools"


@each
def test_every_provider_takes_its_name(spec: ToolSpec):
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", spec.name)


@each
def test_a_model_is_told_what_it_does_and_what_each_argument_means(spec: ToolSpec):
    assert len(spec.description) > 20
    for path, schema in objects(spec.parameters, ""):
        assert schema.get("description"), f"{spec.name}: {path} says nothing"


@each
def test_it_takes_no_argument_that_is_not_shown(spec: ToolSpec):
    assert spec.parameters["type"] == "object"
    assert spec.parameters["additionalProperties"] is False


@pytest.mark.slow
def test_a_node_is_listening_before_its_tools_are_imported():
    program = (
        "import sys, beamclaw.cli.run, beamclaw.tree;"
        "print([name for name in sys.modules if name.startswith('beamclaw.toolkit')])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
