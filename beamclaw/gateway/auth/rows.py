"""Devices and keys as rows of node.db, and back. Pure."""

import attrs

from beamclaw.contracts.codec import decode, encode
from beamclaw.contracts.devices import ApiKey, Device, DeviceToken
from beamclaw.contracts.store import AccessRows, DeviceRow, KeyRow, TokenRow
from beamclaw.gateway.auth.access import Access, Holder


def device_row(device: Device) -> DeviceRow:
    """Without what is known only now, or stands in rows of its own."""
    return DeviceRow(device.id, encode(attrs.evolve(device, tokens=(), connected=0)))


def token_row(device_id: str, token: DeviceToken, hash_: bytes | None) -> TokenRow:
    """A token; *hash_* is None if it is void."""
    return TokenRow(device_id, token.role, hash_, encode(token))


def key_row(key: ApiKey, hash_: bytes | None) -> KeyRow:
    """A key; *hash_* is None if it is void."""
    return KeyRow(key.id, hash_, encode(key))


def load(rows: AccessRows, access: Access) -> None:
    """Have *access* say what *rows* say."""
    hashes: dict[bytes, Holder] = {}
    for row in rows.tokens:
        if row.hash is not None:
            hashes[row.hash] = Holder("device", row.device_id, row.role)
    for row in rows.keys:
        if row.hash is not None:
            hashes[row.hash] = Holder("key", row.id)
    access.load(
        {row.id: decode(row.body, Device) for row in rows.devices},
        {
            (row.device_id, row.role): decode(row.body, DeviceToken)
            for row in rows.tokens
        },
        {row.id: decode(row.body, ApiKey) for row in rows.keys},
        hashes,
    )
