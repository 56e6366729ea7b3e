"""What was said, found again: ``sessions.search``.

There is no index: the latest conversations are read, away from the loop, so many events
of them and no more. What was not looked at is said (``truncated``).
"""

import heapq
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any, Final

from beamclaw.arguments import Length, Range
from beamclaw.contracts.ledger_reads import ReadSession, ReadSessions
from beamclaw.contracts.ledger_rows import Event, SessionRow
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.events.entries import Entry, entries, entries_of
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods._sessions import (
    checked_agent,
    key_of,
    ledger_of,
    looked_at,
)
from beamclaw.values import frozen

FOUND: Final = 10
MOST_FOUND: Final = 25
# What one search looks at: the latest sessions, of each the end of its journal.
MOST_SESSIONS: Final = 500
MOST_EVENTS: Final = 20_000
MOST_EVENTS_EACH: Final = 4_000
# Characters around what was found.
AROUND: Final = 80
_WORDS: Final = re.compile(r"\S+")


@frozen(kw_only=True)
class SearchParams:
    """Words that all stand in one message, and where it may be."""

    query: Annotated[str, Length(1, 4096)]
    agent_id: Text | None = None
    session_keys: Annotated[tuple[Text, ...], Length(1, 200)] | None = None
    limit: Annotated[int, Range(1, MOST_FOUND)] = FOUND


@method("sessions.search", scope=READ, params=SearchParams)
async def search(context: Context, params: SearchParams) -> object:
    """Messages of persons and agents with all of some words, the best fitting first."""
    words = sorted(set(_WORDS.findall(params.query.casefold())))
    if not words:
        return {"results": []}
    rows, cut = await _sessions(context, params)
    found: list[Hit] = []
    left = MOST_EVENTS
    for row in rows:
        take = min(row.seq, left, MOST_EVENTS_EACH)
        cut = cut or take < row.seq
        if not take:
            continue
        left -= take
        read = await context.bus.call(
            ledger_of(context), ReadSession(row.key, row.seq - take), timeout=None
        )
        whole = take == row.seq
        hits = await looked_at(
            context, partial(hits_in, read.events, words, whole=whole)
        )
        found += ((score, entry, row) for score, entry in hits)
        found = heapq.nlargest(params.limit, found, key=_fit)
    results = [_shown(score, entry, row, words) for score, entry, row in found]
    return {"results": results, **({"truncated": True} if cut else {})}


Hit = tuple[float, Entry, SessionRow]


async def _sessions(
    context: Context, params: SearchParams
) -> tuple[list[SessionRow], bool]:
    """Where to look, the latest first; and whether there are more."""
    checked_agent(context, params.agent_id)
    request = ReadSessions(limit=MOST_SESSIONS, archived=None, ephemeral=False)
    rows = await context.bus.call(ledger_of(context), request, timeout=None)
    keys = None
    if params.session_keys is not None:
        keys = {key_of(context, key, params.agent_id) for key in params.session_keys}
    chosen = [
        row
        for row in rows
        if (params.agent_id is None or row.agent == params.agent_id)
        and (keys is None or row.key in keys)
    ]
    missing = keys is not None and len(chosen) < len(keys)
    return chosen, len(rows) == MOST_SESSIONS and (keys is None or missing)


def hits_in(
    events: Sequence[Event], words: Sequence[str], *, whole: bool
) -> list[tuple[float, Entry]]:
    """Messages of the present conversation that have all of *words*, and how well.

    *whole*: the events are a whole journal, else its end.
    """
    return list(_hits(entries(events) if whole else _end(events), words))


def _end(events: Sequence[Event]) -> Sequence[Entry]:
    resets = [event.seq for event in events if event.kind == "session-reset"]
    first = resets[-1] if resets else 0
    return entries_of([event for event in events if event.seq >= first])


def _hits(
    found: Sequence[Entry], words: Sequence[str]
) -> Iterator[tuple[float, Entry]]:
    for entry in found:
        if entry.role not in ("user", "assistant") or not entry.text:
            continue
        text = entry.text.casefold()
        counts = [text.count(word) for word in words]
        if all(counts):
            # A word that stands alone in a short message says more than in a long one.
            yield sum(counts) / (1 + len(text) / 1000), entry


def _fit(hit: Hit) -> tuple[float, float]:
    score, entry, _ = hit
    return score, entry.at


def _shown(
    score: float, entry: Entry, row: SessionRow, words: Sequence[str]
) -> dict[str, Any]:
    return {
        "sessionKey": row.key,
        "sessionId": row.session_id,
        "messageId": entry.id,
        "role": entry.role,
        "timestamp": round(entry.at * 1000),
        "snippet": snippet(entry.text, words),
        "score": round(score, 3),
    }


def snippet(text: str, words: Sequence[str]) -> str:
    """*text* around the first of *words* in it.

    >>> snippet("one two three", ["two"])
    'one two three'
    """
    folded = text.casefold()
    # Where folding changes lengths, the place is only near.
    at = min((folded.find(word) for word in words if word in folded), default=0)
    first, last = max(0, at - AROUND), min(len(text), at + 2 * AROUND)
    cut = " ".join(text[first:last].split())
    return f"{'…' if first else ''}{cut}{'…' if last < len(text) else ''}"


METHODS: Final = (search,)
