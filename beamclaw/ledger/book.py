"""What a commit means: checked against what is remembered, written as few statements.

Each job is checked completely before it changes anything here, so a refused one leaves
no trace and its neighbours in the transaction do not notice. What was agreed on is
collected and written at the end, table by table.

Everything runs in the writer's thread. What is remembered is what the database says
plus what the present transaction is going to write; a rollback forgets it all.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from beamclaw.contracts.ledger import (
    Accept,
    Claim,
    ClaimRun,
    Commit,
    EndRun,
    IdempotencyConflict,
    LedgerError,
    NewEvent,
    NoteRevival,
    Op,
    OpenRun,
    Overloaded,
    PutDefinition,
    PutOutbound,
    Receipt,
    Reserve,
    RunState,
    SequenceConflict,
    Settle,
    StaleClaim,
    Take,
)
from beamclaw.ledger import statements as sql
from beamclaw.storage import Connection

# Sessions and runs remembered at most; when there are more, all are dropped. What is
# needed again comes back with one statement per transaction.
_REMEMBERED = 8_192

_KEEP_TAKEN = 7 * 24 * 3600.0
_PRUNE_STEP = 500
_PRUNE_PAUSE = 0.25
_PRUNE_REST = 3600.0


@attrs.define(eq=False)
class _Session:
    id: int
    key: str
    session_id: str
    agent: str
    seq: int
    created_at: float
    updated_at: float
    open_run: str | None = None


@attrs.define(eq=False)
class _Run:
    id: int
    run_id: str
    session: int
    state: RunState
    epoch: int = 0
    revivals: int = 0
    queued_at: float | None = None
    opened_at: float | None = None
    claimed_at: float | None = None
    end: EndRun | None = None

    def copy(self) -> "_Run":
        return _Run(
            self.id,
            self.run_id,
            self.session,
            self.state,
            self.epoch,
            self.revivals,
            self.queued_at,
            self.opened_at,
            self.claimed_at,
            self.end,
        )


_Key = tuple[str, str, str, str]


@attrs.define(eq=False)
class _Writing:
    """What the present transaction is going to write; flat rows of parameters."""

    sessions: dict[int, _Session] = attrs.field(factory=dict[int, _Session])
    runs: dict[int, _Run] = attrs.field(factory=dict[int, _Run])
    accepted: dict[_Key, tuple[str, Receipt]] = attrs.field(
        factory=dict[_Key, tuple[str, Receipt]]
    )
    inbox: list[Any] = attrs.field(factory=list[Any])
    taken: list[Any] = attrs.field(factory=list[Any])
    events: list[Any] = attrs.field(factory=list[Any])
    reserved: list[Any] = attrs.field(factory=list[Any])
    settled: list[Any] = attrs.field(factory=list[Any])
    definitions: list[Any] = attrs.field(factory=list[Any])
    outbox: list[Any] = attrs.field(factory=list[Any])


@attrs.define(eq=False)
class _Step:
    """One commit while it is checked: nothing of it is in the book yet."""

    session: _Session
    claim: Claim
    open_run: str | None
    # Runs as they will be after this commit; copies, if they change.
    runs: dict[str, _Run] = attrs.field(factory=dict[str, _Run])
    taken: list[int] = attrs.field(factory=list[int])
    taken_runs: set[str] = attrs.field(factory=set[str])
    reserved: list[Any] = attrs.field(factory=list[Any])
    settled: list[Any] = attrs.field(factory=list[Any])
    definitions: list[Any] = attrs.field(factory=list[Any])
    outbox: list[Any] = attrs.field(factory=list[Any])


@attrs.define(eq=False)
class LedgerBook:
    """The book of one tenant (see :class:`beamclaw.storage.Book`).

    Args:
        tenant: Whose ledger.
        owner_epoch: Under which everything is written.
        inbox_limit: Messages that may wait.
        wall: Seconds since the epoch.
        new_id: A fresh id for a new session.
    """

    _connection: Connection
    tenant: str
    owner_epoch: int
    inbox_limit: int
    _wall: Callable[[], float]
    _new_id: Callable[[], str]
    commits: int = 0
    _sessions: dict[str, _Session] = attrs.field(factory=dict[str, _Session])
    _runs: dict[str, _Run] = attrs.field(factory=dict[str, _Run])
    # Waiting messages: id to (session, run). Never more than the inbox may hold.
    _waiting: dict[int, tuple[int, str]] = attrs.field(
        factory=dict[int, tuple[int, str]]
    )
    _waiting_runs: set[str] = attrs.field(factory=set[str])
    _last_session: int = 0
    _last_run: int = 0
    _last_inbox: int = 0
    _known: bool = False
    _writing: _Writing = attrs.field(factory=_Writing)
    _shared: tuple[str, int] = attrs.field(init=False)
    _prune_at: float = 0.0
    _prune_from: int = 0

    def __attrs_post_init__(self) -> None:
        self._shared = (self.tenant, self.owner_epoch)

    # --- the transaction

    def apply(self, jobs: Sequence[Commit | Accept]) -> list[object]:
        """See :class:`beamclaw.storage.Book`."""
        self._writing = _Writing()
        self._remember(jobs)
        outcomes: list[object] = []
        done = len(jobs)
        for job in jobs:
            try:
                outcomes.append(
                    self._commit(job) if type(job) is Commit else self._accept(job)
                )
            except LedgerError as refusal:
                outcomes.append(refusal)
                done -= 1
        self._write()
        self.commits += done
        return outcomes

    def forget(self) -> None:
        """See :class:`beamclaw.storage.Book`."""
        self._sessions.clear()
        self._runs.clear()
        self._known = False

    # --- remembering

    def _remember(self, jobs: Sequence[Commit | Accept]) -> None:
        if not self._known:
            self._remember_counts()
        if len(self._sessions) > _REMEMBERED:
            self._sessions.clear()
        if len(self._runs) > _REMEMBERED:
            self._runs.clear()
        sessions, runs = self._sessions, self._runs
        keys = {job.session_key for job in jobs if job.session_key not in sessions}
        if keys:
            self._load_sessions(keys)
        accepts = [job for job in jobs if type(job) is Accept]
        if accepts:
            self._load_accepted(accepts)
        ids = {_run_of(job) for job in jobs}
        ids.difference_update(runs)
        ids.discard(None)
        if ids:
            self._load_runs(ids)

    def _remember_counts(self) -> None:
        query = self._connection.execute
        self._last_session, self._last_run, self._last_inbox = query(
            sql.LAST_IDS
        ).fetchone()
        waiting = query(sql.WAITING).fetchall()
        self._waiting = {row[0]: (row[1], row[2]) for row in waiting}
        self._waiting_runs = {row[2] for row in waiting}
        self._known = True

    def _load_sessions(self, keys: Iterable[str]) -> None:
        for row in sql.SESSIONS_BY_KEY.read(self._connection, tuple(keys)):
            session = _Session(*row)
            self._sessions[session.key] = session

    def _load_runs(self, ids: Iterable[str | None]) -> None:
        for row in sql.RUNS_BY_ID.read(self._connection, tuple(ids)):
            run = _Run(*row)
            self._runs[run.run_id] = run

    def _load_accepted(self, jobs: Sequence[Accept]) -> None:
        keys = [part for job in jobs for part in _key(job)]
        accepted = self._writing.accepted
        for row in sql.ACCEPTED.read(self._connection, keys):
            source, account, conversation, external_id, fingerprint, *rest = row
            receipt = Receipt(
                inbox_id=rest[0],
                run_id=rest[1],
                session_key=rest[2],
                duplicate=True,
            )
            accepted[source, account, conversation, external_id] = fingerprint, receipt

    def _run(self, run_id: str) -> _Run | None:
        run = self._runs.get(run_id)
        if run is None:
            self._load_runs((run_id,))
            run = self._runs.get(run_id)
        return run

    # --- accepting

    def _accept(self, job: Accept) -> Receipt:
        key = _key(job)
        before = self._writing.accepted.get(key)
        if before is not None:
            return _repeated(job, *before)
        if len(self._waiting) >= self.inbox_limit:
            raise Overloaded(len(self._waiting), self.inbox_limit)
        if job.run_id in self._runs:
            raise LedgerError(f"run id {job.run_id} was given to another message")
        session = self._sessions.get(job.session_key)
        fresh = session is None
        if session is None:
            session = self._new_session(job)
        run = self._new_run(job.run_id, session)
        run.queued_at = job.at
        self._last_inbox += 1
        row = self._last_inbox
        self._waiting[row] = session.id, job.run_id
        self._waiting_runs.add(job.run_id)
        self._writing.inbox += (row, *key, job.fingerprint, session.id)
        self._writing.inbox += (job.run_id, job.at, job.body)
        receipt = Receipt(
            inbox_id=row, run_id=job.run_id, session_key=job.session_key, fresh=fresh
        )
        self._writing.accepted[key] = job.fingerprint, receipt
        return receipt

    def _new_session(self, job: Accept) -> _Session:
        self._last_session += 1
        session = _Session(
            self._last_session,
            job.session_key,
            self._new_id(),
            job.agent,
            0,
            job.at,
            job.at,
        )
        self._sessions[session.key] = session
        self._writing.sessions[session.id] = session
        return session

    def _new_run(self, run_id: str, session: _Session) -> _Run:
        self._last_run += 1
        run = _Run(self._last_run, run_id, session.id, "queued")
        self._runs[run_id] = run
        self._writing.runs[run.id] = run
        return run

    # --- committing

    def _commit(self, job: Commit) -> int:
        session = self._sessions.get(job.session_key)
        if session is None:
            raise LedgerError(f"no message ever came for session {job.session_key}")
        claim = job.claim
        run = self._check_claim(claim, session, job.ops)
        expected = job.expected_seq
        if (job.events or expected is not None) and expected != session.seq:
            raise SequenceConflict(
                f"session {session.key} is at event {session.seq}, not at "
                f"{expected}"
            )
        # From the events on, nothing can be refused any more.
        if job.ops:
            step = _Step(session, claim, session.open_run)
            for op in job.ops:
                _CHECK[type(op)](self, step, op)
            self._keep(step)
        if job.events:
            self._append(session, job.events, claim, run)
        return session.seq

    def _check_claim(
        self, claim: Claim, session: _Session, ops: Sequence[Op]
    ) -> _Run | None:
        if claim.owner_epoch != self.owner_epoch or claim.tenant != self.tenant:
            raise StaleClaim(
                f"claim of {claim.tenant} at epoch {claim.owner_epoch}; this is "
                f"{self.tenant} at epoch {self.owner_epoch}"
            )
        if claim.run_id is None:
            return None
        run = self._runs.get(claim.run_id)
        if run is None or run.state != "running" or run.session != session.id:
            raise StaleClaim(
                f"run {claim.run_id} is not in progress in session {session.key}"
            )
        if run.epoch != claim.run_epoch and not (
            run.epoch < claim.run_epoch and any(type(op) is ClaimRun for op in ops)
        ):
            raise StaleClaim(
                f"run {claim.run_id} is at epoch {run.epoch}, the claim at "
                f"{claim.run_epoch}"
            )
        return run

    def _append(
        self,
        session: _Session,
        events: Sequence[NewEvent],
        claim: Claim,
        run: _Run | None,
    ) -> None:
        rows, id_, seq = self._writing.events, session.id, session.seq
        for event in events:
            seq += 1
            run_id = event.run_id
            if run_id is None:
                epoch = 0
            elif run is not None and run_id == run.run_id:
                epoch = claim.run_epoch
            else:
                other = self._run(run_id)
                epoch = 0 if other is None else other.epoch
            rows += (
                id_,
                seq,
                event.kind,
                event.version,
                event.at,
                event.body,
                run_id,
                epoch,
                event.parent,
                event.origin,
                event.sender,
                event.reply_to,
            )
        session.seq = seq
        session.updated_at = events[-1].at
        self._writing.sessions[id_] = session

    def _keep(self, step: _Step) -> None:
        """The commit is agreed on: what was checked becomes what is."""
        writing = self._writing
        for run in step.runs.values():
            self._runs[run.run_id] = run
            # Last in order: the unique index wants a run ended before the next opens.
            writing.runs.pop(run.id, None)
            writing.runs[run.id] = run
        step.session.open_run = step.open_run
        for row in step.taken:
            _, run_id = self._waiting.pop(row)
            self._waiting_runs.discard(run_id)
        writing.taken += step.taken
        writing.reserved += step.reserved
        writing.settled += step.settled
        writing.definitions += step.definitions
        writing.outbox += step.outbox

    # --- one rule per operation: checks it, and notes what it will change in the step

    def _take(self, step: _Step, op: Take) -> None:
        _own(step, op)
        for row in op.inbox_ids:
            session, run_id = self._waiting.get(row, (0, ""))
            if session != step.session.id or row in step.taken:
                raise LedgerError(
                    f"message {row} does not wait for session {step.session.key}"
                )
            step.taken.append(row)
            step.taken_runs.add(run_id)

    def _open_run(self, step: _Step, op: OpenRun) -> None:
        _own(step, op)
        if step.open_run is not None:
            raise LedgerError(
                f"session {step.session.key} has run {step.open_run} in progress"
            )
        run = self._change(step, op.run_id, new=True)
        if run.state != "queued":
            raise LedgerError(f"run {op.run_id} was begun before")
        self._check_taken(step, run)
        run.state, run.epoch, run.opened_at = "running", 1, op.at
        step.open_run = op.run_id

    def _claim_run(self, step: _Step, op: ClaimRun) -> None:
        run_id = step.claim.run_id
        if run_id is None:
            raise LedgerError("only a run's own claim takes the run over")
        run = self._change(step, run_id)
        if run.epoch >= step.claim.run_epoch:
            raise StaleClaim(f"run {run_id} is at epoch {run.epoch} already")
        run.epoch, run.claimed_at = step.claim.run_epoch, op.at

    def _note_revival(self, step: _Step, op: NoteRevival) -> None:
        _own(step, op)
        run = self._change(step, op.run_id)
        if run.state == "ended":
            raise LedgerError(f"run {op.run_id} is over")
        run.revivals += 1

    def _end_run(self, step: _Step, op: EndRun) -> None:
        _of_claim(step, op.run_id)
        run = self._change(step, op.run_id)
        if run.state == "ended":
            raise LedgerError(f"run {op.run_id} is over already")
        self._check_taken(step, run)
        if run.state == "running":
            step.open_run = None
            if step.claim.run_id is None:
                run.epoch += 1  # so that the run, if it lives, is refused from now on
        run.state, run.end = "ended", op

    def _reserve(self, step: _Step, op: Reserve) -> None:
        run = self._see(step, op.run_id)
        bound = op.bound
        step.reserved += (run.id, op.attempt, run.epoch, op.agent, op.provider)
        step.reserved += (op.model, op.at, bound.input, bound.output, bound.cached)

    def _settle(self, step: _Step, op: Settle) -> None:
        run = self._see(step, op.run_id)
        usage = op.usage
        step.settled += (run.id, op.attempt, op.at, usage.input, usage.output)
        step.settled += (usage.cached, int(usage.estimated))

    def _put_definition(self, step: _Step, op: PutDefinition) -> None:
        step.definitions += (op.hash, op.body)

    def _put_outbound(self, step: _Step, op: PutOutbound) -> None:
        run = self._see(step, op.run_id)
        step.outbox += (run.epoch, op.key, step.session.id, op.run_id)
        step.outbox += (op.reply_to, op.body, op.at)

    def _see(self, step: _Step, run_id: str) -> _Run:
        """The run as it stands in this commit; its claim may speak for it."""
        _of_claim(step, run_id)
        run = step.runs.get(run_id) or self._run(run_id)
        if run is None or run.session != step.session.id:
            raise LedgerError(f"session {step.session.key} has no run {run_id}")
        return run

    def _change(self, step: _Step, run_id: str, *, new: bool = False) -> _Run:
        """A copy of the run that becomes the run when the commit is agreed on."""
        if run_id in step.runs:
            return step.runs[run_id]
        run = self._run(run_id)
        if run is None and new:
            self._last_run += 1  # a number that a refused commit skips is no harm
            run = _Run(self._last_run, run_id, step.session.id, "queued")
        if run is None or run.session != step.session.id:
            raise LedgerError(f"session {step.session.key} has no run {run_id}")
        run = step.runs[run_id] = run.copy()
        return run

    def _check_taken(self, step: _Step, run: _Run) -> None:
        if run.run_id in self._waiting_runs and run.run_id not in step.taken_runs:
            raise LedgerError(f"the message of run {run.run_id} has to be taken first")

    # --- writing

    def _write(self) -> None:
        connection, writing, shared = self._connection, self._writing, self._shared
        if writing.sessions:
            sql.PUT_SESSIONS.write(connection, shared, _session_rows(writing.sessions))
        if writing.inbox:
            sql.PUT_INBOX.write(connection, shared, writing.inbox)
        if writing.taken:
            now = (self._wall(),)
            sql.TAKE_INBOX.write(connection, now, writing.taken)
        if writing.runs:
            sql.PUT_RUNS.write(connection, shared, _run_rows(writing.runs))
            for run in writing.runs.values():
                if run.state == "ended":
                    self._runs.pop(run.run_id, None)
        if writing.events:
            sql.PUT_EVENTS.write(connection, shared, writing.events)
        if writing.reserved:
            sql.PUT_USAGE.write(connection, shared, writing.reserved)
        if writing.settled:
            self._write_settled(writing.settled)
        if writing.definitions:
            sql.PUT_DEFINITIONS.write(connection, shared, writing.definitions)
        if writing.outbox:
            sql.PUT_OUTBOX.write(connection, shared, writing.outbox)
        if writing.inbox:
            self._prune()

    def _write_settled(self, rows: Sequence[Any]) -> None:
        changed = sql.SETTLE_USAGE.write(self._connection, (), rows)
        if changed != len(rows) // sql.SETTLE_USAGE.width:
            # Whose it was comes out when the jobs are done again one by one.
            raise ValueError("nothing is reserved for this attempt of the run")

    def _prune(self) -> None:
        """Drop a few of the messages that were taken long ago.

        They were kept to recognise repeats. Goes through the table in steps, in the
        order of ids; the newest stays, so that no id is ever given twice.
        """
        now = self._wall()
        if now < self._prune_at:
            return
        query, old = self._connection.execute, now - _KEEP_TAKEN
        until = self._prune_from + _PRUNE_STEP
        query(sql.PRUNE_INBOX, (self._prune_from, until, self._last_inbox, old))
        # Ids ascend with time: behind the first young one there is nothing to do.
        after = query(sql.NEXT_INBOX, (until,)).fetchone()
        more = after is not None and after[1] < old
        self._prune_from = after[0] - 1 if more else 0
        self._prune_at = now + (_PRUNE_PAUSE if more else _PRUNE_REST)


def _run_of(job: Commit | Accept) -> str | None:
    return job.claim.run_id if type(job) is Commit else job.run_id


def _key(job: Accept) -> _Key:
    return job.source, job.account, job.conversation, job.external_id


def _repeated(job: Accept, fingerprint: str, receipt: Receipt) -> Receipt:
    if fingerprint != job.fingerprint:
        raise IdempotencyConflict(
            f"the id {job.external_id!r} came before with another content; send the "
            "new message under a new id"
        )
    return attrs.evolve(receipt, duplicate=True, fresh=False)


def _own(step: _Step, op: Op) -> None:
    if step.claim.run_id is not None:
        raise LedgerError(f"{type(op).__name__} is for the session's own claim")


def _of_claim(step: _Step, run_id: str) -> None:
    if step.claim.run_id is not None and step.claim.run_id != run_id:
        raise LedgerError(f"the claim is of run {step.claim.run_id}, not of {run_id}")


_CHECK: dict[type, Callable[[LedgerBook, _Step, Any], None]] = {
    Take: LedgerBook._take,
    OpenRun: LedgerBook._open_run,
    ClaimRun: LedgerBook._claim_run,
    NoteRevival: LedgerBook._note_revival,
    EndRun: LedgerBook._end_run,
    Reserve: LedgerBook._reserve,
    Settle: LedgerBook._settle,
    PutDefinition: LedgerBook._put_definition,
    PutOutbound: LedgerBook._put_outbound,
}


def _session_rows(sessions: dict[int, _Session]) -> list[Any]:
    rows: list[Any] = []
    for session in sessions.values():
        rows += (session.id, session.key, session.session_id, session.agent)
        rows += (session.seq, session.created_at, session.updated_at)
    return rows


_NO_END = (None, None, None, "", 0, 0, 0, 0, None, None)


def _run_rows(runs: dict[int, _Run]) -> list[Any]:
    rows: list[Any] = []
    for run in runs.values():
        rows += (run.epoch, run.id, run.run_id, run.session, run.state, run.revivals)
        rows += (run.queued_at, run.opened_at, run.claimed_at)
        rows += _NO_END if run.end is None else _end_row(run.end)
    return rows


def _end_row(end: EndRun) -> tuple[Any, ...]:
    usage = end.usage
    return (
        end.at,
        end.outcome,
        end.stop_reason,
        end.text,
        usage.input,
        usage.output,
        usage.cached,
        int(usage.estimated),
        end.error_kind,
        end.error,
    )
