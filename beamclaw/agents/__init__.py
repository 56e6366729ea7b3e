"""Agents: from a configuration and a request to the definition that a turn uses."""

from beamclaw.agents.definition import (
    AgentDefinition,
    UnknownAgent,
    UnknownModel,
    Unready,
    resolve,
)
from beamclaw.agents.preparing import Heard, Preparation, Tick
from beamclaw.agents.workspace import workspace_of

__all__ = [
    "AgentDefinition",
    "Heard",
    "Preparation",
    "Tick",
    "UnknownAgent",
    "UnknownModel",
    "Unready",
    "resolve",
    "workspace_of",
]
