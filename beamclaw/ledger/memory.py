"""What the writer remembers, so that a commit seldom has to read.

It is what the database says plus what the present transaction is going to write; a
rollback forgets it all. Sessions and runs are bounded; when there are too many, all are
dropped, and what is needed again comes back with one statement per transaction.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import attrs

from beamclaw.contracts.approvals import RevokeGrant
from beamclaw.contracts.budgets import Purse, Spent, purses
from beamclaw.contracts.ledger import Commit, Erase, ProveCommit
from beamclaw.contracts.ledger_inbox import Accept, Receipt
from beamclaw.contracts.ledger_ops import (
    Deliver,
    EndRun,
    NoteRevival,
    OpenChild,
    OpenRun,
)
from beamclaw.contracts.ledger_rows import ChildState, RunState
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.contracts.subagents import ChildKind, Mode
from beamclaw.ledger import statements as sql
from beamclaw.ledger.grants import MOST, Grants
from beamclaw.storage import Connection
from beamclaw.values import frozen

REMEMBERED = 8_192

InboxKey = tuple[str, str, str, str]


@attrs.define(eq=False)
class Session:
    """A session's row, and its run in progress."""

    id: int
    key: str
    session_id: str
    agent: str
    seq: int
    last_event: int | None
    created_at: float
    updated_at: float
    channel: str = ""
    ephemeral: bool = False
    parent: str | None = None
    archived_at: float | None = None
    deleted_at: float | None = None
    deleted_key: str | None = None
    # The conversation that it works for in the end; None: for no other. Its key is None,
    # too, if it was deleted when this was read.
    root: int | None = None
    root_key: str | None = None
    meta: SessionMeta = SessionMeta()
    open_run: str | None = None


@attrs.define(eq=False)
class Run:
    """A run's row. Of one that has ended nothing more is remembered than that."""

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
    joined: str | None = None
    # Written with its first row, and not known of one that was read again.
    about: bytes | None = None

    def copy(self) -> "Run":
        """Another one with the same values."""
        return Run(
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
            self.joined,
            self.about,
        )


@attrs.define(eq=False)
class Wait:
    """A question's row; *details* and *granting* are JSON."""

    wait_id: str
    session: int
    run_id: str
    question: str
    at: float
    expires_at: float
    verdict: str | None = None
    by: str | None = None
    text: str = ""
    answered_at: float | None = None
    closed_at: float | None = None
    agent: str = ""
    digest: str = ""
    details: str = "{}"
    granting: str | None = None
    always: int = 0


@attrs.define(eq=False)
class Child:
    """The row of a turn that works for a tool call of another one."""

    run_id: str
    session: int
    parent_session: int
    parent_run: str
    call_id: str
    kind: ChildKind
    mode: Mode
    state: ChildState
    at: float
    model_calls: int = 0
    tool_calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    cost: int = 0
    tainted: int = 0


@frozen
class Reserved:
    """A reservation that is not settled, and the purses it is in.

    ``root_id`` is the session_id of a sub-agent's root when it was reserved: one that
    has begun anew since has another, and nothing of this in its purse.
    """

    bound: Usage
    cost: int
    purses: tuple[Purse, ...]
    root_id: str | None = None


@frozen
class Worked:
    """How long a run in progress has worked, and may go on; see ``Work``.

    ``agent``, ``at`` and ``root_id`` say in which purses that stands, see
    :class:`Reserved`; ``epoch`` is the run's.
    """

    epoch: int
    agent: str
    at: float
    used: int = 0
    reserved: int = 0
    root_id: str | None = None


@attrs.define(eq=False)
class Memory:
    """See the module."""

    _connection: Connection
    grants: Grants = attrs.field(factory=partial(Grants, MOST))
    sessions: dict[str, Session] = attrs.field(factory=dict[str, Session])
    runs: dict[str, Run] = attrs.field(factory=dict[str, Run])
    # Waiting messages: id to (session, run). Never more than the inbox may hold.
    waiting: dict[int, tuple[int, str]] = attrs.field(
        factory=dict[int, tuple[int, str]]
    )
    waiting_runs: set[str] = attrs.field(factory=set[str])
    # How many of them each session has.
    waiting_in: Counter[int] = attrs.field(factory=Counter[int])
    # Questions that are not closed. Never more than turns in progress ask.
    waits: dict[str, Wait] = attrs.field(factory=dict[str, Wait])
    # Turns that work for others and are not closed, by their own run, and their runs by
    # that of the other. Never more than what turns in progress wait for.
    children: dict[str, Child] = attrs.field(factory=dict[str, Child])
    children_of: dict[str, set[str]] = attrs.field(factory=dict[str, set[str]])
    # Sums out of purses; reservations that are open, by run (its number) and attempt.
    spent: dict[Purse, Spent] = attrs.field(factory=dict[Purse, Spent])
    reserved: dict[tuple[int, int], Reserved] = attrs.field(
        factory=dict[tuple[int, int], Reserved]
    )
    # Time of runs (by number) that are in progress, where that is limited: all of it.
    work: dict[int, Worked] = attrs.field(factory=dict[int, Worked])
    # Messages of this transaction, and those they may repeat: fingerprint and receipt.
    accepted: dict[InboxKey, tuple[str, Receipt]] = attrs.field(
        factory=dict[InboxKey, tuple[str, Receipt]]
    )
    last_session: int = 0
    last_event: int = 0
    last_run: int = 0
    last_inbox: int = 0
    _known: bool = False
    # Runs that this transaction was to know, and that there were not before it.
    _absent: set[str | None] = attrs.field(factory=set[str | None])

    def forget(self) -> None:
        """Remember nothing."""
        self.sessions.clear()
        self.runs.clear()
        self.spent.clear()
        self.reserved.clear()
        self._absent.clear()
        self._known = False

    def recall(
        self, jobs: Sequence[Commit | Accept | Erase | RevokeGrant | ProveCommit]
    ) -> None:
        """Look up what *jobs* are about, in a few statements for all of them."""
        if not self._known:
            self._recall_counts()
        if len(self.sessions) > REMEMBERED:
            self.sessions.clear()
        if len(self.runs) > REMEMBERED:
            self.runs.clear()
        if len(self.spent) > REMEMBERED:
            self.spent.clear()
        if len(self.reserved) > REMEMBERED:
            self.reserved.clear()
        jobs = [job for job in jobs if isinstance(job, Commit | Accept)]
        sessions = self.sessions
        accepts = list(_messages(jobs))
        keys = {job.session_key for job in jobs if job.session_key not in sessions}
        keys.update(job.session_key for job in accepts)
        keys.difference_update(sessions)
        if keys:
            self._recall_sessions(keys)
        ids = set(map(_run_of, jobs))
        ids.update(job.run_id for job in accepts)
        ids.difference_update(self.runs)
        ids.discard(None)
        if ids:
            self._recall_runs(tuple(ids))
        self._absent = ids.difference(self.runs)
        self.accepted.clear()
        if accepts:
            self._recall_accepted(accepts)

    def put_waiting(self, row: int, session: int, run_id: str) -> None:
        """A message waits from now on."""
        self.waiting[row] = session, run_id
        self.waiting_runs.add(run_id)
        self.waiting_in[session] += 1

    def take_waiting(self, row: int) -> None:
        """It does not wait any more."""
        session, run_id = self.waiting.pop(row)
        self.waiting_runs.discard(run_id)
        self.waiting_in[session] -= 1
        if not self.waiting_in[session]:
            del self.waiting_in[session]

    def run(self, run_id: str) -> Run | None:
        """The run, looked up if need be."""
        run = self.runs.get(run_id)
        if run is None and run_id not in self._absent:
            self._recall_runs((run_id,))
            run = self.runs.get(run_id)
        return run

    def keep_child(self, child: Child) -> None:
        """Remember how it stands; of one that is closed nothing."""
        runs = self.children_of.setdefault(child.parent_run, set())
        if child.state != "closed":
            self.children[child.run_id] = child
            runs.add(child.run_id)
            return
        self.children.pop(child.run_id, None)
        runs.discard(child.run_id)
        if not runs:
            del self.children_of[child.parent_run]

    def spent_out_of(self, purse: Purse) -> Spent:
        """What was spent out of *purse*, looked up if need be."""
        found = self.spent.get(purse)
        if found is None:
            row = self._connection.execute(sql.SPENT, purse).fetchone()
            found = self.spent[purse] = Spent() if row is None else Spent(*row)
        return found

    def reservation(self, run: int, attempt: int, session: str) -> Reserved | None:
        """The open reservation of a run's model call, looked up if need be."""
        found = self.reserved.get((run, attempt))
        if found is None:
            row = self._connection.execute(sql.RESERVED, (run, attempt)).fetchone()
            if row is not None:
                agent, at, root_id, *bound, cost = row
                usage = Usage(*bound, estimated=True)
                found = Reserved(usage, cost, purses(agent, session, at), root_id)
        return found

    def root(self, session: Session) -> Session | None:
        """The conversation that a sub-agent's works for, looked up if need be.

        None: it is one itself, or what it worked for has been deleted.
        """
        key = session.root_key
        if key is None:
            return None
        if key not in self.sessions:
            self._recall_sessions((key,))
        found = self.sessions.get(key)
        # Another one may have the key by now.
        return found if found is not None and found.id == session.root else None

    def _recall_counts(self) -> None:
        query = self._connection.execute
        self.last_session, self.last_event, self.last_run, self.last_inbox = query(
            sql.LAST_IDS
        ).fetchone()
        waiting = query(sql.WAITING).fetchall()
        self.waiting = {row[0]: (row[1], row[2]) for row in waiting}
        self.waiting_runs = {row[2] for row in waiting}
        self.waiting_in = Counter(row[1] for row in waiting)
        waits = [Wait(*row) for row in query(sql.OPEN_WAITS).fetchall()]
        self.waits = {wait.wait_id: wait for wait in waits}
        rows = query(sql.OPEN_WORK).fetchall()
        self.work = {run: Worked(0, *figures) for run, *figures in rows}
        self.grants.recall(self._connection)
        self.children.clear()
        self.children_of.clear()
        for row in query(sql.OPEN_CHILDREN).fetchall():
            self.keep_child(Child(*row))
        self._known = True

    def _recall_sessions(self, keys: Iterable[str]) -> None:
        for row in sql.SESSIONS_BY_KEY.read(self._connection, tuple(keys)):
            *known, label, model, thinking, verbosity, open_run = row
            meta = SessionMeta(
                label=label, model=model, thinking=thinking, verbosity=verbosity
            )
            session = Session(*known, meta=meta, open_run=open_run)
            self.sessions[session.key] = session

    def _recall_runs(self, ids: Sequence[str | None]) -> None:
        for row in sql.RUNS_BY_ID.read(self._connection, ids):
            run = Run(*row)
            self.runs[run.run_id] = run

    def _recall_accepted(self, jobs: Sequence[Accept]) -> None:
        keys = [part for job in jobs for part in inbox_key(job)]
        for row in sql.ACCEPTED.read(self._connection, keys):
            source, account, conversation, external_id, fingerprint, *rest = row
            inbox_id, run_id, session_key, at = rest
            receipt = Receipt(
                inbox_id=inbox_id, run_id=run_id, session_key=session_key, at=at
            )
            key = source, account, conversation, external_id
            self.accepted[key] = fingerprint, receipt


def inbox_key(job: Accept) -> InboxKey:
    """What makes a message the same one as another."""
    return job.source, job.account, job.conversation, job.external_id


def _messages(jobs: Iterable[Commit | Accept]) -> Iterator[Accept]:
    """What goes into inboxes: from outside, and from one session to another."""
    for job in jobs:
        if type(job) is Accept:
            yield job
        elif type(job) is Commit and job.ops:
            for op in job.ops:
                if type(op) is OpenChild or type(op) is Deliver:
                    yield op.message
                elif type(op) is EndRun and op.announce is not None:
                    yield op.announce


def _run_of(job: Commit | Accept) -> str | None:
    """The run that *job* is most likely about."""
    if isinstance(job, Accept):
        return job.run_id
    if job.claim.run_id is not None:
        return job.claim.run_id
    for op in job.ops:
        if type(op) is OpenRun or type(op) is NoteRevival:
            return op.run_id
    return None
