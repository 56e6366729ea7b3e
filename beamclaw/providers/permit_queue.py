"""Who may call a provider now, and who waits: a decision, given the time. No I/O."""

from collections import OrderedDict

import attrs

from beamclaw.contracts.providers import Rates
from beamclaw.providers.breaker import Breaker
from beamclaw.providers.buckets import Allowance, Bucket
from beamclaw.values import frozen


@frozen
class Grant:
    """*ticket* may call now; it waited so many seconds. *probe*: see the breaker."""

    ticket: int
    waited: float
    probe: bool = False


@attrs.define
class PermitQueue:
    """A bounded queue, first come first served, in front of some gates.

    The gates: calls in progress at once, calls that begin and tokens that are asked for
    within a minute, what the provider says is left of its own limits, a pause that it
    asked for, and the breaker. All times are seconds on one clock that never jumps.

    Attributes:
        limit: Calls in progress at once.
        max_waiting: Those in the queue; one more is turned away.
        per_minute: Calls that begin within a minute on average, spread over it: at most
            a tenth of them at once.
        tokens_per_minute: Tokens that calls may use within a minute on average, by what
            they reserve at first, by what they used in the end.
        longest_wait: Seconds that one waits while the breaker is not closed.
    """

    limit: int
    max_waiting: int
    per_minute: int | None = None
    tokens_per_minute: int | None = None
    longest_wait: float = float("inf")
    breaker: Breaker = attrs.field(factory=Breaker)
    # When each of the waiting came, and for how many tokens; ordered, and any of them
    # can leave.
    _waiting: OrderedDict[int, tuple[float, int]] = attrs.field(
        factory=OrderedDict[int, tuple[float, int]], init=False
    )
    # Calls in progress, and what they reserve.
    _held: dict[int, int] = attrs.field(factory=dict[int, int], init=False)
    _last: int = attrs.field(default=0, init=False)
    _blocked_until: float = attrs.field(default=float("-inf"), init=False)
    _starts: Bucket | None = attrs.field(init=False)
    _tokens: Bucket | None = attrs.field(init=False)
    _starts_left: Allowance = attrs.field(factory=Allowance, init=False)
    _tokens_left: Allowance = attrs.field(factory=Allowance, init=False)

    def __attrs_post_init__(self) -> None:
        starts, tokens = self.per_minute, self.tokens_per_minute
        self._starts = None if starts is None else Bucket(starts, max(1.0, starts / 10))
        # One call may need a minute's worth, and the providers count like this, too.
        self._tokens = None if tokens is None else Bucket(tokens, tokens)

    @property
    def in_use(self) -> int:
        """Calls in progress."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """Those in the queue."""
        return len(self._waiting)

    # --- coming and going

    def ask(self, now: float, tokens: int = 0) -> int | None:
        """Stand in line; ``None``: the line is full. See :meth:`grants`.

        Tickets are never used again, not even by the next incarnation in this process:
        a release that comes late frees nobody else's permit.
        """
        if self.waiting >= self.max_waiting and self.wait(now, tokens) > 0:
            return None
        self._last = max(self._last + 1, int(now * 1_000_000))
        self._waiting[self._last] = now, tokens
        return self._last

    def grants(self, now: float) -> list[Grant]:
        """Those whose turn it is now; call it after whatever may have changed that."""
        granted: list[Grant] = []
        while self._waiting:
            ticket, (came, tokens) = next(iter(self._waiting.items()))
            if self._wait(now, tokens) > 0:
                break
            del self._waiting[ticket]
            self._held[ticket] = tokens
            self._take(tokens, now)
            probe = self.breaker.begun(ticket)
            granted.append(Grant(ticket, now - came, probe))
        return granted

    def overdue(self, now: float) -> list[int]:
        """Those who have waited too long for a provider that is ill; they are out."""
        tickets: list[int] = []
        while self._waiting and not self.breaker.is_closed:
            ticket, (came, _) = next(iter(self._waiting.items()))
            if now < came + self.longest_wait:
                break
            del self._waiting[ticket]
            tickets.append(ticket)
        return tickets

    def leave(self, ticket: int, now: float, used: int | None = None) -> bool:
        """Give back a permit or leave the line; False: the ticket is not known.

        *used* is how many tokens the call took; None: nobody knows.
        """
        reserved = self._held.pop(ticket, None)
        if reserved is None:
            return self._waiting.pop(ticket, None) is not None
        if self._tokens is not None and used is not None:
            self._tokens.take(used - reserved, now)
        return True

    # --- what the provider says

    def block(self, seconds: float, now: float) -> None:
        """Let nobody start for *seconds*; never shortens a pause."""
        self._blocked_until = max(self._blocked_until, now + seconds)

    def blocked_for(self, now: float) -> float:
        """Seconds that are left of the pause."""
        return max(0.0, self._blocked_until - now)

    def tell(self, rates: Rates, now: float) -> None:
        """What the provider said is left of its limits.

        It counts what it had been sent by then; a pause is never longer than the
        provider's own words, and who calls alone is let through in any case, since what
        a call may need at most says little about what it does need.
        """
        if rates.requests is not None:
            self._starts_left.tell(rates.requests, now + rates.requests_reset)
        if rates.tokens is not None:
            self._tokens_left.tell(rates.tokens, now + rates.tokens_reset)

    # --- time

    def next_look(self, now: float) -> float | None:
        """Seconds until time alone changes something; ``None``: it never will.

        Never so few that the clock stands still: it would be looked at again and again.
        """
        if not self._waiting:
            return None
        came, tokens = next(iter(self._waiting.values()))
        wait = float("inf") if self.in_use >= self.limit else self._wait(now, tokens)
        if not self.breaker.is_closed:
            wait = min(wait, max(0.0, came + self.longest_wait - now))
        return None if wait == float("inf") else max(wait, _HAIR)

    def wait(self, now: float, tokens: int) -> float:
        """Seconds until one more may start, as far as is known; 0: now."""
        if self._waiting:
            return max(self._wait(now, tokens), _SOME_TIME)
        return self._wait(now, tokens)

    def _wait(self, now: float, tokens: int) -> float:
        """Seconds until somebody may start; for ever: somebody else has to end first."""
        if self.in_use >= self.limit or not self.breaker.admits(now):
            if self.in_use >= self.limit:
                return float("inf")
            return self.breaker.opens_in(now)
        wait = self.blocked_for(now)
        if self._starts is not None:
            wait = max(wait, self._starts.wait(1, now))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(tokens, now))
        wait = max(wait, self._starts_left.wait(1, now))
        if self._held:
            wait = max(wait, self._tokens_left.wait(tokens, now))
        return wait

    def _take(self, tokens: int, now: float) -> None:
        if self._starts is not None:
            self._starts.take(1, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)
        self._starts_left.take(1)
        self._tokens_left.take(tokens)


# Where others wait, too: nobody knows how long, but not no time.
_SOME_TIME = 0.1
# The least that a clock of this century's seconds moves on by.
_HAIR = 1e-6
