"""Providers: connections to models, and the permit servers in front of them.

``connect`` makes a connection (OpenAI-compatible, Anthropic, or the ``demo`` inside the
node); ``max_output``, ``window`` and ``price`` are what to expect of a model; ``supervisor`` is the subsystem in
the tree, one permit server per provider.
"""

from beamclaw.providers.catalogue import max_output, price, window
from beamclaw.providers.connect import connect, loader, peers
from beamclaw.providers.permits import supervisor
from beamclaw.providers.plugins import Plugins, load_plugins

__all__ = [
    "Plugins",
    "connect",
    "load_plugins",
    "loader",
    "max_output",
    "peers",
    "price",
    "supervisor",
    "window",
]
