"""What a client says of itself when it connects, and what comes of it.

:class:`Attempt` is all there is to decide on, :class:`Admitted` or a
:class:`~beamclaw.gateway.errors.MethodError` what is decided, :class:`Gate`
who decides.
"""

from typing import Protocol

import attrs

from beamclaw.contracts.secret import Secret
from beamclaw.gateway.auth.principal import Principal
from beamclaw.values import frozen


@frozen(kw_only=True)
class Device:
    """The proof that somebody holds a device's key; nothing of it is checked yet."""

    id: str
    public_key: str
    signature: str
    signed_at: int
    nonce: str


@frozen(kw_only=True)
class Secrets:
    """What was brought along: any of it, none of it, all of it."""

    token: Secret | None = None
    password: Secret | None = None
    device_token: Secret | None = None
    bootstrap_token: Secret | None = None


@frozen(kw_only=True)
class Attempt:
    """Somebody wants to connect.

    Attributes:
        client_id: What program they say it is.
        mode: What sort of program.
        platform: Its system, as it says; part of what a device signs.
        device_family: As *platform*.
        display_name: What a person calls it.
        role: What they want to be; *scopes*: what they want to do (None: not said).
        nonce: What was given to them to be signed, at *challenged_ms*.
        now_ms: Wall clock, in milliseconds since the epoch.
        address: Where they come from.
        local: They are on this machine, and nobody speaks for them.
        headers: Of the request that opened the connection, lower case names.
        origin: The web page that opened it; None: none did.
    """

    client_id: str
    mode: str
    platform: str = ""
    device_family: str = ""
    display_name: str = ""
    role: str = "operator"
    scopes: tuple[str, ...] | None = None
    secrets: Secrets = Secrets()
    device: Device | None = None
    nonce: str = ""
    challenged_ms: int = 0
    now_ms: int = 0
    address: str = ""
    local: bool = False
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    origin: str | None = None


@frozen(kw_only=True)
class Admitted:
    """They may come in.

    Attributes:
        device_token: For the next time, in place of the shared secret.
        issued_at_ms: Since when that is good.
    """

    principal: Principal
    device_token: Secret | None = None
    issued_at_ms: int | None = None


class Gate(Protocol):
    """Decides who comes in."""

    async def admit(self, attempt: Attempt) -> Admitted:
        """What becomes of *attempt*.

        Raises:
            MethodError: Why they may not; the client is told so, and is cut off.
        """
        ...
