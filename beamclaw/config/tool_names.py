"""The names that a policy of tools may have: profiles, groups and what is built in.

A table, so that a mistake in a configuration is found without loading a tool; a test
compares it with the tools there are.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

Profile = Literal["minimal", "coding", "messaging", "full"]

PROFILES: Final[Mapping[Profile | None, tuple[str, ...]]] = {
    "minimal": ("session_status",),
    "coding": ("group:fs", "group:runtime", "group:web", "group:sessions"),
    "messaging": (
        "group:messaging",
        "sessions_list",
        "sessions_history",
        "sessions_send",
        "session_status",
    ),
    "full": ("*",),
}

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "fs": ("apply_patch", "edit", "find", "grep", "ls", "read", "write"),
    "runtime": ("exec", "process"),
    "web": ("web_fetch",),
    "sessions": (
        "agents_list",
        "read_output",
        "session_status",
        "sessions_hand_over",
        "sessions_history",
        "sessions_list",
        "sessions_send",
        "sessions_spawn",
        "sessions_yield",
    ),
    "memory": (),
    "messaging": (),
    "automation": (),
    "ui": (),
    "media": (),
    "nodes": (),
}
"""What is built in, by group. OpenClaw's groups; an empty one has nothing yet."""

FOLLOWS: Final = "read_output"
"""What goes with any other tool: it reads what those have said, and nothing else."""

BUILT_IN: Final = "openclaw"
"""The group of all that is built in, as OpenClaw calls it."""

PLUGINS: Final = "plugins"
"""The group of all that is of packages of others."""


def group_names() -> tuple[str, ...]:
    """Every group that may be named, as a list of a policy writes it."""
    return tuple(f"group:{name}" for name in (*GROUPS, BUILT_IN, PLUGINS))


def built_in() -> Iterable[str]:
    """The name of every tool that is built in."""
    return (name for group in GROUPS.values() for name in group)
