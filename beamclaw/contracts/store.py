"""node.db, as others know it: which node owns a tenant, and since which epoch.

Also the rows of whoever is let in, which mean nothing here: bodies are whatever
``gateway/devices`` has encoded.
"""

import attrs

import supervision


@attrs.frozen
class ClaimTenant(supervision.Call[int]):
    """Take the tenant over; the reply is a new epoch, higher than all before."""

    tenant: str


@attrs.frozen
class GetStoreStatus(supervision.Call["StoreStatus"]):
    """How the store stands."""


@attrs.frozen(kw_only=True)
class StoreStatus:
    """Figures of the store. *epochs*: tenant to the epoch last claimed."""

    path: str
    schema: int
    epochs: dict[str, int]


# --- who is let in


@attrs.frozen
class DeviceRow:
    """A paired device."""

    id: str
    body: bytes


@attrs.frozen
class TokenRow:
    """A device's token for one role. *hash*: None once it is void."""

    device_id: str
    role: str
    hash: bytes | None
    body: bytes


@attrs.frozen
class KeyRow:
    """An API key. *hash*: None once it is void."""

    id: str
    hash: bytes | None
    body: bytes


@attrs.frozen
class DropDevice:
    """A device and its tokens are forgotten."""

    id: str


AccessOp = DeviceRow | TokenRow | KeyRow | DropDevice


@attrs.frozen(kw_only=True)
class AccessRows:
    """All rows."""

    devices: tuple[DeviceRow, ...]
    tokens: tuple[TokenRow, ...]
    keys: tuple[KeyRow, ...]


@attrs.frozen
class ReadAccess(supervision.Call[AccessRows]):
    """Everybody who is let in."""


@attrs.frozen
class ChangeAccess(supervision.Call[None]):
    """Write *ops*, all of them or none; a row takes the place of the one before."""

    ops: tuple[AccessOp, ...]


class DataFolderError(Exception):
    """The data folder or a file in it cannot be used; the message says what to do.

    Raised at start: not writable, locked by another node, from a newer version,
    corrupt. Nothing in it was changed.
    """
