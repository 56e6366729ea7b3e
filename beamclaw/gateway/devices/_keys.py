"""API keys: made, shown once, revoked."""

import math
from collections.abc import Sequence

import attrs

import supervision
from beamclaw.contracts import devices as contract
from beamclaw.contracts.devices import ApiKey, NoSuchDevice
from beamclaw.contracts.names import DEFAULT_TENANT
from beamclaw.contracts.store import DropKey
from beamclaw.gateway.auth import management, minting, rows
from beamclaw.gateway.auth import scopes as scope
from beamclaw.gateway.auth.access import Holder, hash_of, is_void, void_since
from beamclaw.gateway.devices._book import Book, union
from beamclaw.values import frozen


@frozen
class Keys:
    """Those of the table."""

    _book: Book
    _keep_void: float

    def list(self, tenant: str | None) -> tuple[ApiKey, ...]:
        """Those of *tenant*, the oldest first."""
        found = self._book.access.keys.values()
        mine = [key for key in found if tenant in (None, key.tenant)]
        return tuple(sorted(mine, key=lambda key: (key.made_at, key.id)))

    async def create(self, order: contract.CreateKey) -> contract.NewKey:
        """Make one."""
        management.within(order.actor, (scope.ADMIN, *order.scopes))
        _check(order)
        now = self._book.now
        key = ApiKey(
            id=minting.key_id(),
            tenant=order.tenant,
            name=order.name.strip(),
            scopes=union(order.scopes),
            made_at=now,
            made_by=order.actor.by,
            expires_at=None if order.seconds is None else now + order.seconds,
        )
        secret = minting.api_key(key.id)
        # Each new one takes those along that have been void for long: so they do not grow.
        old = self._old(now)
        await self._book.write(rows.key_row(key, hash_of(secret)), *map(DropKey, old))
        for key_id in old:
            del self._book.access.keys[key_id]
        self._book.access.keys[key.id] = key
        self._book.access.set_hash(Holder("key", key.id), secret)
        supervision.emit(
            "beamclaw.gateway.key_made",
            {},
            {
                "key": key.id,
                "name": key.name,
                "scopes": " ".join(sorted(key.scopes)),
                "by": order.actor.by,
            },
        )
        return contract.NewKey(key=key, secret=secret)

    def _old(self, now: float) -> Sequence[str]:
        before = now - self._keep_void
        keys = self._book.access.keys.values()
        return [key.id for key in keys if void_since(key) <= before]

    async def revoke(self, order: contract.RevokeKey) -> ApiKey:
        """Make one void."""
        management.within(order.actor, (scope.ADMIN,))
        found = self._book.access.keys.get(order.id)
        if found is None or found.revoked_at is not None:
            raise NoSuchDevice(f"there is no key {order.id} that is good for anything")
        gone = attrs.evolve(found, revoked_at=self._book.now)
        await self._book.write(rows.key_row(gone, None))
        self._book.access.keys[gone.id] = gone
        self._book.access.set_hash(Holder("key", gone.id), None)
        self._book.cut_key("API key revoked", order.actor.by, gone.id)
        return gone

    def expire(self) -> None:
        """Cut off whoever is here with one that has expired."""
        access, now = self._book.access, self._book.now
        for key_id in {who.key_id for who in access.guests()}:
            key = access.keys.get(key_id or "")
            if key is not None and is_void(key, now):
                self._book.cut_key("API key expired", "time", key.id)


def _check(order: contract.CreateKey) -> None:
    name = order.name.strip()
    if not 0 < len(name) <= contract.LONGEST_NAME or not name.isprintable():
        most = contract.LONGEST_NAME
        raise ValueError(f"a key's name has 1 to {most} characters that can be seen")
    if order.tenant != DEFAULT_TENANT:
        raise ValueError(f"there is no tenant {order.tenant!r}")
    unknown = [name for name in order.scopes if name not in scope.ALL]
    if unknown or not order.scopes:
        known = ", ".join(sorted(scope.ALL))
        raise ValueError(f"a key has one or more of the scopes {known}")
    if order.seconds is not None and not 0 < order.seconds < math.inf:
        raise ValueError("a key is good for more than 0 seconds")
