"""Journals come back as they were written, page by page, in few steps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamclaw.contracts.ledger import NewEvent
from beamclaw.contracts.ledger_reads import ReadSession, SessionRead
from beamclaw.ledger import journal
from tests.support.books import Opened, commit, open_book
from tests.support.ledgers import event, message


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with open_book(tmp_path_factory.mktemp("journal") / "ledger.db") as opened:
        yield opened


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.floats(0.001, 2.0**40) | st.sampled_from([0.0, 0.1 + 0.2, 1e9 + 1e-7])
events = st.builds(
    NewEvent,
    kind=texts,
    version=st.integers(0, 2**40),
    at=times,
    body=st.binary(max_size=40),
    run_id=st.none() | texts,
    parent=st.none() | st.integers(0, 2**40),
    origin=texts,
    sender=st.none() | texts,
    reply_to=st.none() | texts,
)

fresh = iter(range(10**9))


def written(opened: Opened, *given: NewEvent) -> str:
    """A new session with these events."""
    key = f"session {next(fresh)}"
    opened.serve(message(f"run of {key}", key))
    assert opened.serve(commit(0, *given, key=key)) == [len(given)]
    return key


def read(opened: Opened, key: str, after: int = 0):
    found = opened.read(ReadSession(key, after))
    assert isinstance(found, SessionRead)
    return found.events


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(events, max_size=5))
def test_every_value_comes_back_exactly(opened, given):
    found = read(opened, written(opened, *given))
    assert [e.seq for e in found] == list(range(1, len(given) + 1))
    for name in ("kind", "version", "at", "body", "run_id", "parent", "origin"):
        assert [getattr(e, name) for e in found] == [getattr(e, name) for e in given]
    assert [(e.sender, e.reply_to) for e in found] == [
        (e.sender, e.reply_to) for e in given
    ]


@pytest.mark.parametrize("count", [499, 500, 501, 1500])
def test_a_long_journal_is_read_in_pages(opened, count):
    key = written(opened, *[event(body=b"%d" % n) for n in range(1, count + 1)])
    for after in (0, 1, count - 500, count - 1, count):
        found = read(opened, key, max(after, 0))
        assert [(e.seq, e.body) for e in found] == [
            (n, b"%d" % n) for n in range(max(after, 0) + 1, count + 1)
        ]


def test_large_bodies_make_small_pages(opened):
    bodies = [bytes([n]) * (3 * 1024 * 1024) for n in range(8)]
    key = written(opened, *[event(body=body) for body in bodies])
    steps = []
    opened.book.connection.set_trace_callback(steps.append)
    found = read(opened, key)
    opened.book.connection.set_trace_callback(None)
    assert [e.body for e in found] == bodies
    assert 2 <= sum("RECURSIVE" in step for step in steps) <= 4


def test_a_journal_beside_many_others_is_read_by_its_chain(tmp_path):
    """Not by looking through the table: the plan has no scan of it."""
    with open_book(tmp_path / "ledger.db") as opened:
        opened.serve(message())
        plan = opened.book.connection.execute(
            f"EXPLAIN QUERY PLAN {journal._PAGE}",
            {"last": 1, "after": 0, **journal._LIMITS},
        ).fetchall()
    assert not [row[3] for row in plan if row[3].startswith(("SCAN events", "SCAN e"))]
