"""Whether a device is the one it says: its key, its signature, the nonce it was given.

A device has an Ed25519 key; its id is the hash of the public half. With every connection
it signs what it asks for, together with the nonce of that connection's challenge, so that
nothing it has said before, or to somebody else, can be said again by another. Pure: the
time is an argument.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

import attrs

from beamclaw.gateway.auth.attempt import Device
from beamclaw.values import frozen

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9_-]{86}(?:==)?")
_UPPER: Final = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
)


@frozen(kw_only=True)
class Signed:
    """What the signature covers, beside the proof's own id, time and nonce.

    Attributes:
        scopes: In the order in which they were asked for.
        token: The secret that came with it; empty if there was none.
    """

    client_id: str
    client_mode: str
    role: str
    scopes: Sequence[str] = ()
    token: str = attrs.field(default="", repr=False)
    platform: str = ""
    family: str = ""


@frozen
class Fault:
    """Why a proof is none: the reason for programs, the words for a person."""

    reason: str
    code: str
    message: str


NO_KEY: Final = Fault(
    "device-public-key", "DEVICE_AUTH_PUBLIC_KEY_INVALID", "device public key invalid"
)
OTHER_ID: Final = Fault(
    "device-id-mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device identity mismatch"
)
STALE: Final = Fault(
    "device-signature-stale",
    "DEVICE_AUTH_SIGNATURE_EXPIRED",
    "device signature expired",
)
NO_NONCE: Final = Fault(
    "device-nonce-missing", "DEVICE_AUTH_NONCE_REQUIRED", "device nonce required"
)
OTHER_NONCE: Final = Fault(
    "device-nonce-mismatch", "DEVICE_AUTH_NONCE_MISMATCH", "device nonce mismatch"
)
FORGED: Final = Fault(
    "device-signature", "DEVICE_AUTH_SIGNATURE_INVALID", "device signature invalid"
)


def check(
    proof: Device, signed: Signed, *, nonce: str, now_ms: int, skew_ms: int
) -> Fault | None:
    """What is wrong with *proof*; None: it is that device.

    Args:
        proof: What the client has sent.
        signed: What it has asked for.
        nonce: The one of this connection's challenge.
        now_ms: The time, in milliseconds since the epoch.
        skew_ms: How far the client's time may be from it.
    """
    key = raw_key(proof.public_key)
    if key is None:
        return NO_KEY
    claimed = proof.id.encode("utf-8", "replace")
    if not hmac.compare_digest(id_of(key).encode(), claimed):
        return OTHER_ID
    return _when(proof, nonce, now_ms, skew_ms) or _signed(key, proof, signed)


def _when(proof: Device, nonce: str, now_ms: int, skew_ms: int) -> Fault | None:
    if abs(now_ms - proof.signed_at) > skew_ms:
        return STALE
    if not proof.nonce.strip():
        return NO_NONCE
    given = proof.nonce.encode("utf-8", "replace")
    return None if hmac.compare_digest(given, nonce.encode()) else OTHER_NONCE


def _signed(key: bytes, proof: Device, signed: Signed) -> Fault | None:
    signature = _signature(proof.signature)
    if signature is None:
        return FORGED
    texts = payloads(proof, signed)
    return None if any(_verifies(key, signature, text) for text in texts) else FORGED


def payloads(proof: Device, signed: Signed) -> tuple[bytes, bytes]:
    """What may have been signed: the third version's text, then the second's."""
    fields = (
        proof.id,
        signed.client_id,
        signed.client_mode,
        signed.role,
        ",".join(signed.scopes),
        str(proof.signed_at),
        signed.token,
        proof.nonce,
    )
    more = (_plain(signed.platform), _plain(signed.family))
    texts = "|".join(("v3", *fields, *more)), "|".join(("v2", *fields))
    return texts[0].encode("utf-8", "replace"), texts[1].encode("utf-8", "replace")


def raw_key(text: str) -> bytes | None:
    """The 32 bytes of a public key as clients write it; None: it is none."""
    if _KEY.fullmatch(text) is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(f"{text}=")
    except binascii.Error:
        return None
    # One key has one text: the last character's spare bits are zero.
    return raw if written(raw) == text else None


def written(raw: bytes) -> str:
    """Bytes as they stand in the protocol: base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def id_of(key: bytes) -> str:
    """The id of the device with the public key *key*."""
    return hashlib.sha256(key).hexdigest()


def _signature(text: str) -> bytes | None:
    if _SIGNATURE.fullmatch(text) is None:
        return None
    return base64.urlsafe_b64decode(text.rstrip("=") + "==")


def _plain(text: str) -> str:
    return text.strip().translate(_UPPER)


def load() -> None:
    """Load what checks signatures. Blocks for a moment, the first time."""
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    del ed25519


def _verifies(key: bytes, signature: bytes, text: bytes) -> bool:
    # A node without a device need not load it, and the loop never does.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
