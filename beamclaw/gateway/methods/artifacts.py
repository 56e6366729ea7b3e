"""Pictures and files of a conversation, by their ids: ``artifacts.*``.

They are those that somebody has sent along with a message, and those that tools have
given the model. They are kept in the conversation, and as long as it is.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import File
from beamclaw.contracts.path import path
from beamclaw.contracts.sessions import read_run
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.events.messages import Attached, attached
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods._sessions import journal, key_of, looked_at
from beamclaw.values import frozen


@frozen(kw_only=True)
class ListParams:
    """Of which conversation, or of which turn."""

    session_key: Text | None = None
    run_id: Text | None = None
    task_id: Text | None = None
    agent_id: Text | None = None


@frozen(kw_only=True)
class GetParams(ListParams):
    """One of them."""

    artifact_id: Text


@method("artifacts.list", scope=READ, params=ListParams)
async def list_(context: Context, params: ListParams) -> object:
    """The pictures and files of a conversation, or of one turn, in their order."""
    key, found = await _found(context, params)
    return {"artifacts": [_shown(key, each) for each in found]}


@method("artifacts.get", scope=READ, params=GetParams)
async def get(context: Context, params: GetParams) -> object:
    """What there is to say of one of them."""
    key, found = await _one(context, params)
    return {"artifact": _shown(key, found)}


@method("artifacts.download", scope=READ, params=GetParams)
async def download(context: Context, params: GetParams) -> object:
    """One of them, in base64; or where it is, if that is elsewhere."""
    key, found = await _one(context, params)
    answer: dict[str, Any] = {"artifact": _shown(key, found)}
    if found.media.data is not None:
        return {**answer, "encoding": "base64", "data": found.media.data}
    return answer if found.media.url is None else {**answer, "url": found.media.url}


async def _one(context: Context, params: GetParams) -> tuple[str, Attached]:
    key, found = await _found(context, params)
    for each in found:
        if each.id == params.artifact_id:
            return key, each
    raise invalid("there is no such artifact", type="artifact_not_found")


async def _found(
    context: Context, params: ListParams
) -> tuple[str, Sequence[Attached]]:
    key = await _key(context, params)
    events = await journal(context, key)
    return key, await looked_at(context, partial(_of, events, params.run_id))


async def _key(context: Context, params: ListParams) -> str:
    if params.task_id is not None:
        raise invalid("a task has no artifacts of its own; say sessionKey, or runId")
    if params.session_key is not None:
        return key_of(context, params.session_key, params.agent_id)
    if params.run_id is None:
        raise invalid("say of what: sessionKey, or runId")
    run = await read_run(context.bus, context.tenant, params.run_id)
    if run is None:
        raise invalid("there is no such run", type="artifact_scope_not_found")
    return key_of(context, run.session_key, params.agent_id)


def _of(events: Sequence[Event], run_id: str | None) -> list[Attached]:
    return [each for each in attached(path(events)) if run_id in (None, each.run_id)]


def _shown(key: str, found: Attached) -> dict[str, Any]:
    media = found.media
    is_file = isinstance(media, File)
    given: dict[str, Any] = {
        "id": found.id,
        "type": "file" if is_file else "image",
        "title": (media.name if is_file else "") or ("file" if is_file else "image"),
        "mimeType": media.media_type or None,
        "sizeBytes": None if media.data is None else _size(media.data),
        "sessionKey": key,
        "runId": found.run_id,
        "messageSeq": found.seq,
        "download": {"mode": _mode(found)},
    }
    return {name: value for name, value in given.items() if value is not None}


def _mode(found: Attached) -> str:
    if found.media.data is not None:
        return "bytes"
    return "unsupported" if found.media.url is None else "url"


def _size(data: str) -> int:
    """Bytes that *data* is the base64 of.

    >>> _size("aGk=")
    2
    """
    return len(data) * 3 // 4 - data[-2:].count("=")


METHODS: Final = (list_, get, download)
