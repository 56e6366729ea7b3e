"""Who was seen: in the table at once, in the file a moment later, all together."""

from typing import Final

import attrs

import supervision
from beamclaw.contracts.store import AccessOp
from beamclaw.gateway.auth import rows
from beamclaw.gateway.auth.access import Holder
from beamclaw.gateway.auth.orders import Seen
from beamclaw.gateway.devices._book import Book
from beamclaw.values import frozen

NOTE_AFTER: Final = 1.0


@frozen
class Note:
    """It is time to write."""


@frozen
class Sightings:
    """Rows that are newer in the table than in the file."""

    _book: Book
    _seen: dict[Holder, None] = attrs.field(factory=dict[Holder, None])

    def note(self, seen: Seen) -> None:
        """Somebody was."""
        access = self._book.access
        if not self._seen:
            supervision.send_after(NOTE_AFTER, supervision.self_pid(), Note())
        key = access.keys.get(seen.key_id or "")
        if key is not None:
            access.keys[key.id] = attrs.evolve(key, used_at=seen.at)
            self._seen[Holder("key", key.id)] = None
        device = access.devices.get(seen.device_id or "")
        if device is None:
            return
        access.devices[device.id] = attrs.evolve(device, seen_at=seen.at)
        self._seen[Holder("device", device.id)] = None
        token = access.tokens.get((device.id, seen.role))
        if seen.token and token is not None:
            fresh = attrs.evolve(token, used_at=seen.at)
            access.tokens[device.id, seen.role] = fresh
            self._seen[Holder("device", device.id, seen.role)] = None

    async def write(self) -> None:
        """Write those that there are."""
        seen = tuple(self._seen)
        self._seen.clear()
        ops: list[AccessOp] = []
        for holder in seen:
            if holder.kind == "key" and holder.id in self._book.access.keys:
                key = self._book.access.keys[holder.id]
                ops.append(rows.key_row(key, self._book.access.held(holder)))
            elif holder.role:
                token = self._book.access.tokens.get((holder.id, holder.role))
                if token is not None:
                    hash_ = self._book.access.held(holder)
                    ops.append(rows.token_row(holder.id, token, hash_))
            elif holder.id in self._book.access.devices:
                ops.append(rows.device_row(self._book.access.devices[holder.id]))
        if ops:
            await self._book.write(*ops)
