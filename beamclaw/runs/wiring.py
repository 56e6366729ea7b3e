"""What all runs of a tenant share."""

from collections.abc import Callable, Mapping

import attrs

from beamclaw.contracts.budgets import Cap, Price
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.retry import RetryPolicy
from beamclaw.contracts.subagents import Rules
from beamclaw.contracts.toolbox import Caller, Toolbox
from beamclaw.contracts.tools import BeginCall, Bounds
from beamclaw.contracts.tracing import Tracing
from beamclaw.contracts.turns import TurnLimits
from beamclaw.runs.definitions import Definitions
from beamclaw.runs.flush import Flusher
from beamclaw.values import frozen


@frozen(kw_only=True)
class Wiring:
    """See the module.

    Attributes:
        policies: Retries, by provider name.
        keys: How many keys a provider (by its name) has; 1 without any.
        max_output: Tokens at which a provider's (first) model (second) is told to stop,
            where nobody says otherwise.
        price: What a provider's (first) model (second) takes; None: nobody knows.
        caps: What a call of an agent (by its id) must not go beyond.
        limits: Of one turn.
        limits_of: The same for an agent (by its id).
        warn_at: The part of such a limit, of 1, that is worth a warning.
        window: Tokens that a provider's (first) model (second) reads and writes.
        keep_tokens: What a compaction leaves of the latest messages.
        summary_seconds: How long a model may take to write a summary.
        tools: Those of a turn; the same value for the same caller. Not before loading.
        begin_call: Begins the process of a call of a tool.
        snapshot_every: Events after which a journal gets a snapshot.
        bounds: How much of what a sub-agent says the model gets.
        subagents: What agents may do with other sessions.
        loading: Of what the tools are made of.
        tracing: What leaves the node in the name of a turn.
        definitions: Of the agents whose turns go on.
    """

    tenant: str
    bus: Bus
    outside: Outside
    flusher: Flusher
    policies: Mapping[str, RetryPolicy]
    keys: Mapping[str, int]
    max_output: Callable[[str, str], int]
    price: Callable[[str, str], Price | None]
    caps: Callable[[str], tuple[Cap, ...]]
    limits: TurnLimits
    limits_of: Callable[[str], TurnLimits]
    window: Callable[[str, str], int]
    keep_tokens: int
    summary_seconds: float
    tools: Callable[[Caller], Toolbox]
    begin_call: BeginCall
    snapshot_every: int
    bounds: Bounds
    warn_at: float = 0.8
    subagents: Rules = attrs.field(factory=Rules)
    loading: Loading = attrs.field(factory=Loading)
    tracing: Tracing = attrs.field(factory=Tracing)
    definitions: Definitions = attrs.field(factory=Definitions)
