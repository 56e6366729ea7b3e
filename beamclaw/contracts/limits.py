"""Limits, as others know them."""

import supervision
from beamclaw.contracts.budgets import Measure, Scope, Spent
from beamclaw.contracts.ledger_usage import UsageRow
from beamclaw.values import frozen


@frozen
class Paid:
    """Cast to the server of limits: something was paid for this agent and session."""

    agent: str
    session: str


@frozen
class Warned:
    """Cast to the server of limits: this was told, and is to be shown with the rest."""

    words: str


@frozen
class GetUsage(supervision.Call["UsageSums"]):
    """What the tenant used since *since* (seconds since the epoch)."""

    since: float = 0.0


@frozen
class UsageSums:
    """Sums, newest day first; ``reserved`` in a row is what is still open."""

    rows: tuple[UsageRow, ...]


@frozen
class GetLimits(supervision.Call["LimitsStatus"]):
    """How the caps of the tenant stand today."""


@frozen(kw_only=True)
class CapStatus:
    """One cap, of the purse that is fullest: of which agent or session *key* says.

    *used* and *limit* are tokens, calls, millionths of a dollar or milliseconds, see
    *measure*.
    """

    name: str
    scope: Scope
    key: str
    measure: Measure
    used: int
    limit: int


@frozen(kw_only=True)
class LimitsStatus:
    """What was spent today, and how far that is from the caps.

    Attributes:
        day: The date (UTC).
        spent: By all agents together, reservations included.
        caps: Those for a day.
        warnings: What was told of today, in words, the latest last.
    """

    day: str
    spent: Spent
    caps: tuple[CapStatus, ...]
    warnings: tuple[str, ...] = ()
