"""Agents: from a configuration and a request to the definition that a turn uses."""

from beamclaw.agents.definition import (
    AgentDefinition,
    UnknownAgent,
    UnknownModel,
    resolve,
)

__all__ = ["AgentDefinition", "UnknownAgent", "UnknownModel", "resolve"]
