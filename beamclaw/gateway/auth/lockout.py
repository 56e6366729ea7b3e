"""Who has guessed wrong too often, and for how long nobody there is asked again.

A table and its rules; the time is an argument. Counted by the address that the guess came
from and by what was guessed, so that somebody who tries device tokens keeps nobody out
who knows the shared secret. It lives as long as the gateway: a restart forgets it, and
takes longer than a few guesses are worth.
"""

import functools
import ipaddress
from collections import deque
from typing import Final, Literal

import attrs

from beamclaw.contracts.hosts import is_loopback
from beamclaw.values import frozen

Kind = Literal["secret", "device-token", "api-key", "hook", "link"]
# Of an IPv6 address the network: whoever has one has 2^64 of them.
_NETWORK: Final = 64


@frozen(kw_only=True)
class Rules:
    """How many guesses there are.

    Attributes:
        max_attempts: Wrong ones within *window* seconds, then there are none for
            *lockout* seconds.
        exempt_loopback: Whoever is on this machine may go on guessing.
        max_addresses: Remembered at once; then the one heard of longest ago is not.
    """

    max_attempts: int = 10
    window: float = 60.0
    lockout: float = 300.0
    exempt_loopback: bool = True
    max_addresses: int = 10_000


@attrs.define
class _Guesses:
    # Invariant: ascending; those before the window are taken out with the next one.
    times: deque[float] = attrs.field(factory=deque[float])
    until: float = 0.0


@attrs.define(eq=False)
class Lockout:
    """The table."""

    rules: Rules = attrs.field(factory=Rules)
    # Whoever guessed last stands last.
    _of: dict[tuple[str, Kind], _Guesses] = attrs.field(
        factory=dict[tuple[str, Kind], _Guesses], init=False
    )

    def left(self, address: str, kind: Kind, now: float) -> float:
        """Seconds for which *address* is not asked; 0: it may try."""
        found = self._of.get((_place(address), kind))
        return 0.0 if found is None else max(0.0, found.until - now)

    def fail(self, address: str, kind: Kind, now: float) -> bool:
        """A wrong guess; True: it was the one too many."""
        if self.rules.exempt_loopback and is_loopback(address):
            return False
        key = (_place(address), kind)
        found = self._of.pop(key, None) or _Guesses()
        self._of[key] = found
        while len(self._of) > self.rules.max_addresses:
            del self._of[next(iter(self._of))]
        while found.times and now - found.times[0] > self.rules.window:
            found.times.popleft()
        found.times.append(now)
        if len(found.times) < self.rules.max_attempts:
            return False
        found.times.clear()
        found.until = now + self.rules.lockout
        return True

    def succeed(self, address: str, kind: Kind) -> None:
        """A right one: what came before is forgotten."""
        self._of.pop((_place(address), kind), None)

    @property
    def addresses(self) -> int:
        """How many are remembered."""
        return len(self._of)


@functools.lru_cache(maxsize=1024)
def _place(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _NETWORK), strict=False))
    return str(found)
