"""Who may change what about devices and keys: nobody gives away more than he has.

Pure: each function says nothing or raises
:class:`~beamclaw.contracts.devices.NotAllowed`.
"""

from collections.abc import Iterable

from beamclaw.contracts.devices import Actor, Device, NotAllowed, PairRequest
from beamclaw.gateway.auth import scopes as scope


def is_admin(actor: Actor) -> bool:
    """Whether *actor* may do everything."""
    return scope.ADMIN in actor.scopes


def may_see(actor: Actor, device_id: str) -> bool:
    """Whether *actor* is shown that device."""
    return actor.device_id in (None, device_id) or is_admin(actor)


def approve(actor: Actor, request: PairRequest) -> None:
    """Whether *actor* may let the device of *request* in."""
    own(actor, request.device_id, "device pairing approval denied")
    of_role(actor, request.role, "device pairing approval denied")
    within(actor, request.scopes)


def manage(actor: Actor, device: Device, words: str) -> None:
    """Whether *actor* may remove or rename *device*."""
    own(actor, device.id, words)
    if actor.device_id is not None:
        for role in device.roles:
            of_role(actor, role, words)


def token(actor: Actor, device: Device, role: str, scopes: Iterable[str]) -> None:
    """Whether *actor* may rotate or revoke that token, which is good for *scopes*."""
    words = "device token change denied"
    own(actor, device.id, words)
    of_role(actor, role, words)
    within(actor, scopes)


def own(actor: Actor, device_id: str, words: str) -> None:
    """A device manages nothing but itself, unless it may do everything."""
    if not may_see(actor, device_id):
        raise NotAllowed(words, scope.ADMIN)


def of_role(actor: Actor, role: str, words: str) -> None:
    """Another role than operator is given and taken by who may do everything."""
    if role != "operator" and not is_admin(actor):
        raise NotAllowed(words, scope.ADMIN)


def within(actor: Actor, scopes: Iterable[str]) -> None:
    """All of *scopes* are the actor's."""
    held = frozenset(actor.scopes)
    for name in scopes:
        if not scope.allows(held, name):
            raise NotAllowed(f"missing scope: {name}", name)
