"""What the sessions of a tenant and their door share."""

from collections.abc import Callable
from typing import cast

import supervision
from beamclaw.agents import AgentDefinition, Preparation
from beamclaw.contracts import ledger, names
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.resets import ResetRule
from beamclaw.contracts.runs import RunTurn
from beamclaw.sessions.lane import Rules
from beamclaw.values import frozen

# agent id, model override: the definition, or UnknownAgent, UnknownModel in words.
Resolve = Callable[[str, str | None], AgentDefinition]
# The same for a turn in a session (its key), with all that the agent is told: for which
# there may be something to wait for.
Define = Callable[[str, str | None, str], AgentDefinition | Preparation]


def _never(agent: str) -> ResetRule:
    del agent
    return ResetRule()


@frozen(kw_only=True)
class Settings:
    """Numbers of the configuration's ``sessions`` section.

    *collect_seconds* have to pass without a message before those that came are taken
    together. *snapshot_every* so many events a journal gets a snapshot.
    """

    idle_seconds: float
    max_awake: int
    collect_seconds: float
    revive_first: float
    revive_most: float
    snapshot_every: int


@frozen(kw_only=True)
class Retention:
    """How long sessions are kept that nobody goes on with, in seconds; None: for ever.

    Attributes:
        request: Those of a single request, since their last event.
        archived: Those that were put away, since then.
        subagent: Those of sub-agents, since their last event.
        response: Those of responses that others may follow, since their last event.
        every: Between two looks.
    """

    request: float | None = None
    archived: float | None = None
    subagent: float | None = None
    response: float | None = None
    every: float = 60.0


@frozen(kw_only=True)
class Numbers:
    """What may be another from one moment to the next."""

    settings: Settings
    rules: Rules
    retention: Retention = Retention()


@frozen(kw_only=True)
class Wiring:
    """What all sessions of a tenant share.

    Attributes:
        turns: What carries out a turn that is begun now, to its end, whatever is set since.
        numbers: Those that hold now.
        reset_rule: When a conversation of this agent (by its id) is over by itself.
    """

    tenant: str
    bus: Bus
    outside: Outside
    resolve: Resolve
    define: Define
    turns: Callable[[], RunTurn]
    numbers: Callable[[], Numbers]
    reset_rule: Callable[[str], ResetRule] = _never

    @property
    def settings(self) -> Settings:
        """Those that hold now."""
        return self.numbers().settings

    @property
    def rules(self) -> Rules:
        """Those that hold now."""
        return self.numbers().rules

    @property
    def retention(self) -> Retention:
        """What holds now."""
        return self.numbers().retention

    @property
    def ledger(self) -> str:
        """The ledger's name."""
        return names.of_tenant(self.tenant, "ledger")

    def owner_epoch(self) -> int:
        """The epoch of the ledger in force."""
        entry = supervision.lookup(self.ledger)
        if entry is None:
            raise supervision.NoProcess(self.ledger)
        return cast("ledger.Owned", entry.value).owner_epoch
