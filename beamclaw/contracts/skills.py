"""Skills and the files of workspaces, as others know them."""

from typing import Final, Literal

import attrs

import supervision

Scope = Literal["main", "chat", "subagent"]
"""What sort of conversation a turn belongs to: the agent's own with its person, another
one, or that of a sub-agent. What the agent remembers of its person is for the first."""


@attrs.frozen
class Persona:
    """What an agent is told before a conversation, behind what the configuration says.

    Attributes:
        text: All of it; empty: nothing.
    """

    text: str = ""


@attrs.frozen
class Unread:
    """It could not be read so far, and why."""

    why: str


@attrs.frozen
class GetPersona(supervision.Call[Persona | Unread]):
    """What *agent* is told now.

    Attributes:
        asked_at: ``trio.current_time()``: a look that was begun after it is new enough.
    """

    agent: str
    scope: Scope
    asked_at: float


UNREAD: Final = "beamclaw.workspace.unread"


def unread(tenant: str, agent: str, why: str) -> None:
    """Tell that a turn of *agent* goes by what was read last, if by anything."""
    supervision.emit(UNREAD, {}, {"tenant": tenant, "agent": agent, "why": why})
