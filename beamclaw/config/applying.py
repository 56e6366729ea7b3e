"""What a changed configuration means for a node that runs: a decision without I/O.

Each key has one rule, found by the longest path in :data:`RULES` that it lies below.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal, get_args

import attrs

from beamclaw.config.document import child
from beamclaw.config.schema import Config
from beamclaw.config.structure import keys_of
from beamclaw.config.writing.differing import differences
from beamclaw.config.writing.documents import Change
from beamclaw.values import frozen

Part = Literal[
    "telemetry", "providers", "skills", "gateway", "gateway/listener", "gateway/server"
]
"""Parts of the tree that are begun anew, and nothing beside them."""
PARTS: Final[Sequence[Part]] = get_args(Part)


@frozen
class Rule:
    """When a change of a key holds.

    Attributes:
        when: ``now``: for whatever asks next; ``turn``: from the next turn on; ``part``:
            once a part of the node was begun anew; ``start``: at the next start.
        part: What is begun anew for it.
        why: For ``start``: what would have to be given up for it.
    """

    when: Literal["now", "turn", "part", "start"]
    part: Part | None = None
    why: str = ""


NOW: Final = Rule("now")
TURN: Final = Rule("turn")
SERVER: Final = Rule("part", "gateway/server")
COMMANDS: Final = Rule("start", why="commands would be ended")
LEDGER: Final = Rule("start", why="the ledger would have to be closed")

RULES: Final[Mapping[str, Rule]] = {
    "providers": Rule("part", "providers"),
    # The index of skills has to know of all agents.
    "agents": Rule("turn", "skills"),
    "gateway": SERVER,
    "gateway.host": Rule("part", "gateway/listener"),
    "gateway.port": Rule("part", "gateway/listener"),
    "gateway.backlog": Rule("part", "gateway/listener"),
    "gateway.max_connections": Rule("part", "gateway/listener"),
    # Whoever was let in by what does not hold any more has to come in again.
    "gateway.auth": Rule("part", "gateway"),
    # It has a door of its own, or not.
    "gateway.control_ui": Rule("part", "gateway"),
    "gateway.socket.max_clients": Rule("part", "gateway"),
    "gateway.socket.max_present": Rule("part", "gateway"),
    "hooks": SERVER,
    "sessions": TURN,
    "sessions.inbox_limit": LEDGER,
    "sessions.session_inbox_limit": LEDGER,
    "sessions.max_awake": Rule("start", why="sessions would have to be put to sleep"),
    "sessions.retention": NOW,
    "sessions.retention.repeat_seconds": LEDGER,
    "tools": TURN,
    "tools.max_calls": Rule("start", why="calls in progress would have to be ended"),
    "tools.max_grants": LEDGER,
    "tools.keep_seconds": LEDGER,
    "tools.exec.max_running": COMMANDS,
    "tools.exec.kill_seconds": COMMANDS,
    "tools.exec.output_chars": COMMANDS,
    "tools.exec.keep_finished": COMMANDS,
    "tools.exec.keep_seconds": COMMANDS,
    "workspace": Rule("part", "skills"),
    "skills": Rule("part", "skills"),
    "limits": NOW,
    "limits.turn": TURN,
    "limits.subagents": TURN,
    "ledger": LEDGER,
    "config": NOW,
    "logging": Rule("part", "telemetry"),
    "telemetry": Rule("part", "telemetry"),
    "telemetry.statistics": NOW,
    "shell": NOW,
    "shutdown": NOW,
}


@frozen(kw_only=True)
class Plan:
    """What is to be done.

    Attributes:
        config: What holds from now on: as wanted, but for the keys of *left*.
        changes: What is other than before, the keys of *left* not among it.
        parts: What is begun anew for it, in this order.
        left: What holds at the next start.
    """

    config: Config
    changes: Sequence[Change]
    parts: Sequence[Part]
    left: Sequence[Change]


def rule_of(path: str) -> Rule:
    """The rule of the key *path*, as ``gateway.port``."""
    while path not in RULES:
        path, dot, _ = path.rpartition(".")
        if not dot:
            raise KeyError(path)
    return RULES[path]


def holds(path: str) -> str:
    """When a change of the key *path* holds, in words for a table."""
    rule = rule_of(path)
    if rule.when == "part":
        return f"at once, `{rule.part}` anew"
    if rule.when == "start":
        return f"next start: {rule.why}"
    return {"now": "at once", "turn": "next turn"}[rule.when]


def holds_at_start(path: str) -> bool:
    """Whether a change of the key *path* waits for the next start."""
    return rule_of(path).when == "start"


def waiting(left: Sequence[Change]) -> str:
    """Which keys wait for the next start, and why, in words."""
    if not left:
        return "nothing waits for the next start"
    each = [f"{change.path} ({rule_of(change.path).why})" for change in left]
    return f"at the next start: {', '.join(each)}"


def plan(before: Config, wanted: Config) -> Plan:
    """How a node that runs by *before* comes to *wanted*."""
    wanted = attrs.evolve(wanted, data=before.data, file=before.file)
    config = _kept(before, wanted, "")
    changes = differences(before, config)
    return Plan(
        config=config,
        changes=changes,
        parts=_parts({rule_of(change.path).part for change in changes}),
        left=differences(config, wanted),
    )


def _parts(concerned: Collection[Part | None]) -> list[Part]:
    """What is begun anew, in order; nothing that a larger part takes along."""
    if "gateway" in concerned:
        larger = {"gateway/listener", "gateway/server"}
    elif "gateway/listener" in concerned:
        larger = {"gateway/server"}
    else:
        larger = set[str]()
    return [part for part in PARTS if part in concerned and part not in larger]


def _kept(before: Any, wanted: Any, path: str) -> Any:
    """*wanted* with the values of *before* where a change has to wait for a start."""
    changed: dict[str, Any] = {}
    for name in keys_of(wanted.__class__):
        at = child(path, name)
        old, new = getattr(before, name), getattr(wanted, name)
        if rule_of(at).when == "start":
            changed[name] = old
        elif any(rule.startswith(f"{at}.") for rule in RULES):
            changed[name] = _kept(old, new, at)
    return attrs.evolve(wanted, **changed)
