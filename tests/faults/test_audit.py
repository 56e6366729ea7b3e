"""The auditor finds what it is there for: each fault is planted once."""

import attrs
import pytest

from tests.faults.audit import Audit, Book, Call, Kill, Run, Turn

BEFORE, AFTER = 10.0, 20.0


def turn(marker: str, *, session: str = "s", after: str | None = None) -> Turn:
    return Turn(
        marker=marker,
        session=session,
        expected=f"text of {marker}",
        sent=1.0,
        acked=2.0,
        after=after,
    )


def journal(*markers: str) -> tuple[tuple[str, str, str | None], ...]:
    kinds = ("inbound", "run-started", "asked", "answered", "run-over")
    return tuple(
        (kind, marker if kind in ("inbound", "answered") else "", f"run-{marker}")
        for marker in markers
        for kind in kinds
    )


def book(*markers: str, state: str = "ended") -> Book:
    outcome = "ok" if state == "ended" else None
    text = "text of {}" if state == "ended" else ""
    return Book(
        accepted={marker: f"run-{marker}" for marker in markers},
        runs={
            f"run-{marker}": Run(f"run-{marker}", state, outcome, text.format(marker))
            for marker in markers
        },
        journals={"s": journal(*markers)},
    )


def call(marker: str, at: float, *before: str) -> Call:
    talk = [pair for m in before for pair in (("user", m), ("assistant", m))]
    return Call(marker, at, (*talk, ("user", marker)))


def audit(*turns: Turn, at_kill: Book) -> Audit:
    return Audit({turn.marker: turn for turn in turns}, [Kill(15.0, at_kill)])


def test_a_turn_cut_by_a_kill_and_finished_afterwards_is_in_order():
    known = audit(turn("a"), at_kill=book("a", state="running"))

    calls = [call("a", BEFORE), call("a", AFTER)]

    assert known.violations(calls, book("a")) == []
    assert known.extra_calls(calls) == 1


def test_an_acknowledged_message_that_a_kill_lost_is_found():
    known = audit(turn("a"), at_kill=book())

    found = known.violations([], book())

    assert "a: acknowledged, lost by kill 1" in found
    assert "a: acknowledged, not in the ledger" in found


def test_a_message_lost_without_acknowledgement_is_not_a_fault():
    unheard = attrs.evolve(turn("a"), acked=None)

    assert audit(unheard, at_kill=book()).violations([], book()) == []


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_turn_that_never_ends_is_found(state: str):
    known = audit(turn("a"), at_kill=book("a", state="running"))

    assert f"a: {state}, None" in known.violations([], book("a", state=state))


def test_another_answer_than_the_models_is_found():
    known = audit(turn("a"), at_kill=book("a", state="running"))
    known.turns["a"].texts.append("text of a text of a")

    found = known.violations([call("a", AFTER)], book("a"))

    assert found == ["a: a client got 'text of a text of a'"]


def test_a_message_twice_in_the_transcript_is_found():
    twice = attrs.evolve(book("a"), journals={"s": journal("a", "a")})

    found = audit(turn("a"), at_kill=book("a")).violations([call("a", BEFORE)], twice)

    assert "a: 2 times in a transcript" in found
    assert "a: 2 answers in a transcript" in found


def test_a_second_call_without_a_kill_is_found():
    known = audit(turn("a"), at_kill=book("a", state="running"))

    found = known.violations([call("a", AFTER), call("a", AFTER + 1)], book("a"))

    assert found == ["a: asked again without a kill in between"]


def test_a_call_for_a_turn_that_was_answered_on_disk_is_found():
    known = audit(turn("a"), at_kill=book("a"))

    found = known.violations([call("a", BEFORE), call("a", AFTER)], book("a"))

    assert found == ["a: answered on disk at kill 1, asked again"]


def test_a_call_for_a_turn_whose_client_has_the_answer_is_found():
    finished = attrs.evolve(turn("a"), finished=12.0)
    known = audit(finished, at_kill=book("a", state="running"))

    found = known.violations([call("a", BEFORE), call("a", AFTER)], book("a"))

    assert found == ["a: asked again after its client had the answer"]


def test_two_turns_in_the_wrong_order_are_found():
    known = audit(turn("a"), turn("b", after="a"), at_kill=book("a", "b"))
    calls = [call("b", BEFORE), call("a", BEFORE, "b")]

    assert known.violations(calls, book("b", "a")) == ["b: not after a in its session"]


def test_two_turns_at_once_in_one_session_are_found():
    mixed = tuple(event for event in journal("a", "b") if event[0] != "run-over")
    known = audit(turn("a"), turn("b"), at_kill=book("a", "b"))

    found = known.violations([], attrs.evolve(book("a", "b"), journals={"s": mixed}))

    assert "s: b begins while a is in progress" in found


def test_a_prompt_that_leaves_a_turn_out_is_found():
    known = audit(turn("a"), turn("b"), at_kill=book("a", "b"))

    found = known.violations([call("a", BEFORE), call("b", BEFORE)], book("a", "b"))

    assert found == ["b: the prompt was (('user', 'b'),)"]
