"""What ``beamclaw tools`` shows."""

from typing import Any

import pytest
import trio

from beamclaw.cli.tools import lines
from beamclaw.config.current import Current
from beamclaw.config.installed import Fault
from beamclaw.config.loader import load
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.outside import Outside
from beamclaw.shell.request import Failed, Node
from beamclaw.shell.tools import tools
from beamclaw.toolbox import all_tools, chosen
from beamclaw.tools import Plugins
from beamclaw.tree import subagent_rules


async def no_events(event: object) -> None:
    raise AssertionError(event)


@pytest.fixture
def node(tmp_path: Any) -> Node:
    file = tmp_path / "b.yaml"
    file.write_text("tools: {deny: [sessions_send]}")
    config = load({}, file=file, data=tmp_path).config
    rules, outside = subagent_rules(config), Outside()
    tools_of = all_tools(config, outside, "default", rules, Plugins())
    fault = Fault(name="x", package="p", words="x of the package p has no tools")
    bus: Bus = None  # pyright: ignore[reportAssignmentType] -- it is not asked
    return Node(
        current=Current(config),
        bus=bus,
        outside=outside,
        toolbox=chosen(config, rules, tools_of),
        faults=(fault,),
    )


async def test_what_an_agent_has_and_why_not_the_rest(node: Node):
    found: Any = await tools(node, {}, no_events)
    has = {tool["name"] for tool in found["tools"]}
    assert {"sessions_list", "session_status"} <= has
    denied = {each["name"]: each["why"] for each in found["denied"]}
    assert denied["sessions_send"] == "tools.deny has sessions_send"
    shown = "\n".join(lines(found))
    assert shown.startswith("agent main, demo/demo: ")
    assert "tools.deny has sessions_send" in shown
    assert shown.endswith("left out: x of the package p has no tools")


async def test_a_sub_agent_has_less(node: Node):
    found: Any = await tools(node, {"depth": 5}, no_events)
    denied = {each["name"]: each["why"] for each in found["denied"]}
    assert denied["agents_list"] == "sub-agents do not have it"
    assert "on level 5 starts none" in denied["sessions_spawn"]


@pytest.mark.parametrize(
    "params, words",
    [
        ({"agent": "nobody"}, "there is no agent 'nobody'"),
        ({"model": "nothing/x"}, "names no configured provider"),
        ({"depth": 9}, "a whole number from 0 to 5"),
    ],
)
async def test_what_cannot_be_shown_is_said(node: Node, params: Any, words: str):
    with pytest.raises(Failed, match=words):
        await tools(node, params, no_events)
    await trio.lowlevel.checkpoint()
