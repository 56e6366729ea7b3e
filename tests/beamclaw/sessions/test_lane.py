"""What a session does next, as a table."""

import attrs
import pytest

from beamclaw.contracts.messages import ModelParams, said
from beamclaw.contracts.sessions import Inbound
from beamclaw.contracts.transcript import OpenTurn, Transcript
from beamclaw.sessions.lane import (
    Begin,
    Idle,
    Lane,
    Pending,
    Quarantine,
    Revive,
    Step,
    Wait,
    back_off,
    decide,
    taken,
)

TURN = OpenTurn(
    run_id="r",
    epoch=1,
    agent="main",
    definition="h",
    params=ModelParams(),
    retractable=True,
)
INBOUND = Inbound(
    tenant="default",
    source="http",
    account="gateway",
    conversation="c",
    external_id="1",
    session_key="agent:main:main",
    agent="main",
    messages=(said("system", "be brief"), said("user", "a"), said("assistant", "b")),
    run_id="r1",
)
FIRST = Pending(1, INBOUND)
QUIET = Lane(
    transcript=Transcript(),
    pending=(),
    running=False,
    resting=False,
    intake=True,
    revivals=0,
)
OPEN = attrs.evolve(QUIET, transcript=Transcript(3, (), TURN))
FULL = attrs.evolve(QUIET, pending=(FIRST, Pending(2, INBOUND)))


@pytest.mark.parametrize(
    ("lane", "step"),
    [
        (QUIET, Idle()),
        (FULL, Begin(FIRST)),
        (attrs.evolve(FULL, intake=False), Wait()),
        (attrs.evolve(FULL, running=True), Wait()),
        (attrs.evolve(OPEN, running=True), Wait()),
        (OPEN, Revive()),
        (attrs.evolve(OPEN, pending=(FIRST,)), Revive()),
        (attrs.evolve(OPEN, resting=True), Wait()),
        (attrs.evolve(OPEN, intake=False), Wait()),
        (attrs.evolve(OPEN, revivals=4), Revive()),
        (attrs.evolve(OPEN, revivals=5), Quarantine(5)),
        (attrs.evolve(OPEN, revivals=5, intake=False), Quarantine(5)),
    ],
)
def test_the_next_step_of_a_session(lane: Lane, step: Step) -> None:
    assert decide(lane, revive_limit=5) == step


def test_a_new_session_takes_everything_that_was_given() -> None:
    assert taken(Transcript(), INBOUND) == INBOUND.messages


def test_a_session_with_a_history_takes_the_last_message_of_the_user() -> None:
    assert taken(Transcript(seq=4), INBOUND) == (said("user", "a"),)


def test_without_a_message_of_the_user_the_last_one_counts() -> None:
    inbound = attrs.evolve(INBOUND, messages=(said("system", "x"),))
    assert taken(Transcript(seq=4), inbound) == (said("system", "x"),)


def test_the_pause_before_a_revival_doubles_up_to_its_limit() -> None:
    pauses = [back_off(n, first=0.05, most=1.0) for n in (0, 1, 2, 3, 6, 10_000)]
    assert pauses == [0.05, 0.05, 0.1, 0.2, 1.0, 1.0]
