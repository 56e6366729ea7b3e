"""Calls from outside by which other programs have an agent do something."""

from collections.abc import Mapping
from typing import Literal

from beamclaw.config.schema.fields import Size, key, table
from beamclaw.contracts.secret import Secret
from beamclaw.values import frozen


@frozen(kw_only=True)
class HookConfig:
    """What a call of /hooks/NAME does."""

    action: Literal["agent", "wake"] = key(
        "agent",
        "agent: a turn in a conversation of its own; wake: one in the agent's main\n"
        "conversation.",
    )
    agent: str | None = key(None, "Which agent; without it the default one.")
    message: str = key(
        "",
        "What is said. {{a.b[0]}} stands for what the call's JSON has there, {{.}} for\n"
        "all of it.",
    )
    session: str | None = key(
        None,
        "The conversation, as hook:NAME, where the calls are to share one; with action:\n"
        "agent.",
    )


@frozen(kw_only=True)
class HooksConfig:
    """Calls from outside: /hooks/agent, /hooks/wake and those of your choice."""

    enabled: bool = key(False, "Whether there are any.")  # noqa: FBT003 -- the default
    token: Secret | None = key(
        None,
        "What a call has to bring, of at least 16 characters and nobody else's: the\n"
        "gateway's own token is not taken here, nor this one there.",
    )
    agents: tuple[str, ...] = key(
        (), "Agents that calls may name; without any, the default one alone."
    )
    allow_session_key: bool = key(
        False,  # noqa: FBT003 -- the default
        "Whether a call may say in which conversation; else it is hook:… of its own.",
    )
    max_body_bytes: Size = key(262_144, "Bytes of a call, at most.")
    mappings: Mapping[str, HookConfig] = table("Calls of your choice, by name.")
