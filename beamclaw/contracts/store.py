"""node.db, as others know it: which node owns a tenant, and since which epoch.

Also the rows of whoever is let in, which mean nothing here: bodies are whatever
``gateway/devices`` has encoded.
"""

import supervision
from beamclaw.values import frozen


@frozen
class ClaimTenant(supervision.Call[int]):
    """Take the tenant over; the reply is a new epoch, higher than all before."""

    tenant: str


@frozen
class GetStoreStatus(supervision.Call["StoreStatus"]):
    """How the store stands."""


@frozen(kw_only=True)
class StoreStatus:
    """Figures of the store. *epochs*: tenant to the epoch last claimed."""

    path: str
    schema: int
    epochs: dict[str, int]


# --- who is let in


@frozen
class DeviceRow:
    """A paired device."""

    id: str
    body: bytes


@frozen
class TokenRow:
    """A device's token for one role. *hash*: None once it is void."""

    device_id: str
    role: str
    hash: bytes | None
    body: bytes


@frozen
class KeyRow:
    """An API key. *hash*: None once it is void."""

    id: str
    hash: bytes | None
    body: bytes


@frozen
class DropDevice:
    """A device and its tokens are forgotten."""

    id: str


@frozen
class DropKey:
    """A key that was void for long is forgotten."""

    id: str


AccessOp = DeviceRow | TokenRow | KeyRow | DropDevice | DropKey


@frozen(kw_only=True)
class AccessRows:
    """All rows."""

    devices: tuple[DeviceRow, ...]
    tokens: tuple[TokenRow, ...]
    keys: tuple[KeyRow, ...]


@frozen
class ReadAccess(supervision.Call[AccessRows]):
    """Everybody who is let in."""


@frozen
class ChangeAccess(supervision.Call[None]):
    """Write *ops*, all of them or none; a row takes the place of the one before."""

    ops: tuple[AccessOp, ...]


# --- how providers do


@frozen
class ProviderDay:
    """What the calls of a model added up to on one day; the body is ``statistics``'s."""

    day: str
    provider: str
    model: str
    body: bytes


@frozen
class ReadProviderDays(supervision.Call[tuple[ProviderDay, ...]]):
    """From the day *since* on, as ``2026-11-22``."""

    since: str


@frozen
class WriteProviderDays(supervision.Call[None]):
    """Put *rows* in the place of those before; days *before* one are forgotten."""

    rows: tuple[ProviderDay, ...]
    before: str


class DataFolderError(Exception):
    """The data folder or a file in it cannot be used; the message says what to do.

    Raised at start: not writable, locked by another node, from a newer version,
    corrupt. Nothing in it was changed.
    """
