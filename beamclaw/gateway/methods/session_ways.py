"""A conversation's ways: ``sessions.fork``, ``rewind``, ``branches.switch``, compactions.

A client names a message, the journal goes back to where a conversation rests: a turn
cannot be entered in its middle.
"""

from collections.abc import Sequence
from typing import Any, Final

from beamclaw.contracts.journal import Compacted, read
from beamclaw.contracts.ledger_rows import Event, SessionRow
from beamclaw.contracts.lifecycle import ForkSession, RewindSession
from beamclaw.gateway.auth.scopes import ADMIN, READ, WRITE
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.events.entries import branches, entries, rest_before
from beamclaw.gateway.events.entries import find as find_entry
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods._sessions import (
    entry_of,
    find,
    journal,
    key_of,
    looked_at,
    order,
)
from beamclaw.values import frozen


@frozen(kw_only=True)
class EntryParams:
    """Which message of a session: one that a person has said."""

    session_key: Text
    entry_id: Text
    agent_id: Text | None = None


@method("sessions.rewind", scope=ADMIN, params=EntryParams)
async def rewind(context: Context, params: EntryParams) -> object:
    """Go back to before a message of a person; the answer has its words."""
    key = key_of(context, params.session_key, params.agent_id)
    rest, words = await _before(context, key, params.entry_id)
    await order(context, key, RewindSession(rest))
    return {"editorText": words}


@method("sessions.fork", scope=WRITE, params=EntryParams)
async def fork(context: Context, params: EntryParams) -> object:
    """Begin another session with what was said before a message of a person."""
    key = key_of(context, params.session_key, params.agent_id)
    rest, words = await _before(context, key, params.entry_id)
    new = _new_key(context, key)
    await order(context, key, ForkSession(key=new, at=rest))
    return {"sessionKey": new, "editorText": words}


async def _before(context: Context, key: str, entry: str) -> tuple[int, str]:
    """The last rest before the message *entry*, and its words."""
    events = await journal(context, key)
    found: tuple[int, str] | str = await looked_at(context, _rest_of, events, entry)
    if isinstance(found, str):
        raise invalid(found)
    return found


def _rest_of(events: Sequence[Event], entry: str) -> tuple[int, str] | str:
    found = find_entry(entries(events), entry)
    if found is None:
        return f"message entry not found: {entry[:64]}"
    if found.role != "user":
        return f"entry is not a user message: {entry[:64]}"
    return rest_before(events, found.seq), found.text


def _new_key(context: Context, key: str) -> str:
    return key_of(
        context, f"dashboard:{context.outside.new_id()}", _agent(key), new=True
    )


def _agent(key: str) -> str | None:
    parts = key.split(":")
    return parts[1] if parts[0] == "agent" else None


@frozen(kw_only=True)
class SwitchParams:
    """Which way: the id of its last entry, as ``sessions.branches.list`` has it."""

    session_key: Text
    leaf_entry_id: Text
    agent_id: Text | None = None


@method("sessions.branches.switch", scope=ADMIN, params=SwitchParams)
async def branches_switch(context: Context, params: SwitchParams) -> object:
    """Go on at the end of another way that the conversation has gone."""
    key = key_of(context, params.session_key, params.agent_id)
    events = await journal(context, key)
    ways = await looked_at(context, branches, events)
    wanted = [way for way in ways if str(way.seq) == params.leaf_entry_id]
    if not wanted:
        raise invalid(f"entry is not a branch tip: {params.leaf_entry_id[:64]}")
    if wanted[0].active:
        raise invalid(f"branch is already active: {params.leaf_entry_id[:64]}")
    await order(context, key, RewindSession(wanted[0].seq))
    return {}


# --- compactions


@frozen(kw_only=True)
class CompactionsParams:
    """Of which session."""

    key: Text
    agent_id: Text | None = None


@frozen(kw_only=True)
class CheckpointParams:
    """Which compaction of a session, as ``sessions.compaction.list`` has it."""

    key: Text
    checkpoint_id: Text
    agent_id: Text | None = None


@method("sessions.compaction.list", scope=READ, params=CompactionsParams)
async def compaction_list(context: Context, params: CompactionsParams) -> object:
    """Where a summary has taken the place of messages, the latest first."""
    key = key_of(context, params.key, params.agent_id)
    events = await journal(context, key)
    row = await find(context, key)
    found = await looked_at(context, _checkpoints, events, row)
    return {"ok": True, "key": key, "checkpoints": found}


@method("sessions.compaction.restore", scope=ADMIN, params=CheckpointParams)
async def compaction_restore(context: Context, params: CheckpointParams) -> object:
    """Go back to before a compaction: to the end of the turn before it."""
    key = key_of(context, params.key, params.agent_id)
    checkpoint, rest = await _checkpoint(context, key, params.checkpoint_id)
    await order(context, key, RewindSession(rest))
    row = await find(context, key)
    return {
        "ok": True,
        "key": key,
        "sessionId": row.session_id,
        "checkpoint": checkpoint,
        "entry": entry_of(row),
    }


@method("sessions.compaction.branch", scope=WRITE, params=CheckpointParams)
async def compaction_branch(context: Context, params: CheckpointParams) -> object:
    """Begin another session with what was there before a compaction."""
    key = key_of(context, params.key, params.agent_id)
    checkpoint, rest = await _checkpoint(context, key, params.checkpoint_id)
    new = _new_key(context, key)
    await order(context, key, ForkSession(key=new, at=rest))
    row = await find(context, new)
    return {
        "ok": True,
        "sourceKey": key,
        "key": new,
        "sessionId": row.session_id,
        "checkpoint": checkpoint,
        "entry": entry_of(row),
    }


async def _checkpoint(
    context: Context, key: str, checkpoint: str
) -> tuple[dict[str, Any], int]:
    events = await journal(context, key)
    row = await find(context, key)
    found: list[dict[str, Any]] = await looked_at(context, _checkpoints, events, row)
    for each in found:
        if each["checkpointId"] == checkpoint:
            return each, rest_before(events, int(checkpoint))
    raise invalid(f"checkpoint not found: {checkpoint[:64]}")


def _checkpoints(events: Sequence[Event], row: SessionRow) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for event in reversed(events):
        if event.kind != "compacted":
            continue
        body = read(event)
        assert isinstance(body, Compacted)
        found.append(
            {
                "checkpointId": str(event.seq),
                "sessionKey": row.key,
                "sessionId": row.session_id,
                "createdAt": round(event.at * 1000),
                "reason": "auto-threshold",
                "tokensBefore": body.before,
                "summary": body.summary,
                "preCompaction": {
                    "sessionId": row.session_id,
                    "entryId": str(body.last),
                },
                "postCompaction": {
                    "sessionId": row.session_id,
                    "entryId": str(event.seq),
                },
            }
        )
    return found


METHODS: Final = (
    rewind,
    fork,
    branches_switch,
    compaction_list,
    compaction_restore,
    compaction_branch,
)
