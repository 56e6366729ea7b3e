"""The table and its file: written in this order, and what follows from it."""

from typing import Final

import attrs

import supervision
from beamclaw.contracts import devices as contract
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.contracts.store import AccessOp, ChangeAccess, ReadAccess
from beamclaw.gateway.auth import rows
from beamclaw.gateway.auth.access import Access, is_void

STORE: Final = "store"
CUT: Final = "beamclaw.gateway.cut"


@attrs.frozen
class Book:
    """What everything that this process does stands on."""

    access: Access
    bus: Bus
    outside: Outside

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.outside.wall()

    async def load(self) -> None:
        """Take what the rows say, and cut off whoever is in none."""
        found = await self.bus.call(STORE, ReadAccess(), timeout=None)
        with point("devices.load"):
            rows.load(found, self.access)
        self._cut_strangers()

    async def write(self, *ops: AccessOp) -> None:
        """Commit *ops*; the table is changed after that, in the same step."""
        with point("devices.write"):
            await self.bus.call(STORE, ChangeAccess(ops), timeout=None)

    def publish(self, value: object) -> None:
        """Tell whoever wants to know."""
        self.bus.publish(contract.TOPIC, value)

    def cut_device(
        self, reason: str, by: str, device_id: str, role: str | None = None
    ) -> None:
        """Cut off whoever is here as that device."""
        count = self.access.cut(reason, device_id=device_id, role=role)
        supervision.emit(
            CUT,
            {"connections": count},
            {"device": device_id, "key": "", "reason": reason, "by": by},
        )

    def cut_key(self, reason: str, by: str, key_id: str) -> None:
        """Cut off whoever is here with that key."""
        count = self.access.cut(reason, key_id=key_id)
        supervision.emit(
            CUT,
            {"connections": count},
            {"device": "", "key": key_id, "reason": reason, "by": by},
        )

    def _cut_strangers(self) -> None:
        """A process that died between commit and cut has left them to its successor."""
        access, now = self.access, self.now
        for who in access.guests():
            key = access.keys.get(who.key_id or "")
            if who.key_id is not None and (key is None or is_void(key, now)):
                self.cut_key("API key revoked", "restart", who.key_id)
            if who.device_id is None or who.method != "device-token":
                continue
            token = access.tokens.get((who.device_id, who.role))
            if token is None or token.revoked_at is not None:
                self.cut_device("token revoked", "restart", who.device_id, who.role)


def union(*groups: tuple[str, ...]) -> tuple[str, ...]:
    """Everything in *groups*, once, in order."""
    return tuple(sorted({name for group in groups for name in group}))
