"""What a command can ask about conversations: a method each of OpenClaw's names.

All take ``session``, a key, and ``agent``, whose key it is if it is not a whole one.
"""
# ruff: noqa: ARG001 -- all methods have one signature

import difflib
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

import orjson

import supervision
from beamclaw.contracts import keys, lifecycle, names, sessions
from beamclaw.contracts.ledger_reads import ReadJournal, ReadOutput, ReadSessions
from beamclaw.contracts.ledger_rows import Event, SessionRow
from beamclaw.contracts.lifecycle import (
    DeleteSession,
    ForkSession,
    NoSuchSession,
    PatchSession,
    PutAway,
    ResetSession,
    RewindSession,
)
from beamclaw.contracts.names import DEFAULT_TENANT
from beamclaw.contracts.path import path
from beamclaw.contracts.session_meta import changed
from beamclaw.shell.request import (
    Failed,
    Method,
    Node,
    Params,
    Send,
    flag,
    in_words,
    text,
)
from beamclaw.shell.show import show_value

R = TypeVar("R")
MOST_LISTED: Final = 10_000
# A longer body is not sent: a frame of the socket has its limit, and a person, too.
MOST_OF_BODY: Final = 4 * 1024 * 1024
# Characters of an output in one event.
MOST_OF_OUTPUT: Final = 250_000
_KNOWN_KEYS: Final = 1_000


async def list_(node: Node, params: Params, send: Send) -> object:
    """Sessions, latest activity first.

    ``limit`` and ``offset``; ``archived``: those that were put away, in place of those
    that were not; ``all``: both, and those of single requests.
    """
    every, archived = flag(params, "all"), flag(params, "archived")
    request = ReadSessions(
        limit=_number(params, "limit", 50, most=MOST_LISTED),
        offset=_number(params, "offset", 0),
        archived=None if every else archived,
        ephemeral=None if every else False,
    )
    with in_words():
        rows = await node.bus.call(_ledger(), request)
    now = node.outside.wall()
    return [{**_shown(row), "age": now - row.updated_at} for row in rows]


async def patch(node: Node, params: Params, send: Send) -> object:
    """Set what ``changes`` names (a null takes it back); all that is set then."""
    given = params.get("changes", {})
    if not isinstance(given, dict):
        raise Failed("params", "changes have to be an object")
    changes = cast("Mapping[str, Any]", given)
    if not all(value is None or isinstance(value, str) for value in changes.values()):
        raise Failed("params", "what is set is a text, or null")
    key = _key(params)
    with in_words():
        row = await _find(node, key)
        if changes:
            changed(row.meta, changes)  # refused here, no session is woken for it
            meta = await _order(node, key, PatchSession(changes=changes))
        else:
            meta = row.meta
    return {"key": key, **show_value(meta)}


async def reset(node: Node, params: Params, send: Send) -> object:
    """Begin a new conversation under the key."""
    key = _key(params)
    session_id = await _order(node, key, ResetSession())
    return {"key": key, "session_id": session_id}


async def rewind(node: Node, params: Params, send: Send) -> object:
    """Go on behind the event ``to``."""
    key, to = _key(params), _number(params, "to", None)
    return {"key": key, "to": to, "seq": await _order(node, key, RewindSession(to))}


async def fork(node: Node, params: Params, send: Send) -> object:
    """Begin the session ``new`` with what this one had come to by the event ``at``."""
    key = _key(params)
    given = text(params, "new", "")
    agent = keys.parse(key).agent or "main"
    with in_words():
        fresh = given or f"fork:{node.outside.new_id()[:8]}"
        new = str(keys.resolve_outside(fresh, agent))
    at = None if params.get("at") is None else _number(params, "at", None)
    return {
        "key": await _order(node, key, ForkSession(key=new, at=at)),
        "parent": key,
    }


async def archive(node: Node, params: Params, send: Send) -> object:
    """Put the session away."""
    key = _key(params)
    await _order(node, key, PutAway(away=True))
    return {"key": key, "archived": True}


async def unarchive(node: Node, params: Params, send: Send) -> object:
    """Bring it back."""
    key = _key(params)
    await _order(node, key, PutAway(away=False))
    return {"key": key, "archived": False}


async def delete(node: Node, params: Params, send: Send) -> object:
    """Delete the session."""
    key = _key(params)
    session_id = await _order(node, key, DeleteSession())
    return {"key": key, "session_id": session_id, "deleted": True}


async def stop(node: Node, params: Params, send: Send) -> object:
    """Stop the turn in progress and the messages that wait; which runs that were."""
    key = _key(params)
    with in_words():
        try:
            stopped = await lifecycle.stop(node.bus, DEFAULT_TENANT, key)
        except NoSuchSession as error:
            raise await _with_hint(node, key, error) from None
    return {"key": key, "stopped": stopped}


async def hand_over(node: Node, params: Params, send: Send) -> object:
    """Have the agent ``to`` answer from the next turn on; done when this one is over."""
    key, to = _key(params), text(params, "to")
    if to not in node.config.agents:
        there = ", ".join(sorted(node.config.agents))
        raise Failed("params", f"there is no agent {to!r}; agents: {there}")
    await _order(node, key, sessions.HandTo(agent=to, by="a person"))
    return {"key": key, "agent": to}


async def history(node: Node, params: Params, send: Send) -> object:
    """An event for the session, then one for each of its journal.

    Those of the present conversation; with ``all`` also those that do not count any
    more, or belong to one before.
    """
    key, every = _key(params), flag(params, "all")
    with in_words():
        row = await _find(node, key)
        events = await node.bus.call(_ledger(), ReadJournal(key))
    counting = path(events)
    resets = [event.seq for event in counting if event.kind == "session-reset"]
    first = resets[-1] if resets else 0
    counts = {event.seq for event in counting}
    await send({"type": "session", **_shown(row)})
    for event in events:
        now = event.seq in counts and event.seq >= first
        if now or every:
            await send(_event(event, now=now))
    return True


async def output(node: Node, params: Params, send: Send) -> object:
    """What a tool said and its model was not told, from ``offset`` on: an event a piece.

    ``output`` is its id, as the model was told it and the journal has it (``rest``).
    """
    id_, at = text(params, "output"), _number(params, "offset", 0)
    while True:
        with in_words():
            read = ReadOutput(id_, at, MOST_OF_OUTPUT)
            found = await node.bus.call(_ledger(), read, timeout=None)
        if found is None:
            raise Failed(
                "refused",
                f"no output {id_[:200]} is kept: it is not that id, it is older than "
                "tools.keep_seconds, or its conversation was deleted",
            )
        await send({"type": "output", "output": id_, **show_value(found)})
        at = found.offset + len(found.text)
        if at >= found.kept:
            return True


SESSION_METHODS: Final[Mapping[str, Method]] = {
    "sessions.list": list_,
    "sessions.patch": patch,
    "sessions.reset": reset,
    "sessions.rewind": rewind,
    "sessions.fork": fork,
    "sessions.archive": archive,
    "sessions.unarchive": unarchive,
    "sessions.delete": delete,
    "sessions.stop": stop,
    "sessions.hand-over": hand_over,
    "sessions.history": history,
    "sessions.output": output,
}


# --- asking


async def _order(node: Node, key: str, request: supervision.Call[R]) -> R:
    with in_words():
        try:
            return await lifecycle.order(
                node.bus, DEFAULT_TENANT, key, request, person=node.person
            )
        except NoSuchSession as error:
            raise await _with_hint(node, key, error) from None


async def _find(node: Node, key: str) -> SessionRow:
    try:
        return await lifecycle.find(node.bus, DEFAULT_TENANT, key)
    except NoSuchSession as error:
        raise await _with_hint(node, key, error) from None


async def _with_hint(node: Node, key: str, error: NoSuchSession) -> NoSuchSession:
    rows = await node.bus.call(_ledger(), ReadSessions(limit=_KNOWN_KEYS))
    # By what is behind the agent's name: the beginnings are all alike.
    known = {row.key.split(":", 2)[-1]: row.key for row in rows}
    close = difflib.get_close_matches(key.split(":", 2)[-1], known, n=1)
    return (
        NoSuchSession(f"{error}; did you mean {known[close[0]]}?") if close else error
    )


def _ledger() -> str:
    return names.of_tenant(DEFAULT_TENANT, "ledger")


# --- parameters


def _key(params: Params) -> str:
    with in_words():
        agent = text(params, "agent", "main")
        return str(keys.resolve(text(params, "session"), agent))


def _number(
    params: Params, name: str, default: int | None, *, most: int = 2**62
) -> int:
    value = params.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Failed("params", f"{name} has to be a whole number from 0 to {most}")
    return value


# --- showing


def _shown(row: SessionRow) -> dict[str, object]:
    found = show_value(row)
    return {**found, **found.pop("meta")}


def _event(event: Event, *, now: bool) -> dict[str, object]:
    body: object = {"left_out": len(event.body)}
    if len(event.body) <= MOST_OF_BODY:
        body = orjson.loads(event.body)
    return {
        "type": "event",
        "seq": event.seq,
        "parent": event.seq - 1 if event.parent is None else event.parent,
        "counts": now,
        "kind": event.kind,
        "version": event.version,
        "at": event.at,
        "run_id": event.run_id,
        "origin": event.origin,
        "sender": event.sender,
        "body": body,
    }
