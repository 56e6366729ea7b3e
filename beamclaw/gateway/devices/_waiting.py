"""Devices that wait for a person: asked, answered, or forgotten after a while.

They stand in the table and in no file: who is not answered asks again.
"""

import attrs

from beamclaw.config.schema import PairingConfig
from beamclaw.contracts.devices import (
    Decision,
    NoSuchDevice,
    PairRequest,
    PairRequested,
    PairResolved,
)
from beamclaw.gateway.auth.orders import Crowded
from beamclaw.gateway.devices._book import Book
from beamclaw.values import frozen


@frozen
class Waiting:
    """Those of the table."""

    _book: Book
    _pairing: PairingConfig

    @property
    def full(self) -> bool:
        """Whether one more may not wait."""
        return len(self._book.access.pending) >= self._pairing.max_waiting

    def ask(self, wanted: PairRequest) -> str:
        """Have *wanted* wait; the id under which it does.

        Raises:
            Crowded: Too many wait.
        """
        access, now = self._book.access, self._book.now
        self.expire()
        for waiting in tuple(access.pending.values()):
            if (waiting.device_id, waiting.role) != (wanted.device_id, wanted.role):
                continue
            if frozenset(waiting.scopes) == frozenset(wanted.scopes):
                fresh = attrs.evolve(waiting, expires_at=now + self._pairing.seconds)
                access.pending[waiting.id] = fresh
                return waiting.id
            self.resolve(waiting, "rejected")
        if self.full:
            raise Crowded
        request = attrs.evolve(
            wanted,
            id=self._book.outside.new_id(),
            at=now,
            expires_at=now + self._pairing.seconds,
            known=wanted.device_id in access.devices,
        )
        access.pending[request.id] = request
        self._book.publish(PairRequested(request))
        return request.id

    def resolve(self, request: PairRequest, decision: Decision) -> None:
        """It waits no more."""
        self._book.access.pending.pop(request.id, None)
        said = PairResolved(
            request_id=request.id,
            device_id=request.device_id,
            decision=decision,
            at=self._book.now,
        )
        self._book.publish(said)

    def find(self, request_id: str) -> PairRequest:
        """The one that waits under that id.

        Raises:
            NoSuchDevice: None does (any more).
        """
        self.expire()
        found = self._book.access.pending.get(request_id)
        if found is None:
            raise NoSuchDevice("unknown requestId")
        return found

    def of(self, device_id: str) -> tuple[PairRequest, ...]:
        """Those of a device."""
        found = self._book.access.pending.values()
        return tuple(one for one in found if one.device_id == device_id)

    def expire(self) -> None:
        """Forget those that have waited too long."""
        now = self._book.now
        for request in tuple(self._book.access.pending.values()):
            if request.expires_at <= now:
                self.resolve(request, "expired")
