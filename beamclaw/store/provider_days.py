"""The rows of how providers do: written and read inside a transaction."""

from collections.abc import Sequence
from typing import cast

from beamclaw.contracts.store import ProviderDay
from beamclaw.storage import Connection

_PUT = """
    INSERT INTO provider_days (day, provider, model, body) VALUES (?, ?, ?, ?)
    ON CONFLICT (day, provider, model) DO UPDATE SET body = excluded.body
"""
_FORGET = "DELETE FROM provider_days WHERE day < ?"
_READ = """
    SELECT day, provider, model, body FROM provider_days WHERE day >= ?
    ORDER BY day, provider, model
"""


def write(connection: Connection, rows: Sequence[ProviderDay], before: str) -> None:
    """Write *rows*, and forget the days *before* one."""
    for row in rows:
        connection.execute(_PUT, (row.day, row.provider, row.model, row.body))
    connection.execute(_FORGET, (before,))


def read(connection: Connection, since: str) -> tuple[ProviderDay, ...]:
    """Those from the day *since* on."""
    found = connection.execute(_READ, (since,)).fetchall()
    rows = cast("list[tuple[str, str, str, bytes]]", found)
    return tuple(ProviderDay(*row) for row in rows)
