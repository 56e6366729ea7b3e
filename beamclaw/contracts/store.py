"""node.db, as others know it: which node owns a tenant, and since which epoch."""

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


class DataFolderError(Exception):
    """The data folder or a file in it cannot be used; the message says what to do.

    Raised at start: not writable, locked by another node, from a newer version,
    corrupt. Nothing in it was changed.
    """
