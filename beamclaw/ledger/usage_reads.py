"""Reads of usage: by day and model, and how the purses stand."""

from typing import Any

from beamclaw.contracts.budgets import Purse, Spent
from beamclaw.contracts.ledger_usage import (
    PurseRow,
    ReadPurses,
    ReadSpent,
    ReadUsage,
    UsageRow,
)
from beamclaw.contracts.messages import Usage
from beamclaw.ledger import statements as sql
from beamclaw.storage import Connection

_SPENT = "SELECT scope, key, tokens, cost, calls, ms FROM spent WHERE day = ?"
# A sum over no row is NULL, hence the zeros: one kind of row may have none.
_USAGE = """
    SELECT date(at, 'unixepoch') AS day, agent, provider, model, count(*),
        coalesce(sum(input), 0), coalesce(sum(output), 0), coalesce(sum(cached), 0),
        coalesce(max(estimated), 0), coalesce(sum(stored), 0),
        coalesce(sum(bound_input) FILTER (WHERE settled_at IS NULL), 0),
        coalesce(sum(bound_output) FILTER (WHERE settled_at IS NULL), 0),
        coalesce(sum(bound_cached) FILTER (WHERE settled_at IS NULL), 0),
        coalesce(sum(coalesce(cost, bound_cost)), 0)
    FROM usage WHERE at >= ?
    GROUP BY day, agent, provider, model ORDER BY day, agent, provider, model
"""
# Of runs whose session was erased; the days are whole ones.
_USAGE_SUMS = """
    SELECT day, agent, provider, model, calls, input, output, cached, estimated, stored,
        0, 0, 0, cost
    FROM usage_sums WHERE day >= date(?, 'unixepoch')
"""


def purses(connection: Connection, request: ReadPurses) -> tuple[PurseRow, ...]:
    """How these purses stand."""
    query = connection.execute
    found: list[PurseRow] = []
    for purse in request.purses:
        row = query(sql.SPENT, purse).fetchone()
        warned = query(sql.WARNINGS, purse).fetchall()
        spent = Spent() if row is None else Spent(*row)
        found.append(PurseRow(purse, spent, tuple(warned)))
    return tuple(found)


def spent(
    connection: Connection, request: ReadSpent
) -> tuple[tuple[Purse, Spent], ...]:
    """What was spent out of the purses of these days."""
    found: list[tuple[Purse, Spent]] = []
    for day in request.days:
        for scope, key, *figures in connection.execute(_SPENT, (day,)):
            found.append((Purse(scope, key, day), Spent(*figures)))
    return tuple(found)


def usage(connection: Connection, request: ReadUsage) -> tuple[UsageRow, ...]:
    """What was used, by day, agent, provider and model."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for statement in (_USAGE, _USAGE_SUMS):
        for row in connection.execute(statement, (request.since,)):
            figures = found.get(row[:4])
            found[row[:4]] = row[4:] if figures is None else _together(figures, row[4:])
    rows = [(*key, *figures) for key, figures in sorted(found.items())]
    return tuple(
        UsageRow(
            day=row[0],
            agent=row[1],
            provider=row[2],
            model=row[3],
            calls=row[4],
            usage=Usage(row[5], row[6], row[7], bool(row[8]), row[9]),
            reserved=Usage(row[10], row[11], row[12]),
            cost=row[13],
        )
        for row in rows
    )


def _together(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    estimated = max(first[4], second[4])
    both = [one + other for one, other in zip(first, second, strict=True)]
    return (*both[:4], estimated, *both[5:])
