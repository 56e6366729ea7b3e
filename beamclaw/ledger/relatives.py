"""What is read of turns that work for one another."""

from collections.abc import Sequence
from typing import Any

from beamclaw.contracts.ledger_reads import ReadAncestors, ReadChildren, ReadRoot
from beamclaw.contracts.ledger_rows import ChildRow, RootRow
from beamclaw.contracts.subagents import Spend
from beamclaw.storage import Connection
from beamclaw.values import frozen

_CHILDREN = """
    SELECT c.run_id, s.key, p.key, c.parent_run, c.call_id, c.kind, c.mode, c.state,
        c.at, r.outcome, coalesce(r.text, ''), r.error, c.model_calls, c.tool_calls,
        c.tokens, c.seconds, c.cost, c.tainted
    FROM children AS c
    JOIN sessions AS s ON s.id = c.session
    JOIN sessions AS p ON p.id = c.parent_session
    LEFT JOIN runs AS r ON r.run_id = c.run_id
"""
_CHILDREN_OPEN = f"""{_CHILDREN}
    WHERE c.parent_session = ? AND c.state <> 'closed' ORDER BY c.at, c.run_id
"""
_CHILDREN_OF = f"""{_CHILDREN}
    WHERE p.key = ? AND (c.parent_run = ? OR ? IS NULL) ORDER BY c.at, c.run_id
"""
_WORKS_FOR = """
    SELECT c.run_id, c.state, p.key
    FROM children AS c JOIN sessions AS p ON p.id = c.parent_session
    WHERE c.session = ? AND c.state IN ('ended', 'cancelled') ORDER BY c.run_id
"""
# Messages of a session to others, see beamclaw.contracts.announcements.SOURCE.
_SENT = """
    SELECT DISTINCT s.key FROM inbox AS i JOIN sessions AS s ON s.id = i.session
    WHERE i.source = 'agent' AND i.account = 'agent' AND i.conversation = ?
        AND i.taken_at IS NULL
"""
# UNION, not UNION ALL: it ends, whatever the rows say.
_ANCESTORS = """
    WITH RECURSIVE up (session, depth) AS (
        SELECT id, 0 FROM sessions WHERE key = ?
        UNION
        SELECT c.parent_session, depth + 1
        FROM up JOIN children AS c ON c.session = up.session AND c.kind = 'spawn'
        WHERE depth < 100
    )
    SELECT s.key FROM up JOIN sessions AS s ON s.id = up.session
    WHERE depth > 0 ORDER BY depth
"""

_ROOT = """
    SELECT t.key, t.agent FROM sessions AS s JOIN sessions AS t ON t.id = s.root
    WHERE s.key = ? AND t.deleted_at IS NULL
"""

# Columns beside a session *s*: whether others work for it, it for others, and whether
# a message of it waits somewhere.
ANY = """
    EXISTS (SELECT 1 FROM children WHERE parent_session = s.id AND state <> 'closed'),
    EXISTS (
        SELECT 1 FROM children
        WHERE session = s.id AND state IN ('ended', 'cancelled')
    ),
    EXISTS (
        SELECT 1 FROM inbox
        WHERE source = 'agent' AND account = 'agent' AND conversation = s.key
            AND taken_at IS NULL
    )
"""


@frozen
class Kin:
    """A session's relatives in a :class:`beamclaw.contracts.ledger_reads.SessionRead`."""

    children: tuple[ChildRow, ...] = ()
    cancelled: tuple[str, ...] = ()
    owed: tuple[str, ...] = ()


def of_session(
    connection: Connection, session: int, key: str, found: Sequence[Any]
) -> Kin:
    """The relatives of a session of which *found* is said by :data:`ANY`."""
    if not any(found):
        return Kin()
    query = connection.execute
    works_for = query(_WORKS_FOR, (session,)).fetchall()
    owed = [row[2] for row in works_for if row[1] == "ended"]
    owed += [row[0] for row in query(_SENT, (key,)).fetchall()]
    return Kin(
        children=_child_rows(query(_CHILDREN_OPEN, (session,)).fetchall()),
        cancelled=tuple(row[0] for row in works_for if row[1] == "cancelled"),
        owed=tuple(dict.fromkeys(owed)),
    )


def _child_rows(rows: list[tuple[Any, ...]]) -> tuple[ChildRow, ...]:
    return tuple(
        ChildRow(
            run_id=row[0],
            session_key=row[1],
            parent_session=row[2],
            parent_run=row[3],
            call_id=row[4],
            kind=row[5],
            mode=row[6],
            state=row[7],
            at=row[8],
            outcome=row[9],
            text=row[10],
            error=row[11],
            spend=Spend(
                model_calls=row[12],
                tool_calls=row[13],
                tokens=row[14],
                seconds=row[15],
                cost=row[16],
            ),
            tainted=bool(row[17]),
        )
        for row in rows
    )


def children(connection: Connection, request: ReadChildren) -> tuple[ChildRow, ...]:
    """See :class:`beamclaw.contracts.ledger_reads.ReadChildren`."""
    given = request.session_key, request.run_id, request.run_id
    return _child_rows(connection.execute(_CHILDREN_OF, given).fetchall())


def ancestors(connection: Connection, request: ReadAncestors) -> tuple[str, ...]:
    """See :class:`beamclaw.contracts.ledger_reads.ReadAncestors`."""
    rows = connection.execute(_ANCESTORS, (request.session_key,)).fetchall()
    return tuple(row[0] for row in rows)


def root(connection: Connection, request: ReadRoot) -> RootRow | None:
    """See :class:`beamclaw.contracts.ledger_reads.ReadRoot`."""
    row = connection.execute(_ROOT, (request.session_key,)).fetchone()
    return None if row is None else RootRow(*row)
