"""Rules for what is done with a session as a whole: made, set, renewed, put away, dropped."""

from collections.abc import Callable, Mapping
from typing import Any

from beamclaw.contracts.budgets import Spent, session_purse
from beamclaw.contracts.ledger_errors import HasWork
from beamclaw.contracts.ledger_session_ops import (
    ArchiveSession,
    DropSession,
    ForgetSnapshots,
    NewSession,
    RenewSession,
    SetMeta,
)
from beamclaw.ledger.step import Step


def _new_session(step: Step, op: NewSession) -> None:
    step.own(op)
    # The book has made it before this step, which writes the rest of its row.
    step.changes["parent"] = op.parent


def _set_meta(step: Step, op: SetMeta) -> None:
    step.own(op)
    step.changes["meta"] = op.meta


def _renew_session(step: Step, op: RenewSession) -> None:
    step.own(op)
    step.changes["session_id"] = op.session_id
    step.spent[session_purse(step.session.key)] = Spent()


def _archive_session(step: Step, op: ArchiveSession) -> None:
    step.own(op)
    step.changes["archived_at"] = op.at


def _drop_session(step: Step, op: DropSession) -> None:
    step.own(op)
    session, waiting = step.session, step.memory.waiting
    if step.open_run is not None:
        raise HasWork(f"session {session.key} has run {step.open_run} in progress")
    known = {**step.memory.children, **step.children}.values()
    if any(session.id in (child.session, child.parent_session) for child in known):
        raise HasWork(f"session {session.key} and another one work for each other")
    if any(
        owner == session.id and row not in step.taken
        for row, (owner, _) in waiting.items()
    ):
        raise HasWork(f"session {session.key} has messages that wait")
    step.dropped = True
    step.changes.update(
        # No key of a session begins like this.
        key=f"deleted:{session.id}",
        deleted_key=session.key,
        deleted_at=op.at,
    )


def _forget_snapshots(step: Step, op: ForgetSnapshots) -> None:
    step.own(op)
    step.unsnapped = op.after


RULES: Mapping[type, Callable[[Step, Any], None]] = {
    NewSession: _new_session,
    SetMeta: _set_meta,
    RenewSession: _renew_session,
    ArchiveSession: _archive_session,
    DropSession: _drop_session,
    ForgetSnapshots: _forget_snapshots,
}
