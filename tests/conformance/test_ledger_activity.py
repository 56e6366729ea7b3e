"""The contract of a ledger: what went on in all sessions, a stretch at a time."""

import sqlite3
from typing import Any

import pytest

from beamclaw.contracts.ledger_reads import ActivityRead, ReadActivity
from beamclaw.contracts.ledger_session_ops import DropSession
from beamclaw.ledger import activity
from tests.support.ledgers import KEY, OTHER, Client, end, event

KINDS = ("go", "end")


async def asked(ledger: Client, **more: Any) -> ActivityRead:
    return await ledger.call(ReadActivity(kinds=KINDS, about=("go", "say"), **more))


async def turn(ledger: Client, run: str, key: str = KEY, body: bytes = b"{}") -> None:
    await ledger.begin(run, key)
    for kind in ("go", "say", "note"):
        await ledger.commit(event(kind, run, body=body), key=key, run=run)
    last = event("end", run, body=body)
    await ledger.commit(last, ops=(end(run),), key=key, run=run)


def shown(read: ActivityRead) -> list[tuple[str | None, str]]:
    return [(row.event.run_id, row.event.kind) for row in read.rows]


async def test_the_last_comes_first_of_all_sessions(ledger):
    await turn(ledger, "r1")
    await turn(ledger, "r2", OTHER)
    read = await asked(ledger)
    assert shown(read) == [("r2", "end"), ("r2", "go"), ("r1", "end"), ("r1", "go")]
    assert read.before == 0
    row = read.rows[0]
    assert (row.session_key, row.agent, row.event.body) == (OTHER, "main", b"{}")
    numbers = [row.number for row in read.rows]
    assert numbers == sorted(numbers, reverse=True)


async def test_of_each_turn_it_is_told_what_is_about_it(ledger):
    await turn(ledger, "r1")
    await turn(ledger, "r2")
    read = await asked(ledger)
    kinds = {run: [one.kind for one in events] for run, events in read.turns.items()}
    # What is another turn's in the same journal is not among it.
    assert kinds == {"r1": ["go", "say"], "r2": ["go", "say"]}
    assert {one.run_id for one in read.turns["r1"]} == {"r1"}


async def test_page_by_page_it_is_all_there_is(ledger):
    for number in range(4):
        await turn(ledger, f"r{number}", OTHER if number % 2 else KEY)
    whole = await asked(ledger)
    for more in ({"limit": 1}, {"limit": 3}, {"span": 1}, {"span": 2}, {"span": 7}):
        found: list[Any] = []
        read = await asked(ledger, **more)
        while True:
            found += read.rows
            if not read.before:
                break
            read = await asked(ledger, before=read.before, **more)
        assert found == list(whole.rows)


@pytest.mark.parametrize(
    ("given", "runs"),
    [
        ({"session_key": OTHER}, {"r2"}),
        ({"run_id": "r1"}, {"r1"}),
        ({"run_id": "r1", "session_key": OTHER}, set[str]()),
        ({"before": 2**62}, {"r1", "r2"}),
    ],
)
async def test_only_what_is_wanted(ledger, given, runs):
    await turn(ledger, "r1")
    await turn(ledger, "r2", OTHER)
    read = await asked(ledger, **given)
    assert {row.event.run_id for row in read.rows} == runs


async def test_what_was_deleted_is_not_among_it(ledger):
    await turn(ledger, "r1")
    await turn(ledger, "r2", OTHER)
    await ledger.commit(ops=(DropSession(at=9.0),), seq=None)
    assert shown(await asked(ledger)) == [("r2", "end"), ("r2", "go")]


async def test_where_nothing_was_there_is_nothing(ledger):
    assert await asked(ledger) == ActivityRead(rows=(), turns={}, before=0)


async def test_long_events_make_a_page_short_and_not_empty(ledger, monkeypatch):
    monkeypatch.setattr(activity, "MOST_BYTES", 1_000)
    await turn(ledger, "r1", body=b"x" * 5_000)
    read = await asked(ledger)
    assert shown(read) == [("r1", "end")]
    assert shown(await asked(ledger, before=read.before)) == [("r1", "go")]


async def test_a_turn_is_read_back_by_so_many_events(ledger, monkeypatch):
    monkeypatch.setattr(activity, "MOST_STEPS", 3)
    await turn(ledger, "r1")
    read = await asked(ledger, limit=1)
    # Behind the end: the note, then what was said; the beginning is too far away.
    assert [one.kind for one in read.turns["r1"]] == ["say"]


def test_the_ends_of_the_table_are_found_without_looking_through_it():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY)")
    plan = connection.execute(f"EXPLAIN QUERY PLAN {activity._ENDS}").fetchall()
    connection.close()
    steps = [step for *_, step in plan if "events" in step]
    assert steps
    assert [step for step in steps if not step.startswith("SEARCH")] == []
