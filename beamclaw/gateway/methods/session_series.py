"""What one session took, call by call: ``sessions.usage.timeseries``, ``.logs``."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Annotated, Any, Final

from beamclaw.arguments import Range
from beamclaw.contracts.journal import (
    Answered,
    AttemptFailed,
    Compacted,
    UnreadableEventError,
    read,
)
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import Usage
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.events.entries import Entry, entries, short
from beamclaw.gateway.events.messages import usage as shown_usage
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods._sessions import find, journal, key_of, looked_at
from beamclaw.values import frozen

POINTS: Final = 200
LOGS: Final = 200
MOST_LOGS: Final = 1_000
LOG_CHARS: Final = 2_000
_DOLLAR: Final = 1_000_000


@frozen(kw_only=True)
class SeriesParams:
    """Of which session."""

    key: Text
    agent_id: Text | None = None


@frozen(kw_only=True)
class LogsParams(SeriesParams):
    """Of which session, and how much of its end."""

    limit: Annotated[int, Range(1, 2**53 - 1)] = LOGS


@method("sessions.usage.timeseries", scope=READ, params=SeriesParams)
async def timeseries(context: Context, params: SeriesParams) -> object:
    """What the calls of a session's models took and cost, in their order."""
    key = key_of(context, params.key, params.agent_id)
    row = await find(context, key)
    events = await journal(context, key)
    return {
        "sessionId": row.session_id,
        "points": await looked_at(context, points, events),
    }


@method("sessions.usage.logs", scope=READ, params=LogsParams)
async def logs(context: Context, params: LogsParams) -> object:
    """The last messages of a session, in short, with what each answer took."""
    key = key_of(context, params.key, params.agent_id)
    events = await journal(context, key)
    most = min(params.limit, MOST_LOGS)
    return {"logs": await looked_at(context, lines, events, most)}


@frozen
class Took:
    """A call of a model: when it was over, its tokens, and millionths of a dollar."""

    at: float
    usage: Usage
    cost: int


def calls(events: Sequence[Event]) -> Iterator[tuple[Event, Took]]:
    """Every call that was paid for, also where the conversation went another way."""
    for event in events:
        try:
            body = read(event)
        except UnreadableEventError:
            continue  # of a later release: it is shown there
        if isinstance(body, Answered | AttemptFailed | Compacted):
            usage = body.usage
            if usage.input or usage.output:
                yield event, Took(event.at, usage, body.cost)


def points(events: Sequence[Event], most: int = POINTS) -> list[dict[str, Any]]:
    """At most *most* points, each with the sums of the calls that it stands for."""
    took = [each for _, each in calls(events)]
    step = max(1, -(-len(took) // most))
    found = [_point(took[first : first + step]) for first in range(0, len(took), step)]
    tokens = accumulate(point["totalTokens"] for point in found)
    costs = accumulate(point["cost"] for point in found)
    return [
        {**point, "cumulativeTokens": token, "cumulativeCost": cost}
        for point, token, cost in zip(found, tokens, costs, strict=True)
    ]


def _point(took: Sequence[Took]) -> dict[str, Any]:
    used = sum((each.usage for each in took), Usage())
    return {
        "timestamp": round(took[-1].at * 1000),
        **shown_usage(used),
        "cost": sum(each.cost for each in took) / _DOLLAR,
    }


def lines(events: Sequence[Event], most: int) -> list[dict[str, Any]]:
    """The last *most* messages of the present conversation."""
    took = {event.seq: each for event, each in calls(events)}
    return [_line(entry, took.get(entry.seq)) for entry in entries(events)[-most:]]


def _line(entry: Entry, took: Took | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "timestamp": round(entry.at * 1000),
        "role": entry.role,
        "content": short(entry.text, LOG_CHARS),
    }
    if took is None or entry.role != "assistant":
        return shown
    tokens = took.usage.input + took.usage.output
    return {**shown, "tokens": tokens, "cost": took.cost / _DOLLAR}


METHODS: Final = (timeseries, logs)
