"""A screen that opens a conversation: all it shows at first, in one answer.

``chat.startup``, ``chat.metadata``, ``chat.message.get``.
"""

from typing import Annotated, Any, Final

from beamclaw.arguments import Range
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.methods import _talking as talking
from beamclaw.gateway.methods import chat, offers, session_looks
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.values import frozen

MAX_BYTES: Final = 24 * 1024 * 1024
MAX_MESSAGE: Final = 2_000_000


@frozen(kw_only=True)
class MetadataParams:
    """For whom."""

    agent_id: Text | None = None
    session_key: Text | None = None


@method("chat.metadata", scope=READ, params=MetadataParams)
async def metadata(context: Context, params: MetadataParams) -> object:
    """Models that can be chosen, and words behind a slash."""
    return await _metadata(context, params.session_key, params.agent_id)


async def _metadata(
    context: Context, session_key: str | None, agent: str | None
) -> dict[str, Any]:
    wanted = offers.CommandsParams(session_key=session_key, agent_id=agent)
    commands: Any = await offers.commands_list.run(context, wanted)
    return {"models": list(offers.models(context)), **commands}


@frozen(kw_only=True)
class StartupParams:
    """Which conversation: by its key, or by the beginning of its id."""

    session_key: Text | None = None
    short_id: Text | None = None
    slug_hint: Text | None = None
    agent_id: Text | None = None
    cursor: str | None = None
    limit: Annotated[int, Range(1, chat.MAX_HISTORY)] = chat.HISTORY
    max_bytes: Annotated[int, Range(1, MAX_BYTES)] = MAX_BYTES
    max_chars: Annotated[int, Range(1, chat.MAX_CHARS)] = chat.MAX_CHARS


@method("chat.startup", scope=READ, params=StartupParams)
async def startup(context: Context, params: StartupParams) -> object:
    """The last messages of a conversation, and what may be said and chosen in it."""
    if (params.session_key is None) == (params.short_id is None):
        raise invalid("say exactly one of sessionKey and shortId")
    if params.session_key is not None:
        return await _start(context, params.session_key, params)
    if context.client is not None:
        context.client.sessions = True
    found: Any = await session_looks.resolve.run(
        context,
        session_looks.ResolveParams(
            short_id=params.short_id, agent_id=params.agent_id, allow_missing=True
        ),
    )
    if not found["ok"]:
        return {"resolution": found}
    begun = await _start(context, found["key"], params)
    return {**begun, "resolution": found}


async def _start(
    context: Context, session_key: str, params: StartupParams
) -> dict[str, Any]:
    where = talking.place(context, session_key, params.agent_id, writes=False)
    wanted = chat.HistoryParams(
        session_key=session_key,
        agent_id=params.agent_id,
        cursor=params.cursor,
        limit=params.limit,
        max_bytes=params.max_bytes,
        max_chars=params.max_chars,
    )
    read: Any = await chat.history.run(context, wanted)
    more = await _metadata(context, where.key, where.agent)
    return {**read, "metadata": more}


@frozen(kw_only=True)
class MessageParams:
    """Which message."""

    session_key: Text
    message_id: Text
    agent_id: Text | None = None
    max_chars: Annotated[int, Range(1, MAX_MESSAGE)] = MAX_MESSAGE


@method("chat.message.get", scope=READ, params=MessageParams)
async def message_get(context: Context, params: MessageParams) -> object:
    """One message of a conversation, whole."""
    wanted = chat.HistoryParams(
        session_key=params.session_key,
        agent_id=params.agent_id,
        message_id=params.message_id,
        max_chars=params.max_chars,
    )
    read: Any = await chat.history.run(context, wanted)
    if not read["messages"]:
        return {"ok": False, "unavailableReason": "not_found"}
    return {"ok": True, "message": read["messages"][0]}


METHODS: Final = (metadata, startup, message_get)
