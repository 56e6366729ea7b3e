"""Messages into inboxes: those from outside, and those that a commit has for a session."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from beamclaw.contracts.budgets import Spent, session_purse
from beamclaw.contracts.ledger_errors import (
    IdempotencyConflict,
    Overloaded,
    RunIdTaken,
)
from beamclaw.contracts.ledger_inbox import Accept, Receipt
from beamclaw.ledger.memory import Memory, Run, Session, inbox_key
from beamclaw.ledger.writing import Writing

# Of the messages that may wait, those of one session, if nobody says otherwise.
SHARE = 1_000


@attrs.define(eq=False)
class Inbox:
    """The inbox of a tenant.

    Attributes:
        memory: What is known.
        limit: Messages that may wait.
        share: Those of one session that may.
        new_id: A fresh id for a new session.
    """

    memory: Memory
    limit: int
    share: int
    new_id: Callable[[], str]

    def repeated(self, job: Accept) -> Receipt | None:
        """The receipt of the message that *job* repeats; None: it is new.

        Raises:
            IdempotencyConflict: Its id was used for another one.
        """
        before = self.memory.accepted.get(inbox_key(job))
        if before is None:
            return None
        fingerprint, receipt = before
        if fingerprint != job.fingerprint:
            raise IdempotencyConflict(
                f"the id {job.external_id!r} came before with another content; send "
                "the new message under a new id"
            )
        return attrs.evolve(receipt, duplicate=True, fresh=False)

    def check(
        self, job: Accept, *, owed: bool = False, before: Sequence[Accept] = ()
    ) -> None:
        """Whether there is a place for *job*, after those of *before*.

        Raises:
            Overloaded: There is none; one that is *owed* has one always.
            RunIdTaken: Its run is another message's.
        """
        depth = len(self.memory.waiting) + len(before)
        if depth >= self.limit and not owed:
            raise Overloaded(depth, self.limit)
        if not owed:
            self._check_share(job.session_key, before)
        given = job.run_id in self.memory.runs
        if given or any(job.run_id == each.run_id for each in before):
            raise RunIdTaken(job.run_id)

    def _check_share(self, key: str, before: Sequence[Accept]) -> None:
        session = self.memory.sessions.get(key)
        waiting = 0 if session is None else self.memory.waiting_in.get(session.id, 0)
        waiting += sum(each.session_key == key for each in before)
        if waiting >= self.share:
            raise Overloaded(waiting, self.share, session=key)

    def put(self, job: Accept, writing: Writing) -> Receipt:
        """Take *job*, which was checked."""
        memory, key = self.memory, inbox_key(job)
        session = memory.sessions.get(job.session_key)
        fresh = session is None
        if session is None:
            session = self.new_session(
                job.session_key,
                job.agent,
                job.at,
                channel=job.channel,
                ephemeral=job.ephemeral,
            )
            self.remember(session, writing)
        self._new_run(job, session, writing)
        memory.last_inbox += 1
        row = memory.last_inbox
        memory.put_waiting(row, session.id, job.run_id)
        writing.inbox += (row, *key, job.fingerprint, session.id)
        writing.inbox += (job.run_id, job.at, job.body)
        receipt = Receipt(
            inbox_id=row,
            run_id=job.run_id,
            session_key=job.session_key,
            at=job.at,
            fresh=fresh,
        )
        memory.accepted[key] = job.fingerprint, receipt
        return receipt

    def new_session(
        self,
        key: str,
        agent: str,
        at: float,
        session_id: str | None = None,
        **known: Any,
    ) -> Session:
        """A session as it will be, not remembered yet."""
        self.memory.last_session += 1  # a number that is skipped is no harm
        return Session(
            self.memory.last_session,
            key,
            session_id or self.new_id(),
            agent,
            0,
            None,
            at,
            at,
            **known,
        )

    def remember(self, session: Session, writing: Writing) -> None:
        """The new session is agreed on."""
        memory = self.memory
        memory.sessions[session.key] = session
        # Known without a look: nothing was spent in it.
        memory.spent[session_purse(session.key)] = Spent()
        writing.sessions[session.id] = session

    def _new_run(self, job: Accept, session: Session, writing: Writing) -> None:
        memory = self.memory
        memory.last_run += 1
        run = Run(memory.last_run, job.run_id, session.id, "queued")
        run.queued_at, run.about = job.at, job.about or None
        memory.runs[run.run_id] = run
        writing.put_run(run)
