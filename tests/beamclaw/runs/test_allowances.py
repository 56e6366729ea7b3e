"""What is carved from a turn for a sub-agent."""

import attrs
import pytest

from beamclaw.contracts.messages import ModelParams, ToolCall
from beamclaw.contracts.open_turn import Call, Child, OpenTurn
from beamclaw.contracts.subagents import Allowance, ChildBegun, Spawn
from beamclaw.runs.allowances import carve, within
from tests.beamclaw.sessions.conftest import TURN_LIMITS

LIMITS = attrs.evolve(
    TURN_LIMITS, model_calls=21, tool_calls=40, tokens=1_000, seconds=100.0
)
TURN = OpenTurn(
    run_id="r",
    epoch=1,
    agent="main",
    definition="h",
    params=ModelParams(),
    retractable=True,
    model_calls=1,
    tokens=100,
)


def given(calls: int, tools: int, tokens: int, seconds: float) -> Allowance:
    return Allowance(
        model_calls=calls, tool_calls=tools, tokens=tokens, seconds=seconds
    )


WITH_ONE = attrs.evolve(
    TURN,
    children=(
        Child(
            call_id="a",
            begun=ChildBegun(
                run_id="k",
                session_key="s",
                kind="spawn",
                mode="wait",
                allowance=given(10, 20, 450, 60.0),
            ),
        ),
    ),
)
CALLING = attrs.evolve(
    TURN, calls=tuple(Call(asked=ToolCall(id_, "f", "{}")) for id_ in "ab")
)
TABLE = [
    # turn, asked for, at second: what it gets
    (TURN, {}, 0.0, given(10, 20, 450, 100.0)),
    (TURN, {"tokens": 900, "model_calls": 1}, 0.0, given(1, 20, 900, 100.0)),
    (TURN, {"tokens": 901, "model_calls": 99}, 0.0, given(20, 20, 900, 100.0)),
    (TURN, {"seconds": 5.0}, 30.0, given(10, 20, 450, 5.0)),
    (TURN, {"seconds": 500.0}, 30.0, given(10, 20, 450, 70.0)),
    (WITH_ONE, {}, 0.0, given(5, 10, 225, 100.0)),
    (WITH_ONE, {"tokens": 900}, 0.0, given(5, 10, 450, 100.0)),
    # The call that starts it, and one beside it, are calls of the turn as well.
    (CALLING, {"tool_calls": 99}, 0.0, given(10, 38, 450, 100.0)),
    (
        attrs.evolve(CALLING, tool_calls=38),
        {"tool_calls": 1},
        0.0,
        "limits.turn.tool_calls",
    ),
    (TURN, {"tokens": 0}, 0.0, "limits.turn.tokens"),
    (TURN, {}, 100.0, "limits.turn.seconds"),
    (attrs.evolve(TURN, model_calls=20), {}, 0.0, "limits.turn.model_calls"),
    (attrs.evolve(TURN, tool_calls=40), {}, 0.0, "limits.turn.tool_calls"),
]


@pytest.mark.parametrize("turn, asked, now, expected", TABLE)
def test_what_a_sub_agent_gets(turn, asked, now, expected):
    found = carve(turn, LIMITS, Spawn(task="t", **asked), 0.5, now)
    if isinstance(expected, str):
        assert isinstance(found, str)
        assert expected in found
    else:
        assert found == expected


def test_money_is_parted_where_it_is_limited():
    limits = attrs.evolve(LIMITS, cost=1_000_000)
    turn = attrs.evolve(TURN, cost=200_000)
    found = carve(turn, limits, Spawn(task="t"), 0.5, 0.0)
    assert isinstance(found, Allowance)
    assert found.cost == 400_000
    found = carve(turn, limits, Spawn(task="t", cost=0.9), 0.5, 0.0)
    assert isinstance(found, Allowance)
    assert found.cost == 800_000
    found = carve(turn, LIMITS, Spawn(task="t", cost=0.5), 0.5, 0.0)
    assert isinstance(found, Allowance)
    assert found.cost == 500_000
    assert within(limits, found).cost == 500_000
    assert within(LIMITS, found).cost == 500_000


def test_a_turn_with_an_allowance_has_the_tighter_limits():
    limits = within(LIMITS, given(5, 100, 500, 1_000.0))
    assert (limits.model_calls, limits.tool_calls) == (5, 40)
    assert (limits.tokens, limits.seconds) == (500, 100.0)
    assert limits.repeats == LIMITS.repeats
    assert within(LIMITS, None) == LIMITS
