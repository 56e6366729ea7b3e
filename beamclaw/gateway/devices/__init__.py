"""The process ``gateway/devices``: who is let in beside the owner, and who was.

``_server`` is the process; ``_book`` what it writes, ``_waiting``, ``_paired``, ``_keys``
and ``_seen`` what it does about each.
"""

from beamclaw.gateway.devices._server import DevicesServer

__all__ = ["DevicesServer"]
