"""A snapshot says what the journal says, or nothing."""

import hashlib
from contextlib import suppress
from itertools import cycle, islice

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts import snapshots
from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
    Compacted,
    InboundTaken,
    RunStarted,
    ToolBegun,
    WaitBegun,
    WaitOver,
)
from beamclaw.contracts.messages import (
    Message,
    ModelParams,
    Text,
    Thinking,
    ToolCall,
    Usage,
    said,
)
from beamclaw.contracts.open_turn import Did
from beamclaw.contracts.path import Unreachable, path
from beamclaw.contracts.results import ended
from beamclaw.contracts.steps import at_once
from beamclaw.contracts.transcript import Billed, Fact, Transcript, advance, extend
from tests.support.journals import histories, journal_of, messages, states_of


def through(state: Transcript) -> Transcript:
    return at_once(snapshots.decoded(at_once(snapshots.encoded(state))))


@given(histories(), st.integers(0, 12))
def test_a_snapshot_and_the_rest_come_to_what_the_journal_comes_to(
    history: list[Fact], place: int
):
    states, events = states_of(history), journal_of(history)
    place = min(place, len(history))
    kept = through(states[place])
    assert kept == states[place]
    assert states_of(history, [*states[:place], kept])[-1] == states[-1]
    # Behind a rewind to before it a snapshot is dropped.
    with suppress(Unreachable):
        rest = path(events[place:], after=place)
        assert extend(kept, rest) == states[-1]


@pytest.mark.slow
@given(st.lists(messages, min_size=1, max_size=5), st.integers(1, 700))
def test_a_conversation_of_many_pieces_comes_out_as_it_went_in(
    some: list[Message], count: int
):
    many = list(islice(cycle(some), count))
    state = Transcript(9_000, many, None, range(len(many)), 7, (3, 17))
    assert through(state) == state


WISH = Answered(
    attempt=2,
    message=Message(
        "assistant",
        (Thinking("hm", "signed"), Text("so"), ToolCall("a", "f", "{}")),
    ),
    stop_reason="tool_calls",
    usage=Usage(30, 1),
    provider="p",
    model="m",
)
RICH = [
    Fact(InboundTaken(messages=(said("user", "hi"),), inbox_id=7)),
    Fact(
        RunStarted(
            epoch=1, agent="main", definition="h", params=ModelParams(max_tokens=5)
        ),
        "r",
        5.0,
    ),
    Fact(Asked(attempt=1, provider="p", model="m"), "r", 6.0),
    Fact(AttemptFailed(attempt=1, kind="overloaded", error="busy", link=1), "r", 7.0),
    Fact(Asked(attempt=2, provider="p", model="m"), "r", 8.0),
    Fact(WISH, "r", 9.0),
    Fact(
        WaitBegun(
            wait_id="w",
            call_id="a",
            question="?",
            expires_at=99.0,
            digest="d",
            details={"folder": "/"},
        ),
        "r",
        10.0,
    ),
    Fact(WaitOver(wait_id="w", verdict="allow", by="me", text="yes"), "r", 20.0),
    Fact(ToolBegun(call_id="a", tool="f", effect="unsafe", key="r/a"), "r", 21.0),
    Fact(attrs.evolve(ended("a", "ok", "done"), untrusted=True), "r", 22.0),
    Fact(Compacted(first=1, last=1, summary="s", method="trim", before=9), "r", 23.0),
    Fact(Asked(attempt=3, provider="p", model="m"), "r", 24.0),
]
MEANT = "8-041888fee9785648"


def test_who_changes_what_events_come_to_raises_the_number() -> None:
    """Or a snapshot of before would be taken for one of today's.

    When this fails: raise ``snapshots.MEANING``, then put the new digest here.
    """
    body = at_once(snapshots.encoded(advance(Transcript(), RICH)))
    digest = hashlib.blake2b(body, digest_size=8).hexdigest()
    assert f"{snapshots.MEANING}-{digest}" == MEANT


BODY = at_once(snapshots.encoded(advance(Transcript(), RICH)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        BODY[:-1],
        BODY[: BODY.index(b"\n")],
        BODY.replace(b'"seq"', b'"qes"'),
        BODY.replace(b'"epoch":1', b'"epoch":"one"'),
        b"\xff" + BODY,
    ],
)
def test_a_damaged_snapshot_says_so(body: bytes):
    with pytest.raises(snapshots.Unreadable):
        at_once(snapshots.decoded(body))


def test_another_shape_is_another_version(monkeypatch: pytest.MonkeyPatch):
    before = snapshots.version()
    fields = {field.name: field for field in attrs.fields(Did)}
    more = attrs.make_class("Did", [*fields, "more"])
    longer = attrs.make_class(
        "Transcript", {"done": attrs.field(type=tuple[more, ...])}
    )
    shapes = [attrs.make_class("Transcript", {"done": attrs.field(type=Did)}), longer]
    found = {before}
    for shape in shapes:
        snapshots.version.cache_clear()
        monkeypatch.setattr(snapshots, "Transcript", shape)
        found.add(snapshots.version())
    snapshots.version.cache_clear()
    assert len(found) == 3


def test_nothing_of_a_transcript_is_left_out():
    turn = advance(Transcript(), RICH).turn
    state = Transcript(
        seq=9,
        messages=[said("user", "hi"), said("assistant", "ho")],
        turn=turn,
        seqs=(3, 4),
        covered=2,
        counted=(1, 5),
        sums=(7, 19),
        most=20,
        asked=10,
        billed=Billed(model="p/m", tokens=8, most=10),
        at=12.5,
        depth=2,
        agent="other",
        tainted=True,
        owed=("call",),
        last_run="r0",
    )
    default = Transcript()
    for field in attrs.fields(Transcript):
        assert getattr(state, field.name) != getattr(default, field.name), field.name
    assert through(state) == state


def test_a_long_conversation_goes_in_many_short_steps():
    many = tuple(said("user", f"word {n} " * 10) for n in range(10_000))
    state = Transcript(10_000, many, None, range(10_000))
    steps = list(snapshots.encoded(state))
    assert len(steps) >= 10_000 / 2048
    body = at_once(snapshots.encoded(state))
    assert len(list(snapshots.decoded(body))) == len(steps)


def test_a_long_text_has_a_step_of_its_own():
    many = [said("user", "x" * 300_000)] * 10
    state = Transcript(10, many, None, range(10))
    assert len(list(snapshots.encoded(state))) == 10
