"""The composition root: a configuration becomes one tree of child specs.

Nothing else happens here. What a part needs from another it gets from this page, as a
value, a factory or a name; no part imports another.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import tzinfo
from functools import lru_cache, partial
from typing import Final, TypeVar

import attrs
import trio

import supervision
from beamclaw import (
    agents,
    bus,
    commands,
    gateway,
    ledger,
    limits,
    providers,
    runs,
    sandbox,
    sessions,
    shell,
    skills,
    store,
    telemetry,
    tenants,
    tools,
)
from beamclaw.config import Config, ConfigServer, Origin
from beamclaw.config.current import Current
from beamclaw.config.installed import Fault
from beamclaw.config.redactor import Following, redactor
from beamclaw.config.schema import AgentBudgetConfig, BudgetConfig, over, own_of
from beamclaw.config.watching import watch_file
from beamclaw.config.writing.writer import default_file
from beamclaw.contracts import databases, names
from beamclaw.contracts.budgets import MICRO, MILLI, Cap, Measure, Price, Scope
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.gateway import NAME as GATEWAY
from beamclaw.contracts.gateway import SetIntake as StopGateway
from beamclaw.contracts.gateway import drain as drain_gateway
from beamclaw.contracts.keys import MAIN
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.contracts.providers import Provider
from beamclaw.contracts.resets import ResetRule
from beamclaw.contracts.retry import RetryPolicy
from beamclaw.contracts.sessions import GetSessionsStatus, SetIntake
from beamclaw.contracts.store import ClaimTenant
from beamclaw.contracts.subagents import Rules
from beamclaw.contracts.toolbox import Caller, Toolbox
from beamclaw.contracts.tools import Bounds
from beamclaw.contracts.troubles import Troubles
from beamclaw.contracts.turns import TurnLimits
from beamclaw.renewing import renew
from beamclaw.storage.watching import wait_change
from beamclaw.toolbox import ToolsOf, all_tools, chosen
from beamclaw.values import frozen
from supervision import ChildSpec, Supervisor

T = TypeVar("T")

REAL = Outside()
# Clients may name any model, so what is remembered of them is bounded.
REMEMBERED_MODELS = 256
# Without node.db no ledger can be opened anew; those that are open go on.
STORE_COOL_DOWN = supervision.CoolDown(first=0.5, factor=2.0, most=30.0, jitter=0.2)
# Seconds between two counts of open turns while draining.
COUNT_EVERY = 0.1
# Seconds that finished answers get to leave before their streams are closed.
LAST_WORDS_SECONDS = 1.0


@frozen(kw_only=True)
class Plugins:
    """What packages of others bring; see :func:`load_plugins`."""

    of_tools: tools.Plugins = attrs.field(factory=tools.Plugins)
    of_providers: providers.Plugins = attrs.field(factory=providers.Plugins)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What of it cannot be used, and why."""
        return (*self.of_tools.faults, *self.of_providers.faults)


NO_PLUGINS = Plugins()


def load_plugins(config: Config) -> Plugins:
    """Import them, before anything runs: nobody waits in a loop for somebody's package."""
    return Plugins(
        of_tools=tools.load_plugins(), of_providers=providers.load_plugins(config)
    )


def tree(
    config: Config,
    outside: Outside = REAL,
    tools_of: ToolsOf | None = None,
    troubles: Troubles | None = None,
    *,
    plugins: Plugins = NO_PLUGINS,
    loading: Loading | None = None,
    origin: Origin | None = None,
    service: Callable[[Bus], ChildSpec] | None = None,
) -> Supervisor:
    """The whole node, in the order in which it starts; it stops in reverse.

    References are names, so nothing below is invalid when one above restarts. *origin*
    says where the configuration came from, for whoever changes the file.
    *tools_of* says which tools there are for an agent, in place of the node's own, with
    those of *plugins*. *service* makes the child that tells a service manager how the
    node stands, where there is one. *troubles* will say which parts cannot work. *loading* will be
    what the tools have to wait for: the first turn begins it, or somebody before that.
    """
    carrier, troubles = bus.LocalBus(), troubles or Troubles()
    current = Current(config, None if origin is None else origin.config)
    if origin is not None:
        current.trouble, current.warnings = origin.trouble, origin.warnings
    loading = loading or Loading(outside.worker())
    has: Callable[[Caller], Collection[str]]
    boxes = current.made(
        partial(_toolbox, outside, names.DEFAULT_TENANT, plugins.of_tools, tools_of)
    )
    toolbox = partial(_of_now, boxes)
    if tools_of is None:
        loading.give(partial(toolbox, Caller(agent=MAIN)))
        # Names of tools are wanted during the start, when no tool is loaded yet.
        has = current.reading(tools.built_in_for)
    else:
        has = partial(_names, toolbox)
    tenant = partial(
        _tenant,
        current,
        outside,
        carrier,
        boxes,
        names.DEFAULT_TENANT,
        has=has,
        loading=loading,
        troubles=troubles,
        plugins=plugins,
    )
    return Supervisor(
        [
            _subtree(
                "shell",
                partial(
                    shell.supervisor,
                    current,
                    carrier,
                    outside,
                    toolbox,
                    plugins.faults,
                    loading=loading,
                ),
            ),
            *([] if service is None else [service(carrier)]),
            _subtree(
                "telemetry",
                partial(
                    current.reading(telemetry.supervisor),
                    outside,
                    Following(current.made(redactor)),
                    providers.peers,
                ),
            ),
            ChildSpec(
                "config",
                partial(
                    ConfigServer,
                    current,
                    carrier,
                    outside,
                    origin,
                    partial(renew, outside),
                ),
                name="config",
            ),
            ChildSpec(
                "config-watch",
                partial(
                    watch_file,
                    config.file or default_file(config.data),
                    outside,
                    wait_change,
                    lambda: current.files,
                    lambda: current.config.config.poll_seconds,
                ),
                cool_down=supervision.CoolDown(),
            ),
            ChildSpec(
                "store",
                partial(store.StoreServer, config.data, outside, troubles=troubles),
                name="store",
                cool_down=STORE_COOL_DOWN,
            ),
            ChildSpec(
                "statistics",
                partial(
                    telemetry.StatisticsServer,
                    lambda: current.config.telemetry.statistics,
                    outside.wall,
                    Following(current.made(redactor)).scrub,
                ),
                name="statistics",
                cool_down=telemetry.COOL_DOWN,
            ),
            _subtree(
                "providers", partial(current.reading(providers.supervisor), outside)
            ),
            ChildSpec("bus", bus.BusServer, name="bus"),
            _subtree(
                "tenants", partial(tenants.supervisor, {names.DEFAULT_TENANT: tenant})
            ),
            _subtree(
                "gateway",
                partial(
                    gateway.supervisor,
                    current,
                    carrier,
                    outside,
                    troubles,
                    gateway.Means(
                        toolbox=toolbox,
                        loading=loading,
                        window=current.reading(_window),
                        look=shell.looks(current, carrier, outside, toolbox),
                    ),
                    ports=gateway.Ports(),
                ),
            ),
        ],
        strategy="one_for_one",
    )


def _toolbox(
    outside: Outside,
    tenant: str,
    plugins: tools.Plugins,
    tools_of: ToolsOf | None,
    config: Config,
) -> Callable[[Caller], Toolbox]:
    """The tools of each turn, by this configuration."""
    rules = subagent_rules(config)
    given = tools_of or all_tools(config, outside, tenant, rules, plugins)
    return chosen(config, rules, given)


def _of_now(
    boxes: Callable[[], Callable[[Caller], Toolbox]], caller: Caller
) -> Toolbox:
    return boxes()(caller)


def _names(toolbox: Callable[[Caller], Toolbox], caller: Caller) -> Collection[str]:
    return toolbox(caller).tools


def _subtree(part: str, start: Callable[[], Supervisor]) -> ChildSpec:
    return ChildSpec(part, start, type="supervisor", shutdown=None)


def _tenant(
    current: Current,
    outside: Outside,
    carrier: bus.LocalBus,
    boxes: Callable[[], Callable[[Caller], Toolbox]],
    tenant: str,
    *,
    has: Callable[[Caller], Collection[str]],
    loading: Loading,
    troubles: Troubles,
    plugins: Plugins,
) -> Supervisor:
    """One tenant; who loses the ledger below them must read again."""

    def part(name: str, start: Callable[[], supervision.Server]) -> ChildSpec:
        return ChildSpec(name, start, name=names.of_tenant(tenant, name))

    config = current.config
    flusher = runs.Flusher(
        carrier,
        tick=current.reading(lambda config: config.sessions.flush_ms / 1000),
        size=current.reading(lambda config: config.sessions.flush_bytes),
    )
    wiring = current.made(
        partial(_run_wiring, outside, carrier, boxes, tenant, loading, flusher)
    )
    connect = outside.connect or partial(
        current.reading(_connect), plugins.of_providers
    )
    keeper = partial(
        ledger.LedgerServer,
        tenant,
        config.data / databases.ledger_of(tenant),
        claim=partial(_claim, carrier),
        inbox_limit=config.sessions.inbox_limit,
        inbox_share=config.sessions.session_inbox_limit,
        repeats_seconds=config.sessions.retention.repeat_seconds,
        outputs_seconds=config.tools.keep_seconds,
        max_grants=config.tools.max_grants,
        max_batch=config.ledger.max_batch,
        cache_bytes=config.ledger.cache_bytes,
        outside=outside,
        troubles=troubles,
    )
    return Supervisor(
        [
            # Before the ledger: a tool that works outlives the death of all below, and
            # so does the command that it has started.
            _subtree(
                "commands",
                partial(
                    commands.supervisor,
                    tenant,
                    command_settings(config),
                    outside,
                    part(
                        "sandbox",
                        partial(sandbox.SandboxServer, tenant, current, outside),
                    ),
                ),
            ),
            ChildSpec(
                "tools",
                partial(tools.supervisor, config.tools.max_calls),
                name=names.of_tenant(tenant, "tools"),
                type="supervisor",
                shutdown=None,
            ),
            part("ledger", keeper),
            _subtree(
                "runs",
                partial(
                    runs.supervisor,
                    wiring,
                    connect,
                    _nothing if outside.connect else current.made(_loading_of(outside)),
                    current.reading(_provider_settings),
                ),
            ),
            _subtree(
                "sessions",
                partial(_sessions, current, wiring, skills.Definer(current, tenant)),
            ),
            # Behind those who work: they lose nothing when it dies.
            part(
                "limits",
                partial(
                    limits.LimitsServer,
                    tenant,
                    caps=current.reading(caps_of),
                    warn_at=current.reading(lambda config: config.limits.warn_at),
                    outside=outside,
                ),
            ),
            part("notices", partial(commands.NoticeServer, tenant, outside)),
            _subtree(
                "skills",
                partial(
                    current.reading(_skills),
                    tenant,
                    partial(current.reading(_skills_of), has),
                    outside,
                ),
            ),
        ],
        strategy="rest_for_one",
    )


def command_settings(config: Config) -> commands.Settings:
    """How commands are held, by the configuration."""
    chosen_ = config.tools.exec
    return commands.Settings(
        max_running=chosen_.max_running,
        kill_seconds=chosen_.kill_seconds,
        output_chars=chosen_.output_chars,
        keep_finished=chosen_.keep_finished,
        keep_seconds=chosen_.keep_seconds,
    )


# With one of these a model can read what it is told of.
READERS = frozenset({"read", "exec"})


def _skills_of(
    config: Config, has: Callable[[Caller], Collection[str]], agent: str
) -> skills.Setting:
    """What an agent is told; of skills nothing if it could not read them."""
    reads = not READERS.isdisjoint(has(Caller(agent=agent)))
    return skills.setting_of(config, agent, reads=reads)


async def _claim(carrier: bus.LocalBus, tenant: str) -> int:
    with point("tenant.claim"):
        return await carrier.call("store", ClaimTenant(tenant))


def _skills(
    config: Config,
    tenant: str,
    setting: Callable[[str], skills.Setting],
    outside: Outside,
) -> Supervisor:
    return skills.supervisor(tenant, config, setting, outside)


def _connect(
    config: Config, plugins: providers.Plugins, provider: str, key: int
) -> Provider:
    return providers.connect(provider, config.providers[provider], key, plugins)


def _loading_of(outside: Outside) -> Callable[[Config], Mapping[str, Loading]]:
    """What connections have to wait for, by the provider's name."""
    return lambda config: {
        name: Loading(outside.worker(), providers.loader(provider))
        for name, provider in config.providers.items()
    }


def _nothing() -> Mapping[str, Loading]:
    return {}


def _provider_settings(config: Config, provider: str) -> object:
    return config.providers.get(provider)


def _max_output(config: Config, provider: str, model: str) -> int:
    return providers.max_output(model, config.providers[provider].models)


def _window(config: Config, provider: str, model: str) -> int:
    return providers.window(model, config.providers[provider].models)


def _price(config: Config, provider: str, model: str) -> Price | None:
    chosen = config.providers[provider]
    if chosen.api == "demo":
        return Price()
    return providers.price(model, chosen)


def caps_of(config: Config, agent: str) -> tuple[Cap, ...]:
    """What a call of *agent* must not go beyond, by the configuration."""
    limits = config.limits
    own, path = own_of(config, agent).limits, f"agents.{agent}.limits"
    return (
        *_caps_of("tenant", "limits.day", limits.day),
        *_caps_of("agent", "limits.agent", limits.agent, f"{path}.day", own.day),
        *_caps_of(
            "session", "limits.session", limits.session, f"{path}.session", own.session
        ),
    )


def _caps_of(
    scope: Scope,
    key: str,
    node: BudgetConfig,
    own_key: str = "",
    own: AgentBudgetConfig | None = None,
) -> Iterator[Cap]:
    """The caps of a budget, each by the key that says it."""
    held = over(node, own)
    for measure, unit in _MEASURES.items():
        limit = getattr(held, measure)
        mine = getattr(own, measure, None) is not None
        if limit is not None:
            name = f"{own_key if mine else key}.{measure}"
            soft = not mine and node.unpriced == "free" and measure == "cost"
            yield Cap(scope, measure, round(limit * unit), name, soft)


# Each with what its ledger counts for one of the configuration's.
_MEASURES: Final[Mapping[Measure, int]] = {
    "tokens": 1,
    "cost": MICRO,
    "calls": 1,
    "seconds": MILLI,
}


def turn_limits_of(config: Config, agent: str) -> TurnLimits:
    """How much one turn of *agent* may do."""
    own = own_of(config, agent).limits.turn
    figures = attrs.asdict(over(config.limits.turn, own))
    if figures["cost"] is not None:
        figures["cost"] = round(figures["cost"] * MICRO)
    return TurnLimits(**figures)


def _remembered(look_up: Callable[[str, str], T]) -> Callable[[str, str], T]:
    """*look_up* by provider and model, asked several times for each call of a model."""
    return lru_cache(maxsize=REMEMBERED_MODELS)(look_up)


def _run_wiring(  # noqa: PLR0917 -- what the wires are of, all of it wanted
    outside: Outside,
    carrier: bus.LocalBus,
    boxes: Callable[[], Callable[[Caller], Toolbox]],
    tenant: str,
    loading: Loading,
    flusher: runs.Flusher,
    config: Config,
) -> runs.Wiring:
    """What a turn that begins now stands on, to its end."""
    numbers = config.sessions
    sizes = config.tools
    bounds = Bounds(sizes.max_result, sizes.max_kept, sizes.max_media)
    return runs.Wiring(
        tenant=tenant,
        bus=carrier,
        outside=outside,
        flusher=flusher,
        policies={
            name: RetryPolicy(
                max_attempts=provider.max_attempts,
                first=provider.retry_first,
                most=provider.retry_most,
            )
            for name, provider in config.providers.items()
        },
        keys={name: provider.key_count for name, provider in config.providers.items()},
        max_output=_remembered(partial(_max_output, config)),
        price=_remembered(partial(_price, config)),
        caps=lru_cache(maxsize=REMEMBERED_MODELS)(partial(caps_of, config)),
        window=_remembered(partial(_window, config)),
        keep_tokens=numbers.keep_tokens,
        summary_seconds=numbers.summary_seconds,
        limits=turn_limits_of(config, ""),
        limits_of=partial(turn_limits_of, config),
        warn_at=config.limits.warn_at,
        tools=boxes(),  # of this configuration: it is the one in force
        begin_call=partial(tools.begin_call, bounds, seconds=sizes.call_seconds),
        bounds=bounds,
        snapshot_every=numbers.snapshot_every,
        subagents=subagent_rules(config),
        loading=loading,
        tracing=telemetry.tracing_of(config),
    )


def subagent_rules(config: Config) -> Rules:
    """What agents may do with other sessions, by the configuration."""
    agents_ = config.agents.items()
    return Rules(
        **attrs.asdict(config.limits.subagents),
        ping_pong=config.sessions.ping_pong,
        visibility=config.tools.sessions.visibility,
        agent_to_agent=config.tools.sessions.agent_to_agent,
        spawns={name: agent.subagents.allow_agents for name, agent in agents_},
        hands_over={name: agent.hand_over for name, agent in agents_},
    )


def _sessions(
    current: Current,
    wiring: Callable[[], runs.Wiring],
    definer: skills.Definer,
) -> Supervisor:
    first = wiring()
    return sessions.supervisor(
        sessions.Wiring(
            tenant=first.tenant,
            bus=first.bus,
            outside=first.outside,
            resolve=current.reading(agents.resolve),
            define=definer.define,
            turns=lambda: partial(runs.run_turn, wiring()),
            numbers=current.made(_session_numbers),
            reset_rule=current.reading(_reset_rule),
        )
    )


def _session_numbers(config: Config) -> sessions.Numbers:
    numbers = config.sessions
    return sessions.Numbers(
        settings=sessions.Settings(
            idle_seconds=numbers.idle_seconds,
            max_awake=numbers.max_awake,
            collect_seconds=numbers.collect_ms / 1000,
            revive_first=numbers.revive_first,
            revive_most=numbers.revive_most,
            snapshot_every=numbers.snapshot_every,
        ),
        rules=sessions.Rules(
            revive_limit=numbers.revive_limit,
            queue=numbers.queue,
            collect_most=numbers.collect_most,
        ),
        retention=sessions.Retention(
            request=numbers.retention.request_seconds or None,
            archived=numbers.retention.archived_seconds or None,
            subagent=numbers.retention.subagent_seconds or None,
            response=numbers.retention.response_seconds or None,
            every=numbers.retention.every_seconds,
        ),
    )


def _reset_rule(config: Config, agent: str) -> ResetRule:
    found = over(config.sessions.reset, own_of(config, agent).reset)
    zone = config.sessions.time_zone
    return ResetRule(
        mode=found.mode,
        at_hour=found.at_hour,
        idle_minutes=found.idle_minutes,
        zone=_zone(zone) if zone else None,
    )


def _zone(name: str) -> tzinfo:
    # Few name one, and a node must be listening soon.
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    return ZoneInfo(name)


@frozen(kw_only=True)
class Row:
    """One child of the tree, as its spec has it.

    Attributes:
        path: Ids from the top, the last one its own.
        strategy: A supervisor's; ``dynamic`` where children come and go; else None.
        intensity: Restarts and seconds that a supervisor tolerates; else None.
        cool_down: First and longest wait where the child is tried for ever; else None.
    """

    path: tuple[str, ...]
    strategy: str | None
    restart: str
    shutdown: float | supervision.BrutalKill | None
    intensity: tuple[int, float] | None
    cool_down: tuple[float, float] | None


def outline(config: Config) -> list[Row]:
    """The tree as its specs have it, top down; nothing is started."""
    return list(_rows((), tree(config)))


def _rows(above: tuple[str, ...], supervisor: Supervisor) -> Iterator[Row]:
    for spec in supervisor.children:
        path = (*above, spec.id)
        child = spec.start() if spec.type == "supervisor" else None
        yield _row(path, spec, child, spec.cool_down or supervisor.cool_down)
        if isinstance(child, Supervisor):
            yield from _rows(path, child)


def _row(
    path: tuple[str, ...],
    spec: ChildSpec,
    child: object,
    cool_down: supervision.CoolDown | None,
) -> Row:
    strategy = intensity = None
    if isinstance(child, Supervisor):
        strategy = child.strategy
        intensity = (child.max_restarts, child.max_seconds)
    elif isinstance(child, supervision.DynamicSupervisor):
        strategy = "dynamic"
        intensity = (child.max_restarts, child.max_seconds)
    return Row(
        path=path,
        strategy=strategy,
        restart=spec.restart,
        shutdown=spec.shutdown,
        intensity=intensity,
        cool_down=None if cool_down is None else (cool_down.first, cool_down.most),
    )


async def drain(config: Config, report: Callable[[int], None]) -> bool:
    """The application's own phase before the tree stops; True: all turns ended.

    No request is taken and no turn begins; those in progress end, or are left to the
    next start when ``shutdown.drain_seconds`` are over; then open requests are told.
    *report* is given the number of turns in progress whenever it changes.
    """
    door = names.of_tenant(names.DEFAULT_TENANT, "sessions")
    with trio.move_on_after(config.shutdown.drain_seconds) as limit:
        try:
            await supervision.call(GATEWAY, StopGateway(open=False))
            await supervision.call(door, SetIntake(open=False))
            await _turns_end(door, report)
        except supervision.CallFailed:
            pass  # that part is down: it has nothing in progress
    await drain_gateway(LAST_WORDS_SECONDS)
    return not limit.cancelled_caught


async def _turns_end(door: str, report: Callable[[int], None]) -> None:
    told = 0
    while True:
        status = await supervision.call(door, GetSessionsStatus())
        # Who waits for a person goes on waiting after the next start.
        working = status.running - status.asking
        if working != told:
            told = working
            report(told)
        if working == 0:
            return
        await trio.sleep(COUNT_EVERY)
