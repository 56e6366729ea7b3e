"""What models took and cost, and whether there are keys for them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import trio

from beamclaw.arguments import Length, Range
from beamclaw.contracts import names
from beamclaw.contracts.ledger_usage import ReadUsage, UsageRow, UsageSum
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.methods._method import Context, NoParams, Text, method
from beamclaw.values import frozen

_Day = Annotated[str, Length(10, 10)]
DAYS: Final = 30
_DOLLAR: Final = 1_000_000


@frozen(kw_only=True)
class CostParams:
    """From one day to another (UTC), or so many days up to today."""

    start_date: _Day | None = None
    end_date: _Day | None = None
    days: Annotated[int, Range(1, 3_650)] | None = None
    mode: Literal["utc", "gateway", "specific"] = "utc"
    utc_offset: str | None = None
    time_zone: str | None = None
    agent_id: Text | None = None
    agent_scope: Literal["all"] | None = None


@frozen(kw_only=True)
class AuthParams:
    """*refresh* has nothing to do here: keys are read at the start."""

    refresh: bool = False
    agent_id: str | None = None


@method("usage.cost", scope=READ, params=CostParams)
async def cost(context: Context, params: CostParams) -> object:
    """What models took by day, in tokens and dollars; days are UTC's."""
    first, last = days_of(params, context.outside.wall())
    ledger = names.of_tenant(context.tenant, "ledger")
    since = datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()
    rows = [
        row
        for row in await context.bus.call(ledger, ReadUsage(since), timeout=None)
        if row.day <= last.isoformat() and params.agent_id in (None, row.agent)
    ]
    days = sorted({row.day for row in rows})
    return {
        "updatedAt": context.now_ms,
        "days": (last - first).days + 1,
        "daily": [
            {"date": day, **totals(row for row in rows if row.day == day)}
            for day in days
        ],
        "totals": totals(rows),
    }


def days_of(params: CostParams, now: float) -> tuple[date, date]:
    """The first and the last day that *params* mean.

    Raises:
        MethodError: They mean none.
    """
    if params.agent_id and params.agent_scope:
        raise invalid("agentScope=all cannot be combined with agentId")
    today = datetime.fromtimestamp(now, UTC).date()
    last = _day(params.end_date, "endDate") or today
    days = timedelta(days=(params.days or DAYS) - 1)
    try:
        first = _day(params.start_date, "startDate") or last - days
    except OverflowError:
        raise invalid("there are no such days") from None
    if first > last:
        raise invalid("startDate is behind endDate")
    return max(first, date(1970, 1, 1)), last


def _day(text: str | None, name: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(f"{name} has to be a day, as 2027-01-31") from None


def totals(rows: Iterable[UsageRow | UsageSum]) -> dict[str, Any]:
    """Sums of *rows*, as clients have them."""
    # What is reserved for calls in progress counts as if it were spent.
    given = list(rows)
    plain = sum(row.usage.plain + row.reserved.plain for row in given)
    written = sum(row.usage.output + row.reserved.output for row in given)
    cached = sum(row.usage.cached + row.reserved.cached for row in given)
    stored = sum(row.usage.stored for row in given)
    dollars = sum(row.cost for row in given) / _DOLLAR
    return {
        "input": plain,
        "output": written,
        "cacheRead": cached,
        "cacheWrite": stored,
        "totalTokens": plain + cached + stored + written,
        "totalCost": dollars,
        # The ledger keeps the cost of a call as a whole.
        "inputCost": 0,
        "outputCost": 0,
        "cacheReadCost": 0,
        "cacheWriteCost": 0,
        "missingCostEntries": 0,
        "calls": sum(row.calls for row in given),
    }


@method("usage.status", scope=READ)
async def status(context: Context, params: NoParams) -> object:
    """What is left of providers' quotas: none of ours tells."""
    await trio.lowlevel.checkpoint()
    return {"updatedAt": context.now_ms, "providers": []}


@method("models.authStatus", scope=READ, params=AuthParams)
async def auth_status(context: Context, params: AuthParams) -> object:
    """Which providers there is a key for."""
    await trio.lowlevel.checkpoint()
    providers = [
        {
            "provider": name,
            "displayName": name,
            "status": "static" if one.keys or one.api == "demo" else "missing",
            "profiles": list[object](),
        }
        for name, one in context.node.config.providers.items()
    ]
    return {"ts": context.now_ms, "providers": providers}


METHODS: Final = (
    cost,
    status,
    auth_status,
)
