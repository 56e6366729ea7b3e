"""The table and its file: written in this order, and what follows from it."""

from collections.abc import Callable
from typing import Final

import supervision
from beamclaw.contracts import devices as contract
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.contracts.store import AccessOp, ChangeAccess, ReadAccess
from beamclaw.gateway.auth import rows
from beamclaw.gateway.auth.access import Access
from beamclaw.values import frozen

STORE: Final = "store"
CUT: Final = "beamclaw.gateway.cut"
# Seconds in which an answer reaches whoever has cut himself off.
ANSWERED_SECONDS: Final = 0.25


@frozen
class CutDoomed:
    """They have heard by now."""


@frozen
class Book:
    """What everything that this process does stands on."""

    access: Access
    bus: Bus
    outside: Outside
    tell: Callable[[object], object]

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.outside.wall()

    async def load(self) -> None:
        """Take what the rows say, and cut off whoever is not in them any more.

        A process that died between the commit and that has left it to its successor.
        """
        found = await self.bus.call(STORE, ReadAccess(), timeout=None)
        before, devices = self.access.holders(), set(self.access.devices)
        with point("devices.load"):
            rows.load(found, self.access)
        for device_id in devices - self.access.devices.keys():
            self.cut_device("device removed", "restart", device_id)
        for holder, hash_ in before.items():
            if self.access.held(holder) == hash_:
                continue
            if holder.kind == "key":
                self.cut_key("API key revoked", "restart", holder.id)
            else:
                self.cut_device("token revoked", "restart", holder.id, holder.role)
        self.cut_doomed()

    async def write(self, *ops: AccessOp) -> None:
        """Commit *ops*; the table is changed after that, in the same step."""
        with point("devices.write"):
            await self.bus.call(STORE, ChangeAccess(ops), timeout=None)

    def publish(self, value: object) -> None:
        """Tell whoever wants to know; clients first."""
        self.tell(value)
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

    def cut_later(
        self, reason: str, by: str, device_id: str, role: str | None = None
    ) -> None:
        """Cut off that device, on whose own order it is: it hears of it first."""
        del by
        self.access.doomed[device_id, role] = reason
        supervision.send_after(ANSWERED_SECONDS, supervision.self_pid(), CutDoomed())

    def cut_doomed(self) -> None:
        """They have heard."""
        doomed = dict(self.access.doomed)
        self.access.doomed.clear()
        for (device_id, role), reason in doomed.items():
            self.cut_device(reason, "itself", device_id, role)


def union(*groups: tuple[str, ...]) -> tuple[str, ...]:
    """Everything in *groups*, once, in order."""
    return tuple(sorted({name for group in groups for name in group}))
