"""Whether a provider is asked at all: the breaker of one key. A decision, no I/O.

Closed, every call goes through. It opens when calls fail one after the other as those
of a provider that is ill do, or at once when the key itself is refused. Open, nobody
calls. After a while, longer each time, one call goes through as a probe (half open): if
the provider answers it, the breaker is closed, else it is open again.
"""

from collections import deque
from typing import Final

import attrs

from beamclaw.contracts.providers import BreakerState, ErrorKind
from beamclaw.values import frozen

ILL: Final[frozenset[ErrorKind]] = frozenset({"overloaded", "server", "network"})
"""Failures that say that the provider is ill; after the others it has at least spoken."""

USELESS: Final[frozenset[ErrorKind]] = frozenset({"auth", "quota"})
"""Failures that say that the key is of no use until a person does something."""


@frozen(kw_only=True)
class BreakerPolicy:
    """When a breaker opens, and for how long. Times are in seconds.

    Attributes:
        failures: Calls that fail one after the other.
        window: Within so long.
        first: How long it is open then; twice as long after each probe that fails. Up
            to half of it is left to chance, so that not all come back at once.
        most: How long it is open at most.
        hold: How long a key is left alone that was refused or has no credit left.
    """

    failures: int = 5
    window: float = 60.0
    first: float = 5.0
    most: float = 120.0
    hold: float = 300.0


@attrs.define
class Breaker:
    """See the module. Calls are known by tickets that ascend.

    A call that began before the breaker changed says nothing about what is now.
    """

    policy: BreakerPolicy = attrs.field(factory=BreakerPolicy)
    # Ascending: when calls failed since the last one that did not.
    _failed: deque[float] = attrs.field(factory=deque[float], init=False)
    # None: closed.
    _until: float | None = attrs.field(default=None, init=False)
    _kind: ErrorKind | None = attrs.field(default=None, init=False)
    _words: str = attrs.field(default="", init=False)
    # How often it has opened since it was closed.
    _times: int = attrs.field(default=0, init=False)
    _probe: int | None = attrs.field(default=None, init=False)
    # The last ticket, and the last one that was given before a change.
    _last: int = attrs.field(default=0, init=False)
    _stale: int = attrs.field(default=0, init=False)

    @property
    def is_closed(self) -> bool:
        """Whether every call goes through."""
        return self._until is None

    @property
    def kind(self) -> ErrorKind | None:
        """Why it is not closed; None: it is."""
        return self._kind

    @property
    def words(self) -> str:
        """The same, as the last failure said it."""
        return self._words

    def state(self, now: float) -> BreakerState:
        """What it is called."""
        if self._until is None:
            return "closed"
        return "open" if now < self._until else "half-open"

    def admits(self, now: float) -> bool:
        """Whether a call may begin."""
        if self._until is None:
            return True
        return now >= self._until and self._probe is None

    def opens_in(self, now: float) -> float:
        """Seconds until time alone lets a call begin; while a probe is out, for ever."""
        if self._until is None:
            return 0.0
        return float("inf") if self._probe is not None else max(0.0, self._until - now)

    def left(self, now: float) -> float:
        """Seconds that nobody is asked any more."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    def begun(self, ticket: int) -> bool:
        """A call has begun; whether it is a probe."""
        self._last = ticket
        if self._until is None:
            return False
        self._probe = ticket
        return True

    def answered(self, ticket: int) -> bool:
        """The provider answers, or has said why not; whether that closes it."""
        if ticket <= self._stale and ticket != self._probe:
            return False
        self._failed.clear()
        if self._until is None:
            return False
        self._until = self._probe = self._kind = None
        self._words = ""
        self._times = 0
        self._stale = self._last
        return True

    def failed(
        self, ticket: int, kind: ErrorKind, words: str, now: float, random: float
    ) -> float | None:
        """A call has failed; for how many seconds that opens it, None: it does not.

        *random* is in [0, 1).
        """
        if ticket <= self._stale and ticket != self._probe:
            return None
        if kind in USELESS:
            return self._open(self.policy.hold, kind, words, now)
        if kind not in ILL:
            self.answered(ticket)
            return None
        if self._until is None:
            self._failed.append(now)
            while self._failed[0] <= now - self.policy.window:
                self._failed.popleft()
            if len(self._failed) < self.policy.failures:
                return None
        seconds = min(self.policy.most, self.policy.first * 2**self._times)
        # Not more than can be told apart: the power would overflow one day.
        self._times = min(self._times + 1, 32)
        return self._open(seconds * (0.5 + random / 2), kind, words, now)

    def lost(self, ticket: int) -> None:
        """What became of a call nobody knows: another one may be the probe."""
        if ticket == self._probe:
            self._probe = None

    def _open(self, seconds: float, kind: ErrorKind, words: str, now: float) -> float:
        self._until, self._kind, self._words = now + seconds, kind, words
        self._probe = None
        self._failed.clear()
        self._stale = self._last
        return seconds
