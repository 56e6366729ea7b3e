"""Everybody who is let in beside the owner: devices with their tokens, and API keys.

A table like the runtime's own, written by one process (``gateway/devices``) after its
commit and read by whoever lets somebody in, at once and without asking anybody. It is
not a cache: what it says is what holds. It outlives that process; the next one reads the
rows again, and whoever is not in them any more is cut off.
"""

import hashlib
import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

import attrs
import trio

from beamclaw.contracts.devices import ApiKey, Device, DeviceToken, PairRequest
from beamclaw.gateway.auth.principal import Principal
from beamclaw.values import frozen

# How a secret begins, so that a person and a scanner know what they have found.
DEVICE_PREFIX: Final = "bcd_"
KEY_PREFIX: Final = "bck_"

Close = Callable[[str], None]


def hash_of(secret: str) -> bytes:
    """What is kept of a secret that we have made: it has 256 bits, so this is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


@frozen
class Holder:
    """Whose secret it is."""

    kind: Literal["device", "key"]
    id: str
    role: str = ""


@attrs.define(eq=False)
class Access:
    """The table.

    Attributes:
        devices: By id, without their tokens.
        tokens: By device and role; those that are void, too.
        keys: By id; those that are void, too.
        pending: Requests by id, the oldest first. They are in no file: a device whose
            request is gone asks again.
        doomed: Devices with a role that are to be cut off in a moment, and why: one of
            them has asked for that, and hears of it first.
    """

    devices: dict[str, Device] = attrs.field(factory=dict[str, Device])
    tokens: dict[tuple[str, str], DeviceToken] = attrs.field(
        factory=dict[tuple[str, str], DeviceToken]
    )
    keys: dict[str, ApiKey] = attrs.field(factory=dict[str, ApiKey])
    pending: dict[str, PairRequest] = attrs.field(factory=dict[str, PairRequest])
    doomed: dict[tuple[str, str | None], str] = attrs.field(
        factory=dict[tuple[str, str | None], str]
    )
    _of_hash: dict[bytes, Holder] = attrs.field(factory=dict[bytes, Holder], init=False)
    _hash_of: dict[Holder, bytes] = attrs.field(factory=dict[Holder, bytes], init=False)
    _loaded: trio.Event = attrs.field(factory=trio.Event, init=False)
    _guests: dict[object, tuple[Principal, Close]] = attrs.field(
        factory=dict[object, tuple[Principal, Close]], init=False
    )

    # --- who it is

    @property
    def loaded(self) -> bool:
        """Whether the rows have been read."""
        return self._loaded.is_set()

    async def wait_loaded(self) -> None:
        """Wait until they have."""
        await self._loaded.wait()

    def device_token(self, secret: str) -> tuple[Device, DeviceToken] | None:
        """Whose device token *secret* is; None: nobody's, or void."""
        holder = self._of_hash.get(hash_of(secret))
        if holder is None or holder.kind != "device":
            return None
        device = self.devices.get(holder.id)
        token = self.tokens.get((holder.id, holder.role))
        if device is None or token is None or token.revoked_at is not None:
            return None
        return device, token

    def api_key(self, secret: str, now: float) -> ApiKey | None:
        """Which key *secret* is; None: none, or it is void at *now*."""
        holder = self._of_hash.get(hash_of(secret))
        if holder is None or holder.kind != "key":
            return None
        key = self.keys.get(holder.id)
        if key is None or is_void(key, now):
            return None
        return key

    # --- what was read or written

    def load(
        self,
        devices: Mapping[str, Device],
        tokens: Mapping[tuple[str, str], DeviceToken],
        keys: Mapping[str, ApiKey],
        hashes: Mapping[bytes, Holder],
    ) -> None:
        """Take what the rows say in place of everything before."""
        self.devices, self.tokens = dict(devices), dict(tokens)
        self.keys, self._of_hash = dict(keys), dict(hashes)
        self._hash_of = {holder: hash_ for hash_, holder in hashes.items()}
        self._loaded.set()

    def holders(self) -> dict[Holder, bytes]:
        """Whoever has a secret that is good, and its hash."""
        return dict(self._hash_of)

    def held(self, holder: Holder) -> bytes | None:
        """The hash of the holder's secret; None: it has none that is good."""
        return self._hash_of.get(holder)

    def set_hash(self, holder: Holder, secret: str | None) -> None:
        """*secret* is the holder's from now on, and no other one is."""
        before = self._hash_of.pop(holder, None)
        if before is not None:
            del self._of_hash[before]
        if secret is not None:
            self._hash_of[holder] = hash_of(secret)
            self._of_hash[hash_of(secret)] = holder

    def drop_device(self, device_id: str) -> None:
        """Forget a device with its tokens."""
        self.devices.pop(device_id, None)
        for key in [key for key in self.tokens if key[0] == device_id]:
            del self.tokens[key]
            self.set_hash(Holder("device", *key), None)

    def tokens_of(self, device_id: str) -> tuple[DeviceToken, ...]:
        """Those of a device, by role."""
        return tuple(
            token for (id_, _), token in sorted(self.tokens.items()) if id_ == device_id
        )

    # --- who is here

    @contextmanager
    def guest(self, principal: Principal, close: Close) -> Generator[None]:
        """*principal* is here until the block ends; *close* cuts it off.

        Whoever lets somebody in does everything for him inside this block. *close* is
        given the reason, must not wait, and may be called from any task.
        """
        ticket = object()
        self._guests[ticket] = principal, close
        try:
            yield
        finally:
            del self._guests[ticket]

    def cut(
        self,
        reason: str,
        *,
        device_id: str | None = None,
        role: str | None = None,
        key_id: str | None = None,
    ) -> int:
        """Cut off whoever is here as that device (in that role) or with that key."""
        found = [
            close
            for who, close in self._guests.values()
            if (
                (device_id is not None and who.device_id == device_id)
                and (role is None or who.role == role)
            )
            or (key_id is not None and who.key_id == key_id)
        ]
        for close in found:
            close(reason)
        return len(found)

    def guests(self) -> tuple[Principal, ...]:
        """Who is here."""
        return tuple(who for who, _ in self._guests.values())

    def connected(self, device_id: str) -> int:
        """How many connections of a device there are."""
        return sum(who.device_id == device_id for who, _ in self._guests.values())


def is_void(key: ApiKey, now: float) -> bool:
    """Whether a key is good for nothing any more."""
    return void_since(key) <= now


def void_since(key: ApiKey) -> float:
    """When a key was or will be good for nothing; infinity: it does not end by itself."""
    ends = (key.expires_at, key.revoked_at)
    return min((end for end in ends if end is not None), default=math.inf)
