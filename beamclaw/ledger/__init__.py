"""A tenant's ledger: one file, one writer thread, group commit."""

from beamclaw.ledger.server import LedgerServer, Owner

__all__ = ["LedgerServer", "Owner"]
