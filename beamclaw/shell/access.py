"""What a command can do about devices and API keys. Whoever has the socket owns the node.

A command of an agent may look and change nothing: that would be a way around everything
that it is not allowed.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar, cast

import attrs

import supervision
from beamclaw.contracts import devices, gateway
from beamclaw.contracts.devices import (
    NAME,
    SCOPES,
    Actor,
    ApiKey,
    NoSuchDevice,
    NotAllowed,
)
from beamclaw.contracts.names import DEFAULT_TENANT
from beamclaw.contracts.store import DataFolderError
from beamclaw.shell.request import Failed, Method, Node, Params, Send, in_words, text
from beamclaw.shell.show import show_value

R = TypeVar("R")


async def list_devices(node: Node, params: Params, send: Send) -> object:
    """``pending`` and ``paired`` devices; ``left``: seconds that a request waits yet."""
    del send
    found = await _ask(node, devices.ListDevices(actor=_actor(params)))
    now = node.outside.wall()
    shown = show_value(found)
    for row, request in zip(shown["pending"], found.pending, strict=True):
        row["left"] = max(0.0, request.expires_at - now)
    return shown


async def approve(node: Node, params: Params, send: Send) -> object:
    """Let the device of the request ``id`` in."""
    del send
    order = devices.ApprovePairing(
        actor=_person(node, params), request_id=text(params, "id")
    )
    return show_value(await _ask(node, order))


async def reject(node: Node, params: Params, send: Send) -> object:
    """Send the device of the request ``id`` away."""
    del send
    order = devices.RejectPairing(
        actor=_person(node, params), request_id=text(params, "id")
    )
    return show_value(await _ask(node, order))


async def remove(node: Node, params: Params, send: Send) -> object:
    """Forget the device ``id``."""
    del send
    order = devices.RemoveDevice(
        actor=_person(node, params), device_id=text(params, "id")
    )
    return show_value(await _ask(node, order))


async def rename(node: Node, params: Params, send: Send) -> object:
    """Call the device ``id`` something: ``label``."""
    del send
    order = devices.RenameDevice(
        actor=_person(node, params),
        device_id=text(params, "id"),
        label=text(params, "label"),
    )
    return show_value(await _ask(node, order))


async def rotate(node: Node, params: Params, send: Send) -> object:
    """Make the token of device ``id`` for ``role`` void; it gets another one.

    With ``scopes``, one that is good for these.
    """
    del send
    order = devices.RotateToken(
        actor=_person(node, params),
        device_id=text(params, "id"),
        role=text(params, "role", "operator"),
        scopes=_scopes(params),
    )
    return show_value(await _ask(node, order))


async def revoke(node: Node, params: Params, send: Send) -> object:
    """Make the token of device ``id`` for ``role`` void."""
    del send
    order = devices.RevokeToken(
        actor=_person(node, params),
        device_id=text(params, "id"),
        role=text(params, "role", "operator"),
    )
    return show_value(await _ask(node, order))


async def list_keys(node: Node, params: Params, send: Send) -> object:
    """API keys, the oldest first; those of ``tenant`` if it is given.

    ``left``: seconds that one is good for yet, 0 if it is void, null if for ever.
    ``unused``: seconds since it was used; null: never was.
    """
    del send
    tenant = text(params, "tenant", "") or None
    order = devices.ListKeys(actor=_actor(params), tenant=tenant)
    now = node.outside.wall()
    return [_key(key, now) for key in await _ask(node, order)]


async def create_key(node: Node, params: Params, send: Send) -> object:
    """Make a key: ``name``, ``scopes``, ``seconds`` that it is good for, ``tenant``.

    ``secret`` in the answer is the key, told this once.
    """
    del send
    seconds = params.get("seconds")
    if seconds is not None and type(seconds) not in (int, float):
        raise Failed("params", "seconds has to be a number")
    order = devices.CreateKey(
        actor=_person(node, params),
        tenant=text(params, "tenant", DEFAULT_TENANT),
        name=text(params, "name"),
        scopes=_scopes(params) or (),
        seconds=seconds,
    )
    made = await _ask(node, order)
    return {"key": show_value(made.key), "secret": made.secret}


async def revoke_key(node: Node, params: Params, send: Send) -> object:
    """Make the key ``id`` void."""
    del send
    order = devices.RevokeKey(actor=_person(node, params), id=text(params, "id"))
    return show_value(await _ask(node, order))


async def dashboard(node: Node, params: Params, send: Send) -> object:
    """A link that lets one browser in, once: ``url``; ``seconds`` that it waits."""
    del send
    actor = attrs.evolve(_person(node, params), by="dashboard")
    address = gateway.address()
    if address is None:
        raise Failed("unavailable", "the gateway does not listen at the moment")
    page = node.config.gateway.page
    order = devices.MakeLink(
        actor=actor, seconds=page.link_seconds, key_seconds=page.session_seconds
    )
    link = await _ask(node, order)
    # Behind the #: no browser sends that to anybody, so it stands in nobody's log.
    return {
        "url": f"{address.url}/page/#code={link.code}",
        "seconds": page.link_seconds,
        "session_seconds": page.session_seconds,
    }


def _key(key: ApiKey, now: float) -> dict[str, Any]:
    left = None if key.expires_at is None else max(0.0, key.expires_at - now)
    if key.revoked_at is not None:
        left = 0.0
    unused = None if key.used_at is None else max(0.0, now - key.used_at)
    return {**show_value(key), "left": left, "unused": unused}


def _person(node: Node, params: Params) -> Actor:
    if node.inner:
        raise Failed("forbidden", "a command of an agent lets nobody in or out")
    return _actor(params)


def _actor(params: Params) -> Actor:
    return Actor(by=text(params, "by", "terminal"), scopes=SCOPES)


def _scopes(params: Params) -> tuple[str, ...] | None:
    given = params.get("scopes")
    if given is None:
        return None
    if not isinstance(given, list):
        raise Failed("params", "scopes have to be a list of texts")
    found = cast("list[object]", given)
    for name in found:
        if name not in SCOPES:
            known = ", ".join(SCOPES)
            raise Failed("params", f"there is no scope {str(name)[:60]!r} ({known})")
    return tuple(cast("list[str]", found))


async def _ask(node: Node, order: supervision.Call[R]) -> R:
    with _told(), in_words():
        return await node.bus.call(NAME, order)


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except (NoSuchDevice, NotAllowed) as error:
        raise Failed("refused", str(error)) from None
    except ValueError as error:
        raise Failed("params", str(error)) from None
    except DataFolderError as error:
        raise Failed("unavailable", str(error)) from None


ACCESS_METHODS: Final[Mapping[str, Method]] = {
    "dashboard": dashboard,
    "devices.list": list_devices,
    "devices.approve": approve,
    "devices.reject": reject,
    "devices.remove": remove,
    "devices.rename": rename,
    "devices.rotate": rotate,
    "devices.revoke": revoke,
    "keys.list": list_keys,
    "keys.create": create_key,
    "keys.revoke": revoke_key,
}
