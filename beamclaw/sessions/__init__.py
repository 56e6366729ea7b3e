"""Sessions: one process per conversation that is awake, and the door to them.

The supervisor's children: ``snapshots`` (makes them), ``awake`` (a dynamic supervisor of
sessions), ``door`` (rings, stops and looks; at its start and after a death it revives
what has work left) and ``cleanup`` (deletes what nobody goes on with).
"""

from beamclaw.sessions._supervisor import supervisor
from beamclaw.sessions.lane import Rules
from beamclaw.sessions.wiring import Numbers, Resolve, Retention, Settings, Wiring

__all__ = [
    "Numbers",
    "Resolve",
    "Retention",
    "Rules",
    "Settings",
    "Wiring",
    "supervisor",
]
