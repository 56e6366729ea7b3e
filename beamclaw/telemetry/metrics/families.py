"""Counters, gauges and histograms, and Prometheus's text of them. Pure.

A label's values may come from outside (a model's name, an agent's), and each new one is
a series that a collector keeps for weeks. So a family has so many series and no more:
what comes after that is counted together, under ``other`` in every label.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs

from beamclaw.telemetry.lines import UNSEEN

OTHER: Final = "other"
LONGEST: Final = 100
"""Characters of a label's value."""

# Seconds, from what a loop takes to what a model takes.
SECONDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

Labels = tuple[str, ...]

# What a name may end with, before ``_total``; of everything else there is a count.
_UNITS: Final = ("seconds", "bytes", "tokens", "dollars")
FLAG: Final = "0 or 1"
"""The unit of what is or is not."""


def unit_of(name: str) -> str:
    """The unit of the family of that *name*, by how it ends."""
    last = name.removesuffix("_total").rpartition("_")[2]
    return last if last in _UNITS else "count"


@attrs.define
class _Distribution:
    buckets: list[int]
    total: float = 0.0


@attrs.define
class Family:
    """One metric with its labels.

    Attributes:
        name: With its unit at the end; a counter's ends with ``_total``.
        kind: ``counter``, ``gauge`` or ``histogram``.
        labels: The names of its labels.
        most: Series at most.
        bounds: Of a histogram: the upper ends of its buckets.
        scrub: Takes secrets out of a label's value.
        folded: How often a series was one too many.
        unit: What its figures are in, for its page: by its name, if it is not said.
    """

    name: str
    kind: str
    doc: str
    labels: Labels = ()
    most: int = 200
    bounds: tuple[float, ...] = SECONDS
    scrub: Callable[[str], str] = str
    folded: int = 0
    unit: str = attrs.field(
        default=attrs.Factory(lambda self: unit_of(self.name), takes_self=True)
    )
    _values: dict[Labels, float] = attrs.field(init=False, factory=dict[Labels, float])
    _spread: dict[Labels, _Distribution] = attrs.field(
        init=False, factory=dict[Labels, _Distribution]
    )

    def add(self, *values: object, by: float = 1.0) -> None:
        """Count *by* more, under these values of its labels, in their order."""
        key = self._key(values, self._values)
        self._values[key] = self._values.get(key, 0.0) + by

    def set(self, value: float, *values: object) -> None:
        """It is that now."""
        self._values[self._key(values, self._values)] = value

    def observe(self, value: float, *values: object) -> None:
        """Put *value* into its bucket."""
        key = self._key(values, self._spread)
        found = self._spread.get(key)
        if found is None:
            found = self._spread[key] = _Distribution([0] * (len(self.bounds) + 1))
        found.buckets[bisect_left(self.bounds, value)] += 1
        found.total += value

    def clear(self) -> None:
        """Of a gauge whose labels may be gone: it is looked at anew."""
        self._values.clear()

    def _key(
        self, values: tuple[object, ...], known: Mapping[Labels, object]
    ) -> Labels:
        key = tuple(map(str, values))
        if key in known:
            return key
        key = tuple(_shown(self.scrub(value)) for value in key)
        if key in known or not key or len(known) < self.most:
            return key
        self.folded += 1
        return (OTHER,) * len(key)

    def text(self) -> Iterator[str]:
        """Its lines."""
        if not self._values and not self._spread:
            return
        yield f"# HELP {self.name} {_escaped(self.doc)}\n"
        yield f"# TYPE {self.name} {self.kind}\n"
        for key, value in self._values.items():
            yield f"{self.name}{self._braces(key)} {number(value)}\n"
        for key, spread in self._spread.items():
            below = 0
            for bound, count in zip(
                (*self.bounds, math.inf), spread.buckets, strict=True
            ):
                below += count
                braces = self._braces(key, le=number(bound))
                yield f"{self.name}_bucket{braces} {below}\n"
            yield f"{self.name}_sum{self._braces(key)} {number(spread.total)}\n"
            yield f"{self.name}_count{self._braces(key)} {below}\n"

    def _braces(self, key: Labels, **more: str) -> str:
        pairs = (*zip(self.labels, key, strict=True), *more.items())
        inside = ",".join(f'{name}="{_quoted(value)}"' for name, value in pairs)
        return f"{{{inside}}}" if inside else ""


def number(value: float) -> str:
    """As Prometheus reads it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value == int(value) else repr(float(value))


def _shown(value: str) -> str:
    # What Prometheus escapes is escaped when it is written; the rest no screen obeys.
    text = UNSEEN.sub("?", value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', r"\"")
