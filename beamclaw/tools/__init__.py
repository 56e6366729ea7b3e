"""Tool calls: each one a process, under a supervisor that outlives runs and ledger.

Who has which tools is decided here, too, and the tools that are about other sessions.
"""

from beamclaw.tools._supervisor import begin_call, supervisor
from beamclaw.tools.policy import Layers, cut, layers
from beamclaw.tools.sessions import session_tools

__all__ = ["Layers", "begin_call", "cut", "layers", "session_tools", "supervisor"]
