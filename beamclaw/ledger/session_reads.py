"""Reads of sessions: one as it stands, lists of them, their runs and questions."""

from typing import Any

import orjson

from beamclaw.contracts.ledger_inbox import InboxRow
from beamclaw.contracts.ledger_reads import (
    CountAbout,
    ReadExpired,
    ReadJournal,
    ReadMessage,
    ReadOpenWork,
    ReadRun,
    ReadSession,
    ReadSessionRow,
    ReadSessions,
    ReadTurn,
    SessionRead,
)
from beamclaw.contracts.ledger_rows import (
    Event,
    RunRow,
    SessionRow,
    SnapshotRow,
)
from beamclaw.contracts.messages import ToolCall, Usage
from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.ledger import journal, questions, relatives
from beamclaw.storage import Connection

_RUN = """
    SELECT r.run_id, coalesce(s.deleted_key, s.key), r.state, r.run_epoch, r.revivals, r.outcome, r.stop_reason,
        r.text, r.input, r.output, r.cached, r.estimated, r.stored, r.error_kind,
        r.error, r.joined, r.calls, iif(s.deleted_at IS NULL, r.about, NULL), r.queued_at
    FROM runs AS r JOIN sessions AS s ON s.id = r.session
"""
_RUN_BY_ID = f"{_RUN} WHERE r.run_id = ?"
_RUN_OPEN = f"{_RUN} WHERE r.session = ? AND r.state = 'running'"
_INBOX = """
    SELECT id, run_id, at, body FROM inbox
    WHERE session = ? AND taken_at IS NULL ORDER BY id
"""
_SNAPSHOT = """
    SELECT seq, body FROM snapshots
    WHERE session = ? AND version = ? AND seq > ? AND seq <= ?
"""
_OPEN_WORK = """
    SELECT s.key FROM (
        SELECT session, opened_at AS since FROM runs WHERE state = 'running'
        UNION ALL
        SELECT session, at FROM inbox WHERE taken_at IS NULL
    ) AS work
    JOIN sessions AS s ON s.id = work.session
    GROUP BY work.session ORDER BY min(work.since), work.session
"""
_SESSION_ROW = """
    SELECT s.key, s.session_id, s.agent, s.seq, s.created_at, s.updated_at, r.run_id,
        s.channel, s.ephemeral, s.archived_at, s.deleted_at, s.deleted_key,
        s.label, s.model, s.thinking, s.verbosity,
        coalesce(s.parent, (
            SELECT coalesce(p.deleted_key, p.key)
            FROM children AS c JOIN sessions AS p ON p.id = c.parent_session
            WHERE c.session = s.id AND c.kind = 'spawn' LIMIT 1
        ))
"""
_COLUMNS = 17
_SESSIONS = f"""
    {_SESSION_ROW}
    FROM (
        SELECT * FROM sessions
        WHERE deleted_at IS NULL AND (?1 IS NULL OR (archived_at IS NOT NULL) = ?1)
            AND (?4 IS NULL OR ephemeral = ?4)
        ORDER BY updated_at DESC, id DESC LIMIT ?2 OFFSET ?3
    ) AS s
    LEFT JOIN runs AS r ON r.session = s.id AND r.state = 'running'
    ORDER BY s.updated_at DESC, s.id DESC
"""
_SESSION_BY_KEY = f"""
    {_SESSION_ROW}
    FROM sessions AS s LEFT JOIN runs AS r ON r.session = s.id AND r.state = 'running'
    WHERE s.key = ?
"""
# With what there is of its relatives, so that most need no further statement.
_SESSION = f"""
    {_SESSION_ROW}, s.id, s.last_event, {relatives.ANY}
    FROM sessions AS s LEFT JOIN runs AS r ON r.session = s.id AND r.state = 'running'
    WHERE s.key = ?
"""
_SESSION_DELETED = f"""
    {_SESSION_ROW}
    FROM sessions AS s LEFT JOIN runs AS r ON r.session = s.id AND r.state = 'running'
    WHERE s.deleted_key = ? ORDER BY s.id DESC LIMIT 1
"""
# Each by an index that holds nothing else. A session with work is left alone.
_IDLE = """
    NOT EXISTS (SELECT 1 FROM runs WHERE session = s.id AND state = 'running')
    AND NOT EXISTS (SELECT 1 FROM inbox WHERE session = s.id AND taken_at IS NULL)
"""
_EXPIRED = f"""
    SELECT key FROM (
        SELECT s.key, s.id FROM sessions AS s
        WHERE s.ephemeral = 1 AND s.deleted_at IS NULL AND s.created_at < ?1
            AND s.updated_at < ?1 AND {_IDLE}
        ORDER BY s.created_at LIMIT ?3
    )
    UNION
    SELECT key FROM (
        SELECT s.key FROM sessions AS s
        WHERE s.archived_at < ?2 AND s.deleted_at IS NULL AND {_IDLE}
        ORDER BY s.archived_at LIMIT ?3
    )
    UNION
    SELECT key FROM (
        SELECT s.key FROM children AS c JOIN sessions AS s ON s.id = c.session
        WHERE c.kind = 'spawn' AND c.at < ?4 AND s.updated_at < ?4
            AND s.deleted_at IS NULL AND {_IDLE}
        ORDER BY c.at LIMIT ?3
    )
    UNION
    SELECT key FROM (
        SELECT s.key FROM sessions AS s
        WHERE s.key GLOB 'agent:*:openai-response:*' AND s.created_at < ?5
            AND s.updated_at < ?5 AND s.deleted_at IS NULL AND {_IDLE}
        ORDER BY s.created_at LIMIT ?3
    )
    LIMIT ?3
"""
_COUNT_ABOUT = """
    SELECT count(*) FROM runs AS r JOIN sessions AS s ON s.id = r.session
    WHERE s.key = ? AND r.about IS NOT NULL AND r.run_id <> ?
"""
# From the run's last event back to where another run's events begin.
_TURN = """
    WITH RECURSIVE back (id, previous, run_id, seen) AS (
        SELECT id, previous, run_id, run_id IS :run FROM events WHERE id = :last
        UNION ALL
        SELECT e.id, e.previous, e.run_id, back.seen OR e.run_id IS :run
        FROM back CROSS JOIN events AS e ON e.id = back.previous
        WHERE NOT back.seen OR e.run_id IS NULL OR e.run_id = :run
    )
    SELECT e.seq, e.kind, e.version, e.at, e.body, e.run_id, e.run_epoch, e.parent,
        e.origin, e.sender, e.reply_to
    FROM back CROSS JOIN events AS e ON e.id = back.id
    WHERE back.seen AND e.kind = :kind ORDER BY e.id
"""
_LAST_EVENT = """
    SELECT s.last_event FROM runs AS r JOIN sessions AS s ON s.id = r.session
    WHERE r.run_id = ? AND s.deleted_at IS NULL
"""
_EVENT = (
    "seq",
    "kind",
    "version",
    "at",
    "body",
    "run_id",
    "run_epoch",
    "parent",
    "origin",
    "sender",
    "reply_to",
)
_MESSAGE_OF = """
    SELECT i.id, s.key, i.run_id, i.at, i.body
    FROM runs AS r JOIN sessions AS s ON s.id = r.session
    JOIN inbox AS i ON i.session = s.id AND i.taken_at IS NULL AND i.run_id = r.run_id
    WHERE r.run_id = ? AND s.deleted_at IS NULL
"""


def session(connection: Connection, request: ReadSession) -> SessionRead:
    """One consistent view of a session."""
    query = connection.execute
    found = query(_SESSION, (request.session_key,)).fetchone()
    if found is None:
        return SessionRead(seq=0, events=(), inbox=())
    row = _session_row(found)
    session, last, *relations = found[_COLUMNS:]
    snapshot, after = None, request.after_seq
    if request.snapshot is not None:
        given = session, request.snapshot, after, row.seq
        kept = query(_SNAPSHOT, given).fetchone()
        if kept is not None:
            snapshot = SnapshotRow(*kept)
            after = snapshot.seq
    events = journal.read(connection, last, after)
    inbox = query(_INBOX, (session,)).fetchall()
    run = row.open_run and query(_RUN_OPEN, (session,)).fetchone()
    kin = relatives.of_session(connection, session, request.session_key, relations)
    return SessionRead(
        seq=row.seq,
        events=events,
        inbox=tuple(
            InboxRow(
                id=id_, session_key=request.session_key, run_id=run_id, at=at, body=body
            )
            for id_, run_id, at, body in inbox
        ),
        open_run=_run_row(run) if run else None,
        waits=questions.waits_of(connection, session),
        children=kin.children,
        cancelled=kin.cancelled,
        owed=kin.owed,
        row=row,
        snapshot=snapshot,
    )


def run(connection: Connection, request: ReadRun) -> RunRow | None:
    """A run by its id."""
    row = connection.execute(_RUN_BY_ID, (request.run_id,)).fetchone()
    return None if row is None else _run_row(row)


def _run_row(row: tuple[Any, ...]) -> RunRow:
    return RunRow(
        run_id=row[0],
        session_key=row[1],
        state=row[2],
        epoch=row[3],
        revivals=row[4],
        outcome=row[5],
        stop_reason=row[6],
        text=row[7],
        usage=Usage(row[8], row[9], row[10], bool(row[11]), row[12]),
        error_kind=row[13],
        error=row[14],
        joined=row[15],
        calls=tuple(ToolCall(*call) for call in orjson.loads(row[16] or b"[]")),
        about=row[17] or b"",
        queued_at=row[18],
    )


def open_work(connection: Connection, _: ReadOpenWork) -> tuple[str, ...]:
    """The sessions with something to do."""
    return tuple(row[0] for row in connection.execute(_OPEN_WORK).fetchall())


def sessions(connection: Connection, request: ReadSessions) -> tuple[SessionRow, ...]:
    """The sessions, latest activity first."""
    given = request.archived, request.limit, request.offset, request.ephemeral
    return tuple(map(_session_row, connection.execute(_SESSIONS, given).fetchall()))


def session_row(connection: Connection, request: ReadSessionRow) -> SessionRow | None:
    """A session by its key, or the last that was deleted under it."""
    given = (request.session_key,)
    row = connection.execute(_SESSION_BY_KEY, given).fetchone()
    if row is None:
        row = connection.execute(_SESSION_DELETED, given).fetchone()
    return None if row is None else _session_row(row)


def _session_row(row: tuple[Any, ...]) -> SessionRow:
    return SessionRow(
        key=row[11] or row[0],
        session_id=row[1],
        agent=row[2],
        seq=row[3],
        created_at=row[4],
        updated_at=row[5],
        open_run=row[6],
        channel=row[7],
        ephemeral=bool(row[8]),
        archived_at=row[9],
        deleted_at=row[10],
        meta=SessionMeta(
            label=row[12], model=row[13], thinking=row[14], verbosity=row[15]
        ),
        parent=row[16],
    )


def events(connection: Connection, request: ReadJournal) -> tuple[Event, ...]:
    """The events of a session."""
    row = connection.execute(
        "SELECT last_event FROM sessions WHERE key = ?", (request.session_key,)
    ).fetchone()
    if row is None:
        return ()
    return journal.read(connection, row[0], request.after_seq)


def count_about(connection: Connection, request: CountAbout) -> int:
    """With how many runs of a session something is kept."""
    given = request.session_key, request.besides
    return connection.execute(_COUNT_ABOUT, given).fetchone()[0]


def message(connection: Connection, request: ReadMessage) -> InboxRow | None:
    """The message of a run that waits."""
    row = connection.execute(_MESSAGE_OF, (request.run_id,)).fetchone()
    if row is None:
        return None
    return InboxRow(
        id=row[0], session_key=row[1], run_id=row[2], at=row[3], body=row[4]
    )


def turn(connection: Connection, request: ReadTurn) -> tuple[Event, ...]:
    """The events of a kind that a turn has in its session's journal."""
    row = connection.execute(_LAST_EVENT, (request.run_id,)).fetchone()
    if row is None:
        return ()
    given = {"run": request.run_id, "last": row[0], "kind": request.kind}
    return tuple(
        Event(**dict(zip(_EVENT, row, strict=True)))
        for row in connection.execute(_TURN, given)
    )


def expired(connection: Connection, request: ReadExpired) -> tuple[str, ...]:
    """The sessions that may be deleted."""
    given = (
        request.ephemeral_before,
        request.archived_before,
        request.limit,
        request.subagent_before,
        request.response_before,
    )
    return tuple(row[0] for row in connection.execute(_EXPIRED, given).fetchall())
