"""All of it together, and what the node does for itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import attrs

from beamclaw.config.schema.agents import AgentConfig
from beamclaw.config.schema.fields import (
    MOST_BYTES,
    Count,
    Range,
    Seconds,
    Wait,
    key,
    table,
)
from beamclaw.config.schema.gateway import GatewayConfig
from beamclaw.config.schema.hooks import HooksConfig
from beamclaw.config.schema.limits import LimitsConfig
from beamclaw.config.schema.providers import ProviderConfig
from beamclaw.config.schema.sessions import SessionsConfig
from beamclaw.config.schema.skills import SkillsConfig, WorkspaceConfig
from beamclaw.config.schema.telemetry import TelemetryConfig
from beamclaw.config.schema.tools import ToolsConfig
from beamclaw.values import frozen

Level = Literal["debug", "info", "warning", "error"]
# true is what files of before have, and the same as socket.
Expressions = Literal[False, True, "socket", "everywhere"]


@frozen(kw_only=True)
class LedgerConfig:
    """What is written to disk, and how."""

    max_batch: Count = key(512, "Commits that share one transaction, at most.")
    cache_bytes: Annotated[int, Range(65_536, 4 * 1024**3)] = key(
        8 * 1024**2,
        "Bytes of it that whoever writes it holds in memory, at most; whoever reads it\n"
        "holds half as much.",
    )


@frozen(kw_only=True)
class ConfigFileConfig:
    """The configuration file, and changes of it by commands and clients."""

    poll_seconds: Seconds = key(
        15.0,
        "Seconds between two looks at the file, and at those that it leads to, where nobody\n"
        "tells the node that they have changed, as on the disk of a network.",
    )
    history: Annotated[int, Range(1, 10_000)] = key(
        50, "Files that were replaced which are kept, to look at and to go back to."
    )
    secret_seconds: Annotated[float, Range(0, 600, above=True)] = key(
        10.0,
        "Seconds that a command may run which a secret is read from, if it does not say\n"
        "seconds of its own.",
    )
    secret_bytes: Annotated[int, Range(1, 1_048_576)] = key(
        65_536, "Bytes of a secret that is read from a file or a command."
    )


@frozen(kw_only=True)
class LoggingConfig:
    """What the node says on standard error."""

    level: Level = key("info", "The least important level that is shown.")
    format: Literal["auto", "text", "json"] = key(
        "auto", "auto: text on a terminal, else one JSON object per line."
    )
    keep_bytes: Annotated[int, Range(1_024, MOST_BYTES)] = key(
        1_048_576, "Bytes of the last lines, which clients can look at (logs.tail)."
    )


@frozen(kw_only=True)
class ShellConfig:
    """What `beamclaw shell`, `tree` and `top` show, and may do."""

    expressions: Expressions = key(
        default=False,
        doc="Who may run Python expressions inside the node by `beamclaw shell`, and so do\n"
        "everything that the node can. false: nobody. socket, or true: whoever can open\n"
        "the node's own socket. everywhere: over the gateway, too, with operator.admin.",
    )
    items: Annotated[int, Range(1, 10_000)] = key(
        20, "Entries of a list, set or table that are shown of a value; messages, too."
    )
    text: Annotated[int, Range(20, 1_000_000)] = key(
        500, "Characters of a text that are shown of a value."
    )
    depth: Annotated[int, Range(1, 20)] = key(
        4, "Levels of a value inside a value that are shown."
    )
    children: Annotated[int, Range(1, 100_000)] = key(
        50, "Children of one supervisor that a tree shows; the others are counted."
    )
    processes: Annotated[int, Range(1, 1_000_000)] = key(
        10_000,
        "Processes that one tree shows, the upper levels first; the others are counted.",
    )
    live_processes: Annotated[int, Range(1, 10_000)] = key(
        1_000, "The same for the tree in each look of `beamclaw top` and the page."
    )
    slice_seconds: Annotated[float, Range(0.0001, 1)] = key(
        0.005, "Seconds that a look at many processes works before it lets others run."
    )
    trace_events: Count = key(1_000, "Events after which a trace ends, at most.")
    trace_rate: Count = key(
        100, "Events of one trace in a second, at most; the others are counted."
    )
    grace_seconds: Seconds = key(
        5.0, "Seconds that a process that is to be restarted gets, before it is killed."
    )
    output: Annotated[int, Range(1_000, 4_000_000)] = key(
        100_000, "Characters of what a Python expression prints, at most."
    )
    block_seconds: Annotated[float, Range(0, 10)] = key(
        2.0,
        "Seconds for which a drill may hold up the whole node, at most; 0: not at all.",
    )


@frozen(kw_only=True)
class ShutdownConfig:
    """How the node stops."""

    drain_seconds: Wait = key(
        30.0, "Seconds that turns in progress get to end, once stopping was asked for."
    )


@frozen
class Chosen:
    """The model for agents that name none, and in words why that one."""

    model: str = "demo"
    why: str = "no provider is configured, demo needs no key"


def _demo() -> Mapping[str, ProviderConfig]:
    return {"demo": ProviderConfig(api="demo")}


def _main() -> Mapping[str, AgentConfig]:
    return {"main": AgentConfig()}


@frozen(kw_only=True)
class Config:
    """Everything that can be set. ``Config()`` answers by ``demo``."""

    providers: Mapping[str, ProviderConfig] = table(
        "Model providers, each under a name of your choice. openai and anthropic are\n"
        "there by themselves when OPENAI_API_KEY or ANTHROPIC_API_KEY is set, demo\n"
        "always: it needs no key and no network.",
        factory=_demo,
    )
    agents: Mapping[str, AgentConfig] = table(
        "Agents by id. main is there by itself.", factory=_main
    )
    gateway: GatewayConfig = attrs.field(factory=GatewayConfig)
    hooks: HooksConfig = attrs.field(factory=HooksConfig)
    sessions: SessionsConfig = attrs.field(factory=SessionsConfig)
    tools: ToolsConfig = attrs.field(factory=ToolsConfig)
    workspace: WorkspaceConfig = attrs.field(factory=WorkspaceConfig)
    skills: SkillsConfig = attrs.field(factory=SkillsConfig)
    limits: LimitsConfig = attrs.field(factory=LimitsConfig)
    ledger: LedgerConfig = attrs.field(factory=LedgerConfig)
    config: ConfigFileConfig = attrs.field(factory=ConfigFileConfig)
    logging: LoggingConfig = attrs.field(factory=LoggingConfig)
    shell: ShellConfig = attrs.field(factory=ShellConfig)
    telemetry: TelemetryConfig = attrs.field(factory=TelemetryConfig)
    shutdown: ShutdownConfig = attrs.field(factory=ShutdownConfig)
    # Not keys: where the file is follows from the folder, and what was chosen from all
    # of it.
    data: Path = attrs.field(
        factory=lambda: Path("~/.beamclaw").expanduser(), metadata={"internal": True}
    )
    chosen: Chosen = attrs.field(default=Chosen(), metadata={"internal": True})
    file: Path | None = attrs.field(default=None, eq=False, metadata={"internal": True})
    # Others that it is made of: included ones, and those that secrets stand in.
    files: tuple[Path, ...] = attrs.field(
        default=(), eq=False, metadata={"internal": True}
    )

    @property
    def own_places(self) -> tuple[Path, ...]:
        """What no agent reads or changes, even if it lies in its workspace."""
        file = () if self.file is None else (self.file,)
        return (self.data, *file, *self.files)
