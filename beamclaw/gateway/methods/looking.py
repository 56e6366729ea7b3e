"""The node's own processes, for its page and for ``beamclaw shell`` from elsewhere.

One method for all orders: what there is, and what it does, is the shell's own. An order
that goes on (``look.top``, ``trace``) or says much (``look.tree``) tells by events with
the id of its request.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import attrs
import orjson
import trio

from beamclaw.contracts import names
from beamclaw.contracts.devices import NAME as DEVICES
from beamclaw.contracts.devices import SCOPES, Actor, NoSuchDevice, RevokeKey
from beamclaw.contracts.looking import LOOKS, METHOD, Asker, Failed
from beamclaw.gateway import frames
from beamclaw.gateway.auth.scopes import ADMIN, READ
from beamclaw.gateway.errors import MethodError, invalid, missing_scope, unavailable
from beamclaw.gateway.methods._method import Context, NoParams, Text, method
from beamclaw.values import frozen


@frozen(kw_only=True)
class ShellParams:
    """Which order, as the shell knows it, and what it takes."""

    order: Text
    params: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


def needs(params: ShellParams) -> tuple[str, ...]:
    """What an order needs beside: the inside of processes is not for everybody."""
    return () if params.order in LOOKS else (ADMIN,)


@method(METHOD, scope=READ, params=ShellParams, more=needs, published=False)
async def shell(context: Context, params: ShellParams) -> object:
    """Look at the node's processes, or take hold of one, as ``beamclaw shell`` does."""
    if context.tenant != names.DEFAULT_TENANT:
        # Processes are the node's, whoever they work for.
        raise missing_scope(ADMIN, [ADMIN])
    client = context.client

    async def send(value: object) -> None:
        await trio.lowlevel.checkpoint()
        if client is not None:
            # Whoever looks goes as fast as this client reads, and nothing is lost.
            await client.line.wait_flushed()
            payload = {"id": context.request_id, "value": as_json(value)}
            client.line.deliver(frames.event(METHOD, payload), lossy=False)

    look = context.node.means.look
    with trio.CancelScope() as scope:
        if client is not None:
            client.looks[context.request_id] = scope
        try:
            asker = Asker(
                context.principal.account, None if client is None else client.process
            )
            result = await look(asker, params.order, params.params, send)
        except Failed as failed:
            raise told(failed) from None
        finally:
            if client is not None:
                client.looks.pop(context.request_id, None)
        return {"result": as_json(result)}
    return {"result": None, "stopped": True}


@frozen(kw_only=True)
class StopParams:
    """The request that has begun it."""

    id: Text


@method("beamclaw.shell.stop", scope=READ, params=StopParams, published=False)
async def stop(context: Context, params: StopParams) -> object:
    """End what one has begun to look at on the same connection."""
    await trio.lowlevel.checkpoint()
    scope = None if context.client is None else context.client.looks.get(params.id)
    if scope is not None:
        scope.cancel()
    return {"stopped": scope is not None}


@method("beamclaw.leave", scope=READ, published=False)
async def leave(context: Context, params: NoParams) -> object:
    """Sign out: the key that one came with is good for nothing any more."""
    key = context.principal.key_id
    if key is None:
        await trio.lowlevel.checkpoint()
        return {"revoked": False}
    # Nobody needs a permission to give back what is his.
    actor = Actor(by=context.principal.account, scopes=SCOPES)
    try:
        await context.bus.call(DEVICES, RevokeKey(actor=actor, id=key))
    except NoSuchDevice:
        return {"revoked": False}
    return {"revoked": True}


def told(failed: Failed) -> MethodError:
    """The shell's no as one of this protocol."""
    if failed.code == "unavailable":
        return unavailable(str(failed), retry_after=1.0, reason=failed.code)
    return invalid(str(failed), reason=failed.code)


def as_json(value: object) -> orjson.Fragment:
    """*value* as it is sent, also where half a character stands in a text."""
    try:
        return orjson.Fragment(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except (TypeError, ValueError):
        return orjson.Fragment(orjson.dumps(_whole(value)))


def _whole(value: Any) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            items = cast("dict[Any, Any]", value).items()
            return {str(_whole(key)): _whole(each) for key, each in items}
        case list() | tuple():
            return [_whole(each) for each in cast("list[Any]", value)]
        case int() | float() | None:
            return value
        case _:
            return _whole(str(value))


METHODS: Final = (shell, stop, leave)
