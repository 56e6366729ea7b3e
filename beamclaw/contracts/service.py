"""Who tells the system's service manager (systemd) how the node stands."""

from typing import Final

from beamclaw.values import frozen

NAME: Final = "service"
"""Registered only where a service manager listens."""


@frozen
class NodeIsUp:
    """Cast to it: the gateway listens, at *address*."""

    address: str


@frozen
class NodeStops:
    """Cast to it: no new turns begin; those in progress end."""
