"""An agent: who answers, and what it has of its own in place of the node's."""

from pathlib import Path
from typing import Literal

import attrs

from beamclaw.config.schema.commands import AgentSandboxConfig
from beamclaw.config.schema.fields import Count, Temperature, key
from beamclaw.config.schema.limits import AgentLimitsConfig
from beamclaw.config.schema.sessions import ResetConfig
from beamclaw.config.schema.tools import AgentToolsConfig
from beamclaw.values import frozen


@frozen(kw_only=True)
class AgentSubagentsConfig:
    """Whom an agent may have work for it."""

    allow_agents: tuple[str, ...] = key(
        (), 'Agents that it may start beside itself; "*" is all of them.'
    )


@frozen(kw_only=True)
class AgentConfig:
    """An agent: who answers, and by which model."""

    name: str | None = key(None, "How it is called in lists.")
    model: str | None = key(
        None,
        "provider/model, or a provider for that one's default model. Without it, the\n"
        "model in BEAMCLAW_MODEL, else the first provider there is a key for.",
    )
    fallbacks: tuple[str, ...] = key(
        (),
        "Models, as provider/model, that are asked in this order when the one before\n"
        "cannot answer. A turn that has changed to one stays with it.",
    )
    embeddings: str | None = key(
        None,
        "provider/model that makes vectors of texts for its POST /v1/embeddings; without\n"
        "one there are none.",
    )
    system: str | None = key(None, "What it is told before every conversation.")
    reset: ResetConfig | None = key(
        None, "When its conversations are over; without it, as in sessions.reset."
    )
    subagents: AgentSubagentsConfig = attrs.field(factory=AgentSubagentsConfig)
    hand_over: tuple[str, ...] = key(
        (), 'Agents that it may hand a conversation to; "*" is all of them.'
    )
    max_tokens: Count | None = key(None, "Tokens of one answer, at most.")
    temperature: Temperature | None = key(None, "How freely it chooses its words.")
    limits: AgentLimitsConfig = attrs.field(factory=AgentLimitsConfig)
    tools: AgentToolsConfig = attrs.field(factory=AgentToolsConfig)
    workspace: Path | None = key(
        None,
        "The folder in which it works, and whose files say who it is. Without one, in\n"
        "the data folder: workspace for main, workspaces/ID for the others.",
    )
    context: Literal["workspace", "none"] = key(
        "workspace",
        "What it is told before every conversation, behind system. workspace: the files\n"
        "of its workspace, and which skills there are; none: nothing more.",
    )
    skip_bootstrap: bool = key(
        False,  # noqa: FBT003 -- the default
        "Whether a new workspace is left without the files that ours begin with.",
    )
    skills: tuple[str, ...] | None = key(
        None, "Skills that it has, in place of skills.allow; [] is none."
    )
    sandbox: AgentSandboxConfig = attrs.field(factory=AgentSandboxConfig)
