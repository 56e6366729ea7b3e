"""The configuration as values: what can be set, to what, and what holds if nobody does.

A key of the YAML file is a field here; its comment, its limits and its default stand
beside it and nowhere else: the default file and the reference page are made from them.
Values made in code are not checked again, the loader checks those of people.
"""
# ruff: noqa: RUF009 -- what `_key` returns is attrs' description of a field

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs

from beamclaw.config.models import DEFAULT_MODELS
from beamclaw.config.tool_names import Profile
from beamclaw.contracts.command_policy import AfterUntrusted
from beamclaw.contracts.command_policy import Mode as CommandMode
from beamclaw.contracts.resets import ResetMode
from beamclaw.contracts.sandbox import Demand, Mode, Network
from beamclaw.contracts.secret import REDACTED, Secret
from beamclaw.contracts.sessions import QueueMode
from beamclaw.contracts.subagents import Visibility

# More than this is not meant by any number here; said only to whoever tries.
ENDLESS: Final = 1_000_000_000
# The same for memory and disks.
MOST_BYTES: Final = 2**50


@attrs.frozen
class Range:
    """Limits of a number. *above* excludes the least value itself."""

    least: float
    most: float | None = None
    above: bool = False

    def admits(self, number: float) -> bool:
        """Whether *number* lies within; a NaN never does."""
        if not (number > self.least if self.above else number >= self.least):
            return False
        return self.most is None or number <= self.most

    def __str__(self) -> str:
        if self.most is not None and self.most < ENDLESS:
            return f"from {self.least:g} to {self.most:g}"
        return f"above {self.least:g}" if self.above else f"of at least {self.least:g}"


Port = Annotated[int, Range(0, 65535)]
Count = Annotated[int, Range(1, ENDLESS)]
Size = Annotated[int, Range(1, MOST_BYTES)]
Seconds = Annotated[float, Range(0, ENDLESS, above=True)]
Wait = Annotated[float, Range(0, ENDLESS)]
Share = Annotated[float, Range(0, 1, above=True)]
Temperature = Annotated[float, Range(0, 2)]
Keys = Secret | tuple[Secret, ...] | None
Level = Literal["debug", "info", "warning", "error"]


def _key(default: Any, doc: str, **options: Any) -> Any:
    """A key with its default and the comment that people read."""
    return attrs.field(default=default, metadata={"doc": doc}, **options)


def _keys(doc: str, **options: Any) -> Any:
    """A key that maps names of the person's choice."""
    factory = options.pop("factory", dict)
    return attrs.field(factory=factory, metadata={"doc": doc}, **options)


def _hidden(headers: Mapping[str, str]) -> str:
    return repr(dict.fromkeys(headers, REDACTED))


@attrs.frozen(kw_only=True)
class ModelInfo:
    """What is known of one model of a provider."""

    context_window: Count | None = _key(None, "Tokens the model reads at most.")
    max_output: Count | None = _key(None, "Tokens the model writes at most.")
    input_price: Wait | None = _key(None, "Dollars for a million tokens it reads.")
    output_price: Wait | None = _key(None, "Dollars for a million tokens it writes.")
    cached_price: Wait | None = _key(
        None, "Dollars for a million tokens that it had read before."
    )


@attrs.frozen(kw_only=True)
class ProviderConfig:
    """A model provider under a name of your choice."""

    api: str = _key(
        "demo",
        "Which protocol it speaks: openai, anthropic, demo, or one of a package that is\n"
        "installed. May be left out where the name says it.",
    )
    base_url: str | None = _key(
        None,
        "Where it is, with the version: http://127.0.0.1:9999/v1. Without one, the\n"
        "provider's public address.",
    )
    api_key: Keys = _key(
        None,
        "Its key. Better as ${VARIABLE} than written out here. A list of several is\n"
        "used in turns: each has the limits below for itself, and one that is limited\n"
        "or refused is passed over.",
    )
    default_model: str | None = _key(
        None, "Which model is meant where only the provider is named."
    )
    max_concurrent: Count = _key(1000, "Calls in progress at once, at most.")
    max_waiting: Count = _key(
        10_000, "Calls that wait for their turn, at most; one more is refused."
    )
    requests_per_minute: Count | None = _key(
        None, "Calls that begin within a minute, at most."
    )
    tokens_per_minute: Count | None = _key(
        None,
        "Tokens that calls read and write within a minute, at most: by what they may\n"
        "need when they begin, by what they did need when they end.",
    )
    breaker_failures: Count = _key(
        5,
        "Calls that fail one after the other as if the provider was ill: then it is\n"
        "left alone for a while.",
    )
    breaker_window: Seconds = _key(60.0, "Seconds within which they fail.")
    breaker_first: Seconds = _key(
        5.0,
        "Seconds that it is left alone; then one call is made as a probe. Doubled for\n"
        "each probe that fails.",
    )
    breaker_most: Seconds = _key(120.0, "The longest such wait.")
    key_hold: Seconds = _key(
        300.0,
        "Seconds that a key is left alone which was refused or has no credit left.",
    )
    connect_timeout: Seconds = _key(10.0, "Seconds to connect.")
    idle_timeout: Seconds = _key(
        120.0, "Seconds between two bytes of an answer (also before the first)."
    )
    max_seconds: Seconds = _key(1800.0, "Seconds of a whole call.")
    max_attempts: Count = _key(
        3, "How often a turn calls the model, if calls fail in a way that passes."
    )
    retry_first: Seconds = _key(
        0.5, "Seconds before the second attempt; doubled for each further one."
    )
    retry_most: Seconds = _key(
        30.0,
        "The longest wait before an attempt. A provider that asks for more is obeyed "
        "up to four times this; beyond, the turn ends and says so.",
    )
    headers: Mapping[str, str] = _keys(
        "Headers to send along, for a proxy that wants them.", repr=_hidden
    )
    models: Mapping[str, ModelInfo] = _keys("What is known of its models, by name.")
    script: Path | None = _key(
        None, "api demo only: a file with what to answer, in place of its own."
    )
    delay: Wait = _key(0.02, "api demo only: seconds between two words.")
    # Filled in by the loader, no key: says in an error message where the key is from.
    key_source: str = attrs.field(default="", metadata={"internal": True})

    @property
    def keys(self) -> tuple[Secret, ...]:
        """Its keys; there may be none."""
        keys = self.api_key
        return keys if isinstance(keys, tuple) else () if keys is None else (keys,)

    @property
    def key_count(self) -> int:
        """How many permit servers it has: without any key there is one, too."""
        return max(1, len(self.keys))

    @property
    def chosen_model(self) -> str:
        """The model that is meant where only the provider is named."""
        return self.default_model or DEFAULT_MODELS.get(self.api, "")


@attrs.frozen(kw_only=True)
class ResetConfig:
    """When a conversation is over, and the next message begins another one."""

    mode: ResetMode = _key(
        "never",
        "never: by /new or /reset only; daily: also with the first message after an\n"
        "hour of the day; idle: also with the first one after a pause.",
    )
    at_hour: Annotated[int, Range(0, 23)] = _key(
        4, "For daily: the hour, in sessions.time_zone."
    )
    idle_minutes: Seconds = _key(60.0, "For idle: how long the pause is.")


@attrs.frozen(kw_only=True)
class RetentionConfig:
    """How long sessions are kept that nobody goes on with."""

    request_seconds: Wait = _key(
        86_400.0,
        "Seconds after which the session of a single request is deleted; 0: never.",
    )
    subagent_seconds: Wait = _key(
        604_800.0,
        "Seconds after which the session of a sub-agent is deleted; 0: never.",
    )
    archived_seconds: Wait = _key(
        0.0, "Seconds after which an archived session is deleted; 0: never."
    )
    repeat_seconds: Seconds = _key(
        604_800.0,
        "Seconds for which a message is recognised when it is sent again, also when\n"
        "its session was deleted.",
    )
    every_seconds: Seconds = _key(60.0, "Seconds between two looks at what is due.")


@attrs.frozen(kw_only=True)
class AgentBudgetConfig:
    """In place of the node's limits, for one agent; null: as there."""

    tokens: Count | None = _key(None, "Tokens read and written.")
    cost: Wait | None = _key(None, "Dollars.")
    calls: Count | None = _key(None, "Calls of a model.")


@attrs.frozen(kw_only=True)
class AgentTurnConfig:
    """In place of limits.turn, for one agent; null: as there."""

    model_calls: Count | None = _key(None, "Answers that are asked of a model.")
    tool_calls: Count | None = _key(None, "Tool calls.")
    seconds: Seconds | None = _key(None, "Seconds, not counting waits for a person.")
    tokens: Count | None = _key(None, "Tokens that models read and write in it.")
    cost: Wait | None = _key(None, "Dollars.")


@attrs.frozen(kw_only=True)
class AgentLimitsConfig:
    """Where this agent stops by itself, if not where the node says."""

    day: AgentBudgetConfig = attrs.field(
        factory=AgentBudgetConfig, metadata={"doc": "In place of limits.agent."}
    )
    session: AgentBudgetConfig = attrs.field(
        factory=AgentBudgetConfig, metadata={"doc": "In place of limits.session."}
    )
    turn: AgentTurnConfig = attrs.field(
        factory=AgentTurnConfig, metadata={"doc": "In place of limits.turn."}
    )


@attrs.frozen(kw_only=True)
class AgentSubagentsConfig:
    """Whom an agent may have work for it."""

    allow_agents: tuple[str, ...] = _key(
        (), 'Agents that it may start beside itself; "*" is all of them.'
    )


@attrs.frozen(kw_only=True)
class ToolPolicy:
    """Which tools there are."""

    profile: Profile | None = _key(
        None,
        "What one begins with: minimal (session_status), coding, messaging or full,\n"
        "which is everything. Without one: what allow says, or full where that says\n"
        "nothing.",
    )
    allow: tuple[str, ...] = _key(
        (),
        "Tools beside those of the profile: names, patterns (web_*), group:fs,\n"
        "group:runtime, group:web, group:sessions, group:plugins.",
    )
    deny: tuple[str, ...] = _key(
        (), "The same, for what is not there. It wins, wherever it is said."
    )


@attrs.frozen(kw_only=True)
class AgentToolsConfig(ToolPolicy):
    """Which tools this agent has. What the node denies stays denied."""

    by_provider: Mapping[str, ToolPolicy] = _keys(
        "By the provider that is asked, or provider/model: what it may use of these."
    )


@attrs.frozen(kw_only=True)
class AgentSandboxConfig:
    """In place of tools.exec.sandbox, for one agent; null: as there."""

    mode: Mode | None = _key(None, "Commands of persons' own words.")
    untrusted: Mode | None = _key(None, "Those of others.")
    network: Network | None = _key(None, "Which of them have the network.")
    read: tuple[str, ...] | None = _key(None, "Folders that they may read.")
    write: tuple[str, ...] | None = _key(None, "Folders that they may change.")
    memory: Size | None = _key(None, "Bytes of memory.")
    processes: Count | None = _key(None, "Processes.")
    cpu_seconds: Count | None = _key(None, "Seconds of processor time.")
    seconds: Wait | None = _key(None, "Seconds that one may take.")
    disk: Size | None = _key(None, "Bytes that one may add to the disk.")
    disk_spare: Size | None = _key(None, "Bytes that stay free on it.")
    tmp: Size | None = _key(None, "Bytes of /tmp.")
    open_files: Count | None = _key(None, "Open files.")
    require_limits: Demand | None = _key(None, "Which commands have to be limited.")


@attrs.frozen(kw_only=True)
class AgentConfig:
    """An agent: who answers, and by which model."""

    name: str | None = _key(None, "How it is called in lists.")
    model: str | None = _key(
        None,
        "provider/model, or a provider for that one's default model. Without it, the\n"
        "model in BEAMCLAW_MODEL, else the first provider there is a key for.",
    )
    fallbacks: tuple[str, ...] = _key(
        (),
        "Models, as provider/model, that are asked in this order when the one before\n"
        "cannot answer. A turn that has changed to one stays with it.",
    )
    system: str | None = _key(None, "What it is told before every conversation.")
    reset: ResetConfig | None = _key(
        None, "When its conversations are over; without it, as in sessions.reset."
    )
    subagents: AgentSubagentsConfig = attrs.field(factory=AgentSubagentsConfig)
    hand_over: tuple[str, ...] = _key(
        (), 'Agents that it may hand a conversation to; "*" is all of them.'
    )
    max_tokens: Count | None = _key(None, "Tokens of one answer, at most.")
    temperature: Temperature | None = _key(None, "How freely it chooses its words.")
    limits: AgentLimitsConfig = attrs.field(factory=AgentLimitsConfig)
    tools: AgentToolsConfig = attrs.field(factory=AgentToolsConfig)
    workspace: Path | None = _key(
        None,
        "The folder in which it works, and whose files say who it is. Without one, in\n"
        "the data folder: workspace for main, workspaces/ID for the others.",
    )
    context: Literal["workspace", "none"] = _key(
        "workspace",
        "What it is told before every conversation, behind system. workspace: the files\n"
        "of its workspace, and which skills there are; none: nothing more.",
    )
    skip_bootstrap: bool = _key(
        False,  # noqa: FBT003 -- the default
        "Whether a new workspace is left without the files that ours begin with.",
    )
    skills: tuple[str, ...] | None = _key(
        None, "Skills that it has, in place of skills.allow; [] is none."
    )
    sandbox: AgentSandboxConfig = attrs.field(factory=AgentSandboxConfig)


@attrs.frozen(kw_only=True)
class AuthConfig:
    """Who may talk to the gateway."""

    mode: Literal["token", "none"] = _key(
        "token",
        "token: requests bring the shared secret. none: everybody is let in, which is\n"
        "refused unless the gateway listens on this machine only.",
    )
    token: Secret | None = _key(
        None,
        "The shared secret. BEAMCLAW_TOKEN goes before it; without either a random one\n"
        "is made at the first start and kept in the data folder, in the file token.",
    )


@attrs.frozen(kw_only=True)
class GatewayConfig:
    """The HTTP side of the node."""

    host: str = _key("127.0.0.1", "The address to listen on.")
    port: Port = _key(18789, "The port to listen on; 0 takes any that is free.")
    auth: AuthConfig = attrs.field(factory=AuthConfig)
    hosts: tuple[str, ...] = _key(
        (), "Host names that requests may be addressed to, beside this machine's own."
    )
    origins: tuple[str, ...] = _key(
        (), "Web origins that may call from a browser, as https://chat.example.org."
    )
    max_body_bytes: Count = _key(20 * 1024 * 1024, "Bytes of a request, at most.")
    max_json_depth: Count = _key(64, "Levels that JSON in a request may be nested.")
    max_messages: Count = _key(10_000, "Messages of one request, at most.")
    max_header_bytes: Count = _key(65_536, "Bytes of a request's headers, at most.")
    max_connections: Count = _key(10_000, "Connections at once, at most.")
    header_timeout: Seconds = _key(10.0, "Seconds to send the headers.")
    body_timeout: Seconds = _key(60.0, "Seconds to send the body.")
    write_timeout: Seconds = _key(
        10.0, "Seconds that a reader may stall before its connection is closed."
    )
    keep_alive_timeout: Seconds = _key(
        75.0, "Seconds an idle connection is kept for a further request."
    )
    backlog: Count = _key(2048, "Connections the system keeps until they are taken.")
    stream_buffer: Count = _key(
        256, "Pieces of an answer that may wait for one slow reader."
    )
    heartbeat_seconds: Seconds = _key(
        15.0, "A stream on which nothing happens gets a comment this often."
    )


@attrs.frozen(kw_only=True)
class SessionsConfig:
    """Conversations: how many, how long in memory, how they stream."""

    idle_seconds: Seconds = _key(
        300.0, "A session that nothing happens in leaves memory after this time."
    )
    inbox_limit: Count = _key(
        10_000, "Accepted messages that wait; one more is refused with 429."
    )
    max_awake: Count = _key(50_000, "Sessions in memory at once, at most.")
    queue: QueueMode = _key(
        "steer",
        "What is done with a message that comes while a turn is in progress. steer:\n"
        "the turn takes it before it asks the model again; followup: it gets a turn of\n"
        "its own; collect: one turn for all that came; interrupt: the turn is stopped.\n"
        "Who asks over HTTP or in the terminal gets a turn of its own in any case.",
    )
    reset: ResetConfig = attrs.field(factory=ResetConfig)
    time_zone: str = _key(
        "", "For hours of the day, as Europe/Berlin. Without one, the system's."
    )
    retention: RetentionConfig = attrs.field(factory=RetentionConfig)
    keep_tokens: Count = _key(
        20_000,
        "Tokens of the latest messages that stay as they are when a conversation does\n"
        "not fit into its model any more and what came before is summed up.",
    )
    summary_seconds: Seconds = _key(
        120.0, "Seconds that a model may take for that; then it is done without one."
    )
    snapshot_every: Count = _key(
        200,
        "Events of a conversation, at most, until what it comes to is written down\n"
        "whole again, so that not all of it has to be read when it wakes up.",
    )
    ping_pong: Annotated[int, Range(0, ENDLESS)] = _key(
        5,
        "Turns that agents may begin in one another's sessions by messages, before a\n"
        "person has to say something.",
    )
    collect_ms: Count = _key(
        500, "Milliseconds of quiet before messages are taken together."
    )
    collect_most: Count = _key(20, "Messages that one turn takes together, at most.")
    revive_limit: Count = _key(
        5, "Times that a turn is taken up again after deaths, before it is given up."
    )
    revive_first: Seconds = _key(
        0.05, "Seconds before it is taken up again; doubled for each further time."
    )
    revive_most: Seconds = _key(30.0, "The longest such wait.")
    flush_ms: Count = _key(
        40, "Text is passed on at most this often (milliseconds), the first at once."
    )
    flush_bytes: Count = _key(1024, "Or as soon as this much has come together.")


@attrs.frozen(kw_only=True)
class TurnLimitsConfig:
    """How much one turn may do before it is ended, in words."""

    model_calls: Count = _key(100, "Answers that are asked of a model.")
    tool_calls: Count = _key(500, "Tool calls.")
    seconds: Seconds = _key(
        21_600.0, "Seconds that it may take, not counting waits for a person."
    )
    tokens: Count = _key(10_000_000, "Tokens that models read and write in it.")
    failures: Count = _key(
        20, "Calls of a model that fail and are followed by another."
    )
    repeats: Annotated[int, Range(2, 32)] = _key(
        8, "The same tool call with the same result: then it goes round in circles."
    )
    begins: Count = _key(
        3,
        "Times that a tool call is begun again after deaths, where that does no harm.",
    )
    wait_seconds: Seconds = _key(
        604_800.0, "Seconds that a person has to answer a question of the turn."
    )
    clear_seconds: Seconds = _key(
        30.0, "Seconds that a tool may take to say whether a person has to be asked."
    )
    cost: Wait | None = _key(
        None, "Dollars that its calls of models may cost, as for a day."
    )


@attrs.frozen(kw_only=True)
class SubagentLimitsConfig:
    """How many agents may work for one another, and for how long by themselves."""

    depth: Annotated[int, Range(0, 5)] = _key(
        5, "Levels of sub-agents below a conversation; 0: there are none."
    )
    children: Count = _key(5, "Sub-agents of one session at work at once.")
    concurrent: Count = _key(8, "Sub-agents of all sessions at work at once.")
    per_turn: Count = _key(50, "Sub-agents that one turn may start altogether.")
    rounds: Count = _key(
        20,
        "Turns that agents may go on for by themselves, each begun by what a sub-agent\n"
        "has announced, before a person has to say something.",
    )
    share: Annotated[float, Range(0, 1, above=True)] = _key(
        0.5,
        "Part of what is left of a turn's limits that a sub-agent gets, if the agent asks\n"
        "for nothing else. What it does not use comes back.",
    )


@attrs.frozen(kw_only=True)
class BudgetConfig:
    """How much may be spent on models. What is not set has no limit."""

    tokens: Count | None = _key(None, "Tokens read and written.")
    cost: Wait | None = _key(
        None,
        "Dollars, by the prices of the models.",
    )
    calls: Count | None = _key(None, "Calls of a model.")
    unpriced: Literal["refuse", "free"] = _key(
        "refuse",
        "What to do, where dollars are limited, with a model whose price is not known:\n"
        "refuse: it is not asked; free: it counts as costing nothing.",
    )


@attrs.frozen(kw_only=True)
class LimitsConfig:
    """Where the node stops by itself."""

    day: BudgetConfig = attrs.field(
        factory=lambda: BudgetConfig(cost=50.0, unpriced="free"),
        metadata={
            "doc": "What all agents together may spend on models in a day (UTC). What\n"
            "you write here takes the place of all of it: with dollars of your own, a\n"
            "model whose price is not known is refused, unless you say otherwise."
        },
    )
    agent: BudgetConfig = attrs.field(
        factory=BudgetConfig,
        metadata={
            "doc": "What each agent may spend in a day. What is not set has no\nlimit."
        },
    )
    session: BudgetConfig = attrs.field(
        factory=BudgetConfig,
        metadata={"doc": "The same for each conversation, for ever."},
    )
    warn_at: Share = _key(
        0.8,
        "The part of such a limit that is worth a warning in the log, once for each.",
    )
    turn: TurnLimitsConfig = attrs.field(factory=TurnLimitsConfig)
    subagents: SubagentLimitsConfig = attrs.field(factory=SubagentLimitsConfig)


@attrs.frozen(kw_only=True)
class SessionToolsConfig:
    """What the turns of one session may see of others, and say to them."""

    visibility: Visibility = _key(
        "tree",
        "self: nothing but the session itself; tree: also those it has started, and\n"
        "theirs; agent: all of the same agent; all: those of other agents, too.",
    )
    agent_to_agent: tuple[str, ...] = _key(
        (),
        'With visibility all: agents that reach one another\'s sessions; "*" is all.',
    )


@attrs.frozen(kw_only=True)
class SandboxConfig:
    """Where commands run, and how much of the machine each may use."""

    mode: Mode = _key(
        "auto",
        "Commands of persons' own words. bubblewrap: isolated, or not at all; none: as\n"
        "the node itself; auto: isolated where that works here, else as the node itself.",
    )
    untrusted: Mode = _key(
        "auto",
        "The same where words of strangers are in the conversation, for sub-agents, and\n"
        "for everybody without the node's token. auto: where isolation does not work, a\n"
        "person has to agree to each command.",
    )
    network: Network = _key(
        "trusted",
        "Which isolated commands have the network of the machine, with all that listens\n"
        "on it for this machine only: never, always, or those of persons' own words.",
    )
    read: tuple[str, ...] = _key(
        (), "Files and folders that isolated commands may read, beside the system's."
    )
    write: tuple[str, ...] = _key(
        (), "Folders that they may change, beside the workspace."
    )
    memory: Size = _key(4 * 1024**3, "Bytes of memory of one command.")
    processes: Count = _key(512, "Processes and threads of one command.")
    cpu_seconds: Count = _key(
        7_200, "Seconds of processor time that each process of a command may take."
    )
    seconds: Wait = _key(
        0.0, "Seconds after which a command is ended, whatever its call says; 0: never."
    )
    disk: Size = _key(
        4 * 1024**3,
        "Bytes that a command may add to its workspace, and of the longest file it\n"
        "writes; a file counts 4 KiB at least.",
    )
    disk_spare: Size = _key(
        256 * 1024**2,
        "A command is ended as well when fewer bytes than this are left on the disk and\n"
        "more than disk have gone since it began.",
    )
    tmp: Size = _key(256 * 1024**2, "Bytes of an isolated command's own /tmp.")
    open_files: Count = _key(4_096, "Open files of each process of a command.")
    require_limits: Demand = _key(
        "untrusted",
        "Which commands are refused where nothing can limit how many processes they\n"
        "start: if the node runs as root, and no cgroup can be made.",
    )


@attrs.frozen(kw_only=True)
class ExecConfig:
    """Commands that agents run."""

    mode: CommandMode = _key(
        "on-miss",
        "When a person is asked. off: never; on-miss: for each command that nothing\n"
        "allows; always: for every one.",
    )
    allow: tuple[str, ...] = _key(
        (),
        "Commands that nobody is asked for, as /usr/bin/git log *: the path of a\n"
        "program, and its arguments. * is one that is no option and stays in the\n"
        "folder, ** at the end any number of them.",
    )
    after_untrusted: AfterUntrusted = _key(
        "ask",
        "What becomes of a command that the agent wants after it has read text from\n"
        "outside. ask: a person is asked, whatever is allowed; allow: as before; deny.",
    )
    timeout_seconds: Wait = _key(
        1_800.0,
        "Seconds after which a command is ended, if its call does not say; 0: never.",
    )
    yield_seconds: Wait = _key(
        10.0,
        "Seconds after which a command that is not over goes on in the background, if\n"
        "its call does not say.",
    )
    kill_seconds: Wait = _key(
        5.0, "Seconds that a command gets to end in order, before it is ended by force."
    )
    max_running: Count = _key(64, "Commands at once; one more is refused.")
    output_chars: Count = _key(
        200_000, "Characters of a command's output that are kept: its end."
    )
    keep_finished: Annotated[int, Range(0, ENDLESS)] = _key(
        50, "Commands in the background that can be looked at when they are over."
    )
    keep_seconds: Seconds = _key(1_800.0, "Seconds for which they can.")
    notify_on_exit: bool = _key(
        True,  # noqa: FBT003 -- the default
        "Whether the agent is told when a command in the background is over.",
    )
    env: Mapping[str, str] = _keys(
        "Variables that all commands get, beside the few that they have anyway.",
        repr=_hidden,
    )
    pass_env: tuple[str, ...] = _key(
        (),
        "Names of the node's own variables that commands get, too. Its keys and tokens\n"
        "are in such variables: name what agents may know.",
    )
    sandbox: SandboxConfig = attrs.field(factory=SandboxConfig)


@attrs.frozen(kw_only=True)
class FilesConfig:
    """What the tools for files take on."""

    read_lines: Count = _key(2_000, "Lines that one read shows.")
    read_chars: Count = _key(40_000, "Characters that one read, list or search shows.")
    line_chars: Count = _key(
        2_000, "Characters of one line that a read shows; a search shows 500."
    )
    max_bytes: Count = _key(
        10 * 1024 * 1024,
        "Bytes of a file that is written, or that an edit or a patch changes.",
    )
    picture_bytes: Count = _key(
        5 * 1024 * 1024, "Bytes of a picture that a read shows to the model."
    )
    patch_files: Count = _key(100, "Files that one patch may change.")
    list_entries: Count = _key(500, "Entries that one list shows.")
    found_files: Count = _key(1_000, "Files that one find shows.")
    found_lines: Count = _key(200, "Lines that one grep shows.")
    looked_at: Count = _key(
        200_000, "Files and folders that one list, find or grep looks at."
    )
    search_bytes: Count = _key(
        256 * 1024 * 1024, "Bytes that one grep reads, of all files."
    )
    search_seconds: Seconds = _key(30.0, "Seconds that one find or grep takes.")
    skip: tuple[str, ...] = _key(
        (".git", "node_modules", "__pycache__", ".venv"),
        "Names of folders that find and grep pass over, unless they begin there.",
    )
    at_once: Count = _key(8, "Threads in which files are read and written.")
    receipt_seconds: Seconds = _key(
        2_592_000.0,
        "Seconds that is kept what an edit or a patch has done, for who asks after a\n"
        "crash. It goes sooner when the result is in the journal.",
    )


@attrs.frozen(kw_only=True)
class WebConfig:
    """What agents fetch from the internet."""

    hosts: tuple[str, ...] = _key(
        (),
        "Hosts that are fetched from: names, or *. and a name for all below it. Without\n"
        "one: all that are public.",
    )
    ports: tuple[Port, ...] = _key(
        (80, 443, 8000, 8080, 8443), "Ports that are connected to."
    )
    private_networks: tuple[str, ...] = _key(
        (),
        "Networks that are not public and are fetched from all the same, for example\n"
        "192.168.1.0/24. Agents then reach whatever listens there.",
    )
    after_untrusted: Literal["ask", "allow", "deny"] = _key(
        "ask",
        "What becomes of a fetch from a host that nobody has named, when words of\n"
        "strangers are in the conversation: a person is asked, it is done, or it is not.",
    )
    own_chars: Annotated[int, Range(0, ENDLESS)] = _key(
        64,
        "Characters that the model may then put behind a host without asking. What a\n"
        "person or a page has written may be longer.",
    )
    seconds: Seconds = _key(30.0, "Seconds that a fetch takes, redirects included.")
    connect_seconds: Seconds = _key(10.0, "Seconds until there is a connection.")
    redirects: Annotated[int, Range(0, 100)] = _key(
        5, "Redirects that are followed. Each is judged as if it were the first."
    )
    url_chars: Count = _key(4_000, "Characters of a URL.")
    max_bytes: Count = _key(
        2 * 1024 * 1024, "Bytes of a page, packed or unpacked; the rest is left out."
    )
    max_chars: Count = _key(
        40_000, "Characters of a page's text that the model gets, at most."
    )
    at_once: Count = _key(8, "Fetches of an agent at once; more of them wait.")
    read_seconds: Seconds = _key(20.0, "Seconds that the reading of a page takes.")
    read_memory: Annotated[int, Range(64 * 1024 * 1024, ENDLESS * 64)] = _key(
        512 * 1024 * 1024, "Bytes of memory of the process that reads a page."
    )
    user_agent: str = _key(
        "Mozilla/5.0 (compatible; BeamClaw)", "How a fetch calls itself."
    )


@attrs.frozen(kw_only=True)
class ToolsConfig(AgentToolsConfig):
    """What agents may use."""

    call_seconds: Seconds = _key(
        1_800.0, "Seconds that a tool call may take, where the tool does not say."
    )
    max_calls: Count = _key(
        1_000, "Tool calls in progress at once; one more is refused."
    )
    max_result: Count = _key(
        50_000, "Characters of a tool's output that the model gets; the middle goes."
    )
    max_media: Annotated[int, Range(0, ENDLESS)] = _key(
        8 * 1024 * 1024,
        "Bytes of the pictures and files in one result of a tool, as base64.",
    )
    max_kept: Annotated[int, Range(0, ENDLESS)] = _key(
        8 * 1024 * 1024,
        "Bytes of such an output that are kept, to be looked at: its beginning, where\n"
        "it is longer. 0 keeps none.",
    )
    keep_seconds: Seconds = _key(
        2_592_000.0, "Seconds that it is kept; with its conversation it goes at once."
    )
    sessions: SessionToolsConfig = attrs.field(factory=SessionToolsConfig)
    exec: ExecConfig = attrs.field(factory=ExecConfig)
    files: FilesConfig = attrs.field(factory=FilesConfig)
    web: WebConfig = attrs.field(factory=WebConfig)


@attrs.frozen(kw_only=True)
class WorkspaceConfig:
    """How much of the files of a workspace an agent is told."""

    file_chars: Count = _key(
        20_000, "Characters of one file, at most; of a longer one its middle goes."
    )
    user_chars: Count = _key(4_000, "The same for USER.md.")
    total_chars: Count = _key(60_000, "Characters of all of them together.")
    check_seconds: Seconds = _key(
        1.0,
        "Seconds that a look at the files may take before a turn begins; then what was\n"
        "read last holds.",
    )
    wait_seconds: Seconds = _key(
        10.0,
        "Seconds that a turn waits for files that were never read; then it is refused.",
    )


@attrs.frozen(kw_only=True)
class SkillsLoadConfig:
    """Where skills are looked for, beside the folders that are known."""

    extra_dirs: tuple[Path, ...] = _key(
        (), "Further folders with skills; those in all other places go before them."
    )
    watch: bool = _key(
        True,  # noqa: FBT003 -- the default
        "Whether the folders are watched. What has changed is seen in any case when\n"
        "the next turn begins.",
    )
    poll_seconds: Seconds = _key(
        30.0, "Seconds between two looks at them where they cannot be watched."
    )


@attrs.frozen(kw_only=True)
class SkillEntryConfig:
    """One skill, by its name."""

    enabled: bool = _key(True, "Whether there is this skill.")  # noqa: FBT003 -- the default
    env: Mapping[str, str] = _keys(
        "Variables that it needs; one of the node's own goes before.", repr=_hidden
    )
    api_key: Secret | None = _key(
        None, "The value of the variable that the skill names as its primaryEnv."
    )


@attrs.frozen(kw_only=True)
class SkillsLimitsConfig:
    """How many skills there are, and how large."""

    max_per_folder: Count = _key(300, "Skills below one folder; more are left out.")
    max_in_prompt: Count = _key(150, "Skills that an agent is told of, at most.")
    prompt_chars: Count = _key(18_000, "Characters that this takes, at most.")
    file_bytes: Count = _key(256_000, "Bytes of a SKILL.md.")


@attrs.frozen(kw_only=True)
class SkillsInstallConfig:
    """What may be installed."""

    max_archive_bytes: Count = _key(16 * 1024 * 1024, "Bytes of an archive.")
    max_bytes: Count = _key(64 * 1024 * 1024, "Bytes of all files in it, unpacked.")
    max_file_bytes: Count = _key(16 * 1024 * 1024, "Bytes of one of them.")
    max_files: Count = _key(2_000, "Files and folders in it.")


@attrs.frozen(kw_only=True)
class SkillsConfig:
    """What agents are told how to do."""

    allow: tuple[str, ...] | None = _key(
        None, "Skills that agents have, by name; null is all, [] none."
    )
    load: SkillsLoadConfig = attrs.field(factory=SkillsLoadConfig)
    entries: Mapping[str, SkillEntryConfig] = _keys("Single skills, by name.")
    limits: SkillsLimitsConfig = attrs.field(factory=SkillsLimitsConfig)
    install: SkillsInstallConfig = attrs.field(factory=SkillsInstallConfig)


@attrs.frozen(kw_only=True)
class LedgerConfig:
    """What is written to disk, and how."""

    max_batch: Count = _key(512, "Commits that share one transaction, at most.")


@attrs.frozen(kw_only=True)
class LoggingConfig:
    """What the node says on standard error."""

    level: Level = _key("info", "The least important level that is shown.")
    format: Literal["auto", "text", "json"] = _key(
        "auto", "auto: text on a terminal, else one JSON object per line."
    )


@attrs.frozen(kw_only=True)
class ShutdownConfig:
    """How the node stops."""

    drain_seconds: Wait = _key(
        30.0, "Seconds that turns in progress get to end, once stopping was asked for."
    )


@attrs.frozen
class Chosen:
    """The model for agents that name none, and in words why that one."""

    model: str = "demo"
    why: str = "no provider is configured, demo needs no key"


def _demo() -> Mapping[str, ProviderConfig]:
    return {"demo": ProviderConfig(api="demo")}


def _main() -> Mapping[str, AgentConfig]:
    return {"main": AgentConfig()}


@attrs.frozen(kw_only=True)
class Config:
    """Everything that can be set. ``Config()`` answers by ``demo``."""

    providers: Mapping[str, ProviderConfig] = _keys(
        "Model providers, each under a name of your choice. openai and anthropic are\n"
        "there by themselves when OPENAI_API_KEY or ANTHROPIC_API_KEY is set, demo\n"
        "always: it needs no key and no network.",
        factory=_demo,
    )
    agents: Mapping[str, AgentConfig] = _keys(
        "Agents by id. main is there by itself.", factory=_main
    )
    gateway: GatewayConfig = attrs.field(factory=GatewayConfig)
    sessions: SessionsConfig = attrs.field(factory=SessionsConfig)
    tools: ToolsConfig = attrs.field(factory=ToolsConfig)
    workspace: WorkspaceConfig = attrs.field(factory=WorkspaceConfig)
    skills: SkillsConfig = attrs.field(factory=SkillsConfig)
    limits: LimitsConfig = attrs.field(factory=LimitsConfig)
    ledger: LedgerConfig = attrs.field(factory=LedgerConfig)
    logging: LoggingConfig = attrs.field(factory=LoggingConfig)
    shutdown: ShutdownConfig = attrs.field(factory=ShutdownConfig)
    # Not keys: where the file is follows from the folder, and what was chosen from all
    # of it.
    data: Path = attrs.field(
        factory=lambda: Path("~/.beamclaw").expanduser(), metadata={"internal": True}
    )
    chosen: Chosen = attrs.field(default=Chosen(), metadata={"internal": True})
    file: Path | None = attrs.field(default=None, eq=False, metadata={"internal": True})
