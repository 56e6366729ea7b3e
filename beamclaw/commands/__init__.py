"""Commands: one launcher per tenant, one process per running command."""

from beamclaw.commands._supervisor import supervisor
from beamclaw.commands.messages import Settings

__all__ = ["Settings", "supervisor"]
