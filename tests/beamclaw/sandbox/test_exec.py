"""The tool exec of an agent runs its commands in the agent's sandbox."""

import attrs
import pytest

from beamclaw import commands, sandbox
from beamclaw.config import Config
from beamclaw.config.schema import AgentConfig, AgentSandboxConfig, SandboxConfig
from beamclaw.contracts.approvals import Ask, Clear
from beamclaw.contracts.command_policy import CommandPolicy, Rule
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.sandbox import Machine
from beamclaw.contracts.tools import Order, ToolFailed
from beamclaw.paths import Roots
from tests.beamclaw.commands.test_run import in_process
from tests.beamclaw.sandbox.conftest import ENV, SMALL, Bench, config_of, opened

BARE = Machine(why="it is not installed", why_no_cgroups="none can be made")


class Agent:
    """An agent that may run echo, and all else when a person agrees."""

    def __init__(self, bench):
        self.tool = next(
            tool
            for tool in commands.tools(
                commands.Setting(
                    tenant="default",
                    agent="main",
                    roots=Roots(workspace=bench.workspace, closed=(bench.data,)),
                    policy=CommandPolicy(
                        mode="on-miss", rules=(Rule.parse("/usr/bin/echo **"),)
                    ),
                    env=ENV,
                    worker=InlineWorker(),
                    sandbox=bench.sandbox(),
                )
            )
            if tool.spec.name == "exec"
        )
        self.calls = 0

    def order(self, command, **more):
        self.calls += 1
        known = {
            "tenant": "default",
            "session_key": "agent:main:main",
            "run_id": "r",
            "call_id": f"c{self.calls}",
            "key": f"k{self.calls}",
            "tool": "exec",
            "arguments": {"command": command},
        }
        return Order(**(known | more))

    async def run(self, order):
        return (await in_process(lambda: self.tool.run(order))).text

    async def clear(self, order):
        return await in_process(lambda: self.tool.clear(order))

    async def agreed(self, order):
        """What it says when a person has agreed."""
        asked = await self.clear(order)
        assert isinstance(asked, Ask)
        return await self.run(attrs.evolve(order, approved=asked.digest))


@pytest.mark.peer("bubblewrap")
async def test_a_command_of_the_model_is_in_the_sandbox(bench):
    (bench.data / "token").write_text("canary")
    agent = Agent(bench)
    order = agent.order(f"cat {bench.data}/token; ls -A ~; echo made > file")
    said = await agent.agreed(order)

    assert "canary" not in said
    assert "No such file or directory" in said
    assert (bench.workspace / "file").read_text() == "made\n"


@pytest.mark.peer("bubblewrap")
async def test_who_agrees_sees_where_it_will_run_and_agrees_to_that(bench):
    agent = Agent(bench)
    asked = await agent.clear(agent.order("ls"))
    tainted = await agent.clear(agent.order("ls", tainted=True))

    assert "in bubblewrap, with the network" in asked.details.values()
    assert "in bubblewrap, without network" in tainted.details.values()
    assert asked.digest != tainted.digest


async def test_where_nothing_isolates_what_is_allowed_is_not_for_strangers(tmp_path):
    bench = Bench(tmp_path)
    bench.workspace.mkdir(parents=True)
    outside = Outside(worker=InlineWorker, machine=BARE)
    async with opened(config_of(SMALL, bench.data), outside):
        agent = Agent(bench)
        mine = agent.order("echo mine")
        theirs = agent.order("echo theirs", session_key="agent:main:subagent:x")

        assert await agent.clear(mine) == Clear()
        assert "mine" in await agent.run(mine)
        with pytest.raises(ToolFailed, match="a person has to agree"):
            await agent.run(theirs)
        assert "theirs" in await agent.agreed(theirs)


def test_an_agents_own_keys_take_the_place_of_the_nodes():
    own = AgentSandboxConfig(untrusted="bubblewrap", memory=7, read=("/srv",))
    config = attrs.evolve(
        Config(), agents={"main": AgentConfig(), "other": AgentConfig(sandbox=own)}
    )

    assert sandbox.policy_of(config, "main") == SandboxConfig()
    assert sandbox.policy_of(config, "nobody") == SandboxConfig()
    assert sandbox.policy_of(config, "other") == SandboxConfig(
        untrusted="bubblewrap", memory=7, read=("/srv",)
    )
