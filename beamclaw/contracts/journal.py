"""What stands in a session's journal, and what it adds up to.

``evolve`` is the only reading of a journal: the session and the run that works for it
keep their state with it event by event, and recovery is the same function over the
same events. Bodies are versioned; an old version is lifted to today's by the table of
upcasters before it is read.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs
import orjson

from beamclaw.contracts.codec import converter
from beamclaw.contracts.ledger import Event, NewEvent, Outcome
from beamclaw.contracts.messages import Message, ModelParams, Usage
from beamclaw.contracts.providers import ErrorKind, StopReason


@attrs.frozen(kw_only=True)
class InboundTaken:
    """Messages of a person became part of the transcript."""

    messages: tuple[Message, ...]
    inbox_id: int


@attrs.frozen(kw_only=True)
class RunStarted:
    """A turn began, or (epoch above 1) a successor took it over.

    ``definition`` is the hash of the agent definition that is used to the turn's end.
    """

    epoch: int
    agent: str
    definition: str
    params: ModelParams = ModelParams()
    retractable: bool = True


@attrs.frozen(kw_only=True)
class Asked:
    """A model call is about to be made; attempts of one turn count from 1."""

    attempt: int
    provider: str
    model: str


@attrs.frozen(kw_only=True)
class AttemptFailed:
    """That call failed, and another one follows."""

    attempt: int
    kind: ErrorKind
    error: str


@attrs.frozen(kw_only=True)
class Answered:
    """The model's answer, or what there was of it when the turn was stopped."""

    attempt: int
    message: Message
    stop_reason: StopReason
    usage: Usage
    provider: str = ""
    model: str = ""


@attrs.frozen(kw_only=True)
class RunOver:
    """The turn is over; *error* is in words for a person."""

    outcome: Outcome
    stop_reason: str
    error_kind: str | None = None
    error: str | None = None


Body = InboundTaken | RunStarted | Asked | AttemptFailed | Answered | RunOver

# kind: (version written today, class)
KINDS: Final[Mapping[str, tuple[int, type[Any]]]] = {
    "inbound": (1, InboundTaken),
    "run-started": (1, RunStarted),
    "asked": (1, Asked),
    "attempt-failed": (1, AttemptFailed),
    "answered": (1, Answered),
    "run-over": (1, RunOver),
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
    parent: int | None = None,
    sender: str | None = None,
    reply_to: str | None = None,
    origin: str = "node",
) -> NewEvent:
    """*body* as an event to commit."""
    kind, version = _KIND_OF[type(body)]
    return NewEvent(
        kind=kind,
        version=version,
        at=at,
        body=orjson.dumps(converter.unstructure(body)),
        run_id=run_id,
        parent=parent,
        origin=origin,
        sender=sender,
        reply_to=reply_to,
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


@attrs.frozen(kw_only=True)
class OpenTurn:
    """The turn in progress.

    Attributes:
        attempt: The last model call begun, counted from 1; 0: none yet.
        failed: How many of them failed and were followed by another.
        asking: A call was begun and has neither answer nor failure in the journal.
    """

    run_id: str
    epoch: int
    agent: str
    definition: str
    params: ModelParams
    retractable: bool
    attempt: int = 0
    failed: int = 0
    asking: bool = False
    usage: Usage = Usage()
    answer: Message | None = None
    stop_reason: StopReason | None = None


@attrs.frozen
class Transcript:
    """A session's journal, added up."""

    seq: int = 0
    messages: tuple[Message, ...] = ()
    turn: OpenTurn | None = None


def evolve(state: Transcript, seq: int, run_id: str | None, body: Body) -> Transcript:
    """*state* after the event *body* with number *seq*, one case per kind."""
    turn = state.turn
    match body:
        case InboundTaken():
            return Transcript(seq, (*state.messages, *body.messages), turn)
        case RunStarted():
            return Transcript(seq, state.messages, _started(turn, run_id or "", body))
        case Asked() if turn is not None:
            turn = attrs.evolve(turn, attempt=body.attempt, asking=True)
        case AttemptFailed() if turn is not None:
            turn = attrs.evolve(turn, asking=False, failed=turn.failed + 1)
        case Answered():
            kept = (body.message,) if body.message.parts else ()
            if turn is not None:
                turn = attrs.evolve(
                    turn,
                    asking=False,
                    answer=body.message,
                    stop_reason=body.stop_reason,
                    usage=turn.usage + body.usage,
                )
            return Transcript(seq, (*state.messages, *kept), turn)
        case RunOver():
            return Transcript(seq, state.messages, None)
        case _:
            pass  # of a turn that is over: counts only as having been
    return Transcript(seq, state.messages, turn)


def _started(turn: OpenTurn | None, run_id: str, body: RunStarted) -> OpenTurn:
    if turn is not None and turn.run_id == run_id:
        return attrs.evolve(turn, epoch=body.epoch, asking=False)
    return OpenTurn(
        run_id=run_id,
        epoch=body.epoch,
        agent=body.agent,
        definition=body.definition,
        params=body.params,
        retractable=body.retractable,
    )


def extend(state: Transcript, events: Iterable[Event]) -> Transcript:
    """*state* after *events* as read from the ledger."""
    for stored in events:
        state = evolve(state, stored.seq, stored.run_id, read(stored))
    return state


def advance(state: Transcript, bodies: Iterable[tuple[str | None, Body]]) -> Transcript:
    """*state* after (run id, body) pairs that have just been committed in this order."""
    for run_id, body in bodies:
        state = evolve(state, state.seq + 1, run_id, body)
    return state
