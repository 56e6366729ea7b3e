"""What becomes of a device that has proved itself: one case per rule.

Somebody on this machine who has the shared secret owns the node, so his devices are
paired without a question. From anywhere else a person has to agree, once for the device
and again for each role or scope that it did not have.
"""

from typing import Literal

from beamclaw.contracts.devices import Device, DeviceToken
from beamclaw.gateway.auth import scopes as scope
from beamclaw.gateway.auth.credentials import NOTHING, Known
from beamclaw.gateway.auth.refusals import PairReason
from beamclaw.values import frozen


@frozen(kw_only=True)
class Wanted:
    """What a device asks for.

    Attributes:
        asked: Scopes; None: it has not said, and means all it can have.
        local: It is on this machine.
        inner: A helper of OpenClaw's own on this machine, which has no record.
    """

    device_id: str
    role: str
    asked: tuple[str, ...] | None
    local: bool
    inner: bool = False


@frozen(kw_only=True)
class Enter:
    """It comes in.

    Attributes:
        scopes: What it may do.
        mint: It gets a token of its own.
        ask: It wanted more: a person is asked about that.
    """

    scopes: frozenset[str]
    mint: bool = False
    ask: bool = False


@frozen
class Join:
    """It is paired, with these scopes in addition to those it has; then it comes in."""

    scopes: frozenset[str]


@frozen
class Ask:
    """It stays outside until a person has agreed."""

    reason: PairReason


@frozen
class Deny:
    """It stays outside; *reason* as in the table of refusals."""

    reason: Literal["scope_mismatch", "device_token_mismatch"]


def judge(
    known: Known, wanted: Wanted, device: Device | None, token: DeviceToken | None
) -> Enter | Join | Ask | Deny:
    """What becomes of it.

    Args:
        known: Who it is by its credentials.
        wanted: What it asks for.
        device: It, if it is paired.
        token: Its token for that role, if it has one that is good.
    """
    if known.means in ("api-key", "trusted-proxy"):
        return Enter(scopes=_granted(known.stored, wanted))
    if known.means == "device-token":
        return _with_token(known, wanted, device)
    if wanted.inner and wanted.local:
        return Enter(scopes=_granted(known.stored, wanted))
    if device is not None:
        return _paired(known, wanted, device, token)
    local = wanted.local
    return Join(_granted(known.stored, wanted)) if local else Ask("not-paired")


def _with_token(
    known: Known, wanted: Wanted, device: Device | None
) -> Enter | Ask | Deny:
    if device is None or known.device_id != wanted.device_id:
        return Deny("device_token_mismatch")
    if known.role != wanted.role:
        if wanted.role not in device.roles:
            return Ask("role-upgrade")
        return Deny("scope_mismatch")
    granted = _granted(known.stored, wanted)
    if wanted.asked and not granted and wanted.role == "operator":
        return Deny("scope_mismatch")
    return Enter(scopes=granted, ask=_wants_more(known.stored, wanted))


def _paired(
    known: Known, wanted: Wanted, device: Device, token: DeviceToken | None
) -> Enter | Join | Ask:
    if wanted.role not in device.roles:
        return Ask("role-upgrade")
    stored = frozenset(device.scopes)
    more = _wants_more(stored, wanted)
    if more and wanted.local:
        return Join(_granted(known.stored, wanted))
    granted = _granted(stored, wanted)
    if more and not granted:
        return Ask("scope-upgrade")
    mint = token is None or token.revoked_at is not None
    return Enter(scopes=granted, mint=mint, ask=more)


def _granted(stored: frozenset[str], wanted: Wanted) -> frozenset[str]:
    if wanted.role != "operator":
        return NOTHING
    return stored if wanted.asked is None else scope.granted(wanted.asked, stored)


def _wants_more(stored: frozenset[str], wanted: Wanted) -> bool:
    if wanted.role != "operator" or wanted.asked is None:
        return False
    known = [name for name in wanted.asked if name in scope.ALL]
    return not all(scope.allows(stored, name) for name in known)
