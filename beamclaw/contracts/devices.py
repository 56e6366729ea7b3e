"""Devices and API keys, as the rest of the node knows them: who is let in, beside owners.

The process :data:`NAME` owns them; their rows are in ``node.db``. A secret is shown once,
when it is made, and kept as a hash. Changes are published on :data:`TOPIC` after their
commit.
"""

from typing import Final, Literal

import attrs

import supervision
from beamclaw.values import frozen

NAME: Final = "gateway/devices"
# Of the node, not of a tenant: a device is let in before anybody knows whose it is.
TOPIC: Final = "gateway/devices/changed"
# Everything that somebody can be allowed to do.
SCOPES: Final = (
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
    "operator.questions",
    "operator.read",
    "operator.talk",
    "operator.talk.secrets",
    "operator.write",
)
LONGEST_LABEL: Final = 64
LONGEST_NAME: Final = 64

Decision = Literal["approved", "rejected", "expired"]


@frozen(kw_only=True)
class DeviceToken:
    """A device's credential for one role; the token itself is nowhere.

    Attributes:
        scopes: What it is good for.
        made_at: Times are in seconds since the epoch.
        rotated_at: When the one before became void.
        revoked_at: When it became void itself.
        used_at: The last connection with it, to the minute.
    """

    role: str
    scopes: tuple[str, ...]
    made_at: float
    rotated_at: float | None = None
    revoked_at: float | None = None
    used_at: float | None = None


@frozen(kw_only=True)
class Device:
    """A paired device.

    Attributes:
        id: The hash of its public key.
        roles: What it may connect as.
        scopes: What it may do at most, as an operator.
        name: What it calls itself; *label* is what its owner calls it.
        paired_by: Who agreed; ``local`` if it came from this machine with the shared
            secret.
        seen_at: Its last connection, to the minute.
        connected: How many connections it has now.
    """

    id: str
    public_key: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    tenant: str = "default"
    name: str = ""
    label: str = ""
    platform: str = ""
    family: str = ""
    client_id: str = ""
    client_mode: str = ""
    paired_at: float = 0.0
    paired_by: str = ""
    seen_at: float | None = None
    tokens: tuple[DeviceToken, ...] = ()
    connected: int = 0


@frozen(kw_only=True)
class PairRequest:
    """A device that wants in, or wants more than it has.

    Attributes:
        scopes: What it asks for.
        address: Where it asked from.
        known: It is paired already.
    """

    id: str
    device_id: str
    public_key: str
    role: str
    scopes: tuple[str, ...]
    name: str = ""
    platform: str = ""
    family: str = ""
    client_id: str = ""
    client_mode: str = ""
    address: str = ""
    at: float = 0.0
    expires_at: float = 0.0
    known: bool = False


@frozen(kw_only=True)
class ApiKey:
    """A key for a program; the key itself is nowhere.

    Attributes:
        id: Stands also in the key, so that one that is found can be revoked.
        scopes: What it is good for.
        expires_at: When it becomes void by itself; None: never.
        used_at: The last request with it, to the minute.
    """

    id: str
    tenant: str
    name: str
    scopes: tuple[str, ...]
    made_at: float
    made_by: str = ""
    expires_at: float | None = None
    revoked_at: float | None = None
    used_at: float | None = None


@frozen(kw_only=True)
class Actor:
    """On whose order something is changed; nobody gives away more than he has.

    Attributes:
        by: For the record.
        scopes: What they may do.
        device_id: The device whose token they came with: without ``operator.admin`` it
            manages nothing but itself.
    """

    by: str
    scopes: tuple[str, ...]
    device_id: str | None = None


@frozen(kw_only=True)
class Devices:
    """Those that wait, the oldest first, and those that are paired, by name."""

    pending: tuple[PairRequest, ...]
    paired: tuple[Device, ...]


@frozen(kw_only=True)
class NewKey:
    """A key that was just made. *secret* is the only copy."""

    key: ApiKey
    secret: str = attrs.field(repr=False)


@frozen(kw_only=True)
class NewToken:
    """A token in place of another.

    Attributes:
        secret: The only copy, for the device that asked itself. None: the device gets
            one when it connects with the shared secret the next time.
    """

    device_id: str
    token: DeviceToken
    secret: str | None = attrs.field(default=None, repr=False)


class NotAllowed(Exception):  # noqa: N818 -- a situation
    """The actor may not do that; *missing* is the scope that it would take."""

    def __init__(self, words: str, missing: str | None = None) -> None:
        super().__init__(words)
        self.missing = missing


class NoSuchDevice(Exception):  # noqa: N818 -- a situation
    """There is no such device, request, token or key (any more)."""


# --- what can be asked


@frozen(kw_only=True)
class ListDevices(supervision.Call[Devices]):
    """What *actor* may see."""

    actor: Actor


@frozen(kw_only=True)
class ApprovePairing(supervision.Call[Device]):
    """Let the device of a request in.

    Raises:
        NoSuchDevice: Nothing waits under that id.
        NotAllowed: It asks for more than the actor has.
    """

    actor: Actor
    request_id: str


@frozen(kw_only=True)
class RejectPairing(supervision.Call[PairRequest]):
    """Send the device of a request away; it may ask again."""

    actor: Actor
    request_id: str


@frozen(kw_only=True)
class RemoveDevice(supervision.Call[Device]):
    """Forget a device; its connections are closed."""

    actor: Actor
    device_id: str


@frozen(kw_only=True)
class RenameDevice(supervision.Call[Device]):
    """Give a device a name of the owner's choice."""

    actor: Actor
    device_id: str
    label: str


@frozen(kw_only=True)
class RotateToken(supervision.Call[NewToken]):
    """Make a device's token void, for another; its connections are closed.

    Attributes:
        scopes: Of the new one; None: those of the old one.
    """

    actor: Actor
    device_id: str
    role: str
    scopes: tuple[str, ...] | None = None


@frozen(kw_only=True)
class RevokeToken(supervision.Call[DeviceToken]):
    """Make a device's token void; its connections are closed."""

    actor: Actor
    device_id: str
    role: str


@frozen(kw_only=True)
class ListKeys(supervision.Call[tuple[ApiKey, ...]]):
    """The keys of *tenant*, the oldest first; None: of all tenants."""

    actor: Actor
    tenant: str | None = None


@frozen(kw_only=True)
class CreateKey(supervision.Call[NewKey]):
    """Make a key.

    Attributes:
        seconds: How long it is good for; None: for ever.
    """

    actor: Actor
    tenant: str
    name: str
    scopes: tuple[str, ...]
    seconds: float | None = None


@frozen(kw_only=True)
class MakeLink(supervision.Call["Link"]):
    """Make a code that lets one browser in, once; see :class:`TakeLink`.

    Attributes:
        seconds: How long it waits for that.
        key_seconds: How long the key that it becomes is good for.
    """

    actor: Actor
    seconds: float
    key_seconds: float


@frozen(kw_only=True)
class Link:
    """A code that was just made. *code* is the only copy."""

    code: str = attrs.field(repr=False)
    expires_at: float


@frozen(kw_only=True)
class TakeLink(supervision.Call[NewKey]):
    """A key for the browser that brings *code*, which is spent by that.

    Raises:
        NoSuchDevice: There is no such code (any more).
    """

    code: str = attrs.field(repr=False)


@frozen(kw_only=True)
class RevokeKey(supervision.Call[ApiKey]):
    """Make a key void; what is in progress with it is cut off."""

    actor: Actor
    id: str


# --- what is published


@frozen
class PairRequested:
    """A device asks."""

    request: PairRequest


@frozen(kw_only=True)
class PairResolved:
    """It was answered, or has waited too long, at *at* (seconds since the epoch)."""

    request_id: str
    device_id: str
    decision: Decision
    at: float


@frozen
class DevicesChanged:
    """Something else has changed about the device."""

    device_id: str
