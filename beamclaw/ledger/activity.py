"""What went on in all sessions, the last first: the journals' events by their ids.

No index is needed: ids ascend with time, and a read looks at a stretch of them. A turn of
which there is a row is read back to its beginning, from event to event.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from beamclaw.contracts.ledger_reads import ActivityRead, ActivityRow, ReadActivity
from beamclaw.contracts.ledger_rows import Event
from beamclaw.storage import Connection

# Bytes of bodies that one read gives; one more turn may reach beyond.
MOST_BYTES: Final = 4 * 1024 * 1024
# Events that one turn is read back by.
MOST_STEPS: Final = 2_000

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
_COLUMNS = ", ".join(f"e.{name}" for name in _EVENT)
_ROWS = f"""
    SELECT e.id, s.key, s.agent, {_COLUMNS}
    FROM events AS e CROSS JOIN sessions AS s ON s.id = e.session
    WHERE e.id < :before AND e.id >= :floor AND s.deleted_at IS NULL
        AND e.run_id IS NOT NULL
        AND e.kind IN (SELECT value FROM json_each(:kinds))
        AND (:key IS NULL OR s.key = :key) AND (:run IS NULL OR e.run_id = :run)
    ORDER BY e.id DESC LIMIT :limit
"""
# Back to where another turn's events begin, or nothing does.
_ABOUT = f"""
    WITH RECURSIVE back (id, previous) AS (
        SELECT id, previous FROM events WHERE id = :last
        UNION ALL
        SELECT e.id, e.previous FROM back CROSS JOIN events AS e ON e.id = back.previous
        WHERE e.run_id IS NULL OR e.run_id = :run
        LIMIT :steps
    )
    SELECT {_COLUMNS} FROM back CROSS JOIN events AS e ON e.id = back.id
    WHERE e.run_id = :run AND e.kind IN (SELECT value FROM json_each(:kinds))
    ORDER BY e.id
"""
# Each by itself is at an end of the table; asked for together they are looked for in it.
_ENDS = """
    SELECT coalesce((SELECT min(id) FROM events), 0),
        coalesce((SELECT max(id) FROM events), 0)
"""


def activity(connection: Connection, request: ReadActivity) -> ActivityRead:
    """The events that fit, as many as go into one answer."""
    first, last = connection.execute(_ENDS).fetchone()
    before = min(request.before or last + 1, last + 1)
    floor = max(first, before - request.span)
    rows: list[ActivityRow] = []
    turns: dict[str, tuple[Event, ...]] = {}
    size = 0
    for row in _rows(connection, request, before, floor):
        run = row.event.run_id or ""
        if rows and size > MOST_BYTES:
            return ActivityRead(rows=tuple(rows), turns=turns, before=rows[-1].number)
        if run not in turns:
            turns[run] = _about(connection, request, row.number, run)
            size += sum(len(event.body) for event in turns[run])
        size += len(row.event.body)
        rows.append(row)
    full = len(rows) == request.limit
    reached = rows[-1].number if full else floor
    return ActivityRead(
        rows=tuple(rows), turns=turns, before=reached if reached > first else 0
    )


def _rows(
    connection: Connection, request: ReadActivity, before: int, floor: int
) -> Iterator[ActivityRow]:
    given = {
        "before": before,
        "floor": floor,
        "kinds": orjson.dumps(request.kinds).decode(),
        "key": request.session_key,
        "run": request.run_id,
        "limit": request.limit,
    }
    for number, key, agent, *fields in connection.execute(_ROWS, given):
        yield ActivityRow(
            number=number, session_key=key, agent=agent, event=_event(fields)
        )


def _about(
    connection: Connection, request: ReadActivity, last: int, run: str
) -> tuple[Event, ...]:
    given = {
        "last": last,
        "run": run,
        "kinds": orjson.dumps(request.about).decode(),
        "steps": MOST_STEPS,
    }
    return tuple(_event(fields) for fields in connection.execute(_ABOUT, given))


def _event(fields: Any) -> Event:
    return Event(**dict(zip(_EVENT, fields, strict=True)))
