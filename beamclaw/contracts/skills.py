"""Skills and the files of workspaces, as others know them."""

from typing import Final, Literal

import supervision
from beamclaw.values import frozen

Scope = Literal["main", "chat", "subagent"]
"""What sort of conversation a turn belongs to: the agent's own with its person, another
one, or that of a sub-agent. What the agent remembers of its person is for the first."""


@frozen
class Persona:
    """What an agent is told before a conversation, behind what the configuration says.

    Attributes:
        text: All of it; empty: nothing.
        variables: What its commands get for its skills: each variable, and for which one.
    """

    text: str = ""
    variables: tuple[tuple[str, str], ...] = ()


@frozen
class Unread:
    """It could not be read so far, and why.

    Attributes:
        late: The disk has not answered in time; it may yet.
    """

    why: str
    late: bool = False


@frozen
class GetPersona(supervision.Call[Persona | Unread]):
    """What *agent* is told now.

    Attributes:
        asked_at: ``trio.current_time()``: a look that was begun after it is new enough.
    """

    agent: str
    scope: Scope
    asked_at: float


@frozen(kw_only=True)
class SkillState:
    """A skill that was found for an agent.

    Attributes:
        origin: Which sort of folder it lies in, as ``workspace`` or ``bundled``.
        why_not: Why the agent has not got it, in words; empty: it has.
        enabled: Whether the configuration leaves it on.
        listed: The model is told of it; *user*: a person may ask for it by ``/name``.
        bins: Programs that it needs, *any_bins* one of them; *env* variables, *config*
            paths of the configuration, *os* systems.
    """

    name: str
    description: str
    file: str
    origin: str
    why_not: str = ""
    enabled: bool = True
    listed: bool = True
    user: bool = True
    always: bool = False
    emoji: str = ""
    homepage: str = ""
    primary_env: str = ""
    bins: tuple[str, ...] = ()
    any_bins: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    os: tuple[str, ...] = ()


@frozen
class Skills:
    """All skills that were found for an agent, by name."""

    found: tuple[SkillState, ...]


@frozen
class GetSkills(supervision.Call[Skills | Unread]):
    """Which skills there are for *agent*: the disk is looked at."""

    agent: str


@frozen(kw_only=True)
class WorkspaceFile:
    """A file at the top of a workspace that an agent is told.

    Attributes:
        text: None: it is not there.
        size: Characters of the whole; *text* may be the beginning.
        trouble: Why it cannot be read, in words.
    """

    name: str
    text: str | None
    size: int = 0
    trouble: str = ""


@frozen
class WorkspaceFiles:
    """Those of one agent, and the folder that they lie in."""

    folder: str
    files: tuple[WorkspaceFile, ...]


@frozen
class GetFiles(supervision.Call[WorkspaceFiles | Unread]):
    """What stands at the top of the workspace of *agent*."""

    agent: str


@frozen
class Unset:
    """The file was not written, for what it is or would be; in words."""

    why: str


@frozen
class SetFile(supervision.Call[WorkspaceFiles | Unread | Unset]):
    """Put *text* into one of the files at the top of the workspace of *agent*.

    The reply comes when it is durable, and has all of them. :class:`Unread`: the disk has
    failed or does not answer, and the file is as before or as it was to be.
    """

    agent: str
    name: str
    text: str


@frozen
class GetWatched(supervision.Call[tuple[str, ...]]):
    """The folders in which a change means something."""


@frozen
class LookAgain:
    """Cast to the index: something may have changed."""


WORKSPACE_UNREAD: Final = "beamclaw.workspace.unread"
SKILL_REFUSED: Final = "beamclaw.skill.refused"
SKILL_TAMPERED: Final = "beamclaw.skill.tampered"
SKILL_UNSET: Final = "beamclaw.skill.unset"


def unread(tenant: str, agent: str, why: str) -> None:
    """Tell that a turn of *agent* goes by what was read last, if by anything."""
    supervision.emit(
        WORKSPACE_UNREAD, {}, {"tenant": tenant, "agent": agent, "why": why}
    )


def refused(tenant: str, agent: str, path: str, why: str) -> None:
    """Tell that what lies at *path* is no skill that can be offered."""
    supervision.emit(
        SKILL_REFUSED, {}, {"tenant": tenant, "agent": agent, "path": path, "why": why}
    )


def tampered(tenant: str, agent: str, path: str, why: str) -> None:
    """Tell that what lies at *path* is not what was installed: an alarm."""
    supervision.emit(
        SKILL_TAMPERED, {}, {"tenant": tenant, "agent": agent, "path": path, "why": why}
    )


def unset(tenant: str, agent: str, skill: str, variable: str, why: str) -> None:
    """Tell that commands do not get a variable that the configuration has for *skill*."""
    supervision.emit(
        SKILL_UNSET,
        {},
        {
            "tenant": tenant,
            "agent": agent,
            "skill": skill,
            "variable": variable,
            "why": why,
        },
    )
