"""The configuration as values: what can be set, to what, and what holds if nobody does.

A key of the YAML file is a field here; its comment, its limits and its default stand
beside it and nowhere else: the default file and the reference page are made from them.
Values made in code are not checked again, the loader checks those of people.
"""

from beamclaw.config.schema.agents import AgentConfig, AgentSubagentsConfig
from beamclaw.config.schema.commands import (
    AgentSandboxConfig,
    ExecConfig,
    SandboxConfig,
)
from beamclaw.config.schema.fields import (
    ENDLESS,
    MOST_BYTES,
    Count,
    Port,
    Range,
    Seconds,
    Share,
    Size,
    Temperature,
    Wait,
)
from beamclaw.config.schema.gateway import (
    AuthConfig,
    ControlUiConfig,
    GatewayConfig,
    InvokeConfig,
    PairingConfig,
    ProxyConfig,
    RateLimitConfig,
    SocketConfig,
)
from beamclaw.config.schema.hooks import HookConfig, HooksConfig
from beamclaw.config.schema.limits import (
    AgentBudgetConfig,
    AgentLimitsConfig,
    AgentTurnConfig,
    BudgetConfig,
    LimitsConfig,
    SubagentLimitsConfig,
    TurnLimitsConfig,
)
from beamclaw.config.schema.node import (
    Chosen,
    Config,
    ConfigFileConfig,
    LedgerConfig,
    Level,
    LoggingConfig,
    ShellConfig,
    ShutdownConfig,
)
from beamclaw.config.schema.own import over, own_of
from beamclaw.config.schema.providers import (
    CacheRetention,
    Keys,
    ModelInfo,
    ProviderConfig,
    ThinkingForm,
)
from beamclaw.config.schema.sessions import ResetConfig, RetentionConfig, SessionsConfig
from beamclaw.config.schema.skills import (
    SkillEntryConfig,
    SkillsConfig,
    SkillsInstallConfig,
    SkillsLimitsConfig,
    SkillsLoadConfig,
    WorkspaceConfig,
)
from beamclaw.config.schema.telemetry import (
    AuditConfig,
    MetricsConfig,
    OtlpConfig,
    StatisticsConfig,
    TelemetryConfig,
)
from beamclaw.config.schema.tools import (
    AgentToolsConfig,
    FilesConfig,
    SessionToolsConfig,
    ToolPolicy,
    ToolsConfig,
    WebConfig,
)

__all__ = [
    "ENDLESS",
    "MOST_BYTES",
    "AgentBudgetConfig",
    "AgentConfig",
    "AgentLimitsConfig",
    "AgentSandboxConfig",
    "AgentSubagentsConfig",
    "AgentToolsConfig",
    "AgentTurnConfig",
    "AuditConfig",
    "AuthConfig",
    "BudgetConfig",
    "CacheRetention",
    "Chosen",
    "Config",
    "ConfigFileConfig",
    "ControlUiConfig",
    "Count",
    "ExecConfig",
    "FilesConfig",
    "GatewayConfig",
    "HookConfig",
    "HooksConfig",
    "InvokeConfig",
    "Keys",
    "LedgerConfig",
    "Level",
    "LimitsConfig",
    "LoggingConfig",
    "MetricsConfig",
    "ModelInfo",
    "OtlpConfig",
    "PairingConfig",
    "Port",
    "ProviderConfig",
    "ProxyConfig",
    "Range",
    "RateLimitConfig",
    "ResetConfig",
    "RetentionConfig",
    "SandboxConfig",
    "Seconds",
    "SessionToolsConfig",
    "SessionsConfig",
    "Share",
    "ShellConfig",
    "ShutdownConfig",
    "Size",
    "SkillEntryConfig",
    "SkillsConfig",
    "SkillsInstallConfig",
    "SkillsLimitsConfig",
    "SkillsLoadConfig",
    "SocketConfig",
    "StatisticsConfig",
    "SubagentLimitsConfig",
    "TelemetryConfig",
    "Temperature",
    "ThinkingForm",
    "ToolPolicy",
    "ToolsConfig",
    "TurnLimitsConfig",
    "Wait",
    "WebConfig",
    "WorkspaceConfig",
    "over",
    "own_of",
]
