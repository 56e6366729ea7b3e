"""node.db: what the whole node has to remember, and the lock of the data folder."""

from beamclaw.store.server import StoreServer

__all__ = ["StoreServer"]
