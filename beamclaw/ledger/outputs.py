"""Reading what tools have said at length."""

from beamclaw.contracts.ledger_ops import OUTPUT_PIECE
from beamclaw.contracts.ledger_reads import (
    OutputRead,
    ReadOutput,
)
from beamclaw.storage import Connection

# Of the pieces from one to another: they are few, and each at most so long.
_OUTPUT = """
    SELECT body FROM outputs WHERE pointer = ? AND piece BETWEEN ? AND ? ORDER BY piece
"""
_OUTPUT_END = """
    SELECT s.key, o.run_id, o.length, o.untrusted, o.piece, o.body
    FROM outputs AS o JOIN sessions AS s ON s.id = o.session
    WHERE o.pointer = ? AND s.deleted_at IS NULL ORDER BY o.piece DESC LIMIT 1
"""
_MOST_CHARACTERS = 1_000_000


def output(connection: Connection, request: ReadOutput) -> OutputRead | None:
    """Characters of an output."""
    query, pointer = connection.execute, request.pointer
    last = query(_OUTPUT_END, (pointer,)).fetchone()
    if last is None:
        return None
    key, run_id, length, untrusted, piece, body = last
    kept = piece * OUTPUT_PIECE + len(_text(body))
    first = min(max(request.offset, 0), kept)
    until = min(first + min(max(request.limit, 0), _MOST_CHARACTERS), kept)
    start = first // OUTPUT_PIECE
    rows = query(_OUTPUT, (pointer, start, max(until - 1, 0) // OUTPUT_PIECE))
    text = "".join([_text(row[0]) for row in rows])
    skipped = start * OUTPUT_PIECE
    return OutputRead(
        session_key=key,
        run_id=run_id,
        text=text[first - skipped : until - skipped],
        offset=first,
        length=length,
        kept=kept,
        untrusted=bool(untrusted),
    )


def _text(body: bytes) -> str:
    return body.decode("utf-8", "surrogatepass")
