"""Tenants: one subtree each; who loses the ledger must read it again."""

from beamclaw.tenants._supervisor import supervisor

__all__ = ["supervisor"]
