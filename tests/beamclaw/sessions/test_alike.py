"""Which messages one turn answers as each would be answered alone, as tables."""

import attrs
import pytest

from beamclaw.contracts.messages import ModelParams, ToolCall, said
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.contracts.sessions import Inbound
from beamclaw.contracts.subagents import ChildEnd, Parent
from beamclaw.sessions.alike import alike, answers_alike, params_of, wanted

INBOUND = Inbound(
    tenant="default",
    source="http",
    account="gateway",
    conversation="c",
    external_id="1",
    session_key="agent:main:main",
    agent="main",
    messages=(said("user", "a"),),
    run_id="r1",
)
PARENT = Parent(
    session_key="agent:main:x",
    agent="main",
    run_id="p",
    call_id="c",
    kind="spawn",
    mode="wait",
    depth=1,
)
END = ChildEnd(run_id="k", parent_run="earlier")
NOTHING = SessionMeta()


def turn_of(inbound: Inbound, meta: SessionMeta = NOTHING) -> OpenTurn:
    """As its session begins it."""
    return OpenTurn(
        run_id=inbound.run_id,
        epoch=1,
        agent=inbound.agent,
        definition="h",
        params=params_of(inbound, meta),
        retractable=inbound.retractable,
        parent=inbound.parent,
        reply_to=inbound.reply_to,
        ordered=inbound.call is not None,
        compacts=inbound.compacts,
        wanted=wanted(inbound, meta),
    )


THINKS = ModelParams(thinking="high")
# What is said differently, and answered the same.
SAME = [
    {},
    {"messages": (said("user", "b"),)},
    {"external_id": "2", "run_id": "r2"},
    {"sender": "somebody"},
    {"queue": "steer", "literal": True, "about": "x", "tainted": True},
    {"traceparent": "00-1", "tracestate": "a=b"},
]
OTHER = [
    {"source": "terminal"},
    {"account": "b"},
    {"conversation": "d"},
    {"reply_to": "elsewhere"},
    {"agent": "other"},
    {"model": "test/other"},
    {"params": THINKS},
    {"params": ModelParams(seconds=9.0)},
    {"params": ModelParams(instructions="Be brief.")},
    {"retractable": False},
    {"ephemeral": True},
    {"parent": PARENT},
]


@pytest.mark.parametrize(
    ("more", "same"), [(m, True) for m in SAME] + [(m, False) for m in OTHER]
)
def test_a_turn_answers_what_it_was_asked_for(more, same: bool) -> None:
    other = attrs.evolve(INBOUND, **more)
    assert alike(INBOUND, other, NOTHING) is same
    assert alike(other, INBOUND, NOTHING) is same
    assert answers_alike(turn_of(INBOUND), other, NOTHING, None) is same
    assert answers_alike(turn_of(other), INBOUND, NOTHING, None) is same
    assert answers_alike(turn_of(other), other, NOTHING, None)


BIG, SMALL = SessionMeta(model="test/big"), SessionMeta(model="test/small")


@pytest.mark.parametrize(
    ("before", "now", "more", "same"),
    [
        (BIG, BIG, {}, True),
        # What is set meanwhile is set for the next turn, and for who speaks from now on.
        (BIG, SMALL, {}, False),
        (NOTHING, BIG, {}, False),
        (NOTHING, SessionMeta(thinking="high"), {}, False),
        (NOTHING, SessionMeta(label="x", verbosity="full"), {}, True),
        # Who names what the session has set asks for the same.
        (BIG, BIG, {"model": "test/big"}, True),
        (BIG, SMALL, {"model": "test/big"}, True),
        (SessionMeta(thinking="high"), NOTHING, {"params": THINKS}, True),
    ],
)
def test_what_is_set_for_the_session_counts(before, now, more, same: bool) -> None:
    turn = turn_of(INBOUND, before)
    assert answers_alike(turn, attrs.evolve(INBOUND, **more), now, None) is same


def test_who_answers_is_who_the_session_was_handed_to() -> None:
    turn = attrs.evolve(turn_of(INBOUND), agent="other")
    assert answers_alike(turn, INBOUND, NOTHING, "other")
    assert not answers_alike(turn, INBOUND, NOTHING, None)


@pytest.mark.parametrize(
    "more", [{"call": ToolCall("a", "put", "{}")}, {"compacts": True}]
)
def test_a_turn_that_asks_no_model_for_an_answer_takes_nothing(more) -> None:
    turn = turn_of(attrs.evolve(INBOUND, **more))
    assert not answers_alike(turn, INBOUND, NOTHING, None)


def test_a_turn_that_does_not_say_what_it_was_asked_for_takes_nothing() -> None:
    turn = attrs.evolve(turn_of(INBOUND), wanted=None)
    assert not answers_alike(turn, INBOUND, NOTHING, None)


ANNOUNCED = attrs.evolve(
    INBOUND, source="agent", account="agent", conversation="k", child=END, hops=1
)
COMMAND = attrs.evolve(INBOUND, source="command", account="node", hops=1)


@pytest.mark.parametrize(
    ("notice", "turn", "same"),
    [
        # Whoever reads it first may: its answer is wanted nowhere else.
        (ANNOUNCED, {}, True),
        (COMMAND, {}, True),
        (COMMAND, {"model": "test/other", "params": THINKS}, True),
        (COMMAND, {"reply_to": "chat:7"}, True),
        (attrs.evolve(ANNOUNCED, reply_to="chat:7"), {"reply_to": "chat:7"}, True),
        (attrs.evolve(ANNOUNCED, reply_to="chat:7"), {}, False),
        (attrs.evolve(ANNOUNCED, reply_to="chat:7"), {"reply_to": "chat:8"}, False),
        (attrs.evolve(COMMAND, agent="other"), {}, False),
        # That a session tells another one something is no notice.
        (attrs.evolve(ANNOUNCED, child=None, parent=PARENT), {}, False),
    ],
)
def test_a_notice_is_heard_in_the_turn_that_goes_on(notice, turn, same: bool) -> None:
    going = turn_of(attrs.evolve(INBOUND, **turn))
    assert answers_alike(going, notice, NOTHING, None) is same


def test_a_person_is_not_answered_in_the_turn_of_a_notice() -> None:
    assert not answers_alike(turn_of(COMMAND), INBOUND, NOTHING, None)
