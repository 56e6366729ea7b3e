"""The ledger: everything that must survive, written one transaction at a time.

``Commit`` is the only way to write, apart from ``Accept`` (the edge's inbox row):
journal events, inbox, outbox, usage and run rows of one session in one transaction or
not at all. A claim carries the tenant's owner epoch and, for a run, the run's epoch;
either too old is refused. Bodies are JSON bytes that the ledger does not look into.
"""

from typing import Final, Literal, Protocol

import attrs

import supervision
from beamclaw.contracts.budgets import Cap, Measure, Purse, Spent
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.contracts.subagents import ChildKind, Mode, Spend

RunState = Literal["queued", "running", "joined", "ended"]
Verdict = Literal["allow", "deny", "expired"]
Outcome = Literal["ok", "limited", "error", "aborted", "quarantined"]
ChildState = Literal["open", "ended", "cancelled", "closed"]
"""How a turn stands that works for a tool call of another one.

``open``: it may write. ``ended``: its result has not been taken. ``cancelled``: it may
not write any more, but is not over. ``closed``: nobody waits for it, nor it for anybody.
"""


class LedgerError(Exception):
    """The ledger refused; nothing of the commit was written."""


class StaleClaim(LedgerError):  # noqa: N818 -- a situation
    """A newer owner or a newer run has taken over; stop writing."""


class SequenceConflict(LedgerError):  # noqa: N818 -- a situation
    """The journal is further than the writer knew; read again."""


class Overloaded(LedgerError):  # noqa: N818 -- a situation
    """The inbox is full; *limit* names the number and the key that holds it."""

    def __init__(self, depth: int, limit: int) -> None:
        super().__init__(
            f"{depth} messages are waiting already (sessions.inbox_limit: {limit})"
        )
        self.retry_after = 1.0


class IdempotencyConflict(LedgerError):  # noqa: N818 -- a situation
    """The same sender id came before with another content."""


class SessionExists(LedgerError):  # noqa: N818 -- a situation
    """A session was to be new, and there is one with this key."""


class HasWork(LedgerError):  # noqa: N818 -- a situation
    """The session has a turn in progress or messages that wait."""


class NoSuchWait(LedgerError):  # noqa: N818 -- a situation
    """Nothing waits for an answer under this id, or not any more."""


class AnsweredAlready(LedgerError):  # noqa: N818 -- a situation
    """Somebody has answered before."""


class BudgetReached(LedgerError):  # noqa: N818 -- a situation
    """The call could go beyond a cap; the message says in words which."""


class TooManyChildren(LedgerError):  # noqa: N818 -- a situation
    """So many sub-agents work already; the message says in words which limit that is."""


class StorageFull(LedgerError):  # noqa: N818 -- a situation
    """The disk has no room. Nothing was written; later it may be."""

    retry_after = 5.0


class StorageFailed(LedgerError):  # noqa: N818 -- a situation
    """The disk failed at commit: whether it was written is unknown until read again."""


class Owned(Protocol):
    """The registry value of a ledger's name."""

    @property
    def owner_epoch(self) -> int:
        """Under which epoch this ledger writes."""
        ...


@attrs.frozen
class Claim:
    """Who writes. A session's own commits have no run."""

    tenant: str
    owner_epoch: int
    run_id: str | None = None
    run_epoch: int = 0


@attrs.frozen(kw_only=True)
class NewEvent:
    """A journal event to be; its seq is given at commit."""

    kind: str
    version: int
    at: float
    body: bytes
    run_id: str | None = None
    parent: int | None = None
    origin: str = "node"
    sender: str | None = None
    reply_to: str | None = None


@attrs.frozen(kw_only=True)
class Event:
    """A journal event as read back. ``seq`` counts from 1 per session, no gaps."""

    seq: int
    kind: str
    version: int
    at: float
    body: bytes
    run_id: str | None = None
    run_epoch: int = 0
    parent: int | None = None
    origin: str = "node"
    sender: str | None = None
    reply_to: str | None = None


@attrs.frozen
class Take:
    """Take these inbox rows into the journal (each exactly once)."""

    inbox_ids: tuple[int, ...]


@attrs.frozen
class OpenRun:
    """A run begins, with epoch 1, and is the commit's claim from here on.

    The claim of the commit must be the session's own (no run).
    """

    run_id: str
    at: float


@attrs.frozen
class ClaimRun:
    """A successor takes the run over: its epoch becomes the claim's ``run_epoch``."""

    at: float


@attrs.frozen
class NoteRevival:
    """Counts a revival of an open run, before it is tried; no claim on the run.

    With *again* the run got further the last time, or only waited: the count begins
    anew.
    """

    run_id: str
    again: bool = False


@attrs.frozen
class JoinRun:
    """A message that waits is answered by the run *into*; take it in the same commit."""

    run_id: str
    into: str


@attrs.frozen(kw_only=True)
class OpenWait:
    """A question to a person, on which the run waits. It is closed with the run."""

    wait_id: str
    run_id: str
    question: str
    at: float
    expires_at: float


@attrs.frozen(kw_only=True)
class AnswerWait:
    """A person's answer; the first one counts.

    Refused with :class:`AnsweredAlready` or :class:`NoSuchWait`.
    """

    wait_id: str
    verdict: Verdict
    by: str
    text: str = ""
    at: float


@attrs.frozen
class CloseWait:
    """What became of the question stands in the journal.

    With *unanswered* it has expired: refused with :class:`AnsweredAlready` if somebody
    was faster.
    """

    wait_id: str
    unanswered: bool = False


@attrs.frozen(kw_only=True)
class EndRun:
    """The run is over. Its answer stands in the journal; this is what joins read.

    If it works for a tool call that waits, this is the call's result from now on. Its own
    sub-agents are cancelled, unless it has ended well and they announce their results.

    Attributes:
        spend: What it has used, all sub-agents included.
        announce: Put into the inbox of who has ordered it, if it was not cancelled.
    """

    run_id: str
    at: float
    outcome: Outcome
    stop_reason: str
    text: str
    usage: Usage
    error_kind: str | None = None
    error: str | None = None
    spend: Spend = Spend()
    announce: "Accept | None" = None


@attrs.frozen(kw_only=True)
class Reserve:
    """Reserve an upper bound for one model call, before it is made.

    Refused with :class:`BudgetReached` where one of *caps* would not hold. *cost* is in
    micro-dollars.
    """

    run_id: str
    attempt: int
    agent: str
    provider: str
    model: str
    at: float
    bound: Usage
    cost: int = 0
    caps: tuple[Cap, ...] = ()


@attrs.frozen
class Settle:
    """Replace the reservation of (run, attempt) by what it did cost.

    Without *usage* by all that was reserved: nobody knows how far the call had come. With
    *told* it was stopped in the middle, so many tokens of its answer had come, and it
    counts as :func:`~beamclaw.contracts.budgets.cut_short` says.
    """

    run_id: str
    attempt: int
    at: float
    usage: Usage | None
    cost: int = 0
    told: int | None = None


@attrs.frozen
class NoteWarned:
    """Whoever runs the node has been told that this much of a purse is nearly used.

    For the session's own claim; a second time is nothing. It is forgotten with the
    purse.
    """

    purse: Purse
    measure: Measure
    limit: int
    at: float


@attrs.frozen
class PutDefinition:
    """Keep an agent definition by the hash of its bytes; a second time is nothing."""

    hash: str
    body: bytes


@attrs.frozen(kw_only=True)
class PutOutbound:
    """One piece of a reply to deliver; *key* is unique and makes delivery once."""

    key: str
    run_id: str
    reply_to: str
    body: bytes
    at: float


@attrs.frozen
class Deliver:
    """Put a message into the inbox of any session, as ``Accept`` does; again is nothing.

    Those beyond the limit of the inbox are taken, too: what is delivered so is owed.
    """

    message: "Accept"


@attrs.frozen(kw_only=True)
class OpenChild:
    """A turn in another session begins to work for a tool call of this run.

    Its message is put into that session's inbox. Refused with :class:`Overloaded`; a
    sub-agent (``spawn``) also with :class:`TooManyChildren`, where *most_of_session*
    or *most* (of the tenant) work already.
    """

    message: "Accept"
    run_id: str
    call_id: str
    kind: ChildKind
    mode: Mode
    most_of_session: int
    most: int


@attrs.frozen
class TakeChild:
    """The result of the turn *run_id* stands in the journal of who waited for it."""

    run_id: str


@attrs.frozen
class CancelChildren:
    """The sub-agents of a run (or of one call of it) are to stop; they may not write."""

    run_id: str
    call_id: str | None = None


@attrs.frozen
class SetAgent:
    """Whose session this is from now on."""

    agent: str


@attrs.frozen(kw_only=True)
class NewSession:
    """The commit makes its session, which has no message yet; the first of its ops.

    Refused with :class:`SessionExists`. *parent* is the key of the one it comes from.
    """

    session_id: str
    agent: str
    at: float
    channel: str = ""
    parent: str | None = None


@attrs.frozen
class SetMeta:
    """What is set for the session, all of it."""

    meta: SessionMeta


@attrs.frozen
class RenewSession:
    """Under its key a new conversation begins, with a purse of its own."""

    session_id: str


@attrs.frozen
class ArchiveSession:
    """Put the session away, to be deleted some day; None: it is in use again."""

    at: float | None


@attrs.frozen
class DropSession:
    """Its key is free again at once; what it held is erased by :class:`Erase`.

    Refused with :class:`HasWork`. A repeat of one of its messages is still recognised.
    """

    at: float


@attrs.frozen
class ForgetSnapshots:
    """What the journal comes to behind event *after* is not what it was.

    A snapshot of later is dropped, and one that was made before this commit and comes
    after it is passed over.
    """

    after: int


@attrs.frozen(kw_only=True)
class PutSnapshot:
    """Keep what the session's journal adds up to, as of event *seq*.

    *version* says how *body* is to be read. Of a session only the latest is kept; an
    older one than is there is passed over without a word; see `ForgetSnapshots`, too.
    """

    seq: int
    version: str
    body: bytes


OUTPUT_PIECE: Final = 65_536
"""Characters of a tool's output that are kept as one piece."""


@attrs.frozen(kw_only=True)
class PutOutput:
    """Keep all that a tool has said, where the model gets less; see `ReadOutput`.

    Attributes:
        pointer: Under which it is found again; no other output's.
        length: Characters of the whole.
        pieces: As UTF-8, each of :data:`OUTPUT_PIECE` characters but the last; fewer
            than the whole if that is longer than what is kept.
    """

    pointer: str
    run_id: str
    at: float
    length: int
    pieces: tuple[bytes, ...]


Op = (
    Take
    | NewSession
    | SetMeta
    | RenewSession
    | ArchiveSession
    | DropSession
    | ForgetSnapshots
    | OpenRun
    | ClaimRun
    | NoteRevival
    | JoinRun
    | OpenWait
    | AnswerWait
    | CloseWait
    | EndRun
    | Reserve
    | Settle
    | NoteWarned
    | PutDefinition
    | PutOutbound
    | Deliver
    | OpenChild
    | TakeChild
    | CancelChildren
    | SetAgent
    | PutSnapshot
    | PutOutput
)


@attrs.frozen(kw_only=True)
class Commit(supervision.Call[int]):
    """Write *events* and *ops* of one session; the reply is the journal's new seq.

    Events are numbered from ``expected_seq + 1``. If the claim has a run, the run must
    be open with exactly the claim's epoch (``ClaimRun``: with an older one). Without
    events ``expected_seq`` may be None: what is written does not depend on the journal.

    Raises (in the caller): :class:`StaleClaim`, :class:`SequenceConflict`,
    :class:`LedgerError`. Any other failure ends the ledger.
    """

    claim: Claim
    session_key: str
    expected_seq: int | None
    events: tuple[NewEvent, ...] = ()
    ops: tuple[Op, ...] = ()


@attrs.frozen(kw_only=True)
class InboxRow:
    """An accepted message that waits for its session. *body* is an Inbound as JSON."""

    id: int
    session_key: str
    run_id: str
    body: bytes


@attrs.frozen(kw_only=True)
class Accept(supervision.Call["Receipt"]):
    """Commit an inbound to the inbox; when the reply is there, it will be answered.

    Unique on (source, account, conversation, external_id); *fingerprint* tells a
    repeat (same content: a duplicate receipt with the first one's run and session)
    from a reuse (:class:`IdempotencyConflict`). If it creates its session, that is of
    this *channel*; an *ephemeral* one is of this request alone.

    Raises (in the caller): :class:`Overloaded`, :class:`IdempotencyConflict`.
    """

    source: str
    account: str
    conversation: str
    external_id: str
    fingerprint: str
    session_key: str
    agent: str
    run_id: str
    at: float
    body: bytes
    channel: str = ""
    ephemeral: bool = False


@attrs.frozen(kw_only=True)
class Receipt:
    """The message is durable. *fresh*: this message created its session."""

    inbox_id: int
    run_id: str
    session_key: str
    duplicate: bool = False
    fresh: bool = False


@attrs.frozen
class ReadSession(supervision.Call["SessionRead"]):
    """Journal after *after_seq*, waiting messages, open run and its open questions.

    With *snapshot*, a version, the session's snapshot is given if it is of that version
    and goes beyond *after_seq*, and of the journal only what comes after it.
    """

    session_key: str
    after_seq: int = 0
    snapshot: str | None = None


@attrs.frozen(kw_only=True)
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


@attrs.frozen
class SnapshotRow:
    """A snapshot as it was put, as of event *seq*."""

    seq: int
    body: bytes


@attrs.frozen
class ReadOutput(supervision.Call["OutputRead | None"]):
    """Characters of a tool's output, from *offset* on; None: there is none of this name.

    At most *limit* of them, and never more than a million.
    """

    pointer: str
    offset: int = 0
    limit: int = 50_000


@attrs.frozen(kw_only=True)
class OutputRead:
    """A part of a tool's output.

    Attributes:
        session_key: In whose conversation it was said.
        length: Characters of the whole; *kept* of them can be read.
    """

    session_key: str
    text: str
    offset: int
    length: int
    kept: int


@attrs.frozen
class ReadRun(supervision.Call["RunRow | None"]):
    """A run by id, also one that still waits in the inbox; None: never heard of."""

    run_id: str


@attrs.frozen(kw_only=True)
class RunRow:
    """What is durably known of a run; *joined* is the one that answers in its place."""

    run_id: str
    session_key: str
    state: RunState
    epoch: int = 0
    revivals: int = 0
    outcome: Outcome | None = None
    stop_reason: str | None = None
    text: str = ""
    usage: Usage = Usage()
    error_kind: str | None = None
    error: str | None = None
    joined: str | None = None


@attrs.frozen(kw_only=True)
class ChildRow:
    """A turn that works for a tool call of another one, and what came of it.

    *outcome*, *text* and *error* are there when it is over.
    """

    run_id: str
    session_key: str
    parent_session: str
    parent_run: str
    call_id: str
    kind: ChildKind
    mode: Mode
    state: ChildState
    at: float
    outcome: Outcome | None = None
    text: str = ""
    error: str | None = None
    spend: Spend = Spend()


@attrs.frozen
class ReadChildren(supervision.Call[tuple[ChildRow, ...]]):
    """All turns that ever worked for the session, or for *run_id* of it; oldest first."""

    session_key: str
    run_id: str | None = None


@attrs.frozen
class ReadAncestors(supervision.Call[tuple[str, ...]]):
    """The session that has spawned this one, the one that has spawned that, and so on."""

    session_key: str


@attrs.frozen
class ReadWaits(supervision.Call[tuple["WaitRow", ...]]):
    """Questions that wait for a person, oldest first."""


@attrs.frozen(kw_only=True)
class WaitRow:
    """A question, and what was answered if that is not in the journal yet."""

    wait_id: str
    session_key: str
    run_id: str
    question: str
    at: float
    expires_at: float
    verdict: Verdict | None = None
    by: str | None = None
    text: str = ""


@attrs.frozen
class ReadOpenWork(supervision.Call[tuple[str, ...]]):
    """Keys of all sessions with an open run or a waiting inbox row, oldest first."""


@attrs.frozen
class ReadDefinition(supervision.Call[bytes | None]):
    """An agent definition by hash."""

    hash: str


@attrs.frozen
class ReadSessions(supervision.Call[tuple["SessionRow", ...]]):
    """Sessions, latest activity first.

    *archived*: those that were put away, or those that were not; None: all. *ephemeral*
    is the same for those of a single request.
    """

    limit: int = 100
    offset: int = 0
    archived: bool | None = None
    ephemeral: bool | None = None


@attrs.frozen
class ReadSessionRow(supervision.Call["SessionRow | None"]):
    """A session by its key; where there is none, the last one that was deleted."""

    session_key: str


@attrs.frozen
class ReadJournal(supervision.Call[tuple[Event, ...]]):
    """All events of a session, also those that do not count any more."""

    session_key: str


@attrs.frozen(kw_only=True)
class ReadExpired(supervision.Call[tuple[str, ...]]):
    """Keys of sessions that may be deleted: without work, and older than that.

    Those of a single request by their last activity, archived ones by when they were
    put away, those of sub-agents by their last activity; seconds since the epoch, None:
    none of this sort.
    """

    ephemeral_before: float | None
    archived_before: float | None
    subagent_before: float | None = None
    limit: int = 100


@attrs.frozen(kw_only=True)
class Erase(supervision.Call["Erased"]):
    """Erase a little of what deleted sessions held, and give room back to the disk.

    One step is small enough not to be noticed by the commits beside it.
    """

    at: float


@attrs.frozen(kw_only=True)
class Erased:
    """What a step has done; *more*: there is something for another one at once."""

    more: bool
    rows: int = 0
    pages: int = 0


@attrs.frozen(kw_only=True)
class SessionRow:
    """A session as the ledger lists it.

    Attributes:
        session_id: Of the conversation that the key names today.
        parent: The key of the session that it comes from.
        channel: Where its first message came from.
        ephemeral: It is of a single request.
    """

    key: str
    session_id: str
    agent: str
    seq: int
    created_at: float
    updated_at: float
    open_run: str | None = None
    meta: SessionMeta = SessionMeta()
    channel: str = ""
    parent: str | None = None
    ephemeral: bool = False
    archived_at: float | None = None
    deleted_at: float | None = None


@attrs.frozen
class ReadUsage(supervision.Call[tuple["UsageRow", ...]]):
    """Settled and open usage, summed by day (UTC), agent, provider and model."""

    since: float = 0.0


By = Literal["day", "provider", "model", "agent", "session"]


@attrs.frozen
class ReadSums(supervision.Call[tuple["UsageSum", ...]]):
    """Settled and open usage since *since*, summed *by* one thing.

    Days come in order, everything else the dearest first; at most *limit* sums.
    """

    by: By
    since: float = 0.0
    limit: int = 1_000


@attrs.frozen(kw_only=True)
class UsageSum:
    """A sum; *name* is a date, a name, or ``provider/model``.

    For calls of sessions that are erased *name* is empty where sessions are asked for.
    *usage* and *reserved* are as in :class:`UsageRow`, *cost* in micro-dollars.
    """

    name: str
    calls: int
    usage: Usage
    reserved: Usage
    cost: int = 0


@attrs.frozen
class ReadSpent(supervision.Call[tuple[tuple[Purse, Spent], ...]]):
    """What was spent out of the purses of these days; sessions have none: ``""``."""

    days: tuple[str, ...]


@attrs.frozen
class ReadPurses(supervision.Call[tuple["PurseRow", ...]]):
    """How these purses stand, in this order."""

    purses: tuple[Purse, ...]


@attrs.frozen
class PurseRow:
    """What was spent, and the measures and limits of which was warned."""

    purse: Purse
    spent: Spent
    warned: tuple[tuple[Measure, int], ...] = ()


@attrs.frozen(kw_only=True)
class UsageRow:
    """A sum. *reserved* is what open reservations may still cost.

    ``cost`` is in micro-dollars, reservations included.
    """

    day: str
    agent: str
    provider: str
    model: str
    calls: int
    usage: Usage
    reserved: Usage
    cost: int = 0


@attrs.frozen
class GetLedgerStatus(supervision.Call["LedgerStatus"]):
    """How the ledger stands."""


@attrs.frozen(kw_only=True)
class LedgerStatus:
    """Figures of a ledger."""

    path: str
    schema: int
    owner_epoch: int
    sessions: int
    events: int
    inbox_depth: int
    open_runs: int
    commits: int
    transactions: int
