"""New secrets. They are random beyond any test's foresight, so they are made here."""

import secrets

from beamclaw.gateway.auth.access import DEVICE_PREFIX, KEY_PREFIX

# Of a key's id, which is public: so few are made that eight letters do.
_ID_BYTES = 5


def device_token() -> str:
    """A token of a device."""
    return f"{DEVICE_PREFIX}{secrets.token_urlsafe(32)}"


def link_code() -> str:
    """A code that is good once, for a browser."""
    return secrets.token_urlsafe(32)


def key_id() -> str:
    """The public part of an API key."""
    return secrets.token_hex(_ID_BYTES)


def api_key(id_: str) -> str:
    """An API key with the id *id_*."""
    return f"{KEY_PREFIX}{id_}_{secrets.token_urlsafe(32)}"
