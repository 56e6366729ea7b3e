"""What is done with a session as a whole, by its own process.

The orders are those of :mod:`beamclaw.contracts.lifecycle`; each is one commit. What it needs of the session's past is read for it, since nobody
waits for these as for an answer.
"""

from contextlib import suppress

import attrs

import supervision
from beamclaw.agents import UnknownAgent, UnknownModel
from beamclaw.contracts import keys, ledger, ledger_ops, names
from beamclaw.contracts.journal import Forked, Noted, SessionReset, event, read
from beamclaw.contracts.ledger_errors import (
    HasWork,
    IdempotencyConflict,
    LedgerError,
    SessionExists,
)
from beamclaw.contracts.ledger_ops import Op
from beamclaw.contracts.ledger_reads import CountAbout, ReadJournal, ReadSessionRow
from beamclaw.contracts.ledger_rows import Event, SessionRow
from beamclaw.contracts.ledger_session_ops import (
    ArchiveSession,
    DropSession,
    NewSession,
    RenewSession,
    SetMeta,
)
from beamclaw.contracts.lifecycle import (
    BeginSession,
    DeleteSession,
    ForgetAbout,
    ForkSession,
    NoRest,
    NoteSession,
    Order,
    PatchSession,
    PutAway,
    ResetSession,
    RewindSession,
    TurnInProgress,
    clean_up,
    no_such_session,
    tell_changed,
)
from beamclaw.contracts.path import path, rests
from beamclaw.contracts.points import point
from beamclaw.contracts.session_meta import BadSetting, SessionMeta, changed
from beamclaw.contracts.snapshots import Forget
from beamclaw.sessions.journal import Journal, replayed
from beamclaw.sessions.wiring import Wiring

# Numbers that a refusal lists on each side of the one that was meant.
_NEAR = 3


@attrs.define
class About:
    """What is known of a session beside its journal; a new one has nothing.

    Attributes:
        archived: It was put away.
        dropped: It was deleted, by this process.
    """

    meta: SessionMeta = SessionMeta()
    archived: bool = False
    dropped: bool = False

    def see(self, row: SessionRow | None) -> None:
        """It stands in the ledger so."""
        self.meta = SessionMeta() if row is None else row.meta
        self.archived = row is not None and row.archived_at is not None


class _Ending(Exception):  # noqa: N818 -- a situation
    """The turn in progress is over, and its run about to end."""


class Upkeep:
    """Carries orders out for one session.

    Attributes:
        about: What holds for its next turn.
    """

    def __init__(self, wiring: Wiring, key: str, journal: Journal) -> None:
        self.about = About()
        self._wiring = wiring
        self._key = key
        self._journal = journal

    async def serve(
        self, sender: supervision.From, order: Order, busy: str, *, running: bool
    ) -> bool:
        """Answer *sender*, who wants this done with the session as a whole.

        False: not yet. A run is there (*running*) whose turn is over in the ledger, which
        others may see before its session is told.
        """
        try:
            answer = await self.carry_out(order, busy, running=running)
        except (LedgerError, BadSetting) as refusal:
            with point("session.order-refused"):
                supervision.reply_error(sender, refusal)
            return True
        except _Ending:
            return False
        with point("session.order-done"):
            supervision.reply(sender, answer)
        return True

    async def carry_out(  # noqa: C901, PLR0911, PLR0912 -- a table
        self, order: Order, busy: str, *, running: bool = False
    ) -> object:
        """What the order is answered with; *busy* says in words what goes on.

        Raises:
            beamclaw.contracts.ledger_errors.LedgerError: It is refused.
        """
        row = await supervision.call(
            self._wiring.ledger, ReadSessionRow(self._key), timeout=None
        )
        if row is None or row.deleted_at is not None:
            if isinstance(order, BeginSession):
                return await self._begin_empty(order)
            raise no_such_session(self._key, row)
        match order:
            case BeginSession():
                return row.session_id
            case PatchSession(changes=new):
                return await self._patch(row, changed(self.about.meta, new))
            case ForgetAbout(run_id) if await self._stays_without(run_id):
                return await self._set(ledger_ops.ForgetAbout(run_id))
            case ForkSession():
                return await self._fork(row, order)
            case NoteSession() if (seq := await self._noted(order)) is not None:
                return seq
            case _ if running and row.open_run is None:
                raise _Ending
            case ForgetAbout(run_id):
                return await self._forget(row, run_id, busy=bool(busy))
            case _ if busy:
                raise TurnInProgress(
                    f"{busy} in session {self._key}; stop it first "
                    f"(beamclaw sessions stop {self._key})"
                )
            case NoteSession():
                return await self._note(order)
            case ResetSession():
                return await self._reset(row)
            case RewindSession(to):
                return await self._rewind(to)
            case PutAway(away):
                return await self._put_away(away=away)
            case DeleteSession():
                return await self._delete(row)

    async def _begin_empty(self, order: BeginSession) -> str:
        meta = changed(SessionMeta(), order.changes)
        self._check_model(order.agent, meta)
        new = NewSession(
            session_id=self._wiring.outside.new_id(),
            agent=order.agent,
            at=self._wiring.outside.wall(),
            channel=order.channel,
            parent=order.parent,
        )
        try:
            await self._set(new, SetMeta(meta))
        except SessionExists:  # a message for it came meanwhile
            return (await self._row()).session_id
        self.about = About(meta=meta)
        self._tell("create")
        return new.session_id

    async def _row(self) -> SessionRow:
        row = await supervision.call(
            self._wiring.ledger, ReadSessionRow(self._key), timeout=None
        )
        if row is None:
            raise no_such_session(self._key)
        return row

    def _check_model(self, agent: str, meta: SessionMeta) -> None:
        if meta.model is not None:
            try:
                self._wiring.resolve(agent, meta.model)
            except (UnknownAgent, UnknownModel) as error:
                raise BadSetting(str(error)) from None

    async def _patch(self, row: SessionRow, meta: SessionMeta) -> SessionMeta:
        if meta.model != self.about.meta.model:
            self._check_model(row.agent, meta)
        await self._set(SetMeta(meta))
        self.about.meta = meta
        self._tell("patch")
        return meta

    def _tell(self, reason: str, key: str = "") -> None:
        """It is durable: whoever follows the sessions is told."""
        wiring = self._wiring
        tell_changed(wiring.bus, wiring.tenant, key or self._key, reason)

    async def _noted(self, order: NoteSession) -> int | None:
        """Where the note stands that this one repeats; None: it repeats none."""
        if not order.unique:
            return None
        for found in await self._journal.all():
            body = read(found) if found.kind == "noted" else None
            if isinstance(body, Noted) and body.unique == order.unique:
                if body.text != order.text:
                    msg = f"other words were noted in {self._key} under this key"
                    raise IdempotencyConflict(msg)
                return found.seq
        return None

    async def _note(self, order: NoteSession) -> int:
        body = Noted(text=order.text, unique=order.unique)
        with point("session.note"):
            await self._journal.commit((None, body), ops=())
        return self._journal.transcript.seq

    async def _put_away(self, *, away: bool) -> None:
        if away != self.about.archived:
            at = self._wiring.outside.wall() if away else None
            await self._set(ArchiveSession(at))
            self.about.archived = away
            self._tell("archive")

    async def _reset(self, row: SessionRow) -> str:
        if self._journal.transcript.is_new:
            return row.session_id
        session_id = self._wiring.outside.new_id()
        body = SessionReset(reason="reset", session_id=session_id)
        with point("session.reset"):
            await self._journal.commit((None, body), ops=(RenewSession(session_id),))
        self._tell("reset")
        return session_id

    async def _rewind(self, to: int) -> int:
        events = await self._journal.all()
        if to == len(events) or (events and _goes_back_to(events[-1], to)):
            return len(events)
        _check_rest(events, to)
        await self._journal.rewind(to, await replayed(events, to))
        self._tell("rewind")
        return self._journal.transcript.seq

    async def _stays_without(self, run_id: str) -> bool:
        """Whether there is another way to this conversation than what was kept of a run."""
        if keys.parse(self._key).kind != "http-response":
            return True
        others = CountAbout(self._key, besides=run_id)
        return await supervision.call(self._wiring.ledger, others, timeout=None) > 0

    async def _forget(self, row: SessionRow, run_id: str, *, busy: bool) -> None:
        forget = ledger_ops.ForgetAbout(run_id)
        if not busy:
            # In one commit, so that no death leaves words behind that nobody can name;
            # it is refused if somebody has just said something behind that run.
            with suppress(HasWork):
                await self._delete(row, forget)
                return
        await self._set(forget)

    async def _delete(self, row: SessionRow, *with_it: Op) -> str:
        with suppress(supervision.NoProcess):  # then none is being made either
            maker = names.of_tenant(self._wiring.tenant, "snapshots")
            await supervision.call(maker, Forget(self._key), timeout=None)
        await self._set(*with_it, DropSession(self._wiring.outside.wall()))
        self._journal.forget()
        self.about = About(dropped=True)
        self._tell("delete")
        clean_up(supervision.cast, self._wiring.tenant)
        return row.session_id

    async def _set(self, *ops: Op) -> None:
        with point("session.set"):
            await self._journal.commit_beside(ops)

    # --- forks

    async def _fork(self, row: SessionRow, order: ForkSession) -> str:
        events = await self._journal.all()
        at = order.at
        if at is not None:
            _check_rest(events, at)
        elif self._journal.transcript.turn is None:
            # What came behind the last turn (a note, a hand-over) is part of it, too.
            at = len(events)
        else:
            at = rests(path(events))[-1]
        state = await replayed(events, at)
        forked = Forked(
            source=self._key,
            session_id=row.session_id,
            seq=at,
            messages=tuple(state.messages),
            seqs=tuple(state.seqs),
            covered=state.covered,
            counted=state.counted,
            tainted=state.tainted,
            owed=state.owed,
            agent=state.agent,
        )
        try:
            agent = self._journal.agent_in(state) or row.agent
            await self._begin_fork(attrs.evolve(row, agent=agent), order.key, forked)
        except SessionExists:
            # Asked again: it is the same one, or another one's.
            if not await self._is_fork(order.key, at):
                raise
        self._tell("fork", order.key)
        return order.key

    async def _begin_fork(self, row: SessionRow, key: str, forked: Forked) -> None:
        at = self._wiring.outside.wall()
        new = NewSession(
            session_id=self._wiring.outside.new_id(),
            agent=row.agent,
            at=at,
            channel=row.channel,
            parent=self._key,
        )
        meta = SetMeta(attrs.evolve(self.about.meta, label=None))
        with point("session.fork"):
            await supervision.call(
                self._wiring.ledger,
                ledger.Commit(
                    claim=self._journal.claim(),
                    session_key=key,
                    expected_seq=0,
                    events=(event(forked, at=at),),
                    ops=(new, meta),
                ),
                timeout=None,
            )

    async def _is_fork(self, key: str, at: int) -> bool:
        events = await supervision.call(
            self._wiring.ledger, ReadJournal(key), timeout=None
        )
        first = read(events[0]) if events else None
        return isinstance(first, Forked) and (first.source, first.seq) == (
            self._key,
            at,
        )


def _goes_back_to(last: Event, to: int) -> bool:
    return last.kind == "rewound" and last.parent == to


def _check_rest(events: tuple[Event, ...], to: int) -> None:
    known = rests(events)
    if to in known:
        return
    before = [number for number in known if number < to][-_NEAR:]
    after = [number for number in known if number > to][:_NEAR]
    near = ", ".join(map(str, [*before, *after]))
    what = "inside a turn" if 0 < to <= len(events) else "not there"
    raise NoRest(f"event {to} is {what}; turns end at {near} (0 is the beginning)")
