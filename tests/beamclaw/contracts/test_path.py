"""Which events count: turns, rewinds, resets and forks in any order say the same twice."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.journal import (
    Answered,
    Body,
    Compacted,
    Forked,
    InboundTaken,
    Rewound,
    RunOver,
    RunStarted,
    SessionReset,
    event,
)
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import Usage, said
from beamclaw.contracts.path import Unreachable, path, rests
from beamclaw.contracts.transcript import Fact, Transcript, evolve, extend, replay


@attrs.define
class Book:
    """A journal as a session keeps it: every event once, and what it has come to."""

    events: list[Event] = attrs.field(factory=list)
    state: Transcript = attrs.field(factory=Transcript)

    def add(self, body: Body, run: str | None = None, base: Transcript | None = None):
        seq, at = len(self.events) + 1, 10.0 * len(self.events)
        new = event(body, at=at, run_id=run)
        stored = Event(
            seq=seq, kind=new.kind, version=new.version, at=at, body=new.body,
            run_id=run, parent=new.parent,
        )  # fmt: skip
        self.events.append(stored)
        self.state = evolve(base or self.state, seq, Fact(body, run, at))

    def turn(self, text: str, summed_up: bool) -> None:
        run = f"r{len(self.events)}"
        self.add(InboundTaken(messages=(said("user", text),), inbox_id=1))
        self.add(RunStarted(epoch=1, agent="main", definition="h"), run)
        if summed_up and len(self.state.messages) > 1:
            last = self.state.seqs[-2]
            if last > self.state.covered:
                first = self.state.covered + 1
                body = Compacted(
                    first=first,
                    last=last,
                    summary=f"of {last}",
                    method="trim",
                    before=1,
                )
                self.add(body, run)
        answer = Answered(
            attempt=1,
            message=said("assistant", text.upper()),
            stop_reason="stop",
            usage=Usage(5, 1),
        )
        self.add(answer, run)
        self.add(RunOver(outcome="ok", stop_reason="stop"), run)

    def rewind(self, to: int) -> None:
        self.add(Rewound(to=to), base=replay(self.events, to))

    def fork(self, at: int) -> "Book":
        state = replay(self.events, at)
        book = Book()
        book.add(
            Forked(
                source="agent:main:main",
                session_id="s",
                seq=at,
                messages=tuple(state.messages),
                seqs=tuple(state.seqs),
                covered=state.covered,
                counted=state.counted,
            )
        )
        assert tuple(book.state.messages) == tuple(state.messages)
        assert [seq + at - 1 for seq in book.state.seqs] == list(state.seqs)
        assert (book.state.covered + at - 1, book.state.turn) == (state.covered, None)
        return book


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["turn", "summed up", "rewind", "reset", "fork"]),
        st.integers(0, 10**6),
    ),
    max_size=20,
)


@given(ACTIONS)
def test_what_is_kept_step_by_step_is_what_the_journal_says(actions):
    books = [Book()]
    for number, (action, pick) in enumerate(actions):
        book = books[pick % len(books)]
        known = rests(book.events)
        match action:
            case "rewind":
                book.rewind(known[pick % len(known)])
            case "reset":
                book.add(SessionReset(reason="new", session_id=str(number)))
            case "fork":
                books.append(book.fork(known[pick % len(known)]))
            case _:
                book.turn(f"t{number}", action == "summed up")
    for book in books:
        assert replay(book.events) == book.state
        assert len(book.state.seqs) == len(book.state.messages)
        # The numbers ascend, so that a summary covers what stands first.
        assert list(book.state.seqs) == sorted(book.state.seqs)


@given(ACTIONS, st.data())
def test_from_a_snapshot_on_it_is_the_same(actions, data):
    """As long as what was gone back from is in none."""
    book, kept = Book(), Transcript()
    for number, (action, pick) in enumerate(actions):
        match action:
            case "rewind" | "fork":
                known = rests(book.events)
                to = known[pick % len(known)]
                book.rewind(to)
                if kept.seq > to:
                    kept = Transcript()
            case "reset":
                book.add(SessionReset(reason="new", session_id=str(number)))
            case _:
                book.turn(f"t{number}", action == "summed up")
        if data.draw(st.booleans()):
            kept = book.state
    way = path(book.events[kept.seq :], after=kept.seq)
    assert extend(kept, way) == book.state


def seqs(events) -> list[int]:
    return [event.seq for event in events]


def rewound_to(*parents: int | None) -> list[Event]:
    return [
        Event(seq=seq, kind="x", version=1, at=0.0, body=b"", parent=parent)
        for seq, parent in enumerate(parents, 1)
    ]


WAYS = [
    ((None, None, None), None, [1, 2, 3]),
    ((None, None, 1), None, [1, 3]),
    ((None, None, 0), None, [3]),
    ((None, None, 1, None, 3, None), None, [1, 3, 5, 6]),
    # Back to what was gone back from.
    ((None, None, 1, 2), None, [1, 2, 4]),
    ((None, None, 1, None), 2, [1, 2]),
    ((None, None, 1, None), 0, []),
    ((), None, []),
]


@pytest.mark.parametrize(("parents", "to", "way"), WAYS)
def test_ways(parents, to, way):
    assert seqs(path(rewound_to(*parents), to=to)) == way


def test_a_way_that_leads_to_before_what_is_known_is_told():
    events = rewound_to(None, None, None, 1, None)
    assert seqs(path(events[3:], after=3, to=3)) == []
    with pytest.raises(Unreachable):
        path(events[3:], after=3)
    with pytest.raises(Unreachable):
        path(events, to=6)


def test_where_a_conversation_rests():
    book = Book()
    book.turn("one", summed_up=False)
    book.add(SessionReset(reason="new", session_id="s"))
    book.turn("two", summed_up=False)
    assert rests(book.events) == (0, 4, 5, 9)
