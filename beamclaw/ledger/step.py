"""One commit while it is checked: what it will change, nothing of which is so yet."""

from typing import Any

import attrs

from beamclaw.contracts.budgets import Purse, Spent, session_purse
from beamclaw.contracts.ledger import Claim
from beamclaw.contracts.ledger_errors import LedgerError, NoSuchWait
from beamclaw.contracts.ledger_inbox import Accept
from beamclaw.contracts.ledger_ops import Op
from beamclaw.ledger.grants import GrantKey
from beamclaw.ledger.inbox import Inbox
from beamclaw.ledger.memory import Child, Memory, Reserved, Run, Session, Wait, Worked
from beamclaw.ledger.writing import Writing


class Step:
    """One commit while it is checked.

    One is made for each commit, so it has its own ``__init__``: attrs would make each
    of these empty containers by a call of a generic alias, a quarter of a microsecond.
    """

    def __init__(
        self,
        inbox: Inbox,
        writing: Writing,
        session: Session,
        claim: Claim,
        seq: int,
    ) -> None:
        self.inbox = inbox
        self.memory: Memory = inbox.memory
        self.writing = writing
        self.session = session
        self.claim = claim
        # The journal's last event after this commit.
        self.seq = seq
        self.open_run = session.open_run
        # Runs as they will be after this commit: copies of those that are remembered.
        self.runs: dict[str, Run] = {}
        self.taken: list[int] = []
        # Sums and reservations as they will be after this commit; None: settled.
        self.spent: dict[Purse, Spent] = {}
        self.reserved: dict[tuple[int, int], Reserved | None] = {}
        # Time of runs as it will be after this commit; None: they are over.
        self.work: dict[int, Worked | None] = {}
        # Questions as they will be after this commit.
        self.waits: dict[str, Wait] = {}
        # What it allows for good.
        self.granted: set[GrantKey] = set()
        # Turns that work for others, as they will be, but for the new ones' sessions:
        # those come with the messages for other sessions.
        self.children: dict[str, Child] = {}
        self.messages: list[Accept] = []
        self.agent: str | None = None
        # What will be different of the session's row; and whether it will be no more.
        self.changes: dict[str, Any] = {}
        self.dropped = False
        self.unsnapped: int | None = None
        # Rows to be, each with the list of the writing that it belongs to.
        self.rows: list[tuple[list[Any], tuple[Any, ...]]] = []

    def keep(self) -> None:
        """The commit is agreed on: what was noted becomes what is."""
        memory, writing = self.memory, self.writing
        for run in self.runs.values():
            memory.runs[run.run_id] = run
            writing.put_run(run)
        self.session.open_run = self.open_run
        for row in self.taken:
            memory.take_waiting(row)
        writing.taken += self.taken
        memory.spent.update(self.spent)
        writing.spent.update(self.spent)
        for place, reserved in self.reserved.items():
            if reserved is None:
                memory.reserved.pop(place, None)
            else:
                memory.reserved[place] = reserved
        self._keep_work()
        memory.grants.held |= self.granted
        self._keep_waits()
        self._keep_children()
        if self.agent is not None:
            self.session.agent = self.agent
            writing.sessions[self.session.id] = self.session
        for target, row in self.rows:
            target.extend(row)
        self._keep_session()

    def _keep_session(self) -> None:
        session, memory, writing = self.session, self.memory, self.writing
        for name, value in self.changes.items():
            setattr(session, name, value)
        if self.unsnapped is not None:
            writing.unsnapped.append((session.id, self.seq, self.unsnapped))
        if self.dropped:
            assert session.deleted_key is not None
            del memory.sessions[session.deleted_key]
            purse = session_purse(session.deleted_key)
            memory.spent[purse] = Spent()
            writing.spent.pop(purse, None)
            writing.changed.pop(session.id, None)
            writing.dropped.append(session)
        elif self.changes:
            writing.changed[session.id] = session

    def _keep_work(self) -> None:
        for run, worked in self.work.items():
            self.writing.work[run] = worked
            if worked is None:
                self.memory.work.pop(run, None)
            else:
                self.memory.work[run] = worked

    def _keep_waits(self) -> None:
        for wait in self.waits.values():
            self.writing.waits[wait.wait_id] = wait
            if wait.closed_at is None:
                self.memory.waits[wait.wait_id] = wait
            else:
                self.memory.waits.pop(wait.wait_id, None)

    def _keep_children(self) -> None:
        for message in self.messages:
            self.inbox.put(message, self.writing)
            if message.run_id in self.children:
                child = self.children[message.run_id]
                session = self.memory.sessions[message.session_key]
                child.session = session.id
                if child.kind == "spawn":
                    self._adopt(session)
        for child in self.children.values():
            self.memory.keep_child(child)
            self.writing.children[child.run_id] = child

    def _adopt(self, session: Session) -> None:
        """It works for the conversation that this session works for, or is."""
        own = self.session
        if own.root is None:
            session.root, session.root_key = own.id, own.key
        else:
            session.root, session.root_key = own.root, own.root_key
        self.writing.changed[session.id] = session

    def child(self, run_id: str) -> Child | None:
        """A turn that works for another one and is not closed, as it stands."""
        return self.children.get(run_id) or self.memory.children.get(run_id)

    def change_child(self, run_id: str) -> Child:
        """The same, which there is, to be changed."""
        child = self.children.get(run_id)
        if child is None:
            child = attrs.evolve(self.memory.children[run_id])
            self.children[run_id] = child
        return child

    def children_of(self, run_id: str) -> tuple[Child, ...]:
        """Those that work for a run."""
        new = [c.run_id for c in self.children.values() if c.parent_run == run_id]
        known = self.memory.children_of.get(run_id, ())
        found = map(self.child, sorted({*new, *known}))
        return tuple(child for child in found if child is not None)

    def see(self, run_id: str) -> Run:
        """The run as it stands in this commit."""
        run = self.runs.get(run_id) or self.memory.run(run_id)
        if run is None or run.session != self.session.id:
            raise LedgerError(f"session {self.session.key} has no run {run_id}")
        return run

    def change(self, run_id: str) -> Run:
        """The run, to be changed."""
        run = self.see(run_id)
        if run_id not in self.runs:
            run = self.runs[run_id] = run.copy()
        return run

    def spent_out_of(self, purse: Purse) -> Spent:
        """The sum as it stands in this commit."""
        return self.spent.get(purse) or self.memory.spent_out_of(purse)

    def root(self) -> Session | None:
        """The conversation whose purse pays, too; None: this one pays alone."""
        session = self.session
        if session.root is None or any(
            dropped.id == session.root for dropped in self.writing.dropped
        ):
            return None
        return self.memory.root(session)

    def above(self) -> tuple[str | None, str | None]:
        """Key and session_id of that one; nothing, if there is none."""
        root = self.root()
        return (None, None) if root is None else (root.key, root.session_id)

    def root_purse(self, root_id: str | None) -> tuple[Purse, ...]:
        """The purse of the root, if what was reserved under *root_id* is still in it."""
        key, now = (None, None) if root_id is None else self.above()
        return () if key is None or now != root_id else (session_purse(key),)

    def worked(self, run: Run) -> Worked | None:
        """The run's time as it stands in this commit; None: it has no account."""
        if run.id in self.work:
            return self.work[run.id]
        return self.memory.work.get(run.id)

    def change_wait(self, wait_id: str) -> Wait:
        """An open question, to be changed."""
        wait = self.waits.get(wait_id) or self.memory.waits.get(wait_id)
        if (
            wait is None
            or wait.closed_at is not None
            or wait.session != self.session.id
        ):
            raise NoSuchWait(f"nothing waits for an answer as {wait_id}")
        if wait_id not in self.waits:
            wait = self.waits[wait_id] = attrs.evolve(wait)
        return wait

    # --- who may

    def own(self, op: Op) -> None:
        """Refuse a run's claim."""
        if self.claim.run_id is not None:
            raise LedgerError(f"{type(op).__name__} is for the session's own claim")

    def of_claim(self, run_id: str) -> None:
        """Refuse the claim of another run."""
        if self.claim.run_id is not None and self.claim.run_id != run_id:
            raise LedgerError(
                f"the claim is of run {self.claim.run_id}, not of {run_id}"
            )
