"""The ledger's reads of usage: sums by day or model, and how the purses stand."""

from typing import Literal

import supervision
from beamclaw.contracts.budgets import Measure, Purse, Spent
from beamclaw.contracts.messages import Usage
from beamclaw.values import frozen


@frozen
class ReadUsage(supervision.Call[tuple["UsageRow", ...]]):
    """Settled and open usage, summed by day (UTC), agent, provider and model."""

    since: float = 0.0


By = Literal["day", "provider", "model", "agent", "session"]


@frozen
class ReadSums(supervision.Call[tuple["UsageSum", ...]]):
    """Settled and open usage since *since*, summed *by* one thing.

    Days come in order, everything else the dearest first; at most *limit* sums.
    """

    by: By
    since: float = 0.0
    limit: int = 1_000


@frozen(kw_only=True)
class UsageSum:
    """A sum; *name* is a date, a name, or ``provider/model``.

    For calls of sessions that are erased *name* is empty where sessions are asked for.
    *usage* and *reserved* are as in :class:`UsageRow`, *cost* in micro-dollars.
    """

    name: str
    calls: int
    usage: Usage
    reserved: Usage
    cost: int = 0


@frozen
class ReadSpent(supervision.Call[tuple[tuple[Purse, Spent], ...]]):
    """What was spent out of the purses of these days; sessions have none: ``""``."""

    days: tuple[str, ...]


@frozen
class ReadPurses(supervision.Call[tuple["PurseRow", ...]]):
    """How these purses stand, in this order."""

    purses: tuple[Purse, ...]


@frozen
class PurseRow:
    """What was spent, and the measures and limits of which was warned."""

    purse: Purse
    spent: Spent
    warned: tuple[tuple[Measure, int], ...] = ()


@frozen(kw_only=True)
class UsageRow:
    """A sum. *reserved* is what open reservations may still cost.

    ``cost`` is in micro-dollars, reservations included.
    """

    day: str
    agent: str
    provider: str
    model: str
    calls: int
    usage: Usage
    reserved: Usage
    cost: int = 0
