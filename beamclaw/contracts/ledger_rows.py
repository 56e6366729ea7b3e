"""What the ledger keeps, a row as it is read back: events, runs, questions, sessions."""

from collections.abc import Mapping
from typing import Literal

import attrs

from beamclaw.contracts.approvals import Grant
from beamclaw.contracts.messages import ToolCall, Usage
from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.contracts.subagents import ChildKind, Mode, Spend
from beamclaw.values import frozen

RunState = Literal["queued", "running", "joined", "ended"]
Verdict = Literal["allow", "deny", "expired"]
Outcome = Literal["ok", "limited", "error", "aborted", "quarantined"]
ChildState = Literal["open", "ended", "cancelled", "closed"]
"""How a turn stands that works for a tool call of another one.

``open``: it may write. ``ended``: its result has not been taken. ``cancelled``: it may
not write any more, but is not over. ``closed``: nobody waits for it, nor it for anybody.
"""


@frozen(kw_only=True)
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


@frozen
class SnapshotRow:
    """A snapshot as it was put, as of event *seq*."""

    seq: int
    body: bytes


@frozen(kw_only=True)
class RunRow:
    """What is durably known of a run; *joined* is the one that answers in its place.

    *about* is what was kept with it by who has accepted its message, *queued_at* when
    that was. Nothing is kept of a session that was deleted.
    """

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
    calls: tuple[ToolCall, ...] = ()
    about: bytes = b""
    queued_at: float | None = attrs.field(default=None, eq=False)


@frozen(kw_only=True)
class ChildRow:
    """A turn that works for a tool call of another one, and what came of it.

    *outcome*, *text* and *error* are there when it is over, and *tainted*: words of
    strangers are in its conversation.
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
    tainted: bool = False


@frozen(kw_only=True)
class WaitRow:
    """A question, and what was answered if that is not in the journal yet.

    Attributes:
        agent: Whose turn asks.
        digest: Of all that is agreed to; *details* says what that is.
        grant: What would be allowed for good; None: nothing can be.
        always: It is allowed for good.
        number: Of the row; ascends.
        closed_at: When its turn went on; None: it waits, or has not read the answer yet.
    """

    wait_id: str
    session_key: str
    run_id: str
    question: str
    at: float
    expires_at: float
    verdict: Verdict | None = None
    by: str | None = None
    text: str = ""
    agent: str = ""
    digest: str = ""
    details: Mapping[str, str] = attrs.field(factory=dict[str, str])
    grant: Grant | None = None
    always: bool = False
    number: int = 0
    closed_at: float | None = None


@frozen(kw_only=True)
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


@frozen
class RootRow:
    """The conversation that a sub-agent's session works for in the end, and its agent."""

    key: str
    agent: str


@frozen(kw_only=True)
class CommandRow:
    """A command that goes on in the background, or whose end its session must be told.

    *ephemeral*: its session is of a single request.
    """

    command_id: str
    session_key: str
    agent: str
    title: str
    at: float
    ephemeral: bool = False
