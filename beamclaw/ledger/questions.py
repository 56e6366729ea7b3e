"""What is read of questions to persons, and of what persons have allowed for good."""

from typing import Any

import orjson

from beamclaw.contracts.approvals import Grant, GrantRow, ReadGrants
from beamclaw.contracts.codec import decode
from beamclaw.contracts.ledger_reads import ReadWait, ReadWaits, ReadWaitsOver
from beamclaw.contracts.ledger_rows import WaitRow
from beamclaw.storage import Connection

_WAITS = """
    SELECT w.wait_id, s.key, w.run_id, w.question, w.at, w.expires_at, w.verdict, w.by,
        w.text, w.agent, w.digest, w.details, w.granting, w.always, w.id, w.closed_at
    FROM waits AS w JOIN sessions AS s ON s.id = w.session
"""
_OPEN = "w.closed_at IS NULL"
_WAITS_OPEN = f"{_WAITS} WHERE {_OPEN} AND w.verdict IS NULL ORDER BY w.at, w.id"
_WAITS_OF = f"{_WAITS} WHERE {_OPEN} AND w.session = ? ORDER BY w.id"
_WAIT = f"{_WAITS} WHERE w.wait_id = ?"
_WAITS_OVER = f"""{_WAITS}
    WHERE w.closed_at IS NOT NULL AND (?1 = 0 OR w.id < ?1) ORDER BY w.id DESC LIMIT ?2
"""
_GRANTS = """
    SELECT id, agent, tool, pattern, arguments, words, at, by, wait_id, revoked_at,
        revoked_by
    FROM grants
    WHERE (?1 IS NULL OR agent = ?1) AND (?2 IS NULL OR tool = ?2)
        AND (?3 OR revoked_at IS NULL)
    ORDER BY id
"""


def waits(connection: Connection, _: ReadWaits) -> tuple[WaitRow, ...]:
    """The questions that wait for a person."""
    return _wait_rows(connection.execute(_WAITS_OPEN).fetchall())


def wait(connection: Connection, request: ReadWait) -> WaitRow | None:
    """A question by its id."""
    rows = _wait_rows(connection.execute(_WAIT, (request.wait_id,)).fetchall())
    return rows[0] if rows else None


def waits_over(connection: Connection, request: ReadWaitsOver) -> tuple[WaitRow, ...]:
    """Questions that are over, the last asked first."""
    given = request.before, request.limit
    return _wait_rows(connection.execute(_WAITS_OVER, given).fetchall())


def waits_of(connection: Connection, session: int) -> tuple[WaitRow, ...]:
    """Those of one session, also those that the journal has no answer to yet."""
    return _wait_rows(connection.execute(_WAITS_OF, (session,)).fetchall())


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
            agent=row[9],
            digest=row[10],
            details=orjson.loads(row[11]),
            grant=None if row[12] is None else decode(row[12], Grant),
            always=bool(row[13]),
            number=row[14],
            closed_at=row[15],
        )
        for row in rows
    )


def grants(connection: Connection, request: ReadGrants) -> tuple[GrantRow, ...]:
    """What persons have allowed for good."""
    given = request.agent, request.tool, int(request.revoked)
    return tuple(
        GrantRow(
            id=row[0],
            agent=row[1],
            grant=Grant(tool=row[2], pattern=row[3], arguments=row[4], words=row[5]),
            at=row[6],
            by=row[7],
            wait_id=row[8],
            revoked_at=row[9],
            revoked_by=row[10],
        )
        for row in connection.execute(_GRANTS, given).fetchall()
    )
