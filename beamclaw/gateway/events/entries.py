"""A journal as clients read it: the messages of the present conversation. Pure.

An entry's id is the number of its event in the journal; where one event brings several
messages, ``<number>.<place>``. So an entry that a client names is found again in the
journal, and a client that has missed something goes on behind the last number it has.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from beamclaw.contracts.journal import (
    Body,
    Compacted,
    RunOver,
    UnreadableEventError,
    read,
)
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.path import RESTS, path
from beamclaw.gateway.events.messages import Shown, runs_of, shown
from beamclaw.values import frozen


@frozen(kw_only=True)
class Entry:
    """A message, as clients are shown it.

    Attributes:
        seq: Of the event that brought it.
        message: In OpenClaw's shape, with its id and number in ``__openclaw``.
    """

    id: str
    seq: int
    role: str
    text: str
    at: float
    message: Mapping[str, Any]
    run_id: str | None = None


def entries(events: Sequence[Event]) -> list[Entry]:
    """The messages of the conversation that *events*, a whole journal, have come to.

    Those that a summary stands for are among them; those from before a reset are not.
    """
    return list(_entries(present(events)))


def entries_of(events: Sequence[Event]) -> list[Entry]:
    """The messages of *events* that follow each other, wherever they begin."""
    return list(_entries(events))


def present(events: Sequence[Event]) -> Sequence[Event]:
    """Of a whole journal the events that count in the present conversation."""
    counting = path(events)
    for place in range(len(counting) - 1, -1, -1):
        if counting[place].kind == "session-reset":
            return counting[place:]
    return counting


def find(found: Sequence[Entry], entry: str) -> Entry | None:
    """The one with the id *entry*; None: there is none."""
    return next((each for each in found if each.id == entry), None)


def _entries(events: Sequence[Event]) -> Iterator[Entry]:
    names: dict[str, str] = {}
    known = [(event, body) for event in events if (body := _known(event)) is not None]
    owners = runs_of((event.run_id, body) for event, body in known)
    for (event, body), run_id in zip(known, owners, strict=True):
        rows = shown(body, event.seq, event.at, run_id, names)
        for row in rows or _beside(body, event, run_id):
            yield Entry(
                id=row["__openclaw"]["id"],
                seq=event.seq,
                role=row["role"],
                text=_text_of(row),
                at=event.at,
                message=row,
                run_id=run_id,
            )


def _known(event: Event) -> Body | None:
    try:
        return read(event)
    except UnreadableEventError:
        return None  # of a later release: it is shown there


def _beside(body: Body, event: Event, run_id: str | None) -> list[Shown]:
    """What is shown of events that bring no message, in the place of one."""
    match body:
        case Compacted():
            content = [{"type": "text", "text": body.summary}]
            row: Shown = {"role": "system", "content": content, "kind": "compaction"}
        case RunOver(error=error) if error is not None:
            row = {
                "role": "assistant",
                "content": [],
                "stopReason": "error",
                "errorMessage": error,
            }
        case _:
            return []
    about: Shown = {"id": str(event.seq), "seq": event.seq}
    if run_id is not None:
        about["runId"] = run_id
    return [row | {"timestamp": round(event.at * 1000), "__openclaw": about}]


def _text_of(row: Shown) -> str:
    return "".join(block.get("text", "") for block in row["content"])


# --- what a journal says beside its messages


@frozen(kw_only=True)
class Branch:
    """A way that a conversation has gone, or goes (*active*).

    Attributes:
        seq: The last event on it.
        headline: What a person has said last.
    """

    seq: int
    headline: str
    messages: int
    at: float
    active: bool


MOST_BRANCHES: Final = 50


def branches(events: Sequence[Event]) -> list[Branch]:
    """The ways that the present conversation has gone, the present one first.

    A way ends where a later event follows another one than the last; the latest
    :data:`MOST_BRANCHES` of them.
    """
    if not events:
        return []
    left = [
        event.seq - 1
        for event in reversed(events)
        if event.parent is not None and event.parent != event.seq - 1
    ]
    now = present(events)
    # What a conversation before has gone through is not of this one.
    first = now[0].seq if now and now[0].kind == "session-reset" else 0
    ends = [end for end in dict.fromkeys([len(events), *left]) if end >= first]
    return [
        _branch(events, end, active=end == len(events))
        for end in ends[:MOST_BRANCHES]
        if end == len(events) or end > first
    ]


def _branch(events: Sequence[Event], end: int, *, active: bool) -> Branch:
    way = entries(events[:end])
    said = [entry.text for entry in way if entry.role == "user"]
    return Branch(
        seq=end,
        headline=short(said[-1], 120) if said else "",
        messages=len(way),
        at=events[end - 1].at,
        active=active,
    )


def rest_before(events: Sequence[Event], seq: int) -> int:
    """The last event before *seq*, on the present way, at which it rested."""
    from_start = [event.seq for event in path(events) if event.seq < seq]
    kinds = {event.seq: event.kind for event in events}
    for number in reversed(from_start):
        if kinds[number] in RESTS:
            return number
    return 0


def short(text: str, most: int) -> str:
    """The beginning of *text* in one line, of at most *most* characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
