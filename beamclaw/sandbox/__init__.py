"""Where the commands of agents run: in bubblewrap or in no sandbox, within limits.

:class:`AgentSandbox` turns a command into what is started in its place. What that is, is
decided without I/O (:mod:`beamclaw.sandbox.deciding`), by what the machine can
do (:class:`SandboxServer`); see ``docs/explanation/sandbox.md``.
"""

from beamclaw.sandbox.agent import AgentSandbox, interpreter, policy_of
from beamclaw.sandbox.server import SandboxServer

__all__ = ["AgentSandbox", "SandboxServer", "interpreter", "policy_of"]
