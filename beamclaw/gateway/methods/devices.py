"""Devices: who waits to be paired, who is, and their tokens; and API keys.

A client that came with a device's own token manages that device alone, unless it may do
everything; see :mod:`beamclaw.gateway.auth.management`.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Final, TypeVar

import supervision
from beamclaw.arguments import Length, Range
from beamclaw.contracts import devices
from beamclaw.contracts.devices import NAME, Actor, NoSuchDevice, NotAllowed
from beamclaw.contracts.store import DataFolderError
from beamclaw.gateway.auth.scopes import ADMIN, PAIRING
from beamclaw.gateway.errors import invalid, unavailable
from beamclaw.gateway.events.devices import device_shape, key_shape, request_shape
from beamclaw.gateway.methods._method import Context, NoParams, Text, method
from beamclaw.values import frozen

R = TypeVar("R")
Scopes = Annotated[tuple[Text, ...], Length(0, 64)]
# Ten years, in seconds: who wants a key for longer wants one for ever.
LONGEST_KEY: Final = 315_360_000


@frozen(kw_only=True)
class RequestParams:
    """A request that waits."""

    request_id: Text


@frozen(kw_only=True)
class DeviceParams:
    """A paired device."""

    device_id: Text


@frozen(kw_only=True)
class RenameParams:
    """A paired device, and how it is called from now on."""

    device_id: Text
    label: Annotated[str, Length(1, devices.LONGEST_LABEL)]


@frozen(kw_only=True)
class TokenParams:
    """A device's token for one role."""

    device_id: Text
    role: Text


@frozen(kw_only=True)
class RotateParams:
    """A token, and what the one in its place is good for."""

    device_id: Text
    role: Text
    scopes: Scopes | None = None


@method("device.pair.list", scope=PAIRING)
async def pair_list(context: Context, params: NoParams) -> object:
    """Devices that wait to be paired, and those that are."""
    del params
    found = await _ask(context, devices.ListDevices(actor=_actor(context)))
    return {
        "pending": [request_shape(request) for request in found.pending],
        "paired": [device_shape(device) for device in found.paired],
    }


@method("device.pair.approve", scope=PAIRING, params=RequestParams)
async def pair_approve(context: Context, params: RequestParams) -> object:
    """Let a device in that waits, with no more than one has oneself."""
    order = devices.ApprovePairing(
        actor=_actor(context), request_id=params.request_id.strip()
    )
    device = await _ask(context, order)
    return {"requestId": order.request_id, "device": device_shape(device)}


@method("device.pair.reject", scope=PAIRING, params=RequestParams)
async def pair_reject(context: Context, params: RequestParams) -> object:
    """Send a device away that waits."""
    order = devices.RejectPairing(
        actor=_actor(context), request_id=params.request_id.strip()
    )
    request = await _ask(context, order)
    return {"requestId": request.id, "deviceId": request.device_id}


@method("device.pair.remove", scope=PAIRING, params=DeviceParams)
async def pair_remove(context: Context, params: DeviceParams) -> object:
    """Forget a device, and close its connections."""
    order = devices.RemoveDevice(actor=_actor(context), device_id=params.device_id)
    device = await _ask(context, order)
    return {"deviceId": device.id}


@method("device.pair.rename", scope=PAIRING, params=RenameParams)
async def pair_rename(context: Context, params: RenameParams) -> object:
    """Call a device something."""
    order = devices.RenameDevice(
        actor=_actor(context), device_id=params.device_id, label=params.label
    )
    device = await _ask(context, order)
    return {"deviceId": device.id, "label": device.label}


@method("device.token.rotate", scope=PAIRING, params=RotateParams)
async def token_rotate(context: Context, params: RotateParams) -> object:
    """Another token in place of a device's; told to that device alone."""
    order = devices.RotateToken(
        actor=_actor(context),
        device_id=params.device_id,
        role=params.role,
        scopes=params.scopes,
    )
    made = await _ask(context, order)
    told = {"tokenDelivery": "withheld-cross-device"}
    if made.secret is not None:
        told = {"tokenDelivery": "in-band", "token": made.secret}
    return {
        "deviceId": made.device_id,
        "role": made.token.role,
        "scopes": list(made.token.scopes),
        "rotatedAtMs": round((made.token.rotated_at or 0.0) * 1000),
        **told,
    }


@method("device.token.revoke", scope=PAIRING, params=TokenParams)
async def token_revoke(context: Context, params: TokenParams) -> object:
    """Make a device's token void, and close its connections."""
    order = devices.RevokeToken(
        actor=_actor(context), device_id=params.device_id, role=params.role
    )
    token = await _ask(context, order)
    return {
        "deviceId": params.device_id,
        "role": token.role,
        "revokedAtMs": round((token.revoked_at or 0.0) * 1000),
    }


@frozen(kw_only=True)
class NewKeyParams:
    """What a key is called and good for; without *seconds*, for ever."""

    name: Annotated[str, Length(1, devices.LONGEST_NAME)]
    scopes: Annotated[tuple[Text, ...], Length(1, 64)]
    seconds: Annotated[int, Range(1, LONGEST_KEY)] | None = None


@frozen(kw_only=True)
class KeyParams:
    """A key."""

    id: Text


@method("beamclaw.keys.list", scope=ADMIN, published=False)
async def key_list(context: Context, params: NoParams) -> object:
    """API keys, the oldest first, void ones too; the keys themselves are nowhere."""
    del params
    order = devices.ListKeys(actor=_actor(context), tenant=context.tenant)
    found = await _ask(context, order)
    own = context.principal.key_id
    return {"keys": [{**key_shape(key), "own": key.id == own} for key in found]}


@method("beamclaw.keys.create", scope=ADMIN, params=NewKeyParams, published=False)
async def key_create(context: Context, params: NewKeyParams) -> object:
    """Make an API key; it is told this once."""
    order = devices.CreateKey(
        actor=_actor(context),
        tenant=context.tenant,
        name=params.name,
        scopes=params.scopes,
        seconds=params.seconds,
    )
    made = await _ask(context, order)
    return {"key": key_shape(made.key), "secret": made.secret}


@method("beamclaw.keys.revoke", scope=ADMIN, params=KeyParams, published=False)
async def key_revoke(context: Context, params: KeyParams) -> object:
    """Make an API key void; what is in progress with it is cut off."""
    order = devices.RevokeKey(actor=_actor(context), id=params.id)
    return {"key": key_shape(await _ask(context, order))}


def _actor(context: Context) -> Actor:
    principal = context.principal
    own = principal.method == "device-token"
    return Actor(
        by=principal.account,
        scopes=tuple(sorted(principal.scopes)),
        device_id=principal.device_id if own else None,
    )


async def _ask(context: Context, order: supervision.Call[R]) -> R:
    with _in_words():
        return await context.bus.call(NAME, order)


@contextmanager
def _in_words() -> Generator[None]:
    try:
        yield
    except NotAllowed as error:
        details = {} if error.missing is None else {"missingScope": error.missing}
        raise invalid(str(error), **details) from None
    except (NoSuchDevice, ValueError) as error:
        raise invalid(str(error)) from None
    except (supervision.CallFailed, DataFolderError) as error:
        raise unavailable(
            f"devices and keys cannot be managed now: {error}", retry_after=0.5
        ) from None


METHODS = (
    pair_list,
    pair_approve,
    pair_reject,
    pair_remove,
    pair_rename,
    token_rotate,
    token_revoke,
    key_list,
    key_create,
    key_revoke,
)
