"""Paired devices and their tokens: joined, named, removed, tokens made and made void."""

from typing import Final

import attrs

import supervision
from beamclaw.contracts import devices as contract
from beamclaw.contracts.devices import (
    Actor,
    Device,
    DeviceToken,
    NoSuchDevice,
    NotAllowed,
    PairRequest,
)
from beamclaw.contracts.store import AccessOp, DropDevice
from beamclaw.gateway.auth import management, minting, rows
from beamclaw.gateway.auth import scopes as scope
from beamclaw.gateway.auth.access import Holder, hash_of
from beamclaw.gateway.auth.orders import JoinDevice, Minted, MintToken
from beamclaw.gateway.devices._book import Book, union
from beamclaw.gateway.devices._waiting import Waiting
from beamclaw.values import frozen

PAIRED: Final = "beamclaw.gateway.paired"


@frozen
class Paired:
    """Those of the table."""

    _book: Book
    _waiting: Waiting

    # --- how they come in

    async def approve(self, order: contract.ApprovePairing) -> Device:
        """A person has agreed."""
        request = self._waiting.find(order.request_id)
        management.approve(order.actor, request)
        device = await self._pair(request, order.actor.by)
        self._waiting.resolve(request, "approved")
        return self._shown(device)

    def reject(self, order: contract.RejectPairing) -> PairRequest:
        """A person has not."""
        request = self._waiting.find(order.request_id)
        words = "device pairing rejection denied"
        management.own(order.actor, request.device_id, words)
        self._waiting.resolve(request, "rejected")
        return request

    async def join(self, order: JoinDevice) -> Minted:
        """Nobody has to be asked."""
        device = await self._pair(order.request, order.by)
        for request in self._waiting.of(device.id):
            if request.role == order.request.role:
                self._waiting.resolve(request, "approved")
        return await self.mint(MintToken(device_id=device.id, role=order.request.role))

    async def _pair(self, request: PairRequest, by: str) -> Device:
        """Write the device of *request* down, with what it asked for in addition."""
        access, now = self._book.access, self._book.now
        known = access.devices.get(request.device_id)
        before = known or Device(
            id=request.device_id,
            public_key=request.public_key,
            roles=(),
            scopes=(),
            paired_at=now,
            paired_by=by,
        )
        device = attrs.evolve(
            before,
            roles=union(before.roles, (request.role,)),
            scopes=union(before.scopes, request.scopes),
            name=request.name or before.name,
            platform=request.platform,
            family=request.family,
            client_id=request.client_id,
            client_mode=request.client_mode,
        )
        ops: list[AccessOp] = [rows.device_row(device)]
        token = access.tokens.get((device.id, request.role))
        if token is not None:
            token = attrs.evolve(token, scopes=union(token.scopes, request.scopes))
            held = self._book.access.held(Holder("device", device.id, request.role))
            ops.append(rows.token_row(device.id, token, held))
        await self._book.write(*ops)
        access.devices[device.id] = device
        if token is not None:
            access.tokens[device.id, token.role] = token
        supervision.emit(
            PAIRED,
            {},
            {"device": device.id, "role": request.role, "by": by, "new": known is None},
        )
        self._book.publish(contract.DevicesChanged(device.id))
        return device

    async def mint(self, order: MintToken) -> Minted:
        """A token, if there is none that is good."""
        device = self._device(order.device_id)
        if order.role not in device.roles:
            raise NoSuchDevice("unknown role")
        token = self._book.access.tokens.get((device.id, order.role))
        holder = Holder("device", device.id, order.role)
        if (
            token is not None
            and token.revoked_at is None
            and self._book.access.held(holder)
        ):
            return Minted()
        now = self._book.now
        scopes = device.scopes if order.role == "operator" else ()
        if token is not None and token.revoked_at is None:  # rotated, and narrowed
            scopes = token.scopes
        fresh = DeviceToken(
            role=order.role,
            scopes=scopes,
            made_at=now,
            rotated_at=None if token is None else token.rotated_at,
        )
        secret = minting.device_token()
        await self._put_token(device.id, fresh, secret)
        return Minted(secret=secret, at=now)

    async def _put_token(
        self, device_id: str, token: DeviceToken, secret: str | None
    ) -> None:
        hash_ = None if secret is None else hash_of(secret)
        await self._book.write(rows.token_row(device_id, token, hash_))
        self._book.access.tokens[device_id, token.role] = token
        self._book.access.set_hash(Holder("device", device_id, token.role), secret)

    # --- what becomes of them

    def list(self, actor: Actor) -> contract.Devices:
        """What *actor* may see."""
        self._waiting.expire()
        access = self._book.access
        paired = [self._shown(device) for device in access.devices.values()]
        return contract.Devices(
            pending=tuple(
                request
                for request in access.pending.values()
                if management.may_see(actor, request.device_id)
            ),
            paired=tuple(
                sorted(
                    (one for one in paired if management.may_see(actor, one.id)),
                    key=lambda one: (one.label or one.name, one.id),
                )
            ),
        )

    def _shown(self, device: Device) -> Device:
        access = self._book.access
        return attrs.evolve(
            device,
            tokens=access.tokens_of(device.id),
            connected=access.connected(device.id),
        )

    def _device(self, device_id: str) -> Device:
        found = self._book.access.devices.get(device_id)
        if found is None:
            raise NoSuchDevice("unknown deviceId")
        return found

    async def remove(self, order: contract.RemoveDevice) -> Device:
        """Forget one."""
        management.own(order.actor, order.device_id, "device pairing removal denied")
        device = self._device(order.device_id)
        management.manage(order.actor, device, "device pairing removal denied")
        shown = self._shown(device)
        await self._book.write(DropDevice(device.id))
        self._book.access.drop_device(device.id)
        for request in self._waiting.of(device.id):
            self._waiting.resolve(request, "rejected")
        self._cut("device removed", order.actor, device.id)
        self._book.publish(contract.DevicesChanged(device.id))
        return shown

    async def rename(self, order: contract.RenameDevice) -> Device:
        """Call it what its owner calls it."""
        label = order.label.strip()
        if not 0 < len(label) <= contract.LONGEST_LABEL or not label.isprintable():
            most = contract.LONGEST_LABEL
            raise ValueError(f"a label has 1 to {most} characters that can be seen")
        management.own(order.actor, order.device_id, "device pairing rename denied")
        device = self._device(order.device_id)
        management.manage(order.actor, device, "device pairing rename denied")
        device = attrs.evolve(device, label=label)
        await self._book.write(rows.device_row(device))
        self._book.access.devices[device.id] = device
        self._book.publish(contract.DevicesChanged(device.id))
        return self._shown(device)

    async def rotate(self, order: contract.RotateToken) -> contract.NewToken:
        """Another token in place of one."""
        device, old = self._token(order.actor, order.device_id, order.role)
        scopes = old.scopes if order.scopes is None else order.scopes
        management.token(order.actor, device, order.role, (*old.scopes, *scopes))
        approved = frozenset(device.scopes if order.role == "operator" else ())
        for name in scopes:
            if not scope.allows(approved, name):
                raise NotAllowed(f"the device was not given {name}", name)
        now = self._book.now
        fresh = DeviceToken(
            role=old.role, scopes=union(scopes), made_at=old.made_at, rotated_at=now
        )
        own = order.actor.device_id == device.id
        secret = minting.device_token() if own else None
        await self._put_token(device.id, fresh, secret)
        self._cut("token rotated", order.actor, device.id, old.role)
        return contract.NewToken(device_id=device.id, token=fresh, secret=secret)

    async def revoke(self, order: contract.RevokeToken) -> DeviceToken:
        """No token in place of one."""
        device, old = self._token(order.actor, order.device_id, order.role)
        management.token(order.actor, device, order.role, old.scopes)
        gone = attrs.evolve(old, revoked_at=self._book.now)
        await self._put_token(device.id, gone, None)
        self._cut("token revoked", order.actor, device.id, old.role)
        return gone

    def _token(
        self, actor: Actor, device_id: str, role: str
    ) -> tuple[Device, DeviceToken]:
        management.own(actor, device_id, "device token change denied")
        device = self._device(device_id)
        found = self._book.access.tokens.get((device_id, role))
        if found is None or found.revoked_at is not None:
            raise NoSuchDevice("the device has no token for that role")
        return device, found

    def _cut(
        self, reason: str, actor: Actor, device_id: str, role: str | None = None
    ) -> None:
        own = actor.device_id == device_id
        cut = self._book.cut_later if own else self._book.cut_device
        cut(reason, actor.by, device_id, role)
