"""How the node was in the last hours: a point a minute, in memory only. Pure."""

from collections import Counter, deque
from collections.abc import Mapping
from functools import partial
from typing import Final

import attrs

from beamclaw.contracts.statistics import History, Minute

# Seconds of a minute, and minutes that are kept: a day.
EVERY: Final = 60.0
KEPT: Final = 1_440
# Providers of one minute; one that comes then is counted as other.
PROVIDERS: Final = 50
OTHER: Final = "other"
# No failures of the provider's.
_WELL: Final = frozenset({"ok", "cancelled"})


@attrs.define
class Minutes:
    """The last of them, and what was counted in the one that goes on.

    Attributes:
        began: When it was begun to count, in seconds since the epoch.
    """

    began: float
    kept: deque[Minute] = attrs.field(factory=partial(deque[Minute], maxlen=KEPT))
    _turns: int = 0
    _calls: int = 0
    _tokens: int = 0
    _errors: Counter[str] = attrs.field(factory=Counter[str])

    def turn_ended(self) -> None:
        """One more turn is over."""
        self._turns += 1

    def called(
        self, provider: str, measured: Mapping[str, float], outcome: str
    ) -> None:
        """A call of a model is over."""
        self._calls += 1
        self._tokens += int(measured["input"]) + int(measured["output"])
        if outcome not in _WELL:
            known = provider in self._errors or len(self._errors) < PROVIDERS
            self._errors[provider if known else OTHER] += 1

    def over(
        self, at: float, *, lag: float | None, resident: int | None, processes: int
    ) -> None:
        """The minute is over *at* a time, in seconds since the epoch."""
        self.kept.append(
            Minute(
                at=at,
                lag=lag,
                resident=resident,
                processes=processes,
                turns=self._turns,
                calls=self._calls,
                tokens=self._tokens,
                errors=dict(self._errors),
            )
        )
        self._turns = self._calls = self._tokens = 0
        self._errors.clear()

    def read(self, since: float) -> History:
        """What was over after *since*."""
        found = tuple(minute for minute in self.kept if minute.at > since)
        return History(self.began, EVERY, found)
