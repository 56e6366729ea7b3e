"""Who is connected and what they are doing: the table behind limits, shedding, drain.

A table like the runtime's own, not a process: every change is one synchronous step of
whoever it is about, and nobody waits for it. It lives as long as one incarnation of
the gateway and outlives its processes, so that a new listener finds the sockets and a
new server the connections of the one before.
"""

from collections.abc import Callable
from typing import Protocol

import attrs

from beamclaw.contracts.gateway import GatewayStatus
from beamclaw.contracts.listening import Listening
from beamclaw.contracts.troubles import Troubles


class Guest(Protocol):
    """A connection, as the table knows it."""

    def shed(self) -> None:
        """Close, to make room."""
        ...

    def retire(self) -> None:
        """Nothing more is taken: close after what has begun, or at once if idle."""
        ...

    def discard(self) -> None:
        """Close at once, whatever is on its way."""
        ...


class Visit(Protocol):
    """A request in progress."""

    streaming: bool

    def finish(self) -> None:
        """The node stops: end with a last word."""
        ...


@attrs.define(eq=False)
class Ports:
    """The ports that were given out where any was fine; 0: none yet.

    Clients know them: they outlive every incarnation of the gateway.

    Attributes:
        gateway: Of the gateway.
        pages: Of the Control UI, if it has a listener of its own.
    """

    gateway: int = 0
    pages: int = 0


@attrs.define(eq=False)
class Floor:
    """The table.

    Attributes:
        limit: Connections at once.
        intake: New requests are taken.
        ready: When the node was first ready to take turns (Trio's clock).
        pages: Where the Control UI is listened for, if it has a listener of its own.
        ports: Where was listened first, if any port was fine.
        on_idle: Called when the last request in progress ends.
        troubles: What is wrong with parts of the node.
    """

    limit: int
    intake: bool = True
    started: float = 0.0
    ready: float | None = None
    listening: Listening | None = None
    pages: Listening | None = None
    ports: Ports = attrs.field(factory=Ports)
    on_idle: Callable[[], None] | None = None
    troubles: Troubles = attrs.field(factory=Troubles)
    accepted: int = 0
    answered: int = 0
    refused: int = 0
    shed: int = 0
    _guests: set[Guest] = attrs.field(factory=set[Guest])
    # Those with no complete request, whoever has waited longest first.
    _waiting: dict[Guest, None] = attrs.field(factory=dict[Guest, None])
    # In the order in which they came: the same events end them in the same order.
    _visits: dict[Visit, None] = attrs.field(factory=dict[Visit, None])

    def enter(self, guest: Guest) -> None:
        """A connection was accepted."""
        self.accepted += 1
        self._guests.add(guest)
        self._waiting[guest] = None

    def leave(self, guest: Guest) -> None:
        """A connection is closed."""
        self._guests.discard(guest)
        self._waiting.pop(guest, None)

    def wait(self, guest: Guest) -> None:
        """A connection has no request, from now on."""
        if guest in self._guests:
            self._waiting.pop(guest, None)
            self._waiting[guest] = None

    def settle(self, guest: Guest) -> None:
        """A connection stays, and is not closed to make room for others."""
        self._waiting.pop(guest, None)

    def begin(self, guest: Guest, visit: Visit) -> None:
        """A complete head has come."""
        self._waiting.pop(guest, None)
        self._visits[visit] = None

    def end(self, visit: Visit) -> None:
        """A request is over, answered or not."""
        if visit not in self._visits:
            return
        del self._visits[visit]
        self.answered += 1
        if not self._visits and self.on_idle is not None:
            self.on_idle()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._guests)

    @property
    def idle(self) -> bool:
        """Whether no request is in progress."""
        return not self._visits

    def make_room(self) -> bool:
        """Whether one more may come; who has waited longest goes for it."""
        if len(self._guests) < self.limit:
            return True
        return self.shed_one()

    def shed_one(self) -> bool:
        """Close the connection that has waited longest; False: none waits."""
        guest = next(iter(self._waiting), None)
        if guest is None:
            return False
        self.shed += 1
        self.leave(guest)
        guest.shed()
        return True

    def set_intake(self, *, open: bool) -> None:  # noqa: A002 -- as in the contract
        """Take new requests, or none: then idle connections are closed.

        Those whose request is still on its way get the answer that nothing is taken:
        closed, they could not know whether it was.
        """
        self.intake = open
        for guest in () if open else tuple(self._waiting):
            guest.retire()

    def finish(self) -> int:
        """Ask every request in progress to end; how many there were."""
        visits = tuple(self._visits)
        for visit in visits:
            visit.finish()
        return len(visits)

    def status(self) -> GatewayStatus:
        """Figures. Only while listening."""
        assert self.listening is not None
        return GatewayStatus(
            address=self.listening.address,
            control_ui=None if self.pages is None else self.pages.address,
            intake=self.intake,
            connections=len(self._guests),
            waiting=len(self._waiting),
            requests=len(self._visits),
            streams=sum(visit.streaming for visit in self._visits),
            limit=self.limit,
            accepted=self.accepted,
            answered=self.answered,
            refused=self.refused,
            shed=self.shed,
        )
