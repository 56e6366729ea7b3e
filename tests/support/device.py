"""A device of a client: its key, and what it signs."""

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from beamclaw.gateway.auth import device as proofs
from beamclaw.gateway.auth.attempt import Attempt, Device, Secrets
from beamclaw.gateway.auth.device import Signed


def key(seed: int = 1) -> Ed25519PrivateKey:
    """The same key for the same number."""
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def public(seed: int = 1) -> str:
    """Its public half, as clients write it."""
    return proofs.written(key(seed).public_key().public_bytes_raw())


def id_of(seed: int = 1) -> str:
    """The id of the device with that key."""
    return proofs.id_of(key(seed).public_key().public_bytes_raw())


def prove(
    signed: Signed, *, nonce: str, at_ms: int, seed: int = 1, version: int = 3, **other
) -> Device:
    """What such a device sends; *other* is changed after it has signed."""
    bare = Device(
        id=id_of(seed),
        public_key=public(seed),
        signature="",
        signed_at=at_ms,
        nonce=nonce,
    )
    text = proofs.payloads(bare, signed)[3 - version]
    signature = proofs.written(key(seed).sign(text))
    return attrs.evolve(bare, **{"signature": signature, **other})


def prove_attempt(attempt: Attempt, *, seed: int = 1, **other) -> Attempt:
    """*attempt* by a client with that device."""
    given: Secrets = attempt.secrets
    secret = given.token or given.device_token or given.bootstrap_token
    signed = Signed(
        client_id=attempt.client_id,
        client_mode=attempt.mode,
        role=attempt.role,
        scopes=attempt.scopes or (),
        token="" if secret is None else secret.reveal(),
        platform=attempt.platform,
        family=attempt.device_family,
    )
    proof = prove(signed, nonce=attempt.nonce, at_ms=attempt.challenged_ms, seed=seed)
    return attrs.evolve(attempt, device=attrs.evolve(proof, **other))
