"""The tools of an agent: what each folder gives, cut by the configuration's policies.

A folder that has tools gives them by a function; here they come together, as the
processes do in :mod:`beamclaw.tree`. Nothing else happens here.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial

from beamclaw import commands, files, skills, tools, web
from beamclaw.agents import workspace_of
from beamclaw.config import Config
from beamclaw.contracts.command_policy import CommandPolicy, Rule
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.sandbox import Sandbox
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.subagents import Rules
from beamclaw.contracts.toolbox import AnyTool, Caller, Toolbox
from beamclaw.paths import Root, Roots
from beamclaw.sandbox import AgentSandbox, policy_of
from beamclaw.values import frozen

# Clients may name any model, so what is remembered of them is bounded.
REMEMBERED_CALLERS = 256

ToolsOf = Callable[[str], Mapping[str, AnyTool]]
"""All tools that there are for an agent, by its id."""


@frozen(kw_only=True)
class Setting:
    """Where the tools of an agent work.

    Attributes:
        tenant: Whose agent.
        agent: Its id.
        config: The configuration.
        rules: What it says of other sessions.
        outside: The world.
        plugins: What other packages bring.
        bench: Where the tenant's files are read and written.
    """

    tenant: str
    agent: str
    config: Config
    rules: Rules
    outside: Outside
    plugins: tools.Plugins
    bench: files.Bench


def all_tools(
    config: Config,
    outside: Outside,
    tenant: str,
    rules: Rules,
    plugins: tools.Plugins,
) -> ToolsOf:
    """Those of a node, made when an agent's first turn asks for them."""
    bench = files.Bench(outside, config.tools.files.at_once)

    def of(agent: str) -> Mapping[str, AnyTool]:
        setting = Setting(
            tenant=tenant,
            agent=agent,
            config=config,
            rules=rules,
            outside=outside,
            plugins=plugins,
            bench=bench,
        )
        return by_name(_given(setting))

    return lru_cache(maxsize=REMEMBERED_CALLERS)(of)


def _given(setting: Setting) -> Iterator[AnyTool]:
    """One line for each folder that has tools."""
    config, outside, rules = setting.config, setting.outside, setting.rules
    tenant, agent = setting.tenant, setting.agent
    yield from tools.session_tools(config, outside, rules, tenant, agent)
    yield from web.web_tools(config, outside, tenant, sandbox_of(setting))
    yield from setting.plugins.tools.values()
    yield from commands.tools(_commands(setting))
    yield from files.tools(_files(setting))


def _commands(setting: Setting) -> commands.Setting:
    config, chosen_ = setting.config, setting.config.tools.exec
    base = commands.inherited(os.environ, chosen_.pass_env)
    return commands.Setting(
        tenant=setting.tenant,
        agent=setting.agent,
        roots=roots_of(config, setting.agent),
        policy=CommandPolicy(
            mode=chosen_.mode,
            after_untrusted=chosen_.after_untrusted,
            rules=tuple(map(Rule.parse, chosen_.allow)),
        ),
        env={**base, **chosen_.env},
        worker=setting.outside.worker(),
        yield_seconds=chosen_.yield_seconds,
        timeout_seconds=chosen_.timeout_seconds,
        notify=chosen_.notify_on_exit,
        sandbox=sandbox_of(setting),
        skill_value=partial(_skill_value, config),
    )


def _skill_value(config: Config, variable: str, skill: str) -> Secret | None:
    entry = config.skills.entries.get(skill)
    return None if entry is None else skills.value_of(entry, variable)


def sandbox_of(setting: Setting) -> Sandbox:
    """Where the programs run that an agent has started."""
    config = setting.config
    return AgentSandbox(
        tenant=setting.tenant,
        policy=policy_of(config, setting.agent),
        worker=setting.outside.worker(),
        closed=(str(config.data),),
    )


def _files(setting: Setting) -> files.Setting:
    config = setting.config
    return files.Setting(
        roots=roots_of(config, setting.agent),
        limits=config.tools.files,
        receipts=config.data / "tenants" / setting.tenant / "receipts",
        bench=setting.bench,
        outside=setting.outside,
    )


def roots_of(config: Config, agent: str) -> Roots:
    """The folders that an agent may touch."""
    return Roots(
        workspace=workspace_of(config, agent),
        others=tuple(
            Root(source.path, name="folder of skills")
            for source in skills.sources_of(config, agent)
            if source.origin not in {"workspace", "project"}
        ),
        closed=config.own_places,
    )


def by_name(given: Iterable[AnyTool]) -> Mapping[str, AnyTool]:
    """The tools by their names; of two with one name, a mistake of ours."""
    found: dict[str, AnyTool] = {}
    for tool in given:
        if tool.spec.name in found:
            raise ValueError(f"there are two tools {tool.spec.name!r}")
        found[tool.spec.name] = tool
    return found


def chosen(
    config: Config, rules: Rules, tools_of: ToolsOf
) -> Callable[[Caller], Toolbox]:
    """What a turn has: the same value for the same caller, by the policies of *config*."""
    return lru_cache(maxsize=REMEMBERED_CALLERS)(
        partial(_chosen, config, rules, tools_of)
    )


def _chosen(config: Config, rules: Rules, tools_of: ToolsOf, caller: Caller) -> Toolbox:
    held = tools.layers(config, caller)
    return tools.cut(tools_of(caller.agent), held, rules, caller)
