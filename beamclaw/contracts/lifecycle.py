"""What a person does with a whole session: set, reset, rewind, fork, put away, delete.

A session's own process does it, since the journal is its own; each is one commit, and
asking again after a crash gives the same answer. The words are those of OpenClaw's
``sessions.*`` methods.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

import attrs

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_reads import ReadSession, ReadSessionRow
from beamclaw.contracts.ledger_rows import SessionRow
from beamclaw.contracts.points import point
from beamclaw.contracts.session_deeds import Deed, Person, told
from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.contracts.sessions import HandTo, StopBeginning, Wake, abort
from beamclaw.values import frozen

R = TypeVar("R")


class NoSuchSession(LedgerError):  # noqa: N818 -- a situation
    """There is no session with this key."""


class TurnInProgress(LedgerError):  # noqa: N818 -- a situation
    """This cannot be done while the session works; stop it first."""


class NoRest(LedgerError):  # noqa: N818 -- a situation
    """The event is none at which a conversation rests; says which are."""


@frozen(kw_only=True)
class PatchSession(supervision.Call[SessionMeta]):
    """Set something, from the next turn on; also while one is in progress.

    Raises (in the caller): :class:`beamclaw.contracts.session_meta.BadSetting`.
    """

    changes: Mapping[str, str | None]


@frozen
class ResetSession(supervision.Call[str]):
    """Begin a new conversation; the reply is its session id.

    Where nothing was said since the last one, that stays. Refused with
    :class:`TurnInProgress`; with *stop* the turn is stopped first, with its
    sub-agents, and what waits behind it is answered in the new conversation.
    """

    stop: bool = False


@frozen
class RewindSession(supervision.Call[int]):
    """Go on behind event *to* (0: the beginning); the reply is the journal's new end.

    Nothing is taken out of the journal: a later one may go back to what is left now.
    Refused with :class:`TurnInProgress` and :class:`NoRest`.
    """

    to: int


@frozen(kw_only=True)
class ForkSession(supervision.Call[str]):
    """Begin the session *key* with what this one had come to; the reply is that key.

    By event *at*, or else by the last one; in a turn, by the last before at which it
    rested. It stands on its own: this one may be deleted. Refused with :class:`NoRest` and
    :class:`beamclaw.contracts.ledger_errors.SessionExists`.
    """

    key: str
    at: int | None = None


@frozen
class PutAway(supervision.Call[None]):
    """Archive the session, or bring it back. Refused with :class:`TurnInProgress`."""

    away: bool


@frozen
class DeleteSession(supervision.Call[str]):
    """Delete the session; the reply is the id it had.

    Refused with :class:`TurnInProgress`; with *stop* all that goes on and waits is
    stopped first, and whoever has said it is told so. Refused with
    :class:`~beamclaw.contracts.ledger_errors.HasWork` while something of that is not
    over: ask again.
    """

    stop: bool = False


@frozen
class ForgetAbout(supervision.Call[None]):
    """What was kept with this run, for who has asked, is forgotten; also while it runs.

    A conversation that is only known by what is kept of its runs is deleted with the
    last of them, in the same commit, unless a turn is in progress.
    """

    run_id: str


@frozen(kw_only=True)
class BeginSession(supervision.Call[str]):
    """Have a session, empty, if there is none of its key; the reply is its session id.

    One that is there stays as it is. *parent* is the key of the one it comes from.
    Raises (in the caller): :class:`beamclaw.contracts.session_meta.BadSetting`.
    """

    agent: str
    channel: str = ""
    parent: str | None = None
    changes: Mapping[str, str | None] = attrs.field(factory=dict[str, str | None])


@frozen
class NoteSession(supervision.Call[int]):
    """Put words of the node into the conversation; the reply is their event's number.

    The model sees them as its own. Asked again with the same *unique*, they are those
    that are there. Refused with :class:`TurnInProgress`, and with
    :class:`~beamclaw.contracts.ledger_errors.IdempotencyConflict` where other words
    came under it.
    """

    text: str
    unique: str = ""


Order = (
    NoteSession
    | BeginSession
    | PatchSession
    | ResetSession
    | RewindSession
    | ForkSession
    | PutAway
    | DeleteSession
    | ForgetAbout
)
ORDERS = (
    BeginSession,
    NoteSession,
    PatchSession,
    ResetSession,
    RewindSession,
    ForkSession,
    PutAway,
    DeleteSession,
    ForgetAbout,
)


@frozen
class SessionChanged:
    """Published on :func:`changes`: something is different about the session, durably.

    *reason* is what was done: ``create``, ``patch``, ``reset``, ``rewind``, ``fork``,
    ``archive``, ``delete``, ``compact``.
    """

    session_key: str
    reason: str


def changes(tenant: str) -> str:
    """The bus topic of what is done with whole sessions of *tenant*."""
    return names.of_tenant(tenant, "changes")


def tell_changed(bus: Bus, tenant: str, session_key: str, reason: str) -> None:
    """It is durable: tell whoever follows the sessions."""
    bus.publish(changes(tenant), SessionChanged(session_key, reason))


@frozen
class CleanUp:
    """Cast to the clean-up of a tenant: there is something to erase."""


def clean_up(cast: Callable[[str, object], object], tenant: str) -> None:
    """Have the clean-up of *tenant* look now, and not a little later; *cast* may lose."""
    with point("session.erase"):
        cast(names.of_tenant(tenant, "cleanup"), CleanUp())


async def find(bus: Bus, tenant: str, session_key: str) -> SessionRow:
    """The session as the ledger lists it.

    Raises:
        NoSuchSession: There is none, or not any more.
    """
    row = await _look(bus, tenant, session_key)
    if row is None or row.deleted_at is not None:
        raise no_such_session(session_key, row)
    return row


async def order(
    bus: Bus,
    tenant: str,
    session_key: str,
    request: supervision.Call[R],
    *,
    person: Person | None = None,
) -> R:
    """Have *request*, one of the orders above, carried out. Then it is durable.

    What undoes something for a *person* is told of; asked again, it is no deed any more.

    Raises:
        NoSuchSession: There is no such session.
        LedgerError: It is refused, see the order.
        supervision.CallFailed: The tenant is not up, or the session died over it;
            whether it was done is unknown: ask again.
    """
    row = await _look(bus, tenant, session_key)
    gone = row is None or row.deleted_at is not None
    if gone and not _begins(request):
        if row is not None and isinstance(request, DeleteSession):
            return cast("R", row.session_id)  # asked again: it is done
        raise no_such_session(session_key, row)
    deed = _deed(request)
    if person is None or deed is None:
        return await _carried_out(bus, tenant, session_key, request)
    with told(tenant, session_key, person, deed):
        return await _carried_out(bus, tenant, session_key, request)


def _deed(request: object) -> Deed | None:
    match request:
        case DeleteSession():
            return Deed("delete")
        case ResetSession():
            return Deed("reset")
        case RewindSession(to):
            return Deed("rewind", str(to))
        case HandTo(agent=agent):
            return Deed("hand-over", agent)
        case _:
            return None


async def _carried_out(
    bus: Bus, tenant: str, session_key: str, request: supervision.Call[R]
) -> R:
    door = names.of_tenant(tenant, "sessions")
    while True:
        await bus.call(door, Wake(session_key), timeout=None)
        session = names.session(tenant, session_key)
        try:
            return await bus.call(session, request, timeout=None)
        except supervision.NoProcess:
            continue  # it fell asleep in between


async def stop(
    bus: Bus, tenant: str, session_key: str, *, queued: bool = True
) -> list[str]:
    """Stop the turn in progress and what its turns have left at work; which runs.

    One that is about to begin counts as in progress.
    With *queued* also the messages that wait. From the last one on, so that none begins
    because the one before is stopped.

    Raises:
        NoSuchSession: There is no such session.
        LedgerError: There is no place for it at the moment.
        supervision.CallFailed: The session died over it; ask again.
    """
    row = await find(bus, tenant, session_key)
    ledger = names.of_tenant(tenant, "ledger")
    found = await bus.call(ledger, ReadSession(session_key, row.seq), timeout=None)
    runs = [waiting.run_id for waiting in reversed(found.inbox)] if queued else []
    if found.open_run is not None:
        runs.append(found.open_run.run_id)
    # Turns that are over and have left sub-agents at work.
    left = [row.parent_run for row in found.children if row.state == "open"]
    runs += [run for run in dict.fromkeys(left) if run not in runs]
    stopped = [run for run in runs if await abort(bus, tenant, session_key, run)]
    if not queued and found.open_run is None and found.inbox:
        beginning = await order(bus, tenant, session_key, StopBeginning())
        stopped += [] if beginning is None else [beginning]
    return stopped


def no_such_session(key: str, row: SessionRow | None = None) -> NoSuchSession:
    """In words."""
    deleted = " any more; it was deleted" if row is not None else ""
    return NoSuchSession(f"there is no session {key}{deleted}")


def _begins(request: object) -> bool:
    return isinstance(request, BeginSession)


async def _look(bus: Bus, tenant: str, session_key: str) -> SessionRow | None:
    ledger = names.of_tenant(tenant, "ledger")
    return await bus.call(ledger, ReadSessionRow(session_key))
