"""Sessions and runs, as the edge sees them: hand a message in, follow its run."""

import hashlib
from collections.abc import Mapping
from typing import Final, Literal

import attrs
import trio

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.codec import encode
from beamclaw.contracts.ledger_inbox import Accept, InboxRow, Receipt
from beamclaw.contracts.ledger_reads import ReadChildren, ReadRun
from beamclaw.contracts.ledger_rows import Outcome, RunRow, Verdict
from beamclaw.contracts.messages import Message, ModelParams, ToolCall, Usage
from beamclaw.contracts.points import point
from beamclaw.contracts.subagents import ChildEnd, Parent
from beamclaw.contracts.tools import CallOutcome
from beamclaw.values import frozen

ACCEPTED: Final = "beamclaw.message.accepted"
QueueMode = Literal["steer", "followup", "collect", "interrupt"]
"""What is done with a message that comes while a turn is in progress.

``steer``: the turn takes it before it asks the model again, if it was asked for the same
model, parameters and address; what was not, and what comes too late, is taken with the
next turn. ``followup``: a turn of its own, afterwards. ``collect``: one
turn for all that came meanwhile, once it is quiet. ``interrupt``: the turn is stopped.
"""


@frozen(kw_only=True)
class Inbound:
    """A message from outside, as the edge hands it in.

    Attributes:
        source: Which edge: ``http``, ``terminal``.
        account: Whose account at that edge (``gateway`` for its shared secret).
        conversation: The conversation as the sender names it.
        external_id: The id the sender gave the message: makes a repeat a duplicate.
        session_key: Full key, see :mod:`beamclaw.contracts.keys`.
        messages: All given messages; a session that exists takes the last one only.
        run_id: Under which the answer will be found.
        model: ``provider/model`` in place of the agent's.
        retractable: Whether the reader can take back text it has shown. If not, a
            model call that breaks off after text has left fails, it is never restarted.
        ephemeral: A session of this one request: a client that leaves cancels it.
        queue: What to do with it while a turn is in progress; None: as configured.
        literal: A word behind a slash at its beginning is said, and means nothing.
        follows: The run behind which it is said; what was said since does not count.
        about: Kept with its run, for whoever hands it in.
        parent: It is a tool call's of a turn in another session, which gets the answer.
        child: It announces what such a turn has come to, to who has ordered it.
        hops: Turns since a person has spoken.
        tainted: Whoever says it has read words of strangers.
        call: What is to be done in place of asking a model: one call of a tool.
        compacts: Nothing is said: a summary is to take the place of what was.
        traceparent: To whose trace it belongs, with *tracestate*; see
            :mod:`beamclaw.contracts.tracing`.
    """

    tenant: str
    source: str
    account: str
    conversation: str
    external_id: str
    session_key: str
    agent: str
    messages: tuple[Message, ...]
    run_id: str
    model: str | None = None
    params: ModelParams = ModelParams()
    sender: str | None = None
    reply_to: str | None = None
    retractable: bool = True
    ephemeral: bool = False
    queue: QueueMode | None = None
    literal: bool = False
    follows: str | None = None
    about: str = ""
    parent: Parent | None = None
    child: ChildEnd | None = None
    hops: int = 0
    tainted: bool = False
    call: ToolCall | None = None
    compacts: bool = False
    traceparent: str = ""
    tracestate: str = ""

    @property
    def brings_results(self) -> bool:
        """Whether it ends with what tool calls came to that the client carries out."""
        return bool(self.messages) and self.messages[-1].role == "tool"

    @property
    def is_of_person(self) -> bool:
        """Whether somebody outside has said it, and no turn of another session."""
        return not self.hops and self.parent is None and self.child is None


# --- what is published on a session's topic

Phase = Literal[
    "queue", "files", "permit", "model", "retry", "tools", "person", "agents"
]


@frozen
class Delta:
    """Text of an answer. *offset* counts characters from the turn's first.

    *attempt* is the model call it comes from; it goes on where the one before ended.
    """

    run_id: str
    attempt: int
    offset: int
    text: str


@frozen
class Reset:
    """With model call *attempt* a part begins anew: text from *offset* on is void."""

    run_id: str
    attempt: int
    offset: int = 0


# What only whoever reads an answer as it comes has a use for.
PIECES: Final = (Delta, Reset)


@frozen
class Waiting:
    """What the run waits for now, until *seconds* from now where that is known."""

    run_id: str
    phase: Phase
    detail: str = ""
    seconds: float | None = None


@frozen(kw_only=True)
class RunEnded:
    """The run is over, and committed: *text* is the whole answer.

    *calls* are those that the client has to carry out: the next message brings what
    they came to.
    """

    run_id: str
    outcome: Outcome
    stop_reason: str
    text: str
    usage: Usage = Usage()
    error_kind: str | None = None
    error: str | None = None
    model: str = ""
    calls: tuple[ToolCall, ...] = ()


@frozen
class ToolUse:
    """A tool call begins (*outcome* None) or has come out; committed."""

    run_id: str
    call_id: str
    tool: str
    outcome: CallOutcome | None = None


@frozen
class Joined:
    """The message of this run is answered by the run *into*; committed."""

    run_id: str
    into: str


@frozen
class Question:
    """A person is asked (*verdict* None), or has answered; committed.

    *details* says what is agreed to; *always*: it can be, or was, allowed for good.
    """

    run_id: str
    wait_id: str
    question: str
    expires_at: float
    verdict: Verdict | None = None
    by: str = ""
    details: Mapping[str, str] = attrs.field(factory=dict[str, str])
    always: bool = False


TopicValue = Delta | Reset | Waiting | ToolUse | Joined | Question | RunEnded


# --- what the sessions' door understands (registered as ``<tenant>/sessions``)


@frozen
class Ring:
    """Cast by the ledger after an accept: wake the session and show it the row."""

    row: InboxRow
    fresh: bool


@frozen
class Rouse:
    """Cast after a commit that concerns another session: it has to look again."""

    session_key: str


@frozen
class Wake(supervision.Call[None]):
    """Have a process for this session, whether there is anything to do or not.

    Raises (in the caller): :class:`~beamclaw.contracts.ledger_errors.LedgerError`:
    there is no place for one at the moment.
    """

    session_key: str


@frozen
class Peek(supervision.Call["RunView"]):
    """How a run stands in memory at this moment."""

    run_id: str


@frozen(kw_only=True)
class RunView:
    """A run in progress; ``running`` False: not in memory, ask the ledger.

    *text* is the turn's so far, with model call *attempt* the last.
    """

    run_id: str
    running: bool
    attempt: int = 0
    text: str = ""
    waiting: Waiting | None = None


@frozen
class SetIntake(supervision.Call[None]):
    """Drain: stop (or go on) starting runs; those in progress end."""

    open: bool


@frozen
class GetSessionsStatus(supervision.Call["SessionsStatus"]):
    """How many sessions are awake and runs in progress."""


@frozen(kw_only=True)
class SessionsStatus:
    """Figures of a tenant's sessions.

    Attributes:
        awake: Sessions with a process.
        running: Turns in progress; *asking* of them wait for a person, or for others.
        reviving: Sessions that died and are being brought back.
        parked: Sessions with work and no place (``sessions.max_awake``).
        intake: Whether turns may be started.
    """

    awake: int
    running: int
    asking: int
    reviving: int
    parked: int
    intake: bool


# --- what a session itself understands (registered by its key)


@frozen
class Abort(supervision.Call[bool]):
    """Stop a run, queued or running, and its sub-agents; its text so far stays.

    False: nothing was in progress.
    """

    run_id: str


@frozen
class StopBeginning(supervision.Call[str | None]):
    """Stop the turn that is about to begin, and waits for what its agent is told.

    The reply is its run, that of its first message; None: there is no such turn.
    """


@frozen(kw_only=True)
class HandTo(supervision.Call[None]):
    """Have another agent answer from the next turn on; *by* says who wants it so.

    The reply comes when it is durable, which is after the turn in progress.
    """

    agent: str
    by: str


# --- client functions


def fingerprint(inbound: Inbound) -> str:
    """Tells a repeated message from another one under the same id."""
    content = attrs.evolve(
        inbound,
        run_id="",
        session_key="",
        reply_to=None,
        # How the answer is read, and when it is wanted, is not what was said.
        retractable=True,
        queue=None,
        about="",
        traceparent="",
        tracestate="",
    )
    return hashlib.sha256(encode(content)).hexdigest()


def accept(inbound: Inbound, *, at: float) -> Accept:
    """*inbound* as the ledger takes it."""
    return Accept(
        source=inbound.source,
        account=inbound.account,
        conversation=inbound.conversation,
        external_id=inbound.external_id,
        fingerprint=fingerprint(inbound),
        session_key=inbound.session_key,
        agent=inbound.agent,
        run_id=inbound.run_id,
        at=at,
        body=encode(attrs.evolve(inbound, about="") if inbound.about else inbound),
        channel=inbound.source,
        ephemeral=inbound.ephemeral,
        about=inbound.about.encode(),
    )


async def submit(bus: Bus, inbound: Inbound, *, at: float) -> Receipt:
    """Hand *inbound* in. When this returns, the message is durable and will be answered.

    Subscribe to the session's topic before, or the first words may be missed. A
    duplicate's receipt names the first one's session and run.

    Raises:
        Overloaded: The inbox is full; nothing was taken.
        IdempotencyConflict: The id was used for another message.
        supervision.CallFailed: The tenant is not up; whether the message was taken is
            unknown: send it again under the same ``external_id``.

    Cancelling leaves the message either taken or not; the same id finds out.
    """
    job, began = accept(inbound, at=at), trio.current_time()
    with point("edge.accept"):
        receipt = await bus.call(
            names.of_tenant(inbound.tenant, "ledger"), job, timeout=None
        )
    supervision.emit(
        ACCEPTED,
        {"seconds": trio.current_time() - began},
        {
            "tenant": inbound.tenant,
            "session": receipt.session_key,
            "run": receipt.run_id,
            "source": inbound.source,
            "duplicate": receipt.duplicate,
        },
    )
    return receipt


async def peek(bus: Bus, tenant: str, run_id: str) -> RunView:
    """How the run stands in memory; see :class:`RunView`."""
    return await bus.call(names.of_tenant(tenant, "sessions"), Peek(run_id))


async def read_run(bus: Bus, tenant: str, run_id: str) -> RunRow | None:
    """What is durably known of the run."""
    return await bus.call(names.of_tenant(tenant, "ledger"), ReadRun(run_id))


async def read_answering(bus: Bus, tenant: str, run_id: str) -> RunRow | None:
    """What is durably known of the run that answers under this one's name.

    That is another one where it has taken the message that this one was for.
    """
    row = await read_run(bus, tenant, run_id)
    while row is not None and row.joined is not None:
        row = await read_run(bus, tenant, row.joined)
    return row


async def abort(bus: Bus, tenant: str, session_key: str, run_id: str) -> bool:
    """Stop the run; whether it was in progress.

    Where another message's turn answers this one, too, it is that turn: whoever stops
    what they have said does not want it answered, and a turn has one answer for all.

    Raises:
        beamclaw.contracts.ledger_errors.LedgerError: There is no place for its session.
        supervision.CallFailed: The session died over it; ask again.
    """
    session, wake = names.session(tenant, session_key), Wake(session_key)
    tried = None
    while True:
        row = await read_answering(bus, tenant, run_id)
        # The same as before: no turn has taken the message while its run was stopped.
        if row is None or row.run_id == tried:
            return False
        if row.state == "ended" and not await _left(bus, tenant, session_key, row):
            return False
        # By way of the door, so that no ring that was sent before is overtaken; and a
        # session that has died, or found no place, is not one with nothing in progress.
        await bus.call(names.of_tenant(tenant, "sessions"), wake, timeout=None)
        try:
            if await bus.call(session, Abort(row.run_id), timeout=None):
                return True
        except supervision.NoProcess:
            continue  # it fell asleep in between
        tried = row.run_id


async def _left(bus: Bus, tenant: str, session_key: str, run: RunRow) -> bool:
    """Whether a run that is over has left others at work that it did not wait for."""
    children = ReadChildren(session_key, run.run_id)
    rows = await bus.call(names.of_tenant(tenant, "ledger"), children)
    return any(child.state == "open" for child in rows)
