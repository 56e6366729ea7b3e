"""A session as clients list it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from beamclaw.contracts import keys
from beamclaw.contracts.journal import Answered, RunOver, UnreadableEventError, read
from beamclaw.contracts.ledger_rows import Event, Outcome, SessionRow
from beamclaw.contracts.messages import Usage
from beamclaw.gateway.events.entries import entries_of, short
from beamclaw.values import frozen

TITLE_CHARS: Final = 60
PREVIEW_CHARS: Final = 160
STATUSES: Final[Mapping[Outcome, str]] = {
    "ok": "done",
    "limited": "done",
    "error": "failed",
    "quarantined": "failed",
    "aborted": "killed",
}
_GROUPS: Final = frozenset({"group", "channel"})
_UNKNOWN: Final = frozenset({"cron", "hook", "node"})
_VIA: Final[Mapping[str, str]] = {
    "agent": "spawn",
    "cron": "cron",
    "http": "operator",
    "gateway": "operator",
    "terminal": "operator",
}


@frozen(kw_only=True)
class Lately:
    """What the end of a session's journal says of it.

    Attributes:
        outcome: Of the turn that ended last; *run_id* is its id, *error* what it says.
        provider: That has answered last, and *model*.
        usage: Of that call: what was read then is what the conversation takes.
        preview: The beginning of its last message.
        waiting: Runs of messages that wait for their turn.
    """

    outcome: Outcome | None = None
    run_id: str | None = None
    error: str | None = None
    provider: str = ""
    model: str = ""
    usage: Usage | None = None
    preview: str = ""
    waiting: tuple[str, ...] = ()


def lately(events: Sequence[Event]) -> Lately:
    """What *events*, the last ones of a journal, say."""
    found = Lately()
    for event in events:
        try:
            body = read(event)
        except UnreadableEventError:
            continue
        match body:
            case RunOver():
                found = attrs.evolve(
                    found, outcome=body.outcome, run_id=event.run_id, error=body.error
                )
            case Answered():
                found = attrs.evolve(
                    found, provider=body.provider, model=body.model, usage=body.usage
                )
            case _:
                pass
    said = [
        entry.text
        for entry in entries_of(events)
        if entry.role in ("user", "assistant") and entry.text
    ]
    return attrs.evolve(found, preview=short(said[-1], PREVIEW_CHARS) if said else "")


def title_of(events: Sequence[Event]) -> str:
    """What a person has said first, in short; empty: nothing yet."""
    said = (entry.text for entry in entries_of(events) if entry.role == "user")
    return short(next(said, ""), TITLE_CHARS)


def session_row(
    row: SessionRow,
    lately: Lately | None = None,
    *,
    model: tuple[str, str] | None = None,
    window: int | None = None,
    title: str = "",
    preview: bool = False,
    children: Sequence[str] = (),
) -> dict[str, Any]:
    """*row* in OpenClaw's shape (``SessionRow``).

    Args:
        row: As the ledger lists it.
        lately: What the end of its journal says; None: nobody has looked.
        model: Provider and model that the next turn asks.
        window: Tokens that one reads and writes at most.
        title: Made of what was said; see :func:`title_of`.
        preview: Whether the last message is shown.
        children: Keys of sessions that it has begun.
    """
    key = keys.parse(row.key)
    lately = lately or Lately()
    meta = row.meta
    active = (*((row.open_run,) if row.open_run else ()), *lately.waiting)
    given: dict[str, Any] = {
        "key": row.key,
        "sessionId": row.session_id,
        "agentId": row.agent,
        "kind": _kind(key),
        "chatType": _chat_type(key),
        "isMain": key.kind == "main",
        "label": meta.label,
        "displayName": meta.label,
        "derivedTitle": title,
        "lastMessagePreview": lately.preview if preview else "",
        "channel": row.channel,
        "createdVia": _via(row, key),
        "createdAt": _ms(row.created_at),
        "updatedAt": _ms(row.updated_at),
        "lastActivityAt": _ms(row.updated_at),
        "lastInteractionAt": _ms(row.updated_at),
        "archived": row.archived_at is not None,
        "archivedAt": None if row.archived_at is None else _ms(row.archived_at),
        "pinned": False,
        "unread": False,
        "hasActiveRun": bool(active),
        "activeRunIds": list(active),
        "lastRunId": row.open_run or lately.run_id,
        "status": _status(row, lately),
        "lastRunError": lately.error,
        "thinkingLevel": meta.thinking,
        "verboseLevel": meta.verbosity,
        "contextTokens": window,
        "childSessions": list(children),
        "visibility": "shared",
    }
    if model is not None:
        given |= {"modelProvider": model[0], "model": model[1]}
    if lately.usage is not None:
        usage = lately.usage
        given |= {
            "inputTokens": usage.input,
            "outputTokens": usage.output,
            "totalTokens": usage.input + usage.output,
            "totalTokensFresh": True,
        }
    if row.parent is not None:
        given |= {"parentSessionKey": row.parent}
        if key.kind == "subagent":
            given |= {"spawnedBy": row.parent}
        else:
            given |= {"forkedFromParent": True}
    return {name: value for name, value in given.items() if value not in (None, "")}


def _kind(key: keys.SessionKey) -> str:
    if key.kind in _GROUPS:
        return "group"
    if key.kind == "global":
        return "global"
    return "unknown" if key.kind in _UNKNOWN else "direct"


def _chat_type(key: keys.SessionKey) -> str:
    return key.kind if key.kind in _GROUPS else "direct"


def _via(row: SessionRow, key: keys.SessionKey) -> str:
    if key.kind == "subagent":
        return "spawn"
    if key.kind == "cron":
        return "cron"
    return _VIA.get(row.channel, "channel" if row.channel else "operator")


def _status(row: SessionRow, lately: Lately) -> str | None:
    if row.open_run is not None:
        return "running"
    if lately.waiting:
        return "queued"
    return None if lately.outcome is None else STATUSES[lately.outcome]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
