"""The book of a ledger: what commits and messages mean, decided in the writer's thread.

Each job is checked completely before it changes anything, so a refused one leaves no
trace and its neighbours in the transaction do not notice. What was agreed on is written
at the end, in a few statements for all.
"""

from collections.abc import Callable, Sequence

import attrs

from beamclaw.contracts.approvals import RevokeGrant
from beamclaw.contracts.budgets import session_purse
from beamclaw.contracts.ledger import Claim, Commit, Erase, NewEvent, ProveCommit
from beamclaw.contracts.ledger_errors import (
    LedgerError,
    SequenceConflict,
    SessionExists,
    StaleClaim,
)
from beamclaw.contracts.ledger_inbox import Accept, Receipt
from beamclaw.contracts.ledger_ops import ClaimRun, Op
from beamclaw.contracts.ledger_session_ops import NewSession
from beamclaw.ledger.erasing import Eraser
from beamclaw.ledger.grants import MOST, Grants
from beamclaw.ledger.inbox import SHARE, Inbox
from beamclaw.ledger.memory import Memory, Run, Session
from beamclaw.ledger.retention import KEPT, OUTPUTS_KEPT, Outputs, Retention
from beamclaw.ledger.rules import check
from beamclaw.ledger.statements import PUT_OUTPUTS
from beamclaw.ledger.step import Step
from beamclaw.ledger.writing import Writing
from beamclaw.storage import Broken, Connection

# Whatever is of one of these types is written, and nothing else is.
Job = Commit | Accept | Erase | RevokeGrant | ProveCommit


@attrs.define(eq=False)
class LedgerBook:
    """The book of one tenant (see :class:`beamclaw.storage.Book`).

    Attributes:
        tenant: Whose ledger.
        owner_epoch: Under which everything is written.
        inbox_limit: Messages that may wait.
        wall: Seconds since the epoch.
        new_id: A fresh id for a new session.
        inbox_share: Of those, how many may wait for one session.
        commits: Jobs that were written.
        repeats_seconds: How long a message that was taken is recognised when it comes
            again.
        outputs_seconds: How long is kept what tools said and the model did not get.
        max_grants: How much may be allowed for good.
    """

    connection: Connection
    tenant: str
    owner_epoch: int
    inbox_limit: int
    wall: Callable[[], float]
    new_id: Callable[[], str]
    commits: int = 0
    inbox_share: int = SHARE
    repeats_seconds: float = KEPT
    outputs_seconds: float = OUTPUTS_KEPT
    max_grants: int = MOST
    _retention: Retention = attrs.field(init=False)
    _outputs: Outputs = attrs.field(init=False)
    _eraser: Eraser = attrs.field(init=False)
    _memory: Memory = attrs.field(init=False)
    _inbox: Inbox = attrs.field(init=False)
    _writing: Writing = attrs.field(init=False, factory=Writing)

    def __attrs_post_init__(self) -> None:
        self._memory = Memory(self.connection, Grants(self.max_grants))
        self._inbox = Inbox(
            self._memory, self.inbox_limit, self.inbox_share, self.new_id
        )
        self._retention = Retention(self.repeats_seconds)
        self._outputs = Outputs(self.outputs_seconds)
        self._eraser = Eraser(self.connection, self.repeats_seconds)

    def apply(self, jobs: Sequence[Job]) -> list[object]:
        """See :class:`beamclaw.storage.Book`."""
        self._check_owner()
        writing = self._writing = Writing()
        self._memory.recall(jobs)
        outcomes: list[object] = []
        done = len(jobs)
        for job in jobs:
            try:
                outcomes.append(self._do(job))
            except LedgerError as refusal:
                outcomes.append(refusal)
                done -= 1
        now = self.wall()
        writing.write(self.connection, (self.tenant, self.owner_epoch), now)
        for place, job in enumerate(jobs):
            if type(job) is Erase:
                outcomes[place] = self._eraser.step(job.at)
        if writing.inbox:
            self._retention.step(self.connection, now)
        if writing.outputs:
            coming = len(writing.outputs) // PUT_OUTPUTS.width
            self._outputs.step(self.connection, now, coming)
        for run in writing.runs.values():
            if run.state == "ended":
                self._memory.runs.pop(run.run_id, None)
        for session in writing.dropped:
            # Now that its purse is deleted, nobody has to know that it is empty.
            assert session.deleted_key is not None
            self._memory.spent.pop(session_purse(session.deleted_key), None)
        self.commits += done
        return outcomes

    def _do(self, job: Job) -> object:
        if isinstance(job, Commit):
            return self._commit(job)
        if isinstance(job, RevokeGrant):
            return self._memory.grants.revoke(self.connection, self.owner_epoch, job)
        if isinstance(job, ProveCommit):
            return self._prove()
        return self._accept(job) if isinstance(job, Accept) else None

    def _prove(self) -> bool:
        # The same value, but a page that is written and synced all the same.
        self.connection.execute("UPDATE meta SET owner_epoch = owner_epoch")
        return True

    def forget(self) -> None:
        """See :class:`beamclaw.storage.Book`."""
        self._memory.forget()
        self._eraser.forget()

    def _check_owner(self) -> None:
        """Inside the transaction: nobody can take the file over while it is written."""
        (epoch,) = self.connection.execute("SELECT owner_epoch FROM meta").fetchone()
        if epoch != self.owner_epoch:
            raise Broken(
                f"another node has taken the ledger over: it is at owner epoch {epoch}, "
                f"this one at {self.owner_epoch}"
            )

    def _accept(self, job: Accept) -> Receipt:
        inbox = self._inbox
        receipt = inbox.repeated(job)
        if receipt is None:
            inbox.check(job)
            receipt = inbox.put(job, self._writing)
        return receipt

    # --- committing

    def _commit(self, job: Commit) -> int:
        memory = self._memory
        session = memory.sessions.get(job.session_key)
        new = job.ops[0] if job.ops and type(job.ops[0]) is NewSession else None
        if session is None:
            session = self._made(job, new)
        elif new is not None:
            raise SessionExists(f"there is a session {job.session_key} already")
        claim = job.claim
        run = self._check_claim(claim, session, job.ops)
        expected = job.expected_seq
        # Without events, and without a seq, the journal does not matter (see Commit).
        if (job.events or expected is not None) and expected != session.seq:
            raise SequenceConflict(
                f"session {session.key} is at event {session.seq}, not at {expected}"
            )
        if job.ops:
            step = Step(
                self._inbox,
                self._writing,
                session,
                claim,
                session.seq + len(job.events),
            )
            for op in job.ops:
                check(step, op)
            if new is not None:
                self._inbox.remember(session, self._writing)
            step.keep()
        # From here on nothing can be refused any more.
        if job.events:
            self._append(session, job.events, claim, run)
        return session.seq

    def _made(self, job: Commit, new: NewSession | None) -> Session:
        if new is None:
            raise LedgerError(f"no message ever came for session {job.session_key}")
        return self._inbox.new_session(
            job.session_key,
            new.agent,
            new.at,
            new.session_id,
            channel=new.channel,
            ephemeral=new.ephemeral,
        )

    def _check_claim(
        self, claim: Claim, session: Session, ops: Sequence[Op]
    ) -> Run | None:
        if claim.owner_epoch != self.owner_epoch or claim.tenant != self.tenant:
            raise StaleClaim(
                f"claim of {claim.tenant} at epoch {claim.owner_epoch}; this is "
                f"{self.tenant} at epoch {self.owner_epoch}"
            )
        if claim.run_id is None:
            return None
        run = self._memory.runs.get(claim.run_id)
        if run is None or run.state != "running" or run.session != session.id:
            raise StaleClaim(
                f"run {claim.run_id} is not in progress in session {session.key}"
            )
        child = self._memory.children.get(claim.run_id)
        if child is not None and child.state == "cancelled":
            raise StaleClaim(f"run {claim.run_id} was cancelled by who started it")
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
        session: Session,
        events: Sequence[NewEvent],
        claim: Claim,
        run: Run | None,
    ) -> None:
        memory, rows = self._memory, self._writing.events
        seq, previous = session.seq, session.last_event
        for event in events:
            seq += 1
            memory.last_event += 1
            run_id = event.run_id
            if run_id is None:
                epoch = 0
            elif run is not None and run_id == run.run_id:
                epoch = claim.run_epoch
            else:
                other = memory.run(run_id)
                epoch = 0 if other is None else other.epoch
            rows += (
                memory.last_event,
                session.id,
                seq,
                previous,
                event.kind,
                event.version,
                event.at,
                run_id,
                epoch,
                event.parent,
                event.origin,
                event.sender,
                event.reply_to,
                event.body,
            )
            previous = memory.last_event
        session.seq, session.last_event = seq, previous
        session.updated_at = events[-1].at
        self._writing.sessions[session.id] = session
