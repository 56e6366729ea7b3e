"""Links for a browser: a code is made, and becomes a key of the one who brings it first.

They are in no file: whoever made one before a restart makes another one.
"""

from typing import Final

import attrs

from beamclaw.contracts import devices as contract
from beamclaw.contracts.devices import NoSuchDevice
from beamclaw.contracts.names import DEFAULT_TENANT
from beamclaw.gateway.auth import management, minting
from beamclaw.gateway.auth import scopes as scope
from beamclaw.gateway.auth.access import hash_of
from beamclaw.gateway.devices._book import Book
from beamclaw.gateway.devices._keys import Keys

# Codes that wait at once; one more takes the place of the oldest.
MOST: Final = 16
# Under this name its key stands in the list of keys.
NAME: Final = "page"


@attrs.define(eq=False)
class Links:
    """Those that nobody has brought yet, by their hashes, the oldest first."""

    _book: Book
    _keys: Keys
    _waiting: dict[bytes, tuple[float, contract.MakeLink]] = attrs.field(
        factory=dict[bytes, tuple[float, contract.MakeLink]], init=False
    )

    def make(self, order: contract.MakeLink) -> contract.Link:
        """Make one."""
        management.within(order.actor, (scope.ADMIN,))
        until = self._book.now + order.seconds
        code = minting.link_code()
        while len(self._waiting) >= MOST:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[hash_of(code)] = (until, order)
        return contract.Link(code=code, expires_at=until)

    async def take(self, order: contract.TakeLink) -> contract.NewKey:
        """Make a key of one. It is spent also if that fails."""
        until, made = self._waiting.pop(hash_of(order.code), (0.0, None))
        if made is None or until <= self._book.now:
            raise NoSuchDevice("the link was used before, or is too old")
        return await self._keys.create(
            contract.CreateKey(
                actor=made.actor,
                tenant=DEFAULT_TENANT,
                name=NAME,
                scopes=made.actor.scopes,
                seconds=made.key_seconds,
            )
        )
