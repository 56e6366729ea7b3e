"""The rows of whoever is let in: written and read inside a transaction."""

from collections.abc import Sequence
from typing import cast

from beamclaw.contracts.store import (
    AccessOp,
    AccessRows,
    DeviceRow,
    DropDevice,
    DropKey,
    KeyRow,
    TokenRow,
)
from beamclaw.storage import Connection

_PUT_DEVICE = """
    INSERT INTO devices (id, body) VALUES (?, ?)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body
"""
_PUT_OF_DEVICE = """
    INSERT INTO device_tokens (device, role, hash, body) VALUES (?, ?, ?, ?)
    ON CONFLICT (device, role) DO UPDATE SET hash = excluded.hash, body = excluded.body
"""
_PUT_KEY = """
    INSERT INTO api_keys (id, hash, body) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, body = excluded.body
"""


def write(connection: Connection, ops: Sequence[AccessOp]) -> None:
    """Write *ops*, in their order."""
    run = connection.execute
    for op in ops:
        match op:
            case DeviceRow(id, body):
                run(_PUT_DEVICE, (id, body))
            case TokenRow(device, role, hash_, body):
                run(_PUT_OF_DEVICE, (device, role, hash_, body))
            case KeyRow(id, hash_, body):
                run(_PUT_KEY, (id, hash_, body))
            case DropDevice(id):
                run("DELETE FROM device_tokens WHERE device = ?", (id,))
                run("DELETE FROM devices WHERE id = ?", (id,))
            case DropKey(id):
                run("DELETE FROM api_keys WHERE id = ?", (id,))


def read(connection: Connection) -> AccessRows:
    """All of them."""

    def rows(query: str) -> list[tuple[object, ...]]:
        return cast("list[tuple[object, ...]]", connection.execute(query).fetchall())

    devices = rows("SELECT id, body FROM devices ORDER BY id")
    tokens = rows(
        "SELECT device, role, hash, body FROM device_tokens ORDER BY device, role"
    )
    keys = rows("SELECT id, hash, body FROM api_keys ORDER BY id")
    return AccessRows(
        devices=tuple(DeviceRow(*cast("tuple[str, bytes]", row)) for row in devices),
        tokens=tuple(
            TokenRow(*cast("tuple[str, str, bytes | None, bytes]", row))
            for row in tokens
        ),
        keys=tuple(
            KeyRow(*cast("tuple[str, bytes | None, bytes]", row)) for row in keys
        ),
    )
