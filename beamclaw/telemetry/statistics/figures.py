"""What calls of models add up to. Pure."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson

from beamclaw.contracts.statistics import ProviderFigures, Spread

_LEAST: Final = 0.001
_GROWTH: Final = 1.1
# A thousandth of a second to three hours, in steps of a tenth.
BUCKETS: Final = 170


@attrs.define
class Sketch:
    """How often something took how long, in buckets that grow by a tenth each.

    Whatever comes, it has at most :data:`BUCKETS` of them, and two are joined by adding.
    """

    buckets: Counter[int] = attrs.Factory(Counter[int])

    def add(self, seconds: float) -> None:
        """It took *seconds*."""
        place = math.ceil(math.log(max(seconds, _LEAST) / _LEAST, _GROWTH))
        self.buckets[min(max(place, 0), BUCKETS - 1)] += 1

    def quantile(self, share: float) -> float | None:
        """How long that *share* of them took at most, within 5 %; None: of none."""
        count = sum(self.buckets.values())
        if not count:
            return None
        rank, seen, place = max(1, math.ceil(share * count)), 0, 0
        for place in sorted(self.buckets):
            seen += self.buckets[place]
            if seen >= rank:
                break
        # Between the two ends of the bucket, so that both are as far away.
        return _LEAST * _GROWTH**place * 2 / (1 + _GROWTH)

    def spread(self) -> Spread:
        """As others are told."""
        p50, p95, p99 = map(self.quantile, (0.5, 0.95, 0.99))
        return Spread(p50=p50, p95=p95, p99=p99)


@attrs.define
class Figures:
    """See :class:`~beamclaw.contracts.statistics.ProviderFigures`; *cost* in dollars."""

    calls: int = 0
    retries: int = 0
    openings: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    stored: int = 0
    cost: float = 0.0
    errors: Counter[str] = attrs.Factory(Counter[str])
    first: Sketch = attrs.Factory(Sketch)
    whole: Sketch = attrs.Factory(Sketch)

    def called(self, measured: Mapping[str, float], outcome: str) -> None:
        """A call is over."""
        self.calls += 1
        self.retries += measured["resends"] > 0
        self.input += int(measured["input"])
        self.output += int(measured["output"])
        self.cached += int(measured["cached"])
        self.stored += int(measured["stored"])
        self.cost += measured["cost"]
        if outcome == "ok":
            self.first.add(measured["first"])
            self.whole.add(measured["seconds"])
        else:
            self.errors[outcome] += 1

    def join(self, other: "Figures") -> None:
        """Add what *other* has."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors.update(other.errors)
        self.first.buckets.update(other.first.buckets)
        self.whole.buckets.update(other.whole.buckets)

    def dump(self) -> bytes:
        """As it is kept."""
        kept: dict[str, Any] = {name: getattr(self, name) for name in _NUMBERS}
        kept["errors"] = dict(self.errors)
        for name in ("first", "whole"):
            buckets = getattr(self, name).buckets
            kept[name] = {str(place): count for place, count in buckets.items()}
        return orjson.dumps(kept)

    @classmethod
    def load(cls, body: bytes) -> "Figures":
        """What :meth:`dump` has made, of this release or an earlier one."""
        kept: Mapping[str, Any] = orjson.loads(body)
        found = cls(**{name: kept.get(name, 0) for name in _NUMBERS})
        found.errors.update(kept.get("errors", {}))
        for name in ("first", "whole"):
            buckets = {int(place): n for place, n in kept.get(name, {}).items()}
            getattr(found, name).buckets.update(buckets)
        return found

    def shown(self, name: str) -> ProviderFigures:
        """As others are told."""
        return ProviderFigures(
            name=name,
            errors=dict(self.errors),
            first=self.first.spread(),
            whole=self.whole.spread(),
            **{each: getattr(self, each) for each in _NUMBERS},
        )


_NUMBERS: Final = (
    "calls",
    "retries",
    "openings",
    "input",
    "output",
    "cached",
    "stored",
    "cost",
)
