"""How providers do, by day: what others may ask the process ``statistics``."""

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
    cost: float = 0.0
    first: Spread = attrs.field(factory=Spread)
    whole: Spread = attrs.field(factory=Spread)


@frozen
class ReadStatistics(supervision.Call[Sequence[ProviderFigures]]):
    """From the day *since* on (``2026-11-22``, UTC), summed *by* something."""

    since: str
    by: By = "model"
