"""What the methods on sessions share: which one is meant, and how it is looked at."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import attrs

import supervision
from beamclaw.agents import UnknownAgent, UnknownModel, resolve
from beamclaw.contracts import keys, lifecycle, names
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_reads import (
    ReadChildren,
    ReadJournal,
    ReadSession,
    ReadSessions,
)
from beamclaw.contracts.ledger_rows import Event, SessionRow
from beamclaw.contracts.session_deeds import Person
from beamclaw.gateway.errors import MethodError, invalid
from beamclaw.gateway.events.rows import Lately, lately, session_row, title_of
from beamclaw.gateway.methods._method import Context

R = TypeVar("R")
# Sessions among which one looks.
MOST_LOOKED_AT: Final = 10_000
# Of a journal's end so much is read to say how the session stands.
TAIL: Final = 40
# The journal of a session whose title is made is at most so long.
TITLE_EVENTS: Final = 400


def ledger_of(context: Context) -> str:
    """The name of the ledger of who asks."""
    return names.of_tenant(context.tenant, "ledger")


def key_of(
    context: Context, given: str, agent: str | None = None, *, new: bool = False
) -> str:
    """The whole key that *given* means; *new*: it may not be one of the node's own.

    Raises:
        MethodError: It is none, or another agent's.
    """
    agent = checked_agent(context, agent)
    try:
        read = keys.resolve_outside if new else keys.resolve
        key = read(given, agent or context.node.agents.default)
    except keys.BadKey as bad:
        raise invalid(str(bad)) from None
    if agent is not None and key.agent not in (None, agent):
        raise invalid(f"session {key} belongs to agent {key.agent}, not to {agent}")
    return str(key)


def checked_agent(context: Context, agent: str | None) -> str | None:
    """*agent*, if there is one of that id.

    Raises:
        MethodError: There is none.
    """
    if agent is not None and agent not in context.node.agents.ids:
        there = ", ".join(context.node.agents.ids)
        raise invalid(f"there is no agent {agent[:64]!r}; agents: {there}")
    return agent


async def find(context: Context, key: str) -> SessionRow:
    """The session; see :func:`beamclaw.contracts.lifecycle.find`."""
    return await lifecycle.find(context.bus, context.tenant, key)


async def order(context: Context, key: str, request: supervision.Call[R]) -> R:
    """Have it done; see :func:`beamclaw.contracts.lifecycle.order`."""
    person = Person(context.principal.account)
    return await lifecycle.order(
        context.bus, context.tenant, key, request, person=person
    )


async def journal(context: Context, key: str) -> Sequence[Event]:
    """All events of a session that is there."""
    await find(context, key)
    return await context.bus.call(ledger_of(context), ReadJournal(key), timeout=None)


async def looked_at(context: Context, work: Any, *args: Any) -> Any:
    """What *work* makes of *args*, away from the loop: journals may be long."""
    return await context.node.reader.run(partial(work, *args))


def model_of(context: Context, row: SessionRow) -> tuple[str, str] | None:
    """Provider and model that its next turn asks; None: there is none any more."""
    try:
        found = resolve(context.node.config, row.agent, row.meta.model)
    except (UnknownAgent, UnknownModel):
        return None
    return found.provider, found.model


async def shown(
    context: Context, row: SessionRow, *, title: bool = False, preview: bool = False
) -> dict[str, Any]:
    """*row* as clients are shown it, with what the end of its journal says."""
    whole = title and row.seq <= TITLE_EVENTS
    found = Lately()
    words = ""
    if row.seq:
        after = 0 if whole else max(0, row.seq - TAIL)
        try:
            read = await context.bus.call(
                ledger_of(context), ReadSession(row.key, after), timeout=None
            )
        except LedgerError:
            read = None
        if read is not None:
            found = attrs.evolve(
                lately(read.events[-TAIL:]),
                waiting=tuple(each.run_id for each in read.inbox),
            )
            words = title_of(read.events) if whole else ""
            row = read.row or row
    model = model_of(context, row)
    window = None if model is None else context.node.means.window(*model)
    return session_row(
        row, found, model=model, window=window, title=words, preview=preview
    )


async def described(context: Context, key: str) -> dict[str, Any]:
    """The session as a client is shown it that has changed it, or asks for it alone."""
    row = await find(context, key)
    children = await context.bus.call(
        ledger_of(context), ReadChildren(key), timeout=None
    )
    spawned = dict.fromkeys(
        child.session_key for child in children if child.kind == "spawn"
    )
    found = await shown(context, row, title=True, preview=True)
    return {**found, "childSessions": list(spawned)}


def entry_of(row: SessionRow) -> dict[str, Any]:
    """A session as what is changed of it answers: OpenClaw's ``SessionEntry``."""
    given: dict[str, Any] = {
        "sessionId": row.session_id,
        "updatedAt": round(row.updated_at * 1000),
        "sessionStartedAt": round(row.created_at * 1000),
        "label": row.meta.label,
        "modelOverride": row.meta.model,
        "thinkingLevel": row.meta.thinking,
        "verboseLevel": row.meta.verbosity,
        "archivedAt": None
        if row.archived_at is None
        else round(row.archived_at * 1000),
        "channel": row.channel or None,
        "parentSessionKey": row.parent,
    }
    return {name: value for name, value in given.items() if value is not None}


async def key_with_id(
    context: Context, session_id: str, agent: str | None
) -> str | None:
    """The key of the session, of *agent* if one is named, that has this id by now."""
    every = ReadSessions(limit=MOST_LOOKED_AT, ephemeral=None)
    for row in await context.bus.call(ledger_of(context), every, timeout=None):
        if row.session_id == session_id and agent in (None, row.agent):
            return row.key
    return None


def check_id(row: SessionRow, expected: str | None) -> None:
    """Whether it is still the conversation that the client means.

    Raises:
        MethodError: It is another one.
    """
    if expected is not None and expected != row.session_id:
        raise MethodError(
            "INVALID_REQUEST",
            f"session {row.key} is another conversation by now; look again",
            details={"reason": "session-changed", "sessionId": row.session_id},
            retryable=False,
        )


def fits(row: SessionRow, words: str) -> bool:
    """Whether all of *words* are found in what is known of the session."""
    about: Iterable[str | None] = (row.key, row.meta.label, row.session_id, row.channel)
    whole = " ".join(each for each in about if each).lower()
    return all(word in whole for word in words.lower().split())
