"""What stands in journal, ledger and topic when a session ends a run itself."""

import attrs
import pytest

from beamclaw.contracts import tokens
from beamclaw.contracts.announcements import Place
from beamclaw.contracts.journal import Answered, InboundTaken, RunOver, ToolEnded
from beamclaw.contracts.ledger_ops import EndRun, Settle, Take
from beamclaw.contracts.messages import ModelParams, ToolCall, Usage, said
from beamclaw.contracts.open_turn import Begun, Call, OpenTurn, Reserved
from beamclaw.contracts.sessions import Inbound
from beamclaw.contracts.transcript import Transcript
from beamclaw.sessions.ends import closed, refused, turned_away, withdrawn
from beamclaw.sessions.lane import Pending

PLACE = Place("default", "agent:main:main")
TURN = OpenTurn(
    run_id="r",
    epoch=1,
    agent="main",
    definition="h",
    params=ModelParams(),
    retractable=True,
    attempt=2,
    usage=Usage(5, 1),
)
OPEN = Transcript(3, (said("user", "hello"),), TURN)
ASKING = attrs.evolve(OPEN, turn=attrs.evolve(TURN, asking=True))
WAITING = Pending(
    7,
    Inbound(
        tenant="default",
        source="http",
        account="gateway",
        conversation="c",
        external_id="1",
        session_key="agent:main:main",
        agent="nobody",
        messages=(said("user", "hello"),),
        run_id="r7",
    ),
)


def test_what_was_said_of_a_stopped_turn_stays():
    end = closed(OPEN, "aborted", "so far", at=9.0, place=PLACE)
    (_, answered), (run_id, over) = end.bodies
    assert isinstance(answered, Answered)
    assert answered.message == said("assistant", "so far")
    assert (run_id, over) == ("r", RunOver(outcome="aborted", stop_reason="aborted"))
    assert end.told.text == "so far"


def test_what_an_earlier_model_call_said_is_told_and_not_said_again():
    before = attrs.evolve(OPEN, turn=attrs.evolve(TURN, text="first"))
    end = closed(before, "aborted", "so far", at=9.0, place=PLACE)
    (_, answered), _ = end.bodies
    assert isinstance(answered, Answered)
    assert answered.message == said("assistant", "so far")
    assert end.told.text == "first\n\nso far"


@pytest.mark.parametrize(
    ("begun", "outcome", "expected"),
    [
        (None, "aborted", "refused"),
        (Begun(effect="pure", key="k", attempt=1), "aborted", "stopped"),
        (Begun(effect="unsafe", key="k", attempt=1), "quarantined", "unknown"),
    ],
)
def test_a_tool_call_without_a_result_gets_one(begun, outcome, expected):
    calls = (
        Call(asked=ToolCall("a", "f", "{}"), outcome="ok"),
        Call(asked=ToolCall("b", "f", "{}"), begun=begun),
    )
    end = closed(
        attrs.evolve(OPEN, turn=attrs.evolve(TURN, calls=calls)),
        outcome,
        at=9.0,
        place=PLACE,
    )
    (_, result), (_, over) = end.bodies
    assert isinstance(result, ToolEnded)
    assert (result.result.id, result.outcome) == ("b", expected)
    assert isinstance(over, RunOver)


def test_where_nothing_was_said_there_is_no_answer():
    end = closed(OPEN, "quarantined", at=9.0, place=PLACE, error="because")
    ((_, over),) = end.bodies
    assert isinstance(over, RunOver)
    assert (over.error_kind, over.error) == ("server", "because")


RESERVED = attrs.evolve(
    ASKING,
    turn=attrs.evolve(
        TURN,
        asking=True,
        reserved=Reserved(Usage(100, 1_000), cost=11_000),
    ),
)


@pytest.mark.parametrize(
    ("text", "received", "told"),
    [("", 0, 0), ("so far", 0, 6), ("so far", 30, 30)],  # thoughts are billed, too
)
def test_what_a_person_has_stopped_costs_what_had_come(text, received, told):
    end = closed(RESERVED, "aborted", text, at=9.0, place=PLACE, received=received)
    settle = end.ops[0]
    assert isinstance(settle, Settle)
    assert (settle.usage, settle.told) == (None, told)
    assert end.told.usage == TURN.usage + Usage(100, told, estimated=True)


@pytest.mark.parametrize("at", [-5_000.0, 1_041.0, 90_000.0])
@pytest.mark.parametrize("outcome", ["quarantined", "aborted"])
def test_it_has_worked_up_to_its_last_event_whatever_the_clock_shows(outcome, at):
    turn = attrs.evolve(TURN, started_at=1_000.0, touched_at=1_040.0)
    end = closed(attrs.evolve(OPEN, turn=turn), outcome, at=at, place=PLACE)
    (end_run,) = end.ops
    assert isinstance(end_run, EndRun)
    assert end_run.spend.seconds == 40.0


@pytest.mark.parametrize("outcome", ["quarantined", "aborted"])
def test_a_call_of_which_nobody_knows_how_far_it_had_come_costs_all_it_could(outcome):
    end = closed(RESERVED, outcome, at=9.0, place=PLACE)
    settle = end.ops[0]
    assert isinstance(settle, Settle)
    assert (settle.usage, settle.told) == (None, None)
    assert end.told.usage == TURN.usage + Usage(100, 1_000, estimated=True)


def test_a_call_that_was_under_way_is_settled_by_the_bytes_that_had_come():
    end = closed(RESERVED, "aborted", "so far", at=9.0, place=PLACE, received=6)
    settle, end_run = end.ops
    assert isinstance(settle, Settle)
    assert isinstance(end_run, EndRun)
    assert settle.usage is None
    assert settle.told == tokens.most_of_text("so far")
    assert end_run.usage.output == TURN.usage.output + (settle.told or 0)
    assert end_run.usage.estimated


def test_where_no_call_was_under_way_nothing_is_settled():
    assert [type(op) for op in closed(OPEN, "aborted", at=9.0, place=PLACE).ops] == [
        EndRun
    ]


@pytest.mark.parametrize(
    "end, kinds",
    [
        (withdrawn(WAITING, at=9.0, place=PLACE), []),
        (turned_away(WAITING, "nobody waits for it", at=9.0, place=PLACE), []),
        (
            refused(OPEN, WAITING, "no such agent", at=9.0, place=PLACE),
            [InboundTaken, RunOver],
        ),
    ],
)
def test_a_message_that_never_ran_is_taken_and_its_run_is_over(end, kinds):
    assert [type(body) for _, body in end.bodies] == kinds
    assert [type(op) for op in end.ops] == [Take, EndRun]
    assert end.ops[0] == Take((7,))
    assert end.told.run_id == "r7"
