"""Skills and workspaces: what an agent is told of itself, and of what it can do."""

from beamclaw.skills.defining import Definer
from beamclaw.skills.look import setting_of
from beamclaw.skills.server import SkillsServer

__all__ = ["Definer", "SkillsServer", "setting_of"]
