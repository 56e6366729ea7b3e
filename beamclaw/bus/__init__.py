"""The bus of one node: values by reference inside the process.

The table of subscriptions belongs to the Trio run, like the registry; the process
``bus`` stands for its being up. While that process is away nothing is published, and
when it comes back every subscriber is told :class:`~beamclaw.contracts.bus.Lost`.
"""

from beamclaw.bus._local import BusServer, LocalBus

__all__ = ["BusServer", "LocalBus"]
