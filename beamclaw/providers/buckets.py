"""How much may begin in a time: our own rates, and what a provider says is left. No I/O."""

import attrs

# The clock's fractions do not add up to whole numbers.
_HAIR = 1e-6


@attrs.define
class Bucket:
    """So much in a minute on average, at most *burst* at once.

    What is more than the bucket holds is let through when it is full, and paid off
    afterwards. Times are seconds on one clock that never jumps.
    """

    per_minute: float
    burst: float
    _level: float = attrs.field(init=False)
    _reckoned: float | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._level = self.burst

    def wait(self, amount: float, now: float) -> float:
        """Seconds until *amount* may begin; 0: now."""
        self._reckon(now)
        missing = min(amount, self.burst) - self._level
        return missing * 60 / self.per_minute if missing > _HAIR else 0.0

    def take(self, amount: float, now: float) -> None:
        """It begins; less than nothing gives back."""
        self._reckon(now)
        self._level = min(self.burst, self._level - amount)

    def _reckon(self, now: float) -> None:
        if self._reckoned is not None:
            earned = (now - self._reckoned) * self.per_minute / 60
            self._level = min(self.burst, self._level + earned)
        self._reckoned = now


@attrs.define
class Allowance:
    """What the provider said is left, until a moment of its choice."""

    _left: float = attrs.field(default=0.0, init=False)
    _until: float = attrs.field(default=float("-inf"), init=False)

    def tell(self, left: float, until: float) -> None:
        """The provider's latest word."""
        self._left, self._until = left, until

    def wait(self, amount: float, now: float) -> float:
        """Seconds until *amount* may begin; 0: now."""
        if now >= self._until or amount <= self._left:
            return 0.0
        return self._until - now

    def take(self, amount: float) -> None:
        """It begins."""
        self._left -= amount
