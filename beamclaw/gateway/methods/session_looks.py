"""Sessions, looked at: ``sessions.list``, ``describe``, ``resolve``, ``preview``, ``get``."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal

from beamclaw.arguments import Length, Range
from beamclaw.contracts.ledger_reads import ReadSession, ReadSessions
from beamclaw.contracts.ledger_rows import Event, SessionRow
from beamclaw.contracts.lifecycle import NoSuchSession
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.events.entries import (
    Branch,
    Entry,
    branches,
    entries,
    entries_of,
    short,
)
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods._sessions import (
    MOST_LOOKED_AT,
    TAIL,
    described,
    find,
    fits,
    journal,
    key_of,
    ledger_of,
    looked_at,
    model_of,
    shown,
)
from beamclaw.values import frozen

Some = Annotated[int, Range(1, 1_000_000)]
# Sessions that one answer lists; of those previews.
MOST_LISTED: Final = 500
MOST_PREVIEWS: Final = 64
LISTED: Final = 100


@frozen(kw_only=True)
class ListParams:
    """Which sessions; people and boards are things that this gateway does not have."""

    limit: Some = LISTED
    offset: Annotated[int, Range(0, 10**9)] = 0
    active_minutes: Some | None = None
    require_last_interaction: bool = False
    sort_by: Literal["updatedAt", "lastInteractionAt"] = "updatedAt"
    include_global: bool = True
    include_unknown: bool = True
    configured_agents_only: bool = False
    include_derived_titles: bool = False
    include_last_message: bool = False
    include_people: bool = False
    involving_me: bool = False
    owner_first: bool = False
    label: Annotated[str, Length(1, 512)] | None = None
    board_face: Literal["chat", "dashboard"] | None = None
    creator_id: Text | None = None
    owner_id: Text | None = None
    involving_profile_id: Text | None = None
    spawned_by: Text | None = None
    agent_id: Text | None = None
    search: str = ""
    archived: bool | Literal["all"] = False


@method("sessions.list", scope=READ, params=ListParams)
async def list_(context: Context, params: ListParams) -> object:
    """Sessions, latest activity first, a page at a time."""
    return await page(context, params)


async def page(context: Context, params: ListParams) -> dict[str, Any]:
    """The answer of ``sessions.list``."""
    request = ReadSessions(
        limit=MOST_LOOKED_AT,
        archived=None if params.archived == "all" else params.archived,
        ephemeral=False,
    )
    rows = await context.bus.call(ledger_of(context), request, timeout=None)
    keep = chooser(context, params)
    found = [row for row in rows if keep(row)]
    limit = min(params.limit, MOST_LISTED)
    chosen = found[params.offset : params.offset + limit]
    sessions = [
        await shown(
            context,
            row,
            title=params.include_derived_titles,
            preview=params.include_last_message,
        )
        for row in chosen
    ]
    after = params.offset + len(chosen)
    more = after < len(found)
    return {
        "ts": context.now_ms,
        "path": "",
        "count": len(sessions),
        "totalCount": len(found),
        "limitApplied": limit,
        "offset": params.offset,
        "nextOffset": after if more else None,
        "hasMore": more,
        "owners": [],
        "defaults": defaults(context, params.agent_id),
        "sessions": sessions,
    }


def chooser(context: Context, params: ListParams) -> Callable[[SessionRow], bool]:
    """Which sessions *params* mean."""
    since = None
    if params.active_minutes is not None:
        since = context.outside.wall() - params.active_minutes * 60
    ids = context.node.agents.ids
    spawner = None
    if params.spawned_by is not None:
        spawner = key_of(context, params.spawned_by)
    # Nobody here owns a session more than others, and none has another face.
    nobody = (
        params.creator_id is not None
        or params.owner_id is not None
        or params.involving_profile_id is not None
        or params.board_face == "dashboard"
    )

    def keep(row: SessionRow) -> bool:
        return not (
            nobody
            or (since is not None and row.updated_at < since)
            or (params.agent_id is not None and row.agent != params.agent_id)
            or (params.configured_agents_only and row.agent not in ids)
            or (params.label is not None and row.meta.label != params.label)
            or (spawner is not None and row.parent != spawner)
            or (not params.include_global and row.key == "global")
            or not fits(row, params.search)
        )

    return keep


def defaults(context: Context, agent: str | None = None) -> dict[str, Any]:
    """What holds for a session of which nothing is set."""
    row = SessionRow(
        key="",
        session_id="",
        agent=agent or context.node.agents.default,
        seq=0,
        created_at=0,
        updated_at=0,
    )
    model = model_of(context, row)
    if model is None:
        return {"modelProvider": None, "model": None, "contextTokens": None}
    return {
        "modelProvider": model[0],
        "model": model[1],
        "contextTokens": context.node.means.window(*model),
    }


@frozen(kw_only=True)
class DescribeParams:
    """Which session."""

    key: Text
    include_derived_titles: bool = False
    include_last_message: bool = False


@method("sessions.describe", scope=READ, params=DescribeParams)
async def describe(context: Context, params: DescribeParams) -> object:
    """One session, or null where there is none."""
    try:
        return {"session": await described(context, key_of(context, params.key))}
    except NoSuchSession:
        return {"session": None}


@frozen(kw_only=True)
class ResolveParams:
    """By what a session is looked for; exactly one."""

    key: Text | None = None
    session_id: Text | None = None
    label: Annotated[str, Length(1, 512)] | None = None
    short_id: Text | None = None
    slug_hint: Text | None = None
    agent_id: Text | None = None
    spawned_by: Text | None = None
    include_global: bool = True
    include_unknown: bool = True
    allow_missing: bool = False


@method("sessions.resolve", scope=READ, params=ResolveParams)
async def resolve(context: Context, params: ResolveParams) -> object:
    """The key of the session that has this key, id, label, or beginning of an id."""
    given = (params.key, params.session_id, params.label, params.short_id)
    if sum(each is not None for each in given) != 1:
        raise invalid("say exactly one of key, sessionId, label and shortId")
    if params.key is not None:
        key = key_of(context, params.key, params.agent_id)
        try:
            rows = [await find(context, key)]
        except NoSuchSession:
            rows = []
        words = key
    else:
        every = ReadSessions(limit=MOST_LOOKED_AT, ephemeral=None)
        listed = await context.bus.call(ledger_of(context), every, timeout=None)
        rows = [
            row
            for row in listed
            if _is_meant(row, params)
            and (params.agent_id is None or row.agent == params.agent_id)
            and (params.spawned_by is None or row.parent == params.spawned_by)
        ]
        words = params.session_id or params.label or params.short_id or ""
    if len(rows) == 1:
        return {"ok": True, **_candidate(rows[0])}
    if not rows and not params.allow_missing:
        raise invalid(f"No session found: {short(words, 100)}")
    if rows and not params.allow_missing:
        keys = ", ".join(row.key for row in rows[:10])
        raise invalid(f"{short(words, 100)!r} is more than one session: {keys}")
    candidates = [_candidate(row) for row in rows[:20]]
    return {"ok": False, "candidates": candidates} if candidates else {"ok": False}


def _is_meant(row: SessionRow, params: ResolveParams) -> bool:
    if params.session_id is not None:
        return row.session_id == params.session_id
    if params.label is not None:
        return row.meta.label == params.label
    return row.session_id.startswith(params.short_id or " ")


def _candidate(row: SessionRow) -> dict[str, Any]:
    found = {"key": row.key, "agentId": row.agent}
    return found if row.meta.label is None else {**found, "displayName": row.meta.label}


@frozen(kw_only=True)
class PreviewParams:
    """Of which sessions, and how much."""

    keys: Annotated[tuple[Text, ...], Length(1)]
    limit: Some = 12
    max_chars: Annotated[int, Range(20, 1_000_000)] = 240


@method("sessions.preview", scope=READ, params=PreviewParams)
async def preview(context: Context, params: PreviewParams) -> object:
    """The beginnings of the last messages of some sessions."""
    previews = [
        await _preview(context, given, params) for given in params.keys[:MOST_PREVIEWS]
    ]
    return {"ts": context.now_ms, "previews": previews}


async def _preview(context: Context, given: str, params: PreviewParams) -> object:
    key = key_of(context, given)
    try:
        row = await find(context, key)
    except NoSuchSession:
        return {"key": given, "status": "missing", "items": []}
    # A turn has some events beside its messages.
    after = max(0, row.seq - TAIL - 8 * min(params.limit, 100))
    read = await context.bus.call(
        ledger_of(context), ReadSession(key, after), timeout=None
    )
    found: list[Entry] = await looked_at(context, _last_entries, read.events)
    items = [
        {
            "role": "tool" if entry.role == "toolResult" else entry.role,
            "text": short(entry.text, params.max_chars),
        }
        for entry in found
        if entry.text
    ]
    items = items[-params.limit :]
    return {"key": given, "status": "ok" if items else "empty", "items": items}


def _last_entries(events: Sequence[Event]) -> list[Entry]:
    """The messages at the end of a journal, of its present conversation."""
    resets = [event.seq for event in events if event.kind == "session-reset"]
    first = resets[-1] if resets else 0
    return entries_of([event for event in events if event.seq >= first])


@frozen(kw_only=True)
class GetParams:
    """Which session, and how many of its last messages."""

    key: Text
    agent_id: Text | None = None
    limit: Some = 200


@method("sessions.get", scope=READ, params=GetParams)
async def get(context: Context, params: GetParams) -> object:
    """The last messages of a session, whole; none where there is no such session."""
    key = key_of(context, params.key, params.agent_id)
    try:
        events = await journal(context, key)
    except NoSuchSession:
        return {"messages": []}
    found: list[Entry] = await looked_at(context, entries, events)
    chosen = found[-min(params.limit, MOST_MESSAGES) :]
    return {"messages": [entry.message for entry in chosen]}


MOST_MESSAGES: Final = 1_000


@frozen(kw_only=True)
class BranchesParams:
    """Of which session."""

    session_key: Text
    agent_id: Text | None = None


@method("sessions.branches.list", scope=READ, params=BranchesParams)
async def branches_list(context: Context, params: BranchesParams) -> object:
    """The ways a conversation has gone, where it went back; the present one first."""
    key = key_of(context, params.session_key, params.agent_id)
    events = await journal(context, key)
    found: list[Branch] = await looked_at(context, branches, events)
    return {
        "branches": [
            {
                "leafEntryId": str(branch.seq),
                "headline": branch.headline,
                "messageCount": branch.messages,
                "updatedAt": _iso(branch.at),
                "active": branch.active,
            }
            for branch in found
        ]
    }


def _iso(seconds: float) -> str:
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


METHODS: Final = (list_, describe, resolve, preview, get, branches_list)
