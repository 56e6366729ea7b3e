"""The operations of a commit: what is written beside the journal's events.

Inbox, runs, questions to persons, sub-agents, usage, outbound, outputs of tools. Those
on a session as a whole are in `beamclaw.contracts.ledger_session_ops`.
"""

from collections.abc import Mapping
from typing import Final

import attrs

from beamclaw.contracts.approvals import Grant
from beamclaw.contracts.budgets import Cap, Measure, Purse
from beamclaw.contracts.ledger_inbox import Accept
from beamclaw.contracts.ledger_rows import Outcome, Verdict
from beamclaw.contracts.ledger_session_ops import (
    ArchiveSession,
    DropSession,
    ForgetSnapshots,
    NewSession,
    PutSnapshot,
    RenewSession,
    SetAgent,
    SetMeta,
)
from beamclaw.contracts.messages import ToolCall, Usage
from beamclaw.contracts.subagents import ChildKind, Mode, Spend
from beamclaw.values import frozen


@frozen
class Take:
    """Take these inbox rows into the journal (each exactly once)."""

    inbox_ids: tuple[int, ...]


@frozen
class OpenRun:
    """A run begins, with epoch 1, and is the commit's claim from here on.

    The claim of the commit must be the session's own (no run).
    """

    run_id: str
    at: float


@frozen
class ClaimRun:
    """A successor takes the run over: its epoch becomes the claim's ``run_epoch``."""

    at: float


@frozen
class NoteRevival:
    """Counts a revival of an open run, before it is tried; no claim on the run.

    With *again* the run got further the last time, or only waited: the count begins
    anew.
    """

    run_id: str
    again: bool = False


@frozen
class JoinRun:
    """A message that waits is answered by the run *into*; take it in the same commit."""

    run_id: str
    into: str


@frozen(kw_only=True)
class OpenWait:
    """A question to a person, on which the run waits. It is closed with the run.

    Attributes:
        agent: Whose turn asks.
        digest: Of all that is agreed to; *details* says what that is.
        grant: What is allowed for good if the person wants that; None: nothing can be.
    """

    wait_id: str
    run_id: str
    question: str
    at: float
    expires_at: float
    agent: str = ""
    digest: str = ""
    details: Mapping[str, str] = attrs.field(factory=dict[str, str])
    grant: Grant | None = None


@frozen(kw_only=True)
class AnswerWait:
    """A person's answer; the first one counts, if it comes in time.

    With *always* the question's grant is put, in the same commit. Refused with
    ``AnsweredAlready``, ``NoSuchWait``, ``AnsweredTooLate``, and ``NotForGood`` where
    there is nothing to allow for good, or no room (``TooManyGrants``).
    """

    wait_id: str
    verdict: Verdict
    by: str
    text: str = ""
    at: float
    always: bool = False


@frozen
class CloseWait:
    """What became of the question stands in the journal.

    With *unanswered* it has expired: refused with :class:`~beamclaw.contracts.ledger_errors.AnsweredAlready` if somebody
    was faster.
    """

    wait_id: str
    unanswered: bool = False


@frozen(kw_only=True)
class EndRun:
    """The run is over. Its answer stands in the journal; this is what joins read.

    If it works for a tool call that waits, this is the call's result from now on. Its own
    sub-agents are cancelled, unless it has ended well and they announce their results.

    Attributes:
        calls: The tool calls that whoever asked has to carry out.
        spend: What it has used, all sub-agents included.
        seconds: How long it has worked itself, by its own clock.
        announce: Put into the inbox of who has ordered it, if it was not cancelled.
        tainted: Words of strangers are in its conversation.
    """

    run_id: str
    at: float
    outcome: Outcome
    stop_reason: str
    text: str
    usage: Usage
    error_kind: str | None = None
    error: str | None = None
    calls: tuple[ToolCall, ...] = ()
    spend: Spend = Spend()
    seconds: float = 0.0
    announce: "Accept | None" = None
    tainted: bool = False


@frozen(kw_only=True)
class Reserve:
    """Reserve an upper bound for one model call, before it is made.

    Refused with :class:`~beamclaw.contracts.ledger_errors.BudgetReached` where one of *caps* would not hold. *cost* is in
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


@frozen
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


@frozen(kw_only=True)
class Work:
    """How long a run has worked, and how much longer it is going to: of the present.

    What was reserved before is replaced, so a second time is nothing. What a run has
    worked is paid from the purses that it was reserved in: those of the day on which
    that was, as of a model call. With the end of the run (``EndRun``) the account is
    closed.

    Refused with :class:`~beamclaw.contracts.ledger_errors.TimeReached` where what is
    reserved would go beyond one of *caps*; nothing reserved (0) goes beyond none.

    Attributes:
        used: Milliseconds since the turn's beginning, by its own clock.
        reserve: Milliseconds that it may go on for from there.
    """

    run_id: str
    agent: str
    at: float
    used: int
    reserve: int = 0
    caps: tuple[Cap, ...] = ()


@frozen
class NoteWarned:
    """Whoever runs the node has been told that this much of a purse is nearly used.

    For the session's own claim; a second time is nothing. It is forgotten with the
    purse.
    """

    purse: Purse
    measure: Measure
    limit: int
    at: float


@frozen
class PutDefinition:
    """Keep an agent definition by the hash of its bytes; a second time is nothing."""

    hash: str
    body: bytes


@frozen(kw_only=True)
class PutOutbound:
    """One piece of a reply to deliver; *key* is unique and makes delivery once."""

    key: str
    run_id: str
    reply_to: str
    body: bytes
    at: float


@frozen
class Deliver:
    """Put a message into the inbox of any session, as ``Accept`` does; again is nothing.

    Those beyond the limit of the inbox are taken, too: what is delivered so is owed.
    """

    message: "Accept"


@frozen(kw_only=True)
class OpenChild:
    """A turn in another session begins to work for a tool call of this run.

    Its message is put into that session's inbox. Refused with :class:`~beamclaw.contracts.ledger_errors.Overloaded`; a
    sub-agent (``spawn``) also with :class:`~beamclaw.contracts.ledger_errors.TooManyChildren`, where *most_of_session*
    or *most* (of the tenant) work already.
    """

    message: "Accept"
    run_id: str
    call_id: str
    kind: ChildKind
    mode: Mode
    most_of_session: int
    most: int


@frozen
class TakeChild:
    """The result of the turn *run_id* stands in the journal of who waited for it."""

    run_id: str


@frozen
class CancelChildren:
    """The sub-agents of a run (or of one call of it) are to stop; they may not write."""

    run_id: str
    call_id: str | None = None


@frozen(kw_only=True)
class PutCommand:
    """A command of this session goes on in the background; a second time is nothing.

    It stands there until :class:`DropCommand`, whatever becomes of the command.
    """

    command_id: str
    agent: str
    title: str
    at: float


@frozen
class DropCommand:
    """The session has been told how it ended, or nobody has to be."""

    command_id: str


OUTPUT_PIECE: Final = 65_536
"""Characters of a tool's output that are kept as one piece."""


@frozen(kw_only=True)
class PutOutput:
    """Keep all that a tool has said, where the model gets less; see `ReadOutput`.

    Attributes:
        pointer: Under which it is found again; no other output's.
        length: Characters of the whole.
        pieces: As UTF-8, each of :data:`OUTPUT_PIECE` characters but the last; fewer
            than the whole if that is longer than what is kept.
        untrusted: They are words of strangers.
    """

    pointer: str
    run_id: str
    at: float
    length: int
    pieces: tuple[bytes, ...]
    untrusted: bool


@frozen
class ForgetAbout:
    """What was kept with a run of this session, by who has accepted its message, goes."""

    run_id: str


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
    | Work
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
    | PutCommand
    | DropCommand
    | ForgetAbout
)
