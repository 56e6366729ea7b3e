"""The ledger's reads: sessions, journals, runs, questions, outputs of tools."""

from collections.abc import Mapping

import supervision
from beamclaw.contracts.ledger_inbox import InboxRow
from beamclaw.contracts.ledger_rows import (
    ChildRow,
    CommandRow,
    Event,
    RootRow,
    RunRow,
    SessionRow,
    SnapshotRow,
    WaitRow,
)
from beamclaw.values import frozen


@frozen
class ReadSession(supervision.Call["SessionRead"]):
    """Journal after *after_seq*, waiting messages, open run and its open questions.

    With *snapshot*, a version, the session's snapshot is given if it is of that version
    and goes beyond *after_seq*, and of the journal only what comes after it.
    """

    session_key: str
    after_seq: int = 0
    snapshot: str | None = None


@frozen(kw_only=True)
class SessionRead:
    """One consistent view of a session; without *row* there is none.

    Attributes:
        children: Turns in other sessions that work for one of this, and are not closed.
        cancelled: Runs of this session that are not over and may not go on.
        owed: Sessions for which there is something of this one that they have not taken:
            the result of a turn, or a message.
    """

    seq: int
    events: tuple[Event, ...]
    inbox: tuple[InboxRow, ...]
    open_run: "RunRow | None" = None
    waits: "tuple[WaitRow, ...]" = ()
    children: "tuple[ChildRow, ...]" = ()
    cancelled: tuple[str, ...] = ()
    owed: tuple[str, ...] = ()
    row: "SessionRow | None" = None
    snapshot: "SnapshotRow | None" = None


@frozen
class ReadOutput(supervision.Call["OutputRead | None"]):
    """Characters of a tool's output, from *offset* on; None: there is none of this name.

    At most *limit* of them, and never more than a million. Of a session that was deleted
    there are none.
    """

    pointer: str
    offset: int = 0
    limit: int = 50_000


@frozen(kw_only=True)
class OutputRead:
    """A part of a tool's output.

    Attributes:
        session_key: In whose conversation it was said, and *run_id* by whose turn.
        length: Characters of the whole; *kept* of them can be read.
        untrusted: They are words of strangers, or nobody knows whose.
    """

    session_key: str
    run_id: str
    text: str
    offset: int
    length: int
    kept: int
    untrusted: bool


@frozen
class ReadRun(supervision.Call["RunRow | None"]):
    """A run by id, also one that still waits in the inbox; None: never heard of."""

    run_id: str


@frozen
class ReadChildren(supervision.Call[tuple[ChildRow, ...]]):
    """All turns that ever worked for the session, or for *run_id* of it; oldest first."""

    session_key: str
    run_id: str | None = None


@frozen
class ReadAncestors(supervision.Call[tuple[str, ...]]):
    """The session that has spawned this one, the one that has spawned that, and so on."""

    session_key: str


@frozen
class ReadRoot(supervision.Call[RootRow | None]):
    """Whose conversation pays for this session, too; None: it is a sub-agent of none.

    So it is, too, when that conversation was deleted.
    """

    session_key: str


@frozen
class ReadWaits(supervision.Call[tuple["WaitRow", ...]]):
    """Questions that wait for a person, oldest first."""


@frozen
class ReadWait(supervision.Call["WaitRow | None"]):
    """A question by its id, also one that is over; None: never asked, or erased."""

    wait_id: str


@frozen
class ReadWaitsOver(supervision.Call[tuple["WaitRow", ...]]):
    """Questions that are over, the last asked first: *limit* of those before *before*.

    *before* is the number of a row; 0: all of them.
    """

    limit: int = 50
    before: int = 0


@frozen
class ReadOpenWork(supervision.Call[tuple[str, ...]]):
    """Keys of all sessions with an open run or a waiting inbox row, oldest first."""


@frozen
class ReadDefinition(supervision.Call[bytes | None]):
    """An agent definition by hash."""

    hash: str


@frozen
class ReadSessions(supervision.Call[tuple["SessionRow", ...]]):
    """Sessions, latest activity first.

    *archived*: those that were put away, or those that were not; None: all. *ephemeral*
    is the same for those of a single request.
    """

    limit: int = 100
    offset: int = 0
    archived: bool | None = None
    ephemeral: bool | None = None


@frozen
class ReadSessionRow(supervision.Call["SessionRow | None"]):
    """A session by its key; where there is none, the last one that was deleted."""

    session_key: str


@frozen
class ReadJournal(supervision.Call[tuple[Event, ...]]):
    """All events of a session behind *after_seq*, also those that count no more."""

    session_key: str
    after_seq: int = 0


@frozen
class ReadMessage(supervision.Call[InboxRow | None]):
    """The message of a run that waits for its turn; None: none does, or not any more."""

    run_id: str


@frozen(kw_only=True)
class ReadActivity(supervision.Call["ActivityRead"]):
    """Events of all sessions that were not deleted, the last written first.

    It is a part of them: there may be more before it also where it has few rows, or none.

    Attributes:
        kinds: Of the events.
        about: Kinds of those events of the same turns that say more of them.
        before: Only what was written before the event of that number; 0: the last.
        limit: Rows, at most.
        span: Events that are looked at, at most, whether they fit or not.
        session_key: Only of this session.
        run_id: Only of this turn.
    """

    kinds: tuple[str, ...]
    about: tuple[str, ...] = ()
    before: int = 0
    limit: int = 100
    span: int = 10_000
    session_key: str | None = None
    run_id: str | None = None


@frozen(kw_only=True)
class ActivityRow:
    """An event; *number* ascends over all sessions. *agent*: whose the session is by now."""

    number: int
    session_key: str
    agent: str
    event: Event


@frozen(kw_only=True)
class ActivityRead:
    """See :class:`ReadActivity`.

    Attributes:
        turns: What was asked for about the rows' turns, by run: of each what was
            written before its first row here, the oldest first.
        before: To be asked with for what comes before; 0: there is nothing.
    """

    rows: tuple[ActivityRow, ...]
    turns: Mapping[str, tuple[Event, ...]]
    before: int


@frozen
class ReadTurn(supervision.Call[tuple[Event, ...]]):
    """The events of *kind* that a turn has in its journal, also if they count no more.

    They are those of the run and those before them that are no other run's, with which
    it began. Of a session that was deleted there are none.
    """

    run_id: str
    kind: str


@frozen(kw_only=True)
class ReadExpired(supervision.Call[tuple[str, ...]]):
    """Keys of sessions that may be deleted: without work, and older than that.

    Those of a single request by their last activity, archived ones by when they were
    put away, those of sub-agents, and of responses that others may follow, by their last
    activity; seconds since the epoch, None: none of this sort.
    """

    ephemeral_before: float | None
    archived_before: float | None
    subagent_before: float | None = None
    response_before: float | None = None
    limit: int = 100


@frozen
class CountAbout(supervision.Call[int]):
    """With how many runs of the session something is kept, *besides* not counted."""

    session_key: str
    besides: str = ""


@frozen
class ReadErasable(supervision.Call[bool]):
    """Whether a step of :class:`~beamclaw.contracts.ledger.Erase` may find something.

    It costs no transaction, as a step does.
    """


@frozen
class ReadCommands(supervision.Call[tuple[CommandRow, ...]]):
    """All commands that stand in the ledger, of sessions that were not deleted."""
