"""Which limits of its own a turn is near to: the table of cases."""

import math

import attrs
import pytest

from beamclaw.contracts.messages import ModelParams
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.runs.nearing import Near, Nearing
from tests.beamclaw.runs.test_allowances import TURN as WITH_PARAMS
from tests.beamclaw.runs.test_allowances import WITH_ONE
from tests.beamclaw.sessions.conftest import TURN_LIMITS

LIMITS = attrs.evolve(
    TURN_LIMITS,
    model_calls=10,
    tool_calls=20,
    tokens=1_000,
    seconds=100.0,
    cost=2_000_000,
)
TURN = attrs.evolve(WITH_PARAMS, model_calls=0, tokens=0)
WISHED = attrs.evolve(TURN, params=ModelParams(seconds=100.0))
UNWISHED = attrs.evolve(TURN, params=ModelParams(seconds=100.5))
# What it has used, at second -> the limits it is near to.
TABLE = {
    "nothing is used": (TURN, 0.0, ()),
    "below each": (
        attrs.evolve(TURN, model_calls=7, tool_calls=15, tokens=799, cost=1_599_999),
        79.0,
        (),
    ),
    "calls of the model": (attrs.evolve(TURN, model_calls=8), 0.0, ("model_calls",)),
    "tool calls": (attrs.evolve(TURN, tool_calls=16), 0.0, ("tool_calls",)),
    "tokens": (attrs.evolve(TURN, tokens=800), 0.0, ("tokens",)),
    "money": (attrs.evolve(TURN, cost=1_600_000), 0.0, ("cost",)),
    "time": (TURN, 80.0, ("seconds",)),
    "beyond": (attrs.evolve(TURN, tokens=5_000), 0.0, ("tokens",)),
    "several": (
        attrs.evolve(TURN, model_calls=9, tokens=900),
        90.0,
        ("model_calls", "tokens", "seconds"),
    ),
    "a sub-agent has been given what it may use": (
        attrs.evolve(WITH_ONE, tokens=350),
        0.0,
        ("model_calls", "tool_calls", "tokens"),
    ),
    "the time for a person stands": (
        attrs.evolve(TURN, waiting_since=10.0),
        90.0,
        (),
    ),
    "the time that the client wants it to take": (WISHED, 90.0, ()),
    "more than it may take": (UNWISHED, 90.0, ("seconds",)),
}


def names(found: tuple[Near, ...]) -> tuple[str, ...]:
    return tuple(near.name.removeprefix("limits.turn.") for near in found)


@pytest.mark.parametrize("case", TABLE)
def test_a_turn_is_near_to_what_it_has_used_four_fifths_of(case: str) -> None:
    turn, now, expected = TABLE[case]
    assert names(Nearing(LIMITS, 0.8).look(turn, now)) == expected


def test_each_limit_is_told_of_once() -> None:
    nearing = Nearing(LIMITS, 0.8)
    turn = attrs.evolve(TURN, tokens=800)
    assert names(nearing.look(turn, 0.0)) == ("tokens",)
    assert nearing.look(attrs.evolve(turn, tokens=950), 0.0) == ()
    assert names(nearing.look(attrs.evolve(turn, tokens=950), 80.0)) == ("seconds",)
    assert nearing.look(attrs.evolve(turn, tokens=950), 90.0) == ()


def test_without_a_limit_of_money_there_is_nothing_to_be_near_to() -> None:
    free = attrs.evolve(LIMITS, cost=None)
    assert Nearing(free, 0.8).look(attrs.evolve(TURN, cost=10**12), 0.0) == ()


@pytest.mark.parametrize(("share", "told"), [(0.5, True), (0.51, False), (0.0, True)])
def test_the_share_is_that_of_the_configuration(share: float, told: bool) -> None:
    half = attrs.evolve(TURN, model_calls=5)
    assert (names(Nearing(LIMITS, share).look(half, 0.0)) == ("model_calls",)) == told


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (
            {"model_calls": 8},
            "8 of 10 calls of the model are used (limits.turn.model_calls)",
        ),
        ({"tool_calls": 16}, "16 of 20 tool calls are used (limits.turn.tool_calls)"),
        ({"tokens": 900}, "900 of 1,000 tokens are used (limits.turn.tokens)"),
        ({"cost": 1_700_000}, "$1.70 of $2.00 are used (limits.turn.cost)"),
        ({"started_at": -85.0}, "85 of 100 seconds are used (limits.turn.seconds)"),
    ],
)
def test_it_says_how_much_and_where_that_is_set(
    used: dict[str, int], words: str
) -> None:
    (near,) = Nearing(LIMITS, 0.8).look(attrs.evolve(TURN, **used), 0.0)
    assert (near.agent, near.words) == ("main", f"a turn: {words}")


@pytest.mark.parametrize(
    ("turn", "now", "left"),
    [(TURN, 30.0, 50.0), (TURN, 80.0, math.inf), (WISHED, 30.0, math.inf)],
)
def test_it_is_known_when_time_is_near(turn: OpenTurn, now: float, left: float) -> None:
    nearing = Nearing(LIMITS, 0.8)
    nearing.look(turn, now)
    assert nearing.seconds_left(turn, now) == left
