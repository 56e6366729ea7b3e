"""What the composition makes of the configuration of limits."""

from typing import Any

import pytest

from beamclaw.config.schema import (
    AgentBudgetConfig,
    AgentConfig,
    AgentLimitsConfig,
    AgentTurnConfig,
    BudgetConfig,
    Config,
    LimitsConfig,
    ProviderConfig,
    TurnLimitsConfig,
)
from beamclaw.contracts.budgets import Cap
from beamclaw.contracts.secret import Secret
from beamclaw.tree import caps_of, outline, turn_limits_of


def config(limits: LimitsConfig | None = None, **own: Any) -> Config:
    agents = {"main": AgentConfig(limits=AgentLimitsConfig(**own)), "b": AgentConfig()}
    return Config(limits=limits or LimitsConfig(), agents=agents)


SOFT = Cap("tenant", "cost", 50_000_000, "limits.day.cost", soft=True)


@pytest.mark.parametrize(
    ("limits", "own", "agent", "caps"),
    [
        (LimitsConfig(), {}, "main", [SOFT]),
        (LimitsConfig(day=BudgetConfig()), {}, "main", []),
        (
            LimitsConfig(day=BudgetConfig(cost=2.5, calls=7)),
            {},
            "main",
            [
                Cap("tenant", "cost", 2_500_000, "limits.day.cost"),
                Cap("tenant", "calls", 7, "limits.day.calls"),
            ],
        ),
        (
            LimitsConfig(
                day=BudgetConfig(),
                agent=BudgetConfig(tokens=5, calls=3),
                session=BudgetConfig(tokens=9),
            ),
            {
                "day": AgentBudgetConfig(tokens=50, cost=1.0),
                "session": AgentBudgetConfig(calls=4),
            },
            "main",
            [
                Cap("agent", "tokens", 50, "agents.main.limits.day.tokens"),
                Cap("agent", "cost", 1_000_000, "agents.main.limits.day.cost"),
                Cap("agent", "calls", 3, "limits.agent.calls"),
                Cap("session", "tokens", 9, "limits.session.tokens"),
                Cap("session", "calls", 4, "agents.main.limits.session.calls"),
            ],
        ),
        (
            LimitsConfig(day=BudgetConfig(), agent=BudgetConfig(tokens=5)),
            {"day": AgentBudgetConfig(tokens=50)},
            "b",
            [Cap("agent", "tokens", 5, "limits.agent.tokens")],
        ),
        (
            LimitsConfig(
                day=BudgetConfig(seconds=0.5), session=BudgetConfig(seconds=60.0)
            ),
            {"day": AgentBudgetConfig(seconds=3_600.0)},
            "main",
            [
                Cap("tenant", "seconds", 500, "limits.day.seconds"),
                Cap("agent", "seconds", 3_600_000, "agents.main.limits.day.seconds"),
                Cap("session", "seconds", 60_000, "limits.session.seconds"),
            ],
        ),
        # An agent that the configuration does not know any more.
        (LimitsConfig(), {}, "gone", [SOFT]),
    ],
)
def test_what_caps_a_call_of_an_agent(
    limits: LimitsConfig, own: dict[str, Any], agent: str, caps: list[Cap]
) -> None:
    assert list(caps_of(config(limits, **own), agent)) == caps


def test_a_turn_has_the_limits_of_its_agent() -> None:
    limits = LimitsConfig(turn=TurnLimitsConfig(cost=2.0, tool_calls=7))
    own = {"turn": AgentTurnConfig(cost=0.5, model_calls=3)}
    mine = turn_limits_of(config(limits, **own), "main")
    assert (mine.cost, mine.model_calls, mine.tool_calls) == (500_000, 3, 7)
    theirs = turn_limits_of(config(limits, **own), "b")
    assert (theirs.cost, theirs.model_calls) == (2_000_000, 100)
    assert turn_limits_of(config(), "main").cost is None


def test_there_is_a_permit_server_for_each_key() -> None:
    keys = (Secret("a-key"), Secret("b-key"), Secret("c-key"))
    two = Config(providers={"p": ProviderConfig(api_key=keys), "q": ProviderConfig()})
    ids = [row.path[-1] for row in outline(two) if row.path[0] == "providers"]
    assert ids == ["providers", "p", "p#2", "p#3", "q"]
