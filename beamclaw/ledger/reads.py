"""What is read from a ledger, each in one consistent state of the database."""

from collections.abc import Callable
from typing import Any

from beamclaw.contracts.budgets import Purse, Spent
from beamclaw.contracts.ledger import GetLedgerStatus, LedgerStatus
from beamclaw.contracts.ledger_inbox import InboxRow
from beamclaw.contracts.ledger_ops import OUTPUT_PIECE
from beamclaw.contracts.ledger_reads import (
    OutputRead,
    ReadAncestors,
    ReadChildren,
    ReadDefinition,
    ReadExpired,
    ReadJournal,
    ReadOpenWork,
    ReadOutput,
    ReadRun,
    ReadSession,
    ReadSessionRow,
    ReadSessions,
    ReadWaits,
    SessionRead,
)
from beamclaw.contracts.ledger_rows import (
    Event,
    RunRow,
    SessionRow,
    SnapshotRow,
    WaitRow,
)
from beamclaw.contracts.ledger_usage import (
    PurseRow,
    ReadPurses,
    ReadSpent,
    ReadSums,
    ReadUsage,
    UsageRow,
)
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.ledger import journal, relatives
from beamclaw.ledger import statements as sql
from beamclaw.ledger.sums import sums
from beamclaw.storage import Connection

_RUN = """
    SELECT r.run_id, coalesce(s.deleted_key, s.key), r.state, r.run_epoch, r.revivals, r.outcome, r.stop_reason,
        r.text, r.input, r.output, r.cached, r.estimated, r.error_kind, r.error,
        r.joined
    FROM runs AS r JOIN sessions AS s ON s.id = r.session
"""
_RUN_BY_ID = f"{_RUN} WHERE r.run_id = ?"
_RUN_OPEN = f"{_RUN} WHERE r.session = ? AND r.state = 'running'"

_SPENT = "SELECT scope, key, tokens, cost, calls FROM spent WHERE day = ?"
_WAITS = """
    SELECT w.wait_id, s.key, w.run_id, w.question, w.at, w.expires_at, w.verdict, w.by,
        w.text
    FROM waits AS w JOIN sessions AS s ON s.id = w.session
    WHERE w.closed_at IS NULL
"""
_WAITS_OPEN = f"{_WAITS} AND w.verdict IS NULL ORDER BY w.at, w.id"
_WAITS_OF = f"{_WAITS} AND w.session = ? ORDER BY w.id"
_INBOX = """
    SELECT id, run_id, body FROM inbox
    WHERE session = ? AND taken_at IS NULL ORDER BY id
"""
_SNAPSHOT = """
    SELECT seq, body FROM snapshots
    WHERE session = ? AND version = ? AND seq > ? AND seq <= ?
"""
# Of the pieces from one to another: they are few, and each at most so long.
_OUTPUT = """
    SELECT body FROM outputs WHERE pointer = ? AND piece BETWEEN ? AND ? ORDER BY piece
"""
_OUTPUT_END = """
    SELECT s.key, o.length, o.piece, o.body
    FROM outputs AS o JOIN sessions AS s ON s.id = o.session
    WHERE o.pointer = ? ORDER BY o.piece DESC LIMIT 1
"""
_MOST_CHARACTERS = 1_000_000
# With what there is of its relatives, so that most need no further statement.
_SESSION = f"""
    SELECT s.id, s.seq, s.last_event, {relatives.ANY}
    FROM sessions AS s WHERE s.key = ?
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
    LIMIT ?3
"""
# A sum over no row is NULL, hence the zeros: one kind of row may have none.
_USAGE = """
    SELECT date(at, 'unixepoch') AS day, agent, provider, model, count(*),
        coalesce(sum(input), 0), coalesce(sum(output), 0), coalesce(sum(cached), 0),
        coalesce(max(estimated), 0),
        coalesce(sum(bound_input) FILTER (WHERE settled_at IS NULL), 0),
        coalesce(sum(bound_output) FILTER (WHERE settled_at IS NULL), 0),
        coalesce(sum(bound_cached) FILTER (WHERE settled_at IS NULL), 0),
        coalesce(sum(coalesce(cost, bound_cost)), 0)
    FROM usage WHERE at >= ?
    GROUP BY day, agent, provider, model ORDER BY day, agent, provider, model
"""
# Of runs whose session was erased; the days are whole ones.
_USAGE_SUMS = """
    SELECT day, agent, provider, model, calls, input, output, cached, estimated, 0, 0, 0,
        cost
    FROM usage_sums WHERE day >= date(?, 'unixepoch')
"""
# Events are numbered per session without gaps, so their count is a sum.
_COUNTS = """
    SELECT
        (SELECT count(*) FROM sessions WHERE deleted_at IS NULL),
        (SELECT coalesce(sum(seq), 0) FROM sessions WHERE deleted_at IS NULL),
        (SELECT count(*) FROM inbox WHERE taken_at IS NULL),
        (SELECT count(*) FROM runs WHERE state = 'running'),
        (SELECT owner_epoch FROM meta),
        (SELECT user_version FROM pragma_user_version)
"""

Read = (
    ReadSession
    | ReadOutput
    | ReadRun
    | ReadOpenWork
    | ReadDefinition
    | ReadSessions
    | ReadSessionRow
    | ReadJournal
    | ReadExpired
    | ReadUsage
    | ReadWaits
    | ReadSpent
    | ReadSums
    | ReadPurses
    | ReadChildren
    | ReadAncestors
    | GetLedgerStatus
)


def read(connection: Connection, request: Read) -> object:
    """The reply to *request*."""
    answer = _READ.get(type(request))
    if answer is None:
        raise TypeError(f"a ledger does not know {type(request).__name__}")
    return answer(connection, request)


def _session(connection: Connection, request: ReadSession) -> SessionRead:
    query = connection.execute
    found = query(_SESSION, (request.session_key,)).fetchone()
    if found is None:
        return SessionRead(seq=0, events=(), inbox=())
    session, seq, last, *relations = found
    snapshot, after = None, request.after_seq
    if request.snapshot is not None:
        given = session, request.snapshot, after, seq
        row = query(_SNAPSHOT, given).fetchone()
        if row is not None:
            snapshot = SnapshotRow(*row)
            after = snapshot.seq
    events = journal.read(connection, last, after)
    inbox = query(_INBOX, (session,)).fetchall()
    run = query(_RUN_OPEN, (session,)).fetchone()
    kin = relatives.of_session(connection, session, request.session_key, relations)
    return SessionRead(
        seq=seq,
        events=events,
        inbox=tuple(
            InboxRow(
                id=row[0], session_key=request.session_key, run_id=row[1], body=row[2]
            )
            for row in inbox
        ),
        open_run=None if run is None else _run_row(run),
        waits=_wait_rows(query(_WAITS_OF, (session,)).fetchall()),
        children=kin.children,
        cancelled=kin.cancelled,
        owed=kin.owed,
        row=_session_row(query(_SESSION_BY_KEY, (request.session_key,)).fetchone()),
        snapshot=snapshot,
    )


def _output(connection: Connection, request: ReadOutput) -> OutputRead | None:
    query, pointer = connection.execute, request.pointer
    last = query(_OUTPUT_END, (pointer,)).fetchone()
    if last is None:
        return None
    key, length, piece, body = last
    kept = piece * OUTPUT_PIECE + len(_text(body))
    first = min(max(request.offset, 0), kept)
    until = min(first + min(max(request.limit, 0), _MOST_CHARACTERS), kept)
    start = first // OUTPUT_PIECE
    rows = query(_OUTPUT, (pointer, start, max(until - 1, 0) // OUTPUT_PIECE))
    text = "".join([_text(row[0]) for row in rows])
    skipped = start * OUTPUT_PIECE
    return OutputRead(
        session_key=key,
        text=text[first - skipped : until - skipped],
        offset=first,
        length=length,
        kept=kept,
    )


def _text(body: bytes) -> str:
    return body.decode("utf-8", "surrogatepass")


def _run(connection: Connection, request: ReadRun) -> RunRow | None:
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
        usage=Usage(row[8], row[9], row[10], bool(row[11])),
        error_kind=row[12],
        error=row[13],
        joined=row[14],
    )


def _wait_rows(rows: list[tuple[Any, ...]]) -> tuple[WaitRow, ...]:
    return tuple(
        WaitRow(
            wait_id=row[0],
            session_key=row[1],
            run_id=row[2],
            question=row[3],
            at=row[4],
            expires_at=row[5],
            verdict=row[6],
            by=row[7],
            text=row[8],
        )
        for row in rows
    )


def _purses(connection: Connection, request: ReadPurses) -> tuple[PurseRow, ...]:
    query = connection.execute
    found: list[PurseRow] = []
    for purse in request.purses:
        row = query(sql.SPENT, purse).fetchone()
        warned = query(sql.WARNINGS, purse).fetchall()
        spent = Spent() if row is None else Spent(*row)
        found.append(PurseRow(purse, spent, tuple(warned)))
    return tuple(found)


def _spent(
    connection: Connection, request: ReadSpent
) -> tuple[tuple[Purse, Spent], ...]:
    found: list[tuple[Purse, Spent]] = []
    for day in request.days:
        for scope, key, *figures in connection.execute(_SPENT, (day,)):
            found.append((Purse(scope, key, day), Spent(*figures)))
    return tuple(found)


def _waits(connection: Connection, _: ReadWaits) -> tuple[WaitRow, ...]:
    return _wait_rows(connection.execute(_WAITS_OPEN).fetchall())


def _open_work(connection: Connection, _: ReadOpenWork) -> tuple[str, ...]:
    return tuple(row[0] for row in connection.execute(_OPEN_WORK).fetchall())


def _definition(connection: Connection, request: ReadDefinition) -> bytes | None:
    row = connection.execute(
        "SELECT body FROM definitions WHERE hash = ?", (request.hash,)
    ).fetchone()
    return None if row is None else row[0]


def _sessions(connection: Connection, request: ReadSessions) -> tuple[SessionRow, ...]:
    given = request.archived, request.limit, request.offset, request.ephemeral
    return tuple(map(_session_row, connection.execute(_SESSIONS, given).fetchall()))


def _one_session(connection: Connection, request: ReadSessionRow) -> SessionRow | None:
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


def _journal(connection: Connection, request: ReadJournal) -> tuple[Event, ...]:
    row = connection.execute(
        "SELECT last_event FROM sessions WHERE key = ?", (request.session_key,)
    ).fetchone()
    return () if row is None else journal.read(connection, row[0], 0)


def _expired(connection: Connection, request: ReadExpired) -> tuple[str, ...]:
    given = (
        request.ephemeral_before,
        request.archived_before,
        request.limit,
        request.subagent_before,
    )
    return tuple(row[0] for row in connection.execute(_EXPIRED, given).fetchall())


def _usage(connection: Connection, request: ReadUsage) -> tuple[UsageRow, ...]:
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for statement in (_USAGE, _USAGE_SUMS):
        for row in connection.execute(statement, (request.since,)):
            figures = found.get(row[:4])
            found[row[:4]] = row[4:] if figures is None else _together(figures, row[4:])
    rows = [(*key, *figures) for key, figures in sorted(found.items())]
    return tuple(
        UsageRow(
            day=row[0],
            agent=row[1],
            provider=row[2],
            model=row[3],
            calls=row[4],
            usage=Usage(row[5], row[6], row[7], bool(row[8])),
            reserved=Usage(row[9], row[10], row[11]),
            cost=row[12],
        )
        for row in rows
    )


def _together(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    estimated = max(first[4], second[4])
    both = [one + other for one, other in zip(first, second, strict=True)]
    return (*both[:4], estimated, *both[5:])


def _status(connection: Connection, _: GetLedgerStatus) -> LedgerStatus:
    row = connection.execute(_COUNTS).fetchone()
    return LedgerStatus(
        path="",  # this and the last two are the server's to know
        schema=row[5],
        owner_epoch=row[4],
        sessions=row[0],
        events=row[1],
        inbox_depth=row[2],
        open_runs=row[3],
        commits=0,
        transactions=0,
    )


_READ: dict[type, Callable[[Connection, Any], object]] = {
    ReadSession: _session,
    ReadOutput: _output,
    ReadRun: _run,
    ReadOpenWork: _open_work,
    ReadDefinition: _definition,
    ReadSessions: _sessions,
    ReadSessionRow: _one_session,
    ReadJournal: _journal,
    ReadExpired: _expired,
    ReadUsage: _usage,
    ReadWaits: _waits,
    ReadSpent: _spent,
    ReadSums: sums,
    ReadPurses: _purses,
    ReadChildren: relatives.children,
    ReadAncestors: relatives.ancestors,
    GetLedgerStatus: _status,
}
