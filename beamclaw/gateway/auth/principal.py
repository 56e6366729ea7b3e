"""Somebody whose credentials were good: the one value that decides what is allowed."""

from typing import Literal

from beamclaw.contracts import names
from beamclaw.gateway.auth import scopes
from beamclaw.values import frozen

Role = Literal["operator", "node", "worker"]
Means = Literal["token", "password", "device-token", "api-key", "trusted-proxy", "none"]


@frozen(kw_only=True)
class Principal:
    """Who asks.

    Attributes:
        role: What part of the protocol they speak.
        scopes: What they may do: what they asked for, cut to what they have.
        device_id: The device they use, where it has proved that it is that one.
        tenant: Whose sessions and agents they see.
        method: By which means they were recognised.
        key_id: The API key they came with.
    """

    role: Role = "operator"
    scopes: frozenset[str] = scopes.ALL
    device_id: str | None = None
    tenant: str = names.DEFAULT_TENANT
    method: Means = "token"
    key_id: str | None = None

    @property
    def account(self) -> str:
        """Under whose name their idempotency keys are kept apart from others'."""
        if self.device_id is not None:
            return f"device:{self.device_id}"
        return "operator" if self.key_id is None else f"key:{self.key_id}"

    def may(self, scope: str) -> bool:
        """Whether they may do what needs *scope*."""
        return scopes.allows(self.scopes, scope)
