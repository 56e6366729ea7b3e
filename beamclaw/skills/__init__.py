"""Skills and workspaces: what an agent is told of itself, and of what it can do."""

from beamclaw.skills._supervisor import supervisor
from beamclaw.skills.defining import Definer
from beamclaw.skills.eligible import value_of
from beamclaw.skills.look import Setting, setting_of
from beamclaw.skills.server import SkillsServer
from beamclaw.skills.sources import sources_of

__all__ = [
    "Definer",
    "Setting",
    "SkillsServer",
    "setting_of",
    "sources_of",
    "supervisor",
    "value_of",
]
