"""The turn machine's decisions, as a table."""

import attrs
import pytest

from beamclaw.contracts.journal import OpenTurn, Transcript
from beamclaw.contracts.messages import ModelParams, said
from beamclaw.runs.turn import Ask, Finish, NoOpenTurnError, Step, decide

TURN = OpenTurn(
    run_id="r",
    epoch=1,
    agent="main",
    definition="h",
    params=ModelParams(seed=1),
    retractable=True,
)
SAID = (said("user", "hi"),)


def ask(attempt: int) -> Ask:
    return Ask(attempt=attempt, messages=SAID, params=ModelParams(seed=1))


@pytest.mark.parametrize(
    ("turn", "step"),
    [
        (TURN, ask(1)),
        (attrs.evolve(TURN, attempt=1, asking=True), ask(2)),
        (attrs.evolve(TURN, attempt=2, failed=2), ask(3)),
        (
            attrs.evolve(TURN, attempt=1, answer=said("assistant", "ho")),
            Finish(outcome="ok", stop_reason="stop", text="ho"),
        ),
        (
            attrs.evolve(TURN, answer=said("assistant", "h"), stop_reason="length"),
            Finish(outcome="ok", stop_reason="length", text="h"),
        ),
    ],
)
def test_the_next_step_of_a_turn(turn: OpenTurn, step: Step) -> None:
    assert decide(Transcript(3, SAID, turn), system=None) == step


def test_the_agents_own_words_go_before_everything_said() -> None:
    step = decide(Transcript(3, SAID, TURN), system="be kind")
    assert isinstance(step, Ask)
    assert step.messages == (said("system", "be kind"), *SAID)


def test_a_closed_turn_has_no_next_step() -> None:
    with pytest.raises(NoOpenTurnError):
        decide(Transcript(3, SAID, None), system=None)
