"""What a client wants to hear of: ``sessions.subscribe``, ``sessions.messages.*``."""

from typing import Final

import trio

from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.hall import Client
from beamclaw.gateway.methods import _talking as talking
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods.session_looks import ListParams, page
from beamclaw.values import frozen

# Sessions whose messages one client may follow.
MOST: Final = 1000


@method("sessions.subscribe", scope=READ, params=ListParams)
async def subscribe(context: Context, params: ListParams) -> object:
    """Hear of changes of all sessions, from now on; with a list of them if wanted."""
    # First, so that nothing falls between the two: what changes meanwhile is told.
    _client(context).sessions = True
    if not context.given:
        await trio.lowlevel.checkpoint()
        return {"subscribed": True}
    return {"subscribed": True, "list": await page(context, params)}


@frozen(kw_only=True)
class FollowParams:
    """Which session."""

    key: Text
    agent_id: Text | None = None
    include_approvals: bool = False


@frozen(kw_only=True)
class UnfollowParams:
    """Which session."""

    key: Text
    agent_id: Text | None = None


@method("sessions.messages.subscribe", scope=READ, params=FollowParams)
async def follow(context: Context, params: FollowParams) -> object:
    """Hear of every message of a session, from now on."""
    await trio.lowlevel.checkpoint()
    where = talking.place(context, params.key, params.agent_id, writes=False)
    client = _client(context)
    if len(client.messages) >= MOST:
        raise invalid(f"a client follows at most {MOST} sessions")
    client.messages.add(where.key)
    return {"subscribed": True, "key": where.key}


@method("sessions.messages.unsubscribe", scope=READ, params=UnfollowParams)
async def unfollow(context: Context, params: UnfollowParams) -> object:
    """Hear no more of them."""
    await trio.lowlevel.checkpoint()
    where = talking.place(context, params.key, params.agent_id, writes=False)
    _client(context).messages.discard(where.key)
    return {"subscribed": False, "key": where.key}


def _client(context: Context) -> Client:
    if context.client is None:
        raise invalid("only a client that stays connected can be told of anything")
    return context.client
