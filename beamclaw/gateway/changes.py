"""Tells clients that something about a session has changed, with how it is now.

How it is now stands in the tenant's ledger, which may be slow, or on its way back. So
this is a process of its own beside :mod:`beamclaw.gateway.broadcast`, to which it is
linked: words of turns never wait for it. What comes too fast or takes too long is told
without the session; clients then ask for it.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import trio

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_reads import ReadSessionRow
from beamclaw.contracts.ledger_rows import SessionRow
from beamclaw.contracts.outside import Outside
from beamclaw.gateway import frames
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.events.rows import Lately, session_row
from beamclaw.gateway.events.runs import agent_of
from beamclaw.gateway.hall import Client, Hall
from beamclaw.values import frozen

# Seconds that a tenant may take for a session.
PATIENCE: Final = 0.25
# Seconds in which a tenant that took longer is not asked again.
REST: Final = 1.0
# Changes that may wait; of more, the oldest are told without the session.
WAITING: Final = 1024


@frozen
class _Change:
    tenant: str
    key: str
    facts: Mapping[str, object]
    lately: Lately | None
    at_ms: int


class SessionChanges:
    """Changes in the order in which they were told of."""

    def __init__(self, hall: Hall, bus: Bus, outside: Outside) -> None:
        self._hall = hall
        self._bus = bus
        self._outside = outside
        self._waiting = deque[_Change]()
        self._some = trio.Event()
        # Tenants that were too slow, and until when they are left alone.
        self._resting: dict[str, float] = {}

    def tell(
        self,
        tenant: str,
        key: str,
        facts: Mapping[str, object],
        lately: Lately | None = None,
    ) -> None:
        """Have clients told that the session *key* has changed.

        Args:
            tenant: Whose it is.
            key: Of the session.
            facts: What has happened to it.
            lately: What is known of its last turn.
        """
        if not any(_hears(each, tenant) for each in self._hall):
            return
        if len(self._waiting) >= WAITING:
            self._out(self._waiting.popleft(), None)
        now = round(self._outside.wall() * 1000)
        self._waiting.append(_Change(tenant, key, facts, lately, now))
        self._some.set()

    async def run(self) -> None:
        """The process."""
        while True:
            while self._waiting:
                change = self._waiting.popleft()
                self._out(change, await self._row(change.tenant, change.key))
                await trio.lowlevel.checkpoint()
            self._some = trio.Event()
            await self._some.wait()

    async def _row(self, tenant: str, key: str) -> SessionRow | None:
        if trio.current_time() < self._resting.get(tenant, 0.0):
            return None
        ledger = names.of_tenant(tenant, "ledger")
        try:
            return await self._bus.call(ledger, ReadSessionRow(key), timeout=PATIENCE)
        except (supervision.CallFailed, LedgerError):
            self._resting[tenant] = trio.current_time() + REST
            return None

    def _out(self, change: _Change, row: SessionRow | None) -> None:
        payload: dict[str, Any] = {
            "sessionKey": change.key,
            "agentId": agent_of(change.key),
            "ts": change.at_ms,
            **change.facts,
        }
        if row is not None:
            payload["session"] = session_row(row, change.lately)
            payload["ancestorSessions"] = list[object]()
        receivers = [each for each in self._hall if _hears(each, change.tenant)]
        self._hall.send(frames.event("sessions.changed", payload), receivers)


def _hears(client: Client, tenant: str) -> bool:
    return client.sessions and client.may_see(tenant, READ)
