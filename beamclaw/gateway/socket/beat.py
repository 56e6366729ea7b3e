"""When a client is pinged, ticked and given up: decided from the time alone. Pure."""

from typing import Final, Literal

import attrs

Due = Literal["tick", "ping", "dead"]
_NEVER: Final = float("inf")


@attrs.define
class Beat:
    """The clock of one connection (Trio's, in seconds).

    A ping has an answer of its own to wait for: other messages that come meanwhile do
    not stand for it.

    Attributes:
        tick_every: Seconds between two ticks.
        ping_every: Seconds between two pings, and for the answer to one.
    """

    tick_every: float
    ping_every: float
    _tick: float = attrs.field(default=_NEVER, init=False)
    _ping: float = attrs.field(default=_NEVER, init=False)
    _dead: float = attrs.field(default=_NEVER, init=False)

    def start(self, now: float) -> None:
        """The client has been let in."""
        self._tick = now + self.tick_every
        self._ping = now + self.ping_every

    @property
    def deadline(self) -> float:
        """When something is due next."""
        return min(self._tick, self._ping, self._dead)

    def due(self, now: float) -> list[Due]:
        """What is due at *now*; it is done, then."""
        if now >= self._dead:
            return ["dead"]
        due: list[Due] = []
        if now >= self._tick:
            due.append("tick")
            self._tick = now + self.tick_every
        if now >= self._ping:
            due.append("ping")
            self._ping = _NEVER
            self._dead = now + self.ping_every
        return due

    def pong(self, now: float) -> None:
        """The client is there. One that nobody has asked for says nothing."""
        if self._dead is not _NEVER:
            self._dead = _NEVER
            self._ping = now + self.ping_every
