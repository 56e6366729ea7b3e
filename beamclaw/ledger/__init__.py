"""A tenant's ledger: one file, one writer thread, group commit."""

from beamclaw.ledger.owner import Owner
from beamclaw.ledger.server import LedgerServer

__all__ = ["LedgerServer", "Owner"]
