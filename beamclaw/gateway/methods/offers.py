"""What agents have to work with: ``models.list``, ``commands.list``, ``tools.*``, ``skills.*``."""

from collections.abc import Iterable
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import trio

from beamclaw.agents import (
    AgentDefinition,
    UnknownAgent,
    UnknownModel,
    resolve,
    workspace_of,
)
from beamclaw.config.schema import Config, ProviderConfig
from beamclaw.config.tool_names import PROFILES
from beamclaw.contracts import keys
from beamclaw.contracts.hosts import is_loopback
from beamclaw.contracts.lifecycle import NoSuchSession
from beamclaw.contracts.names import of_tenant
from beamclaw.contracts.skills import GetSkills, Skills, SkillState, Unread
from beamclaw.contracts.toolbox import Caller, Toolbox
from beamclaw.contracts.tools import ToolSpec
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid, unavailable
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods._sessions import checked_agent, find, key_of
from beamclaw.gateway.methods.agents import name_of
from beamclaw.values import frozen

# --- models


@frozen(kw_only=True)
class ModelsParams:
    """Which models; there is one list here, of all that is configured."""

    agent_id: Text | None = None
    # OpenClaw's programs give these, although they are in no published schema: who says
    # `published-model-catalog` takes the last two.
    session_key: Text | None = None
    provider: Text | None = None
    include_details: bool = False
    include_provider_capabilities: bool = False
    prepared_only: bool = False
    refresh: bool = False
    view: Literal["default", "configured", "provider-config", "all"] = "default"


@method("models.list", scope=READ, params=ModelsParams)
async def models_list(context: Context, params: ModelsParams) -> object:
    """The models that the configuration names, each with its window."""
    await trio.lowlevel.checkpoint()
    checked_agent(context, params.agent_id)
    if params.prepared_only and params.refresh:
        raise invalid("preparedOnly and refresh exclude each other; leave one out")
    provider, config = params.provider, context.node.config
    if provider is not None and provider not in config.providers:
        there = ", ".join(config.providers)
        raise invalid(f"there is no provider {provider[:64]!r}; providers: {there}")
    found = [each for each in models(context) if provider in (None, each["provider"])]
    if params.include_details:
        found = [
            {**each, "local": is_local(config.providers[each["provider"]])}
            for each in found
        ]
    return {"models": found}


def models(context: Context) -> Iterable[dict[str, Any]]:
    """Them, by provider; no provider is asked."""
    config = context.node.config
    for provider, model in _named(config):
        chosen = config.providers[provider]
        yield {
            "id": model,
            "name": model,
            "provider": provider,
            "contextWindow": context.node.means.window(provider, model),
            "available": chosen.api == "demo"
            or bool(chosen.keys)
            or chosen.base_url is not None,
            "input": ["text", "image"],
        }


def is_local(provider: ProviderConfig) -> bool:
    """Whether its models answer on this machine."""
    if provider.base_url is None:
        return provider.api == "demo"
    return is_loopback(urlsplit(provider.base_url).hostname or "")


def model_at(config: Config, agent: str, provider: str) -> str | None:
    """A model of *provider*, the agent's own if it is there; None: none is configured."""
    own = _own(config, agent)
    if own is not None and own.provider == provider:
        return own.model
    of_it = (model for name, model in _named(config) if name == provider)
    return next(of_it, None)


def _own(config: Config, agent: str) -> AgentDefinition | None:
    try:
        return resolve(config, agent)
    except (UnknownAgent, UnknownModel):
        return None


def _named(config: Config) -> list[tuple[str, str]]:
    """Provider and model of all that the configuration names, agents' own first."""
    found: dict[tuple[str, str], None] = {}
    for agent in config.agents:
        definition = _own(config, agent)
        if definition is None:
            continue
        found[definition.provider, definition.model] = None
        found.update(dict.fromkeys(definition.fallbacks))
    for name, provider in config.providers.items():
        found.update(dict.fromkeys((name, model) for model in provider.models))
        if provider.chosen_model:
            found[name, provider.chosen_model] = None
    return list(found)


# --- commands


@frozen(kw_only=True)
class CommandsParams:
    """For whom."""

    session_key: Text | None = None
    agent_id: Text | None = None
    provider: Text | None = None
    scope: Literal["text", "native", "both"] = "both"
    include_args: bool = True


@method("commands.list", scope=READ, params=CommandsParams)
async def commands_list(context: Context, params: CommandsParams) -> object:
    """What may be said behind a slash: the node's own words, and skills."""
    agent = _agent_of(context, params.agent_id, params.session_key)
    skills = await _skills(context, agent)
    if params.scope == "native":
        # Those are what the menus of channels have.
        return {"commands": []}
    return {
        "commands": [
            *(_word(name, words) for name, words in _WORDS),
            *(
                _command(skill.name, skill.description, skill=skill)
                for skill in skills.found
                if skill.user and not skill.why_not
            ),
        ]
    }


_WORDS: Final = (
    ("new", "Begin a new conversation; what stands behind it is its first message."),
    ("reset", "The same as /new."),
)


def _word(name: str, words: str) -> dict[str, Any]:
    return {**_command(name, words), "category": "session"}


def _command(
    name: str, words: str, *, skill: SkillState | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "textAliases": [f"/{name}"],
        "description": words[:2000],
        "source": "native" if skill is None else "skill",
        "scope": "text",
        "acceptsArgs": True,
    }
    if skill is not None:
        found |= {"skillDisplayName": skill.name, "skillModelVisible": skill.listed}
    return found


# --- tools


@frozen(kw_only=True)
class CatalogParams:
    """Of which agent."""

    agent_id: Text | None = None
    include_plugins: bool = True


_LABELS: Final = {
    "minimal": "Minimal",
    "coding": "Coding",
    "messaging": "Messaging",
    "full": "Full",
}
OTHER: Final = "other"
PLUGINS: Final = "plugins"


@method("tools.catalog", scope=READ, params=CatalogParams)
async def tools_catalog(context: Context, params: CatalogParams) -> object:
    """The tools that an agent has, by group."""
    agent = _agent_of(context, params.agent_id, None)
    box = await toolbox_of(context, agent)
    specs = [
        spec for spec in box.specs.values() if params.include_plugins or not spec.source
    ]
    groups: dict[str, list[ToolSpec]] = {}
    for spec in specs:
        group = PLUGINS if spec.source else spec.group or OTHER
        groups.setdefault(group, []).append(spec)
    return {
        "agentId": agent,
        "profiles": [{"id": name, "label": label} for name, label in _LABELS.items()],
        "groups": [
            {
                "id": name,
                "label": name.capitalize(),
                "source": "plugin" if name == PLUGINS else "core",
                "tools": [_catalogued(spec) for spec in sorted(found, key=_name)],
            }
            for name, found in sorted(groups.items())
        ],
    }


def _name(spec: ToolSpec) -> str:
    return spec.name


def _catalogued(spec: ToolSpec) -> dict[str, Any]:
    return {
        "id": spec.name,
        "label": spec.name,
        "description": _first_line(spec.description),
        "source": "plugin" if spec.source else "core",
        "risk": _RISKS[spec.effect],
        "defaultProfiles": [
            name for name, terms in PROFILES.items() if name and _in(spec, terms)
        ],
        **({"pluginId": spec.source} if spec.source else {}),
    }


_RISKS: Final = {
    "pure": "low",
    "idempotent": "medium",
    "checkable": "medium",
    "unsafe": "high",
}


def _in(spec: ToolSpec, terms: tuple[str, ...]) -> bool:
    return bool({"*", spec.name, f"group:{spec.group}"} & set(terms))


def _first_line(words: str) -> str:
    return words.strip().partition("\n")[0]


@frozen(kw_only=True)
class EffectiveParams:
    """In which session."""

    session_key: Text
    agent_id: Text | None = None


@method("tools.effective", scope=READ, params=EffectiveParams)
async def tools_effective(context: Context, params: EffectiveParams) -> object:
    """The tools that the next turn of a session has, as its model gets them."""
    key = key_of(context, params.session_key, params.agent_id)
    agent, box = await toolbox_in(context, key)
    groups: dict[str, list[dict[str, Any]]] = {}
    for spec in sorted(box.specs.values(), key=_name):
        source = "plugin" if spec.source else "core"
        groups.setdefault(source, []).append(
            {
                "id": spec.name,
                "label": spec.name,
                "description": _first_line(spec.description),
                "rawDescription": spec.description,
                "source": source,
                "risk": _RISKS[spec.effect],
                **({"pluginId": spec.source} if spec.source else {}),
            }
        )
    policy = context.node.config.agents[agent].tools.profile
    return {
        "agentId": agent,
        "profile": policy or context.node.config.tools.profile or "full",
        "groups": [
            {"id": name, "label": name.capitalize(), "source": name, "tools": found}
            for name, found in sorted(groups.items())
        ],
    }


async def toolbox_in(context: Context, key: str) -> tuple[str, Toolbox]:
    """Who answers in a session, and the tools that its next turn has.

    Raises:
        MethodError: There is no such agent.
    """
    override = None
    agent = keys.parse(key).agent or context.node.agents.default
    try:
        row = await find(context, key)
    except NoSuchSession:
        checked_agent(context, agent)
    else:
        agent, override = row.agent, row.meta.model
    return agent, await toolbox_of(context, agent, override)


async def toolbox_of(context: Context, agent: str, model: str | None = None) -> Toolbox:
    """The tools of an agent, as it asks its model."""
    return await _toolbox(context, _caller(context, agent, model))


def _caller(context: Context, agent: str, model: str | None = None) -> Caller:
    """The agent, as it asks its model."""
    try:
        found = resolve(context.node.config, agent, model)
    except (UnknownAgent, UnknownModel) as error:
        raise invalid(str(error)) from None
    return Caller(agent=agent, provider=found.provider, model=found.model)


async def _toolbox(context: Context, caller: Caller) -> Toolbox:
    means = context.node.means
    await means.loading.wait()
    return means.toolbox(caller)


# --- skills


@frozen(kw_only=True)
class SkillsParams:
    """Of which agent."""

    agent_id: Text | None = None
    session_key: Text | None = None


@method("skills.status", scope=READ, params=SkillsParams)
async def skills_status(context: Context, params: SkillsParams) -> object:
    """All skills that were found for an agent, and why it has not got some of them."""
    agent = _agent_of(context, params.agent_id, params.session_key)
    skills = await _skills(context, agent)
    config = context.node.config
    return {
        "agentId": agent,
        "agentName": name_of(config, agent),
        "workspaceDir": str(workspace_of(config, agent)),
        "managedSkillsDir": str(config.data / "skills"),
        "skills": [_skill(skill) for skill in skills.found],
    }


def _skill(skill: SkillState) -> dict[str, Any]:
    needs = {
        "bins": list(skill.bins),
        "anyBins": list(skill.any_bins),
        "env": list(skill.env),
        "config": list(skill.config),
        "os": list(skill.os),
    }
    given: dict[str, Any] = {
        "name": skill.name,
        "skillKey": skill.name,
        "description": skill.description,
        "source": skill.origin,
        "bundled": skill.origin == "bundled",
        "filePath": skill.file,
        "baseDir": skill.file.rpartition("/")[0],
        "emoji": skill.emoji or None,
        "homepage": skill.homepage or None,
        "primaryEnv": skill.primary_env or None,
        "always": skill.always,
        "disabled": not skill.enabled,
        "eligible": not skill.why_not,
        "blockedReason": skill.why_not or None,
        "modelVisible": skill.listed and not skill.why_not,
        "userInvocable": skill.user,
        "requirements": needs,
        "install": [],
    }
    return {name: value for name, value in given.items() if value is not None}


async def _skills(context: Context, agent: str) -> Skills:
    server = of_tenant(context.tenant, "skills")
    found = await context.bus.call(server, GetSkills(agent), timeout=None)
    if isinstance(found, Unread):
        raise unavailable(found.why, reason="workspace-unread")
    return found


def _agent_of(context: Context, agent: str | None, session: str | None) -> str:
    """Which agent is meant; the default one where nothing says it."""
    chosen = checked_agent(context, agent)
    if chosen is None and session is not None:
        chosen = keys.parse(key_of(context, session)).agent
        checked_agent(context, chosen)
    return chosen or context.node.agents.default


METHODS: Final = (
    models_list,
    commands_list,
    tools_catalog,
    tools_effective,
    skills_status,
)
