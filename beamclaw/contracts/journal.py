"""What stands in a session's journal: the kinds of events, to JSON and back.

Bodies are versioned; an old version is lifted to today's by the table of upcasters
before it is read. What the events of a session add up to is in
:mod:`beamclaw.contracts.transcript`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import attrs
import orjson

from beamclaw.contracts.codec import converter
from beamclaw.contracts.ledger import NewEvent
from beamclaw.contracts.ledger_rows import Event, Outcome, Verdict
from beamclaw.contracts.messages import Message, ModelParams, ToolResult, Usage
from beamclaw.contracts.providers import ErrorKind, StopReason
from beamclaw.contracts.sessions import Inbound
from beamclaw.contracts.subagents import ChildBegun, ChildEnd, Parent, Spend
from beamclaw.contracts.tools import CallOutcome, Effect
from beamclaw.contracts.wanted import Wanted
from beamclaw.values import frozen

Purpose = Literal["answer", "summary"]
ResetReason = Literal["new", "reset", "daily", "idle"]
"""By which command or rule a conversation ends and another one begins."""


@frozen(kw_only=True)
class InboundTaken:
    """Messages of a person, or of another session, became part of the transcript.

    *child*: they announce what a turn has come to that this session has ordered.
    *tainted*: whoever says this has read words of strangers. *joins*: the run under
    which the answer was wanted, where it is another message's turn that gives it.
    """

    messages: tuple[Message, ...]
    inbox_id: int
    child: ChildEnd | None = None
    tainted: bool = False
    joins: str | None = None


@frozen(kw_only=True)
class RunStarted:
    """A turn began, or (epoch above 1) a successor took it over.

    ``definition`` is the hash of the agent definition that is used to the turn's end.

    Attributes:
        parent: For whom it works, if not for a person.
        hops: Turns since a person has spoken: 0, unless an agent has begun it.
        reply_to: Where its answer is wanted, as whoever brought the message says it.
        ordered: No model is asked: a client orders one call of a tool, which stands
            behind this in the place of a model's answer.
        compacts: No answer is asked for: only a summary of what was said.
        traceparent: The header of its request, if that brought one; *tracestate*, too.
        wanted: What its message has asked for; None in what an earlier release wrote,
            and where a successor takes over.
    """

    epoch: int
    agent: str
    definition: str
    params: ModelParams = ModelParams()
    retractable: bool = True
    parent: Parent | None = None
    hops: int = 0
    reply_to: str | None = None
    ordered: bool = False
    compacts: bool = False
    traceparent: str = ""
    tracestate: str = ""
    wanted: Wanted | None = None


@frozen(kw_only=True)
class Revived:
    """The turn is about to be taken up again after a death."""


@frozen(kw_only=True)
class Asked:
    """A model call is about to be made; attempts of one turn count from 1.

    *purpose* is ``answer``, or ``summary``: of a compaction, nobody sees its text.
    *bound* is what is reserved for it, *cost* (in millionths of a dollar) what that is
    worth.
    """

    attempt: int
    provider: str
    model: str
    purpose: Purpose = "answer"
    bound: Usage = Usage()
    cost: int = 0


@frozen(kw_only=True)
class AttemptFailed:
    """That call failed, and another one follows.

    *link* is which of the agent's models it goes to: 0 the first, 1 its first fallback.
    *usage* and *cost* (in millionths of a dollar) are what it took all the same.
    """

    attempt: int
    kind: ErrorKind
    error: str
    link: int = 0
    usage: Usage = Usage()
    cost: int = 0


@frozen(kw_only=True)
class Answered:
    """The model's answer, or what there was of it when the turn was stopped.

    *cost* is in millionths of a dollar.
    """

    attempt: int
    message: Message
    stop_reason: StopReason
    usage: Usage
    provider: str = ""
    model: str = ""
    cost: int = 0


@frozen(kw_only=True)
class ToolBegun:
    """The intent of a tool call: written before the tool may do anything.

    *attempt* counts how often the call has been begun, *key* is the same each time.
    *child*: the call is no process, but a turn in another session.
    """

    call_id: str
    tool: str
    effect: Effect
    key: str
    attempt: int = 1
    child: ChildBegun | None = None


@frozen(kw_only=True)
class ToolEnded:
    """The one result of a tool call, as the model gets it.

    Attributes:
        digest: Of all that the tool said; tells a repetition.
        size: Bytes of all that it said.
        rest: Where the part is kept that *result* leaves out.
        spend: What the sub-agent has used that the call stood for.
        last: The model is not asked again: it wants the turn to end with this.
        untrusted: These are words of strangers.
    """

    outcome: CallOutcome
    result: ToolResult
    digest: str = ""
    size: int = 0
    rest: str | None = None
    spend: Spend | None = None
    last: bool = False
    untrusted: bool = False


@frozen(kw_only=True)
class WaitBegun:
    """A tool call waits for a person to agree. Until *expires_at*, on the wall's clock.

    *digest* is of all that is agreed to, *details* says what that is.
    """

    wait_id: str
    call_id: str
    question: str
    expires_at: float
    digest: str = ""
    details: Mapping[str, str] = attrs.field(factory=dict[str, str])


@frozen(kw_only=True)
class WaitOver:
    """The person has answered, or has not in time; *by* says who, *text* what else.

    With *always* the same is allowed for good.
    """

    wait_id: str
    verdict: Verdict
    by: str = ""
    text: str = ""
    always: bool = False


@frozen(kw_only=True)
class Compacted:
    """A summary stands for all messages up to event *last*, from event *first* on.

    What it stands for stays in the journal. No event is covered twice: *first* follows
    the *last* of the compaction before, whose summary this one takes in.

    Attributes:
        method: ``model``: it was written by one; ``trim``: made of the beginnings of
            what was said, without any call.
        before: Tokens of the prompt before, estimated.
        usage: Of the call that wrote it.
        cost: Of the same, in millionths of a dollar.
    """

    first: int
    last: int
    summary: str
    method: Literal["model", "trim"]
    before: int
    usage: Usage = Usage()
    cost: int = 0


@frozen(kw_only=True)
class HandedOver:
    """From the next turn on *agent* answers here; *by* says who wanted it so."""

    agent: str
    by: str


@frozen(kw_only=True)
class Noted:
    """Words of the node to the person, which the model sees as its own.

    *unique* is the sender's, who may ask for them again.
    """

    text: str
    unique: str = ""


@frozen(kw_only=True)
class ClockMoved:
    """The wall's clock was put on by so many seconds, or back, in the middle of a turn.

    Somebody has set it, or the machine was asleep: nobody has worked for the turn.
    """

    by: float


@frozen(kw_only=True)
class RunOver:
    """The turn is over; *error* is in words for a person."""

    outcome: Outcome
    stop_reason: str
    error_kind: str | None = None
    error: str | None = None


@frozen(kw_only=True)
class Splice:
    """From message *at* on, *removed* messages make place for those in *put*."""

    at: int
    removed: int
    put: tuple[Message, ...]
    why: str


@frozen(kw_only=True)
class Repaired:
    """The messages were damaged, and are whole now; see ``beamclaw.contracts.repair``.

    Attributes:
        splices: In ascending order; all of them count from the messages before.
    """

    splices: tuple[Splice, ...]


@frozen(kw_only=True)
class SessionReset:
    """From here on the conversation is another one; what came before stays readable.

    *session_id* is the new one's.
    """

    reason: ResetReason
    session_id: str


@frozen(kw_only=True)
class Rewound:
    """The conversation goes on behind event *to*; what came since does not count.

    Its parent is that event, 0: the very beginning.
    """

    to: int


@frozen(kw_only=True)
class Forked:
    """The session begins with what another one had come to.

    Attributes:
        source: The key of that one, and *session_id*.
        seq: The event of its journal behind which it is left.
        messages: What a model is told from there on.
        seqs: The event, in that journal, that each message is from.
        covered: The last event, in that journal, that a summary stands for.
        tainted: Words of strangers are among the messages.
        owed: See :class:`beamclaw.contracts.transcript.Transcript`.
        agent: Who answers, if the other one was handed over.
    """

    source: str
    session_id: str
    seq: int
    messages: tuple[Message, ...] = ()
    seqs: tuple[int, ...] = ()
    covered: int = 0
    counted: tuple[int, int] = (0, 0)
    tainted: bool = False
    owed: tuple[str, ...] = ()
    agent: str | None = None


Body = (
    InboundTaken
    | RunStarted
    | Revived
    | Asked
    | AttemptFailed
    | Answered
    | ToolBegun
    | ToolEnded
    | WaitBegun
    | WaitOver
    | Compacted
    | HandedOver
    | Noted
    | ClockMoved
    | RunOver
    | SessionReset
    | Rewound
    | Forked
    | Repaired
)

# kind: (version written today, class)
KINDS: Final[Mapping[str, tuple[int, type[Any]]]] = {
    "inbound": (1, InboundTaken),
    "run-started": (1, RunStarted),
    "revived": (1, Revived),
    "asked": (1, Asked),
    "attempt-failed": (1, AttemptFailed),
    "answered": (1, Answered),
    "tool-begun": (1, ToolBegun),
    "tool-ended": (1, ToolEnded),
    "wait-begun": (1, WaitBegun),
    "wait-over": (1, WaitOver),
    "compacted": (1, Compacted),
    "handed-over": (1, HandedOver),
    "noted": (1, Noted),
    "clock-moved": (1, ClockMoved),
    "run-over": (1, RunOver),
    "session-reset": (1, SessionReset),
    "rewound": (1, Rewound),
    "forked": (1, Forked),
    "repaired": (1, Repaired),
}
_KIND_OF: Final = {cls: (kind, version) for kind, (version, cls) in KINDS.items()}
# (kind, version) to a function that lifts such a body, as parsed JSON, one version up.
UPCASTERS: Final[Mapping[tuple[str, int], Callable[[Any], Any]]] = {}


class UnreadableEventError(Exception):
    """The journal holds an event that this version does not know."""


def event(
    body: Body,
    *,
    at: float,
    run_id: str | None = None,
    inbound: Inbound | None = None,
) -> NewEvent:
    """*body* as an event to commit; *inbound* is the message that brought it about."""
    kind, version = _KIND_OF[type(body)]
    return NewEvent(
        kind=kind,
        version=version,
        at=at,
        body=orjson.dumps(converter.unstructure(body)),
        run_id=run_id,
        parent=body.to if isinstance(body, Rewound) else None,
        origin="node" if inbound is None else inbound.source,
        sender=None if inbound is None else inbound.sender,
        reply_to=None if inbound is None else inbound.reply_to,
    )


def read(stored: Event | NewEvent) -> Body:
    """The body of *stored*, lifted to today's version.

    Raises:
        UnreadableEventError: A kind or version of a later release.
    """
    known = KINDS.get(stored.kind)
    if known is None or stored.version > known[0]:
        msg = f"journal event {stored.kind!r} version {stored.version} is not known"
        raise UnreadableEventError(msg)
    version, cls = known
    body = orjson.loads(stored.body)
    for older in range(stored.version, version):
        body = UPCASTERS[stored.kind, older](body)
    return converter.structure(body, cls)
