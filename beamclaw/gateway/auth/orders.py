"""What the gate has the process ``gateway/devices`` do: messages inside the gateway."""

import attrs

import supervision
from beamclaw.contracts.devices import PairRequest
from beamclaw.values import frozen


@frozen
class AskToPair(supervision.Call[str]):
    """Ask a person about *request*; the id under which it waits.

    The request's own id and times are made there. The same one, asked again, keeps
    waiting; another one of the same device and role takes its place.

    Raises:
        Crowded: Too many wait.
    """

    request: PairRequest


@frozen(kw_only=True)
class JoinDevice(supervision.Call["Minted"]):
    """Pair the device of *request* without asking, or give it the scopes in addition."""

    request: PairRequest
    by: str


@frozen(kw_only=True)
class MintToken(supervision.Call["Minted"]):
    """A first token for a paired device, or one in place of one that is void.

    Raises:
        NoSuchDevice: It is not paired any more, or not for that role.
    """

    device_id: str
    role: str


@frozen(kw_only=True)
class Minted:
    """*secret*: the only copy; None: the device has one already."""

    secret: str | None = attrs.field(default=None, repr=False)
    at: float = 0.0


@frozen(kw_only=True)
class Seen:
    """Somebody was here: a device in a role (*token*: with its token), or a key."""

    at: float
    device_id: str | None = None
    role: str = ""
    token: bool = False
    key_id: str | None = None


class Crowded(Exception):  # noqa: N818 -- a situation
    """Too many devices wait for a person."""
