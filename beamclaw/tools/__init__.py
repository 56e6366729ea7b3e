"""Tool calls: each one a process, under a supervisor that outlives runs and ledger.

Who has which tools is decided here, too, and the tools that are about other sessions.
"""

from beamclaw.tools._supervisor import begin_call, supervisor
from beamclaw.tools.plugins import Plugins, load_plugins
from beamclaw.tools.policy import Layers, built_in_for, cut, layers
from beamclaw.tools.sessions import session_tools

__all__ = [
    "Layers",
    "Plugins",
    "begin_call",
    "built_in_for",
    "cut",
    "layers",
    "load_plugins",
    "session_tools",
    "supervisor",
]
