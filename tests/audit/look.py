"""A look into a ledger that a node has open: what must be in there at this moment."""

import sqlite3
from pathlib import Path


def look(ledger: Path) -> sqlite3.Connection:
    """A connection that can only read."""
    return sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True, isolation_level=None)


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


def calls_of(connection: sqlite3.Connection, model: str) -> int:
    """How many calls of a model the ledger knows of, also those that it has erased."""
    return connection.execute(
        "SELECT (SELECT count(*) FROM usage WHERE model = ?1) + coalesce("
        "(SELECT sum(calls) FROM usage_sums WHERE model = ?1), 0)",
        (model,),
    ).fetchone()[0]


def most_in_a_day(connection: sqlite3.Connection) -> int:
    """Tokens out of the purse of a day, reservations included: of the dearest one."""
    return connection.execute(
        "SELECT coalesce(max(tokens), 0) FROM spent WHERE scope = 'tenant'"
    ).fetchone()[0]


def longest_day(connection: sqlite3.Connection) -> int:
    """Milliseconds out of the purse of a day, reservations included: of the longest."""
    return connection.execute(
        "SELECT coalesce(max(ms), 0) FROM spent WHERE scope = 'tenant'"
    ).fetchone()[0]


def was_deleted(connection: sqlite3.Connection, key: str) -> bool:
    """Whether a session of that key was deleted; what is known of it is erased."""
    return connection.execute(
        "SELECT EXISTS (SELECT 1 FROM sessions WHERE deleted_key = ?)", (key,)
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


def untold(connection: sqlite3.Connection) -> int:
    """Commands in the background whose end will be told."""
    return connection.execute("SELECT count(*) FROM commands").fetchone()[0]


def to_erase(connection: sqlite3.Connection) -> int:
    """Events of sessions that were deleted."""
    return connection.execute(
        "SELECT count(*) FROM events JOIN sessions ON sessions.id = events.session"
        " WHERE deleted_at IS NOT NULL"
    ).fetchone()[0]


def rests(connection: sqlite3.Connection, key: str) -> list[int]:
    """The events of a session at which a turn was over."""
    rows = connection.execute(
        "SELECT events.seq FROM events JOIN sessions ON sessions.id = events.session"
        " WHERE sessions.key = ? AND kind = 'run-over' ORDER BY events.seq",
        (key,),
    )
    return [row[0] for row in rows]


def begun(connection: sqlite3.Connection, run_id: str, call_id: str) -> int:
    """How many intents of a tool call the ledger has."""
    return connection.execute(
        "SELECT count(*) FROM events WHERE run_id = ? AND kind = 'tool-begun'"
        " AND json_extract(body, '$.call_id') = ?",
        (run_id, call_id),
    ).fetchone()[0]
