"""Reading a journal: from its last event back, many events with one step.

Each step of a statement gives the interpreter lock away and has to wait for it again,
behind a busy event loop. A row for each event would do that a thousand times for a long
journal, so a page of events comes as one row: what is small as one JSON text, the
bodies as they are, one behind the other.
"""

from typing import Any

import orjson

from beamclaw.contracts.ledger_rows import Event
from beamclaw.storage import Connection

# Of a page: events, and bytes of their bodies (one more may reach beyond).
_EVENTS = 500
_BYTES = 8 * 1024 * 1024

# JSON has 15 digits for a number with a fraction and all of them for a whole one, so a
# time goes as whole seconds and 2^-62 parts of one: the same float comes out again.
_PARTS = 2**62
_PAGE = """
    WITH RECURSIVE back (id, previous, count, bytes) AS (
        SELECT id, previous, 1, length(body) FROM events
        WHERE id = :last AND seq > :after
        UNION ALL
        SELECT e.id, e.previous, count + 1, bytes + length(e.body)
        FROM back CROSS JOIN events AS e ON e.id = back.previous
        WHERE e.seq > :after AND count < :events AND bytes < :bytes
    )
    SELECT
        json_group_array(json_array(
            e.seq, e.previous, length(e.body), e.kind, e.version,
            CAST(e.at AS INTEGER),
            CAST((e.at - CAST(e.at AS INTEGER)) * :parts AS INTEGER),
            e.run_id, e.run_epoch, e.parent, e.origin, e.sender, e.reply_to
        )),
        CAST(group_concat(e.body, '') AS BLOB)
    FROM back CROSS JOIN events AS e ON e.id = back.id
"""
_LIMITS = {"events": _EVENTS, "bytes": _BYTES, "parts": float(_PARTS)}


def read(connection: Connection, last: int | None, after: int) -> tuple[Event, ...]:
    """The events behind seq *after*, up to the one with the id *last*."""
    events: list[Event] = []
    while last is not None:
        given = {"last": last, "after": after, **_LIMITS}
        fields, bodies = connection.execute(_PAGE, given).fetchone()
        page: list[list[Any]] = orjson.loads(fields)
        if not page:
            break
        events += _events(page, bodies)
        last = min(page)[1]  # what comes before the oldest
    events.sort(key=_seq)
    return tuple(events)


def _events(page: list[list[Any]], bodies: bytes) -> list[Event]:
    events: list[Event] = []
    start = 0
    for seq, _, length, kind, version, seconds, parts, *rest in page:
        run_id, run_epoch, parent, origin, sender, reply_to = rest
        events.append(
            Event(
                seq=seq,
                kind=kind,
                version=version,
                at=seconds + parts / _PARTS,
                body=bodies[start : start + length],
                run_id=run_id,
                run_epoch=run_epoch,
                parent=parent,
                origin=origin,
                sender=sender,
                reply_to=reply_to,
            )
        )
        start += length
    return events


def _seq(event: Event) -> int:
    return event.seq
