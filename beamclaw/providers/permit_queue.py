"""Who may call a provider now, and who waits: a decision, given the time. No I/O."""

from collections import OrderedDict

import attrs


@attrs.frozen
class Grant:
    """*ticket* may call now; it waited so many seconds."""

    ticket: int
    waited: float


@attrs.define
class PermitQueue:
    """A bounded queue, first come first served, in front of three gates.

    The gates: calls in progress at once, calls that begin within a minute, and a pause
    that the provider asked for. All times are seconds on one clock that never jumps.

    Attributes:
        limit: Calls in progress at once.
        max_waiting: Those in the queue; one more is turned away.
        per_minute: Calls that begin within a minute on average, spread over it: at most
            a tenth of them at once.
    """

    limit: int
    max_waiting: int
    per_minute: int | None = None
    # When each of the waiting came; ordered, and any of them can leave.
    _waiting: OrderedDict[int, float] = attrs.field(
        factory=OrderedDict[int, float], init=False
    )
    _held: set[int] = attrs.field(factory=set[int], init=False)
    _last: int = attrs.field(default=0, init=False)
    _blocked_until: float = attrs.field(default=float("-inf"), init=False)
    # Starts that are allowed at once, and when that was reckoned.
    _starts: float = attrs.field(default=0.0, init=False)
    _reckoned: float | None = attrs.field(default=None, init=False)

    @property
    def in_use(self) -> int:
        """Calls in progress."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """Those in the queue."""
        return len(self._waiting)

    @property
    def _burst(self) -> float:
        return max(1.0, (self.per_minute or 0) / 10)

    def ask(self, now: float) -> int | None:
        """Stand in line; ``None``: the line is full. See :meth:`grants`.

        Tickets are never used again, not even by the next incarnation in this process:
        a release that comes late frees nobody else's permit.
        """
        if self.waiting >= self.max_waiting and not self._may_start(now):
            return None
        self._last = max(self._last + 1, int(now * 1_000_000))
        self._waiting[self._last] = now
        return self._last

    def grants(self, now: float) -> list[Grant]:
        """Those whose turn it is now; call it after whatever may have changed that."""
        granted: list[Grant] = []
        while self._waiting and self._may_start(now):
            ticket, came = self._waiting.popitem(last=False)
            self._held.add(ticket)
            if self.per_minute is not None:
                self._starts -= 1
            granted.append(Grant(ticket, now - came))
        return granted

    def leave(self, ticket: int) -> bool:
        """Give back a permit or leave the line; False: the ticket is not known."""
        if ticket in self._held:
            self._held.remove(ticket)
            return True
        return self._waiting.pop(ticket, None) is not None

    def block(self, seconds: float, now: float) -> None:
        """Let nobody start for *seconds*; never shortens a pause."""
        self._blocked_until = max(self._blocked_until, now + seconds)

    def blocked_for(self, now: float) -> float:
        """Seconds that are left of the pause."""
        return max(0.0, self._blocked_until - now)

    def next_look(self, now: float) -> float | None:
        """Seconds until time alone lets somebody start; ``None``: it never will."""
        if not self._waiting or self.in_use >= self.limit:
            return None
        wait = self.blocked_for(now)
        if self.per_minute is not None:
            self._reckon(now)
            wait = max(wait, (1 - self._starts) * 60 / self.per_minute)
        return wait

    def _may_start(self, now: float) -> bool:
        if self.in_use >= self.limit or self.blocked_for(now) > 0:
            return False
        if self.per_minute is None:
            return True
        self._reckon(now)
        # A hair less than one counts as one: the clock's fractions do not add up.
        return self._starts > 1 - 1e-6

    def _reckon(self, now: float) -> None:
        assert self.per_minute is not None
        if self._reckoned is None:
            self._starts = self._burst
        else:
            earned = (now - self._reckoned) * self.per_minute / 60
            self._starts = min(self._burst, self._starts + earned)
        self._reckoned = now
