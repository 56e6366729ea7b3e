"""A ledger as it lies on disk, read with plain SQLite: nothing of the node's code."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import orjson


@attrs.frozen
class Row:
    """An accepted message; *key* is of its session."""

    id: int
    marker: str
    run_id: str
    key: str
    taken: bool


@attrs.frozen
class Run:
    """A run."""

    run_id: str
    key: str
    state: str
    epoch: int
    outcome: str | None
    text: str
    joined: str | None
    error: str | None


@attrs.frozen
class Event:
    """An event of a journal."""

    seq: int
    kind: str
    run_id: str | None
    run_epoch: int
    owner_epoch: int
    body: Any


@attrs.frozen
class Used:
    """A model call's reservation, and what it was settled with, in tokens."""

    run_id: str
    key: str
    attempt: int
    bound: int
    settled: int | None


@attrs.frozen(kw_only=True)
class Book:
    """All of it."""

    rows: Mapping[str, Row]
    runs: Mapping[str, Run]
    journals: Mapping[str, tuple[Event, ...]]
    used: tuple[Used, ...]
    waits: Mapping[str, str | None]
    spent: Mapping[str, int]

    def run_of(self, marker: str) -> Run | None:
        """The run that answers a message: its own, or the one it has joined."""
        row = self.rows.get(marker)
        run = None if row is None else self.runs.get(row.run_id)
        while run is not None and run.joined is not None:
            run = self.runs.get(run.joined)
        return run


def look(ledger: Path) -> sqlite3.Connection:
    """A connection that can only read."""
    return sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True, isolation_level=None)


_ROWS = """
    SELECT inbox.id, external_id, run_id, sessions.key, taken_at IS NOT NULL
    FROM inbox JOIN sessions ON sessions.id = inbox.session
    WHERE source = 'test' ORDER BY inbox.id
"""
_RUNS = """
    SELECT run_id, sessions.key, state, run_epoch, outcome, text, joined, error
    FROM runs JOIN sessions ON sessions.id = runs.session
"""
_EVENTS = """
    SELECT sessions.key, events.seq, kind, run_id, run_epoch, events.owner_epoch, body
    FROM events JOIN sessions ON sessions.id = events.session ORDER BY events.id
"""
_USED = """
    SELECT runs.run_id, sessions.key, attempt, bound_input + bound_output,
        usage.input + usage.output
    FROM usage JOIN runs ON runs.id = usage.run
    JOIN sessions ON sessions.id = runs.session
"""


def read(connection: sqlite3.Connection) -> Book:
    """The whole ledger, at one moment."""
    query = connection.execute
    query("BEGIN")
    journals: dict[str, list[Event]] = defaultdict(list)
    for key, seq, kind, run_id, run_epoch, owner_epoch, body in query(_EVENTS):
        event = Event(seq, kind, run_id, run_epoch, owner_epoch, orjson.loads(body))
        journals[key].append(event)
    rows = [Row(*row) for row in query(_ROWS)]
    runs = [Run(*run) for run in query(_RUNS)]
    book = Book(
        rows={row.marker: row for row in rows},
        runs={run.run_id: run for run in runs},
        journals={key: tuple(journal) for key, journal in journals.items()},
        used=tuple(Used(*used) for used in query(_USED)),
        waits=dict(query("SELECT wait_id, verdict FROM waits").fetchall()),
        spent=dict(
            query("SELECT key, tokens FROM spent WHERE scope = 'session'").fetchall()
        ),
    )
    query("COMMIT")
    return book


def session_of(connection: sqlite3.Connection, marker: str) -> str:
    """The key of the session that a message went to; empty: there is none."""
    row = connection.execute(
        "SELECT sessions.key FROM inbox JOIN sessions ON sessions.id = inbox.session"
        " WHERE instr(CAST(body AS TEXT), ?)",
        (f"<<{marker}>>",),
    ).fetchone()
    return "" if row is None else row[0]


def reserved(connection: sqlite3.Connection, key: str) -> int:
    """How many model calls of a session the ledger knows of."""
    return connection.execute(
        "SELECT count(*) FROM usage JOIN runs ON runs.id = usage.run"
        " JOIN sessions ON sessions.id = runs.session WHERE sessions.key = ?",
        (key,),
    ).fetchone()[0]


def spent(connection: sqlite3.Connection, key: str) -> int:
    """Tokens out of a session's purse, reservations included."""
    row = connection.execute(
        "SELECT tokens FROM spent WHERE scope = 'session' AND key = ?", (key,)
    ).fetchone()
    return 0 if row is None else row[0]


def open_work(connection: sqlite3.Connection) -> int:
    """Messages that wait, and turns in progress."""
    return connection.execute(
        "SELECT (SELECT count(*) FROM inbox WHERE taken_at IS NULL)"
        " + (SELECT count(*) FROM runs WHERE state = 'running')"
    ).fetchone()[0]


def begun(connection: sqlite3.Connection, run_id: str, call_id: str) -> int:
    """How many intents of a tool call the ledger has."""
    return connection.execute(
        "SELECT count(*) FROM events WHERE run_id = ? AND kind = 'tool-begun'"
        " AND json_extract(body, '$.call_id') = ?",
        (run_id, call_id),
    ).fetchone()[0]
