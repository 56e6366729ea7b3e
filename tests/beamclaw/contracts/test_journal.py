"""The journal read incrementally and from the start says the same."""

from collections.abc import Mapping
from typing import Literal, get_args

import attrs
import pytest
from hypothesis import Phase, find, given, settings

from beamclaw.contracts import journal
from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
    Body,
    ClockMoved,
    InboundTaken,
    Noted,
    Revived,
    Rewound,
    RunOver,
    RunStarted,
    ToolBegun,
    WaitBegun,
    WaitOver,
)
from beamclaw.contracts.messages import (
    Message,
    Text,
    ToolCall,
    ToolResult,
    Usage,
    said,
)
from beamclaw.contracts.open_turn import Begun
from beamclaw.contracts.results import ended
from beamclaw.contracts.transcript import Fact, Transcript, advance, extend, replay
from beamclaw.contracts.turn_events import REMEMBERED
from beamclaw.contracts.wanted import Wanted
from beamclaw.values import frozen
from tests.support.journals import (
    FITTED,
    bodies,
    histories,
    journal_of,
    of_class,
    states_of,
    stored,
)

TURN = [
    Fact(InboundTaken(messages=(said("user", "hi"),), inbox_id=7)),
    Fact(RunStarted(epoch=1, agent="main", definition="h"), "r", 5.0),
    Fact(Asked(attempt=1, provider="p", model="m"), "r"),
    Fact(AttemptFailed(attempt=1, kind="overloaded", error="busy"), "r"),
    Fact(Asked(attempt=2, provider="p", model="m"), "r"),
]
WISH = Answered(
    attempt=2,
    message=Message(
        "assistant",
        (Text("so"), ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}")),
    ),
    stop_reason="tool_calls",
    usage=Usage(3, 1),
    provider="p",
    model="m",
)
ANSWER = Answered(
    attempt=2, message=said("assistant", "ho"), stop_reason="stop", usage=Usage(3, 1)
)


# What is found first will do: nobody reads it.
FIRST = settings(max_examples=2_000, phases=[Phase.generate], database=None)


@given(histories())
def test_state_kept_event_by_event_equals_state_read_from_the_ledger(
    history: list[Fact],
) -> None:
    states, events = states_of(history), journal_of(history)
    half = len(events) // 2
    assert replay(events) == states[-1]
    assert replay(events, to=half) == replay(events[:half]) == states[half]
    if not any(isinstance(fact.body, Rewound) for fact in history):
        assert extend(states[half], events[half:]) == states[-1]


@pytest.mark.parametrize("kind", get_args(Body), ids=lambda kind: kind.__name__)
def test_every_kind_of_event_is_in_journals_by_its_type(kind: type) -> None:
    """One that is new is in them as soon as it is one."""
    assert kind in {cls for _, cls in journal.KINDS.values()}
    if kind not in FITTED:
        assert find(bodies([kind]), lambda drawn: type(drawn) is kind, settings=FIRST)


def test_what_nobody_has_thought_of_is_drawn_with_all_that_it_may_say() -> None:
    @frozen
    class New:
        ratio: float | None
        words: tuple[str, ...]
        sort: Literal["a", "b"]
        inner: Usage
        details: Mapping[str, int]

    def says_all(new: New) -> bool:
        return None not in (new.ratio, *new.words) and bool(new.words and new.details)

    found = find(of_class(New), says_all, settings=FIRST)
    assert isinstance(found.inner, Usage)
    assert found.sort in ("a", "b")


@pytest.mark.slow
@pytest.mark.parametrize("kind", FITTED, ids=lambda kind: kind.__name__)
def test_those_that_have_to_fit_come_also_behind_others(kind: type) -> None:
    def has(history: list[Fact]) -> bool:
        return any(type(fact.body) is kind for fact in history[1:])

    assert find(histories(), has, settings=FIRST)


def after(*bodies: Body) -> Transcript:
    return advance(Transcript(), [*TURN, *(Fact(body, "r") for body in bodies)])


def test_a_turn_in_progress_knows_its_attempts() -> None:
    turn = after().turn
    assert turn is not None
    assert (turn.attempt, turn.failed, turn.asking, turn.answer) == (2, 1, True, None)
    assert (turn.failed_in_a_row, turn.unanswered, turn.started_at) == (1, True, 5.0)


def test_an_answer_is_part_of_the_transcript_and_counted() -> None:
    state = after(ANSWER)
    assert [message.text for message in state.messages] == ["hi", "ho"]
    turn = state.turn
    assert turn is not None
    assert (turn.usage, turn.model_calls, turn.text) == (Usage(3, 1), 1, "ho")
    assert (turn.failed, turn.failed_in_a_row, turn.unanswered) == (1, 0, False)


def test_an_empty_answer_leaves_no_message() -> None:
    empty = attrs.evolve(ANSWER, message=Message("assistant", ()))
    state = after(empty)
    assert [message.text for message in state.messages] == ["hi"]


def test_the_end_of_a_run_closes_the_turn() -> None:
    state = after(ANSWER, RunOver(outcome="ok", stop_reason="stop"))
    assert state.turn is None
    assert state.seq == 7


def test_a_successor_keeps_the_attempts_and_raises_the_epoch() -> None:
    turn = after(RunStarted(epoch=2, agent="main", definition="h")).turn
    assert turn is not None
    assert (turn.epoch, turn.attempt, turn.asking) == (2, 2, False)
    assert turn.unanswered


@pytest.mark.parametrize(
    "asked", [None, Wanted(source="http", account="a", conversation="c", model="p/m")]
)
def test_a_turn_knows_what_it_was_asked_for_also_after_a_death(
    asked: Wanted | None,
) -> None:
    begun = RunStarted(epoch=1, agent="main", definition="h", wanted=asked)
    written = journal.event(begun, at=1.0, run_id="r")
    # What an earlier release wrote does not say it, and is read all the same.
    assert (b"wanted" in written.body) is (asked is not None)
    taken_over = RunStarted(epoch=2, agent="main", definition="h")
    facts = [Fact(journal.read(written), "r"), Fact(Revived(), "r")]
    turn = advance(Transcript(), [*facts, Fact(taken_over, "r")]).turn
    assert turn is not None
    assert (turn.epoch, turn.wanted) == (2, asked)


def test_time_in_which_nobody_worked_for_a_turn_does_not_count() -> None:
    taken_over = RunStarted(epoch=2, agent="main", definition="h")
    history = [
        Fact(RunStarted(epoch=1, agent="main", definition="h"), "r", 100.0),
        Fact(Asked(attempt=1, provider="p", model="m"), "r", 110.0),
        Fact(Revived(), "r", 9_990.0),
        Fact(taken_over, "r", 10_000.0),
    ]
    turn = advance(Transcript(), history).turn
    assert turn is not None
    assert turn.busy_seconds(10_005.0) == 15.0


@pytest.mark.parametrize("by", [-5_000.0, 0.0, 9_000.0])
def test_a_clock_that_is_set_between_two_runs_changes_nothing(by: float) -> None:
    history = [
        Fact(RunStarted(epoch=1, agent="main", definition="h"), "r", 10_000.0),
        Fact(Asked(attempt=1, provider="p", model="m"), "r", 10_010.0),
        Fact(RunStarted(epoch=2, agent="main", definition="h"), "r", 10_011.0 + by),
    ]
    turn = advance(Transcript(), history).turn
    assert turn is not None
    assert turn.busy_seconds(10_016.0 + by) == 15.0


@pytest.mark.parametrize("by", [-5_000.0, 9_000.0])
def test_a_clock_that_is_set_in_a_turn_changes_nothing(by: float) -> None:
    begun = WaitBegun(wait_id="w", call_id="a", question="?", expires_at=1e9)
    history = [
        Fact(RunStarted(epoch=1, agent="main", definition="h"), "r", 10_000.0),
        Fact(WISH, "r", 10_010.0),
        Fact(ClockMoved(by=by), "r", 10_010.0 + by),
        Fact(begun, "r", 10_020.0 + by),
        Fact(ClockMoved(by=-by), "r", 10_050.0),
        Fact(WaitOver(wait_id="w", verdict="allow"), "r", 10_060.0),
        Fact(RunStarted(epoch=2, agent="main", definition="h"), "r", 10_100.0),
    ]
    turn = advance(Transcript(), history).turn
    assert turn is not None
    assert turn.busy_seconds(10_107.0) == 27.0


def test_a_wait_for_a_person_over_a_death_counts_once_as_nothing() -> None:
    taken_over = RunStarted(epoch=2, agent="main", definition="h")
    begun = WaitBegun(wait_id="w", call_id="a", question="?", expires_at=1e9)
    history = [
        Fact(RunStarted(epoch=1, agent="main", definition="h"), "r", 100.0),
        Fact(WISH, "r", 110.0),
        Fact(begun, "r", 110.0),
        Fact(taken_over, "r", 10_000.0),
        Fact(WaitOver(wait_id="w", verdict="allow"), "r", 10_100.0),
    ]
    turn = advance(Transcript(), history).turn
    assert turn is not None
    assert turn.busy_seconds(10_107.0) == 17.0


# --- tool calls

BEGUN = ToolBegun(call_id="b", tool="g", effect="unsafe", key="r/b")


def test_an_answer_with_calls_opens_them() -> None:
    turn = after(WISH).turn
    assert turn is not None
    assert [call.asked.id for call in turn.open_calls] == ["a", "b"]
    assert turn.model == "p/m"


def test_a_call_that_is_begun_says_how_often() -> None:
    turn = after(WISH, BEGUN, attrs.evolve(BEGUN, attempt=2)).turn
    assert turn is not None
    first, second = turn.calls
    assert first.begun is None
    assert second.begun == Begun(effect="unsafe", key="r/b", attempt=2)


def test_a_result_ends_its_call_and_is_said_by_the_tool() -> None:
    state = after(WISH, BEGUN, ended("b", "unknown", "who knows"))
    turn = state.turn
    assert turn is not None
    assert [call.asked.id for call in turn.open_calls] == ["a"]
    assert (turn.tool_calls, len(turn.done), turn.progress) == (1, 1, 2)
    result = ToolResult("b", "who knows", is_error=True)
    assert state.messages[-1] == Message("tool", (result,))


def test_a_turn_remembers_the_calls_of_so_many_answers() -> None:
    both = [WISH, ended("a", "ok", "x"), ended("b", "ok", "x")]
    turn = after(*(both * (REMEMBERED + 5))).turn
    assert turn is not None
    assert turn.tool_calls == 2 * (REMEMBERED + 5)
    assert len(turn.done) == 2 * REMEMBERED
    assert {did.answer for did in turn.done} == set(range(6, REMEMBERED + 6))


def test_what_one_answer_got_twice_is_remembered_once() -> None:
    same = Answered(
        attempt=1,
        message=Message("assistant", tuple(ToolCall(id_, "f", "{}") for id_ in "abc")),
        stop_reason="tool_calls",
        usage=Usage(),
    )
    turn = after(same, *(ended(id_, "ok", "x") for id_ in "abc")).turn
    assert turn is not None
    assert (turn.tool_calls, len(turn.done)) == (3, 1)


def test_what_a_person_is_told_in_a_turn_is_all_its_text() -> None:
    state = after(WISH, ended("a", "ok", "x"), ended("b", "ok", "x"), Noted(text="end"))
    assert state.turn is not None
    assert state.turn.text == "so\n\nend"
    assert state.messages[-1] == said("assistant", "end")


# --- versions


def test_an_event_of_a_later_release_is_refused_in_words() -> None:
    later = stored(attrs.evolve(journal.event(ANSWER, at=0.0), version=2), 1)
    with pytest.raises(journal.UnreadableEventError, match="'answered' version 2"):
        journal.read(later)
    unknown = attrs.evolve(later, kind="dreamt")
    with pytest.raises(journal.UnreadableEventError, match="'dreamt'"):
        journal.read(unknown)


def test_every_version_up_to_today_has_its_upcasters() -> None:
    for kind, (version, _) in journal.KINDS.items():
        for older in range(1, version):
            assert (kind, older) in journal.UPCASTERS
