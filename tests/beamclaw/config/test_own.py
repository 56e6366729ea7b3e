"""What an agent has of its own, over what the node has."""

import pytest

from beamclaw.config.schema import (
    AgentConfig,
    AgentSandboxConfig,
    AgentTurnConfig,
    Config,
    ResetConfig,
    SandboxConfig,
    TurnLimitsConfig,
    over,
    own_of,
)

NODE = SandboxConfig(memory=1_000, read=("/srv",))


@pytest.mark.parametrize(
    ("node", "own", "holds"),
    [
        ("all", None, "all"),
        (None, ("git",), ("git",)),
        (("git",), (), ()),
        (NODE, AgentSandboxConfig(), NODE),
        (NODE, AgentSandboxConfig(read=()), SandboxConfig(memory=1_000, read=())),
        (NODE, AgentSandboxConfig(seconds=0.0, memory=2), SandboxConfig(memory=2, read=("/srv",))),
        (TurnLimitsConfig(cost=1.0), AgentTurnConfig(cost=0.0), TurnLimitsConfig(cost=0.0)),
        (ResetConfig(mode="daily", at_hour=7), ResetConfig(mode="daily"), ResetConfig(mode="daily")),
    ],
    ids=[
        "nothing of its own",
        "something where the node has nothing",
        "none in place of some",
        "keys that say nothing",
        "a key that says: none",
        "a key that says: nothing, of a number",
        "a limit of nothing",
        "the same kind, as a whole",
    ],
)  # fmt: skip
def test_what_an_agent_says_itself_holds(
    node: object, own: object, holds: object
) -> None:
    assert over(node, own) == holds


def test_an_agent_that_nobody_configured_has_nothing_of_its_own() -> None:
    mine = AgentConfig(name="Ann")
    config = Config(agents={"main": mine})
    assert own_of(config, "main") is mine
    assert own_of(config, "other") == AgentConfig()
