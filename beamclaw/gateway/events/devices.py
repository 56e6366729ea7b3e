"""Devices and pairing in OpenClaw's shapes, and keys in ours. Times are milliseconds since the epoch."""

from typing import Any, Final

from beamclaw.contracts.devices import (
    ApiKey,
    Device,
    DeviceToken,
    PairRequest,
    PairRequested,
    PairResolved,
)

REQUESTED: Final = "device.pair.requested"
RESOLVED: Final = "device.pair.resolved"
EVENTS: Final = (REQUESTED, RESOLVED)

Shape = dict[str, Any]


def event_of(value: object) -> tuple[str, Shape] | None:
    """The event that tells of *value*; None: there is none."""
    match value:
        case PairRequested(request):
            return REQUESTED, request_shape(request)
        case PairResolved():
            decision = "rejected" if value.decision == "expired" else value.decision
            return RESOLVED, {
                "requestId": value.request_id,
                "deviceId": value.device_id,
                "decision": decision,
                "ts": _ms(value.at),
            }
        case _:
            return None


def request_shape(request: PairRequest) -> Shape:
    """A device that waits."""
    return _said(
        {
            "requestId": request.id,
            "deviceId": request.device_id,
            "publicKey": request.public_key,
            "displayName": request.name,
            "platform": request.platform,
            "deviceFamily": request.family,
            "clientId": request.client_id,
            "clientMode": request.client_mode,
            "role": request.role,
            "roles": [request.role],
            "scopes": list(request.scopes),
            "remoteIp": request.address,
            "silent": False,
            "isRepair": request.known,
            "ts": _ms(request.at),
        }
    )


def device_shape(device: Device) -> Shape:
    """A paired device; of its tokens what they are good for, never they themselves."""
    return _said(
        {
            "deviceId": device.id,
            "publicKey": device.public_key,
            "displayName": device.name,
            "operatorLabel": device.label,
            "platform": device.platform,
            "deviceFamily": device.family,
            "clientId": device.client_id,
            "clientMode": device.client_mode,
            "role": device.roles[0] if device.roles else "",
            "roles": list(device.roles),
            "scopes": list(device.scopes),
            "approvedVia": device.paired_by,
            "createdAtMs": _ms(device.paired_at),
            "approvedAtMs": _ms(device.paired_at),
            "lastSeenAtMs": _ms(device.seen_at),
            "connected": device.connected > 0,
            "tokens": [token_shape(token) for token in device.tokens],
        }
    )


def token_shape(token: DeviceToken) -> Shape:
    """What a token is good for."""
    return _said(
        {
            "role": token.role,
            "scopes": list(token.scopes),
            "createdAtMs": _ms(token.made_at),
            "rotatedAtMs": _ms(token.rotated_at),
            "revokedAtMs": _ms(token.revoked_at),
            "lastUsedAtMs": _ms(token.used_at),
        }
    )


def key_shape(key: ApiKey) -> Shape:
    """An API key: what it is good for, never it itself."""
    return _said(
        {
            "id": key.id,
            "name": key.name,
            "scopes": list(key.scopes),
            "createdAtMs": _ms(key.made_at),
            "createdBy": key.made_by,
            "expiresAtMs": _ms(key.expires_at),
            "revokedAtMs": _ms(key.revoked_at),
            "lastUsedAtMs": _ms(key.used_at),
        }
    )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _said(shape: Shape) -> Shape:
    """Without what is not known: an empty text is no name."""
    return {name: value for name, value in shape.items() if value not in (None, "")}
