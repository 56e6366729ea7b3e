"""Whether a series of measurements rises: Theil and Sen's slope, with its interval.

The median of the slopes of all pairs of points does not care about single wild values,
and its interval needs no assumption on how errors are spread (Sen 1968). Measurements that
follow each other closely are alike, which would make the interval too narrow, so they are
first put together into few points: the median of each part of the time.
"""

import math
import statistics
from collections.abc import Sequence

import attrs

# Of the normal distribution: an interval of 95 %.
_Z = 1.959964
# Points that a series is put together into.
POINTS = 30
# Of the whole time, at the beginning: caches fill, and pools grow to what is needed.
WARM_UP = 0.25
FEWEST = 5


@attrs.frozen(kw_only=True)
class Slope:
    """How a series rises.

    Attributes:
        each: Per second: the best guess.
        low: The lower end of the interval of 95 %, and *high* the upper one.
        growth: Over the time that was looked at, by the best guess.
        first: The first of the points, and *last* the last one.
        seconds: Of the time that was looked at.
    """

    each: float
    low: float
    high: float
    growth: float
    first: float
    last: float
    seconds: float

    def rises(self, floor: float) -> bool:
        """Whether it differs from zero, and by more than *floor* over that time.

        One step of a number that has only a few values is no slope.
        """
        return self.low > 0 and self.growth > floor


def slope(at: Sequence[float], values: Sequence[float]) -> Slope:
    """The slope of *values* at the times *at*, ascending, behind the warm-up.

    Raises:
        ValueError: There are too few to say anything.
    """
    points = together(*after_warm_up(at, values))
    if len(points) < FEWEST:
        raise ValueError(f"{len(points)} points are too few for a slope")
    slopes = sorted(
        (late - early) / (then - before)
        for number, (before, early) in enumerate(points)
        for then, late in points[number + 1 :]
    )
    each = statistics.median(slopes)
    low, high = _interval(slopes, len(points))
    seconds = points[-1][0] - points[0][0]
    return Slope(
        each=each,
        low=low,
        high=high,
        growth=each * seconds,
        first=points[0][1],
        last=points[-1][1],
        seconds=seconds,
    )


def after_warm_up(
    at: Sequence[float], values: Sequence[float]
) -> tuple[list[float], list[float]]:
    """What came behind the first part of the time."""
    begin = at[0] + WARM_UP * (at[-1] - at[0]) if at else 0.0
    kept = [(when, v) for when, v in zip(at, values, strict=True) if when >= begin]
    return [when for when, _ in kept], [value for _, value in kept]


def together(at: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """At most :data:`POINTS` points, each the median of a part of the series."""
    size = max(1, math.ceil(len(at) / POINTS))
    return [
        (
            statistics.median(at[begin : begin + size]),
            statistics.median(values[begin : begin + size]),
        )
        for begin in range(0, len(at), size)
    ]


def _interval(slopes: Sequence[float], points: int) -> tuple[float, float]:
    """By the spread of Kendall's statistic, if there was no slope at all."""
    spread = math.sqrt(points * (points - 1) * (2 * points + 5) / 18)
    number = len(slopes)
    low = math.floor((number - _Z * spread) / 2)
    high = math.ceil((number + _Z * spread) / 2)
    return slopes[max(0, low)], slopes[min(number - 1, high)]
