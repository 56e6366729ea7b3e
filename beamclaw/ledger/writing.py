"""What a transaction is going to write: collected, then written table by table."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import orjson

from beamclaw.contracts.budgets import Purse, Spent, session_purse
from beamclaw.contracts.ledger_ops import EndRun
from beamclaw.contracts.messages import ToolCall
from beamclaw.ledger import statements as sql
from beamclaw.ledger.memory import Child, Run, Session, Wait, Worked
from beamclaw.storage import Connection


@attrs.define(eq=False)
class Writing:
    """Rows of parameters, one after the other; sessions and runs as they will be."""

    sessions: dict[int, Session] = attrs.field(factory=dict[int, Session])
    runs: dict[int, Run] = attrs.field(factory=dict[int, Run])
    inbox: list[Any] = attrs.field(factory=list[Any])
    taken: list[Any] = attrs.field(factory=list[Any])
    events: list[Any] = attrs.field(factory=list[Any])
    reserved: list[Any] = attrs.field(factory=list[Any])
    settled: list[Any] = attrs.field(factory=list[Any])
    warned: list[Any] = attrs.field(factory=list[Any])
    definitions: list[Any] = attrs.field(factory=list[Any])
    outbox: list[Any] = attrs.field(factory=list[Any])
    snapshots: list[Any] = attrs.field(factory=list[Any])
    outputs: list[Any] = attrs.field(factory=list[Any])
    commands: list[Any] = attrs.field(factory=list[Any])
    # Commands of whose end their sessions know.
    told: list[str] = attrs.field(factory=list[str])
    # Runs, each with its session, with which nothing is kept any more.
    forgotten: list[Any] = attrs.field(factory=list[Any])
    waits: dict[str, Wait] = attrs.field(factory=dict[str, Wait])
    grants: list[Any] = attrs.field(factory=list[Any])
    children: dict[str, Child] = attrs.field(factory=dict[str, Child])
    spent: dict[Purse, Spent] = attrs.field(factory=dict[Purse, Spent])
    # Time of runs, by number; None: they are over.
    work: dict[int, Worked | None] = attrs.field(factory=dict[int, Worked | None])
    # Deleted in this transaction, their keys free for others; and changed ones.
    dropped: list[Session] = attrs.field(factory=list[Session])
    changed: dict[int, Session] = attrs.field(factory=dict[int, Session])
    # Sessions, up to which event no snapshot may come any more, and behind which event
    # the one that is there does not hold.
    unsnapped: list[tuple[int, int, int]] = attrs.field(
        factory=list[tuple[int, int, int]]
    )

    def put_run(self, run: Run) -> None:
        """Write *run*; last in order, because one ends before the next may open."""
        self.runs.pop(run.id, None)
        self.runs[run.id] = run

    def write(
        self, connection: Connection, shared: tuple[str, int], now: float
    ) -> None:
        """Write it all; *shared* is the tenant and its owner epoch."""
        tables = (
            (sql.PUT_SESSIONS, shared, _session_rows(self.sessions.values())),
            (sql.PUT_INBOX, shared, self.inbox),
            (sql.TAKE_INBOX, (now,), self.taken),
            (sql.PUT_RUNS, shared, _run_rows(self.runs.values())),
            (sql.PUT_EVENTS, shared, self.events),
            (sql.PUT_USAGE, shared, self.reserved),
            (sql.PUT_DEFINITIONS, shared, self.definitions),
            (sql.PUT_OUTBOX, shared, self.outbox),
            (sql.PUT_SNAPSHOTS, shared, self.snapshots),
            (sql.PUT_OUTPUTS, shared, self.outputs),
            (sql.PUT_COMMANDS, shared, self.commands),
            (sql.PUT_WAITS, shared, _wait_rows(self.waits.values())),
            (sql.PUT_GRANTS, shared, self.grants),
            (sql.PUT_CHILDREN, shared, _child_rows(self.children.values())),
            (sql.PUT_SPENT, shared, _spent_rows(self.spent)),
            (sql.PUT_WARNINGS, shared, self.warned),
            (sql.PUT_WORK, shared, _work_rows(self.work)),
        )
        # First, because the key of one may be another's by the end.
        for session in self.dropped:
            _change(connection, shared, session)
            assert session.deleted_key is not None
            purse = session_purse(session.deleted_key)
            connection.execute(sql.FORGET_PURSE, purse)
            connection.execute(sql.FORGET_WARNINGS, purse)
        for statement, common, rows in tables:
            if rows:
                statement.write(connection, common, rows)
        self._forget(connection)
        for session in self.changed.values():
            _change(connection, shared, session)
        for place in self.unsnapped:
            connection.execute(sql.FORGET_SNAPSHOTS, (*shared, *place))
        if self.settled:
            self._settle(connection)

    def _forget(self, connection: Connection) -> None:
        for run, worked in self.work.items():
            if worked is None:
                connection.execute(sql.DROP_WORK, (run,))
        for command in self.told:
            connection.execute(sql.DROP_COMMAND, (command,))
        for run_id, of_session in zip(
            self.forgotten[::2], self.forgotten[1::2], strict=True
        ):
            connection.execute(sql.FORGET_ABOUT, (run_id, of_session))

    def _settle(self, connection: Connection) -> None:
        changed = sql.SETTLE_USAGE.write(connection, (), self.settled)
        if changed != len(self.settled) // sql.SETTLE_USAGE.width:
            # Whose it was comes out when the jobs are done again one by one.
            raise ValueError("nothing is reserved for this attempt of the run")


def _session_rows(sessions: Iterable[Session]) -> list[Any]:
    rows: list[Any] = []
    for session in sessions:
        rows += (
            session.id,
            session.key,
            session.session_id,
            session.agent,
            session.seq,
            session.last_event,
            session.created_at,
            session.updated_at,
            session.channel,
            int(session.ephemeral),
        )
    return rows


def _change(connection: Connection, shared: tuple[str, int], session: Session) -> None:
    meta = session.meta
    values = (
        shared[1],
        session.key,
        session.session_id,
        session.parent,
        session.archived_at,
        session.deleted_at,
        session.deleted_key,
        session.root,
        meta.label,
        meta.model,
        meta.thinking,
        meta.verbosity,
        session.id,
    )
    connection.execute(sql.CHANGE_SESSION, values)


_NO_END = (None, None, None, "", 0, 0, 0, 0, 0, None, None, None)


def _run_rows(runs: Iterable[Run]) -> list[Any]:
    rows: list[Any] = []
    for run in runs:
        rows += (run.epoch, run.id, run.run_id, run.session, run.state, run.revivals)
        rows += (run.queued_at, run.opened_at, run.claimed_at)
        rows += _NO_END if run.end is None else _end_row(run.end)
        rows += (run.joined, run.about)
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
        usage.stored,
        end.error_kind,
        end.error,
        _calls(end.calls),
    )


def _calls(calls: Iterable[ToolCall]) -> str | None:
    rows = [attrs.astuple(call) for call in calls]
    return orjson.dumps(rows).decode() if rows else None


def _wait_rows(waits: Iterable[Wait]) -> list[Any]:
    return [value for wait in waits for value in attrs.astuple(wait)]


def _child_rows(children: Iterable[Child]) -> list[Any]:
    return [value for child in children for value in attrs.astuple(child)]


def _spent_rows(spent: Mapping[Purse, Spent]) -> list[Any]:
    rows: list[Any] = []
    for purse, sum_ in spent.items():
        rows += (*purse, sum_.tokens, sum_.cost, sum_.calls, sum_.ms)
    return rows


def _work_rows(work: Mapping[int, Worked | None]) -> list[Any]:
    rows: list[Any] = []
    for run, worked in work.items():
        if worked is not None:
            rows += (run, *attrs.astuple(worked))
    return rows
