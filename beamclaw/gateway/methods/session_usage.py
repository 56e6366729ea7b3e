"""What sessions took and cost: ``sessions.usage``."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from beamclaw.arguments import Length, Range
from beamclaw.contracts.ledger_reads import ReadSessions
from beamclaw.contracts.ledger_rows import SessionRow
from beamclaw.contracts.ledger_usage import ReadSums, ReadUsage, UsageRow, UsageSum
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods._sessions import (
    MOST_LOOKED_AT,
    checked_agent,
    key_of,
    ledger_of,
)
from beamclaw.gateway.methods.usage import CostParams, days_of, totals
from beamclaw.values import frozen

Day = Annotated[str, Length(10, 10)]
DAYS: Final = {"7d": 7, "30d": 30, "90d": 90, "1y": 365, "all": 3_650}
LISTED: Final = 50
MOST_LISTED: Final = 1_000


@frozen(kw_only=True)
class UsageParams:
    """From which day on (UTC), and of which session or agent.

    The last day is today: what sessions took is summed up to now.
    """

    key: Text | None = None
    agent_id: Text | None = None
    agent_scope: Literal["all"] | None = None
    start_date: Day | None = None
    end_date: Day | None = None
    range: Literal["7d", "30d", "90d", "1y", "all"] = "30d"
    mode: Literal["utc", "gateway", "specific"] = "utc"
    group_by: Literal["instance", "family"] = "instance"
    include_historical: bool = False
    utc_offset: str | None = None
    time_zone: Text | None = None
    limit: Annotated[int, Range(1, 1_000_000)] = LISTED
    include_context_weight: bool = False


@method("sessions.usage", scope=READ, params=UsageParams)
async def usage(context: Context, params: UsageParams) -> object:
    """What sessions took and cost, the dearest first, with sums of all of them."""
    checked_agent(context, params.agent_id)
    asked = CostParams(
        start_date=params.start_date,
        end_date=params.end_date,
        days=DAYS[params.range],
        agent_id=params.agent_id,
        agent_scope=params.agent_scope,
    )
    first, last = days_of(asked, context.outside.wall())
    if last < datetime.fromtimestamp(context.outside.wall(), UTC).date():
        raise invalid("endDate has to be today: sessions are summed up to now")
    since = datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()
    sums = await _sums(context, params, since)
    rows = await _rows(context)
    chosen = [
        each
        for each in sums
        if params.agent_id is None
        or (each.name in rows and rows[each.name].agent == params.agent_id)
    ]
    return {
        "updatedAt": context.now_ms,
        "startDate": first.isoformat(),
        "endDate": last.isoformat(),
        "sessions": [
            _session(each, rows.get(each.name))
            for each in chosen[: min(params.limit, MOST_LISTED)]
        ],
        "totals": totals(chosen),
        "aggregates": await _aggregates(context, params, chosen, since),
    }


async def _sums(context: Context, params: UsageParams, since: float) -> list[UsageSum]:
    request = ReadSums("session", since, limit=MOST_LOOKED_AT)
    sums = await context.bus.call(ledger_of(context), request, timeout=None)
    if params.key is None:
        return [each for each in sums if each.name]
    key = key_of(context, params.key)
    return [each for each in sums if each.name == key]


async def _rows(context: Context) -> dict[str, SessionRow]:
    request = ReadSessions(limit=MOST_LOOKED_AT)
    rows = await context.bus.call(ledger_of(context), request, timeout=None)
    return {row.key: row for row in rows}


def _session(found: UsageSum, row: SessionRow | None) -> dict[str, Any]:
    given: dict[str, Any] = {"key": found.name, "usage": totals([found])}
    if row is not None:
        given |= {
            "sessionId": row.session_id,
            "agentId": row.agent,
            "updatedAt": round(row.updated_at * 1000),
            "channel": row.channel,
            "label": row.meta.label,
            "scope": "instance",
        }
    return {name: value for name, value in given.items() if value not in (None, "")}


async def _aggregates(
    context: Context, params: UsageParams, chosen: Sequence[UsageSum], since: float
) -> dict[str, Any]:
    """Sums by other things; of one session there are none.

    What the ledger counts is calls of models: each is an answer, as messages go.
    """
    answers = sum(each.calls for each in chosen)
    found: dict[str, Any] = {
        "messages": {
            "total": answers,
            "user": 0,
            "assistant": answers,
            "toolCalls": 0,
            "toolResults": 0,
            "errors": 0,
        },
        "tools": {"totalCalls": 0, "uniqueTools": 0, "tools": []},
        "byModel": [],
        "byProvider": [],
        "byAgent": [],
        "byChannel": [],
        "daily": [],
    }
    if params.key is not None:
        return found
    rows = [
        row
        for row in await context.bus.call(
            ledger_of(context), ReadUsage(since), timeout=None
        )
        if params.agent_id in (None, row.agent)
    ]
    models = dict.fromkeys((row.provider, row.model) for row in rows)
    found["byModel"] = [
        {
            "provider": provider,
            "model": model,
            **_counted(
                [row for row in rows if (row.provider, row.model) == (provider, model)]
            ),
        }
        for provider, model in models
    ]
    found["byProvider"] = [
        {"provider": name, **_counted([row for row in rows if row.provider == name])}
        for name in dict.fromkeys(row.provider for row in rows)
    ]
    found["byAgent"] = [
        {"agentId": name, "totals": totals(row for row in rows if row.agent == name)}
        for name in dict.fromkeys(row.agent for row in rows)
    ]
    for day in sorted({row.day for row in rows}):
        sums = totals(row for row in rows if row.day == day)
        found["daily"].append(
            {
                "date": day,
                "tokens": sums["totalTokens"],
                "cost": sums["totalCost"],
                "messages": sums["calls"],
                "toolCalls": 0,
                "errors": 0,
            }
        )
    return found


def _counted(rows: Sequence[UsageRow]) -> dict[str, Any]:
    sums = totals(rows)
    return {"count": sums["calls"], "totals": sums}


METHODS: Final = (usage,)
