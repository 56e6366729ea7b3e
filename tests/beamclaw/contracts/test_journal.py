"""The journal read incrementally and from the start says the same."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts import journal
from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
    Body,
    InboundTaken,
    RunOver,
    RunStarted,
    Transcript,
    advance,
    extend,
)
from beamclaw.contracts.ledger import Event, NewEvent
from beamclaw.contracts.messages import (
    Image,
    Message,
    ModelParams,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
    said,
)

TURN: list[tuple[str | None, Body]] = [
    (None, InboundTaken(messages=(said("user", "hi"),), inbox_id=7)),
    ("r", RunStarted(epoch=1, agent="main", definition="h")),
    ("r", Asked(attempt=1, provider="p", model="m")),
    ("r", AttemptFailed(attempt=1, kind="overloaded", error="busy")),
    ("r", Asked(attempt=2, provider="p", model="m")),
]
ANSWER = Answered(
    attempt=2, message=said("assistant", "ho"), stop_reason="stop", usage=Usage(3, 1)
)


def stored(new: NewEvent, seq: int) -> Event:
    fields = attrs.asdict(new, recurse=False)
    return Event(seq=seq, **fields)


texts = st.text(max_size=8)
parts = st.one_of(
    st.builds(Text, texts),
    st.builds(Image, st.none() | texts, st.none() | texts, st.none() | texts),
    st.builds(Thinking, texts, st.none() | texts, st.none() | texts),
    st.builds(ToolCall, texts, texts, texts),
    st.builds(ToolResult, texts, texts, st.booleans()),
)
messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "system", "tool"]),
    st.lists(parts, max_size=3).map(tuple),
)
counts = st.integers(0, 9)
bodies = st.one_of(
    st.builds(
        InboundTaken,
        messages=st.lists(messages, max_size=2).map(tuple),
        inbox_id=counts,
    ),
    st.builds(
        RunStarted,
        epoch=counts,
        agent=texts,
        definition=texts,
        params=st.builds(ModelParams, max_tokens=st.none() | counts),
        retractable=st.booleans(),
    ),
    st.builds(Asked, attempt=counts, provider=texts, model=texts),
    st.builds(
        AttemptFailed, attempt=counts, kind=st.sampled_from(["network"]), error=texts
    ),
    st.builds(
        Answered,
        attempt=counts,
        message=messages,
        stop_reason=st.sampled_from(["stop", "aborted"]),
        usage=st.builds(Usage, counts, counts, counts, st.booleans()),
    ),
    st.builds(
        RunOver, outcome=st.sampled_from(["ok", "error"]), stop_reason=st.just("stop")
    ),
)


@given(st.lists(st.tuples(st.sampled_from([None, "r", "s"]), bodies), max_size=12))
def test_state_kept_event_by_event_equals_state_read_from_the_ledger(
    history: list[tuple[str | None, Body]],
) -> None:
    kept = advance(Transcript(), history)
    events = [
        stored(journal.event(body, at=0.0, run_id=run_id), seq)
        for seq, (run_id, body) in enumerate(history, 1)
    ]
    half = len(events) // 2
    assert extend(Transcript(), events) == kept
    assert extend(extend(Transcript(), events[:half]), events[half:]) == kept


def test_a_turn_in_progress_knows_its_attempts() -> None:
    turn = advance(Transcript(), TURN).turn
    assert turn is not None
    assert (turn.attempt, turn.failed, turn.asking, turn.answer) == (2, 1, True, None)


def test_an_answer_is_part_of_the_transcript_and_counted() -> None:
    state = advance(Transcript(), [*TURN, ("r", ANSWER)])
    assert [message.text for message in state.messages] == ["hi", "ho"]
    assert state.turn is not None
    assert state.turn.usage == Usage(3, 1)


def test_an_empty_answer_leaves_no_message() -> None:
    empty = attrs.evolve(ANSWER, message=Message("assistant", ()))
    state = advance(Transcript(), [*TURN, ("r", empty)])
    assert [message.text for message in state.messages] == ["hi"]


def test_the_end_of_a_run_closes_the_turn() -> None:
    over = RunOver(outcome="ok", stop_reason="stop")
    state = advance(Transcript(), [*TURN, ("r", ANSWER), ("r", over)])
    assert state.turn is None
    assert state.seq == 7


def test_a_successor_keeps_the_attempts_and_raises_the_epoch() -> None:
    started = RunStarted(epoch=2, agent="main", definition="h")
    turn = advance(Transcript(), [*TURN, ("r", started)]).turn
    assert turn is not None
    assert (turn.epoch, turn.attempt, turn.asking) == (2, 2, False)


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
