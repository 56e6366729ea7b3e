"""What was used, summed by one thing: a single statement over the calls of a time."""

from collections.abc import Mapping
from typing import Final

from beamclaw.contracts.ledger_usage import By, ReadSums, UsageSum
from beamclaw.contracts.messages import Usage
from beamclaw.storage import Connection

# What names a call, and what names a sum of calls whose sessions were erased.
_NAMES: Final[Mapping[By, tuple[str, str]]] = {
    "day": ("date(u.at, 'unixepoch')", "day"),
    "provider": ("u.provider", "provider"),
    "model": ("u.provider || '/' || u.model", "provider || '/' || model"),
    "agent": ("u.agent", "agent"),
    "session": ("coalesce(s.deleted_key, s.key)", "''"),
}
_SESSIONS: Final = """
    JOIN runs AS r ON r.id = u.run JOIN sessions AS s ON s.id = r.session
"""


def _statement(by: By) -> str:
    name, erased = _NAMES[by]
    join = _SESSIONS if by == "session" else ""
    order = "name" if by == "day" else "cost DESC, input + output DESC, name"
    return f"""
    SELECT name, sum(calls), sum(input) AS input, sum(output) AS output, sum(cached),
        max(estimated), sum(stored), sum(open_input), sum(open_output),
        sum(cost) AS cost
    FROM (
        SELECT {name} AS name, 1 AS calls, coalesce(u.input, 0) AS input,
            coalesce(u.output, 0) AS output, coalesce(u.cached, 0) AS cached,
            coalesce(u.estimated, 0) AS estimated, coalesce(u.stored, 0) AS stored,
            CASE WHEN u.settled_at IS NULL THEN u.bound_input ELSE 0 END AS open_input,
            CASE WHEN u.settled_at IS NULL THEN u.bound_output ELSE 0 END AS open_output,
            coalesce(u.cost, u.bound_cost) AS cost
        FROM usage AS u {join} WHERE u.at >= :since
        UNION ALL
        SELECT {erased}, calls, input, output, cached, estimated, stored, 0, 0, cost
        FROM usage_sums WHERE day >= date(:since, 'unixepoch')
    )
    GROUP BY name ORDER BY {order} LIMIT :limit
    """  # noqa: S608 -- made of the table above


_STATEMENTS: Final[Mapping[By, str]] = {by: _statement(by) for by in _NAMES}


def sums(connection: Connection, request: ReadSums) -> tuple[UsageSum, ...]:
    """The reply to *request*."""
    figures = {"since": request.since, "limit": request.limit}
    return tuple(
        UsageSum(
            name=row[0],
            calls=row[1],
            usage=Usage(row[2], row[3], row[4], bool(row[5]), row[6]),
            reserved=Usage(row[7], row[8]),
            cost=row[9],
        )
        for row in connection.execute(_STATEMENTS[request.by], figures)
    )
