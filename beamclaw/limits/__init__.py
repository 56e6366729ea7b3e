"""Limits of a tenant: what was used, by day, agent, provider and model."""

from beamclaw.limits._server import LimitsServer

__all__ = ["LimitsServer"]
