"""How providers do, by day, and the node, by minute: what ``statistics`` may be asked."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import attrs

import supervision
from beamclaw.values import frozen

NAME: Final = "statistics"
By = Literal["model", "provider", "day"]
BYS: Final[Sequence[By]] = get_args(By)


@frozen(kw_only=True)
class Spread:
    """How long something took, in seconds, within 5 %; None: it never happened."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@frozen(kw_only=True)
class ProviderFigures:
    """What calls of models were like.

    Attributes:
        name: ``provider/model``, the provider or the day (UTC).
        errors: Calls that failed, by the kind of the error.
        retries: Calls that were made again because one before had failed.
        openings: Times that the provider was left alone.
        cost: In dollars.
        first: From leave to the first that came, *whole*: to the end; of calls that
            went well.
    """

    name: str
    calls: int = 0
    errors: Mapping[str, int] = attrs.field(factory=dict[str, int])
    retries: int = 0
    openings: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    stored: int = 0
    cost: float = 0.0
    first: Spread = attrs.field(factory=Spread)
    whole: Spread = attrs.field(factory=Spread)


@frozen
class ReadStatistics(supervision.Call[Sequence[ProviderFigures]]):
    """From the day *since* on (``2026-11-22``, UTC), summed *by* something."""

    since: str
    by: By = "model"


# --- the last hours


@frozen(kw_only=True)
class Minute:
    """How the node was in a minute.

    Attributes:
        at: When it was over, in seconds since the epoch.
        lag: How late the loop was, at worst; None: nobody has watched.
        resident: Bytes of memory, at the end; None: the system does not say.
        processes: How many there were at the end.
        turns: Those that have ended; *calls* of models and their *tokens* the same.
        errors: Calls that have failed, by provider.
    """

    at: float
    lag: float | None = None
    resident: int | None = None
    processes: int = 0
    turns: int = 0
    calls: int = 0
    tokens: int = 0
    errors: Mapping[str, int] = attrs.field(factory=dict[str, int])


@frozen
class History:
    """Minutes, oldest first; none is older than *began*, when they were begun to count.

    *every* is how many seconds are between two of them, unless the node stood still.
    """

    began: float
    every: float
    minutes: Sequence[Minute]


@frozen
class ReadHistory(supervision.Call[History]):
    """The minutes of the last day that were over after *since*."""

    since: float = 0.0


@frozen
class MinuteOver:
    """An info: what was counted is a minute of the history now."""
