"""Who has which tools: profiles, lists, providers and sub-agents, as functions of values.

There is one verdict for a tool and a caller; :func:`cut` makes it for all of them. As in
OpenClaw: a profile is what one begins with, ``allow`` adds to it, ``deny`` takes away and
wins, whoever says it.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import cast

from beamclaw.config.schema import AgentToolsConfig, Config, ToolPolicy, own_of
from beamclaw.config.tool_names import BUILT_IN, FOLLOWS, GROUPS, PLUGINS, PROFILES
from beamclaw.contracts.subagents import Deed, Rules, SessionTool, offered
from beamclaw.contracts.toolbox import AnyTool, Caller, Toolbox
from beamclaw.values import frozen

# As in OpenClaw: what reaches beyond a sub-agent's own task.
NOT_FOR_SUBAGENTS = frozenset(
    {"agents_list", "cron", "gateway", "message", "session_status", "sessions_send"}
)

_ALONE = frozenset({FOLLOWS})


@frozen(kw_only=True)
class Entry:
    """A tool as policies know it.

    Attributes:
        plugin: It is of a package of somebody else. Its group is what it says itself, so
            that counts for what is denied and not for what is allowed.
    """

    name: str
    group: str = ""
    plugin: bool = False


@frozen
class Layer:
    """One place of the configuration, by its path, and what it says."""

    path: str
    policy: ToolPolicy


@frozen(kw_only=True)
class Layers:
    """What holds for a caller.

    Attributes:
        bases: Each has to let a tool in.
        denies: None may name it.
    """

    bases: tuple[Layer, ...] = ()
    denies: tuple[Layer, ...] = ()


def layers(config: Config, caller: Caller) -> Layers:
    """What *config* says for *caller*.

    An agent's own profile and ``allow`` stand in place of the node's; what a provider, or
    its model, may be trusted with only ever takes away.
    """
    own = own_of(config, caller.agent).tools
    node = Layer("tools", config.tools)
    agent = Layer(f"agents.{caller.agent}.tools", own)
    providers = [
        Layer(f"{layer.path}.by_provider.{name}", policy)
        for layer in (node, agent)
        for name, policy in cast("AgentToolsConfig", layer.policy).by_provider.items()
        if name in (caller.provider, f"{caller.provider}/{caller.model}")
    ]
    base = agent if own.profile is not None or own.allow else node
    return Layers(bases=(base, *providers), denies=(node, agent, *providers))


def built_in_for(config: Config, caller: Caller) -> frozenset[str]:
    """The names of what is built in and *caller* has, by the lists, without a tool.

    What is not for sub-agents is among them.
    """
    held = layers(config, caller)
    found = frozenset(
        name
        for group, members in GROUPS.items()
        for name in members
        if refusal(Entry(name=name, group=group), held) is None
    )
    return found if config.tools.max_kept and found != _ALONE else found - _ALONE


def refusal(entry: Entry, held: Layers) -> str | None:
    """Why a tool is not there, in words; None: it is."""
    for layer in held.denies:
        for term in layer.policy.deny:
            if names(term, entry, deny=True):
                return f"{layer.path}.deny has {term}"
    if entry.name == FOLLOWS and not entry.plugin:
        return None  # whoever has a tool may read what it has said
    for layer in held.bases:
        profile, allow = layer.policy.profile, layer.policy.allow
        if profile is None and not allow:
            continue
        if not any(names(term, entry) for term in (*PROFILES.get(profile, ()), *allow)):
            if profile is None:
                return f"{layer.path}.allow does not have it"
            return f"it is not in {layer.path}.profile, {profile}, nor in {layer.path}.allow"
    return None


def names(term: str, entry: Entry, *, deny: bool = False) -> bool:
    """Whether *term* of a list means this tool: its name, ``group:`` or a pattern."""
    group = term.removeprefix("group:")
    if group == term:
        return fnmatchcase(entry.name, term)
    if entry.plugin:
        return group == PLUGINS or (deny and group == entry.group)
    return group in (entry.group, BUILT_IN)


def cut(
    tools: Mapping[str, AnyTool], held: Layers, rules: Rules, caller: Caller
) -> Toolbox:
    """Of *tools* those that *caller* has."""
    has: dict[str, AnyTool] = {}
    denied: dict[str, str] = {}
    for name, tool in tools.items():
        words = _not_so_far_down(tool, rules, caller.depth)
        words = words or refusal(entry_of(tool), held)
        if words is None:
            has[name] = tool
        else:
            denied[name] = words
    if has.keys() == _ALONE:
        del has[FOLLOWS]
        denied[FOLLOWS] = "there is no other tool whose outputs it could read"
    return Toolbox(has, denied)


def entry_of(tool: AnyTool) -> Entry:
    """*tool* as policies know it."""
    spec = tool.spec
    return Entry(name=spec.name, group=spec.group, plugin=spec.source != "")


def _not_so_far_down(tool: AnyTool, rules: Rules, depth: int) -> str | None:
    if not depth:
        deed = _deed(tool)
        if deed == "spawn" and not offered(rules, depth, deed):
            return "there are no sub-agents (limits.subagents.depth is 0)"
        return None
    if tool.spec.name in NOT_FOR_SUBAGENTS:
        return "sub-agents do not have it"
    deed = _deed(tool)
    if deed is None or offered(rules, depth, deed):
        return None
    if deed == "spawn":
        return f"a sub-agent on level {depth} starts none (limits.subagents.depth)"
    return "sub-agents do not have it"


def _deed(tool: AnyTool) -> Deed | None:
    if tool.spec.kind == "session":
        return cast("SessionTool", tool).does
    return None
