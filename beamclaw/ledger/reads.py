"""What is read from a ledger, each in one consistent state of the database."""

from collections.abc import Callable
from typing import Any

from beamclaw.contracts.approvals import ReadGrants
from beamclaw.contracts.ledger import GetLedgerStatus, LedgerStatus
from beamclaw.contracts.ledger_reads import (
    CountAbout,
    ReadActivity,
    ReadAncestors,
    ReadChildren,
    ReadCommands,
    ReadDefinition,
    ReadErasable,
    ReadExpired,
    ReadJournal,
    ReadMessage,
    ReadOpenWork,
    ReadOutput,
    ReadRoot,
    ReadRun,
    ReadSession,
    ReadSessionRow,
    ReadSessions,
    ReadTurn,
    ReadWait,
    ReadWaits,
    ReadWaitsOver,
)
from beamclaw.contracts.ledger_rows import CommandRow
from beamclaw.contracts.ledger_usage import (
    ReadPurses,
    ReadSpent,
    ReadSums,
    ReadUsage,
)
from beamclaw.ledger import (
    activity,
    erasing,
    outputs,
    questions,
    relatives,
    session_reads,
    usage_reads,
)
from beamclaw.ledger.sums import sums
from beamclaw.storage import Connection

# Events are numbered per session without gaps, so their count is a sum.
_COUNTS = """
    SELECT
        (SELECT count(*) FROM sessions WHERE deleted_at IS NULL),
        (SELECT coalesce(sum(seq), 0) FROM sessions WHERE deleted_at IS NULL),
        (SELECT count(*) FROM inbox WHERE taken_at IS NULL),
        (SELECT count(*) FROM runs WHERE state = 'running'),
        (SELECT owner_epoch FROM meta),
        (SELECT user_version FROM pragma_user_version)
"""
_COMMANDS = """
    SELECT c.command_id, s.key, c.agent, c.title, c.at, s.ephemeral
    FROM commands AS c JOIN sessions AS s ON s.id = c.session
    WHERE s.deleted_at IS NULL ORDER BY c.id
"""
Read = (
    ReadSession
    | ReadOutput
    | ReadRun
    | ReadOpenWork
    | ReadDefinition
    | ReadSessions
    | ReadSessionRow
    | ReadJournal
    | ReadMessage
    | ReadActivity
    | ReadTurn
    | ReadExpired
    | ReadErasable
    | CountAbout
    | ReadUsage
    | ReadWaits
    | ReadWait
    | ReadWaitsOver
    | ReadGrants
    | ReadCommands
    | ReadSpent
    | ReadSums
    | ReadPurses
    | ReadChildren
    | ReadAncestors
    | ReadRoot
    | GetLedgerStatus
)


def read(connection: Connection, request: Read) -> object:
    """The reply to *request*."""
    answer = _READ.get(type(request))
    if answer is None:
        raise TypeError(f"a ledger does not know {type(request).__name__}")
    return answer(connection, request)


def _definition(connection: Connection, request: ReadDefinition) -> bytes | None:
    row = connection.execute(
        "SELECT body FROM definitions WHERE hash = ?", (request.hash,)
    ).fetchone()
    return None if row is None else row[0]


def _commands(connection: Connection, _: ReadCommands) -> tuple[CommandRow, ...]:
    return tuple(
        CommandRow(
            command_id=row[0],
            session_key=row[1],
            agent=row[2],
            title=row[3],
            at=row[4],
            ephemeral=bool(row[5]),
        )
        for row in connection.execute(_COMMANDS)
    )


def _status(connection: Connection, _: GetLedgerStatus) -> LedgerStatus:
    row = connection.execute(_COUNTS).fetchone()
    return LedgerStatus(
        path="",  # this and the last two are the server's to know
        schema=row[5],
        owner_epoch=row[4],
        sessions=row[0],
        events=row[1],
        inbox_depth=row[2],
        open_runs=row[3],
        commits=0,
        transactions=0,
    )


_READ: dict[type, Callable[[Connection, Any], object]] = {
    ReadSession: session_reads.session,
    ReadOutput: outputs.output,
    ReadRun: session_reads.run,
    ReadOpenWork: session_reads.open_work,
    ReadDefinition: _definition,
    ReadSessions: session_reads.sessions,
    ReadSessionRow: session_reads.session_row,
    ReadJournal: session_reads.events,
    ReadMessage: session_reads.message,
    ReadActivity: activity.activity,
    ReadTurn: session_reads.turn,
    ReadExpired: session_reads.expired,
    ReadErasable: erasing.erasable,
    CountAbout: session_reads.count_about,
    ReadUsage: usage_reads.usage,
    ReadWaits: questions.waits,
    ReadWait: questions.wait,
    ReadWaitsOver: questions.waits_over,
    ReadGrants: questions.grants,
    ReadCommands: _commands,
    ReadSpent: usage_reads.spent,
    ReadSums: sums,
    ReadPurses: usage_reads.purses,
    ReadChildren: relatives.children,
    ReadAncestors: relatives.ancestors,
    ReadRoot: relatives.root,
    GetLedgerStatus: _status,
}
