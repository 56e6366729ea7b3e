"""What a session's journal adds up to: the transcript.

``evolve`` is the only reading of a journal: the session and the run that works for it
keep their state with it event by event, and recovery is the same function over the
same events.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

import attrs

from beamclaw.contracts import tokens
from beamclaw.contracts.conversation import Conversation
from beamclaw.contracts.history import History
from beamclaw.contracts.journal import (
    Answered,
    Asked,
    Body,
    Compacted,
    Forked,
    HandedOver,
    InboundTaken,
    Noted,
    Repaired,
    Revived,
    RunOver,
    RunStarted,
    SessionReset,
    ToolEnded,
    read,
)
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import Message, Usage, said
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.path import path
from beamclaw.contracts.turn_events import goes_on, started
from beamclaw.values import evolve as changed
from beamclaw.values import frozen


def _messages(items: Iterable[Message]) -> Conversation:
    return items if isinstance(items, Conversation) else Conversation(items)


def _numbers(items: Iterable[int]) -> History[int]:
    return items if isinstance(items, History) else History(items)


def running(messages: Iterable[Message], before: int = 0) -> list[int]:
    """Tokens of *messages* up to each one, with it, and with *before*; estimated."""
    return list(accumulate(map(tokens.of_message, messages), initial=before))[1:]


def _sums(state: "Transcript") -> History[int]:
    return History(running(state.messages))


def _most(state: "Transcript") -> int:
    return tokens.most_of_messages(state.messages)


@frozen(kw_only=True)
class Billed:
    """The prompt of which a provider gave figures last.

    Attributes:
        model: Who read it, ``provider/model``: another one counts otherwise.
        tokens: As it says, those of the system's words and the tools included.
        most: What the bound was of the messages in it.
    """

    model: str = ""
    tokens: int = 0
    most: int = 0


@frozen
class Transcript:
    """A session's journal, added up.

    Attributes:
        seq: The number of its last event.
        messages: What a model is told: everything since the last compaction, and its
            summary before.
        turn: The turn in progress.
        seqs: The event that each message is from.
        covered: The last event that a summary stands for.
        counted: What a provider has counted: how many messages, with how many tokens
            (those of the system's words and the tools included).
        sums: Tokens of the messages up to each one, with it, all of them estimated.
        most: Tokens of all messages that nobody counts more of: only for reservations.
        asked: What that was when a model was asked last for an answer.
        billed: What of it a provider has counted.
        at: When its last event was written, seconds since the epoch.
        depth: How far the session is below a person's conversation.
        agent: Who answers in it, if it was handed over.
        tainted: Words of strangers are among all that was said.
        owed: Ids of the last answer's tool calls that the client carries out: the next
            message brings what they came to.
        last_run: The turn that ended last.
    """

    seq: int = 0
    messages: Conversation = attrs.field(factory=Conversation, converter=_messages)
    turn: OpenTurn | None = None
    seqs: History[int] = attrs.field(factory=History[int], converter=_numbers)
    covered: int = 0
    counted: tuple[int, int] = (0, 0)
    sums: History[int] = attrs.field(
        default=attrs.Factory(_sums, takes_self=True), converter=_numbers
    )
    most: int = attrs.field(default=attrs.Factory(_most, takes_self=True))
    asked: int = 0
    billed: Billed = Billed()
    at: float = 0.0
    depth: int = 0
    agent: str | None = None
    tainted: bool = False
    owed: tuple[str, ...] = ()
    last_run: str | None = None

    @property
    def tokens(self) -> int:
        """Of all messages, estimated."""
        return self.sums[-1] if self.sums else 0

    @property
    def is_new(self) -> bool:
        """Whether nothing has come since the conversation began.

        One that went back to its beginning is none: what it has used still counts.
        """
        return not self.messages and self.covered == self.seq


@frozen
class Fact:
    """One event as it is read: what, for which run, and when."""

    body: Body
    run_id: str | None = None
    at: float = 0.0


def evolve(  # noqa: C901 -- a table
    state: Transcript, seq: int, fact: Fact
) -> Transcript:
    """*state* after the event *fact* with number *seq*.

    For a :class:`~beamclaw.contracts.journal.Rewound`, *state* is what it goes back to.
    """
    body, turn = fact.body, state.turn
    depth, agent = state.depth, state.agent
    owed, last_run = state.owed, state.last_run
    if isinstance(body, SessionReset):
        return Transcript(seq, covered=seq, at=fact.at, depth=depth, agent=agent)
    if isinstance(body, Forked):
        return _forked(body, seq, fact.at)
    if isinstance(body, RunStarted):
        if body.parent is not None and body.parent.kind == "spawn":
            depth = body.parent.depth
        turn = started(turn, body, fact.run_id, fact.at, depth)
    elif isinstance(body, RunOver):
        owed = tuple(call.id for call in turn.owed) if turn else ()
        turn, last_run = None, fact.run_id
    elif turn is not None:
        turn = goes_on(turn, body, fact.at)
        touched = fact.run_id == turn.run_id and not isinstance(body, Revived)
        answered = isinstance(body, Answered)
        if touched or answered:
            turn = changed(
                turn,
                touched_at=fact.at if touched else turn.touched_at,
                tainted=state.tainted if answered else turn.tainted,
            )
    if isinstance(body, HandedOver):
        agent = body.agent
    if isinstance(body, InboundTaken):
        owed = ()
    tainted = state.tainted or _taints(body)
    state = _remade(state, body)
    messages, seqs, sums, most = state.messages, state.seqs, state.sums, state.most
    if new := _said(body):
        sums = sums.plus(running(new, state.tokens))
        most += tokens.most_of_messages(new)
        messages, seqs = messages.plus(new), seqs.plus((seq,) * len(new))
    counted, (asked, billed) = state.counted, _billed(state, body)
    if isinstance(body, Answered) and _is_counted(body.usage):
        counted = len(messages), body.usage.input + body.usage.output
    return Transcript(
        seq=seq,
        messages=messages,
        turn=turn,
        seqs=seqs,
        covered=state.covered,
        counted=counted,
        sums=sums,
        most=most,
        asked=asked,
        billed=billed,
        at=fact.at,
        depth=depth,
        agent=agent,
        tainted=tainted,
        owed=owed,
        last_run=last_run,
    )


def _is_counted(usage: Usage) -> bool:
    return not usage.estimated and usage.input > 0


def _billed(state: Transcript, body: Body) -> tuple[int, Billed]:
    """What of *state* was sent last, and what was billed last, after *body*.

    The answer is not in it: what its author wrote in so many tokens is not sure to be
    read back as just those, nor with all that it thought besides.
    """
    if isinstance(body, Asked) and body.purpose == "answer":
        return state.most, state.billed
    if isinstance(body, Answered) and _is_counted(body.usage):
        model = f"{body.provider}/{body.model}"
        sent = Billed(model=model, tokens=body.usage.input, most=state.asked)
        return state.asked, sent
    return state.asked, state.billed


def _taints(body: Body) -> bool:
    """Whether an event brings words of strangers, or of who has read such."""
    if isinstance(body, ToolEnded):
        return body.untrusted
    return isinstance(body, InboundTaken) and body.tainted


def _remade(state: Transcript, body: Body) -> Transcript:
    """*state* with other messages in the place of some, where *body* says so."""
    if isinstance(body, Compacted):
        return _compacted(state, body)
    return _repaired(state, body) if isinstance(body, Repaired) else state


def _said(body: Body) -> tuple[Message, ...]:
    """The messages that an event adds to what a model is told."""
    match body:
        case InboundTaken(messages=messages):
            return messages
        case Answered(message=message):
            return (message,) if message.parts else ()
        case ToolEnded(result=result):
            return (Message("tool", (result,)),)
        case Noted(text=text):
            return (said("assistant", text),)
        case _:
            return ()


def _repaired(state: Transcript, body: Repaired) -> Transcript:
    """What is new belongs to the event of the message before it, so no cut parts them."""
    messages: list[Message] = []
    seqs: list[int] = []
    done = 0
    for splice in body.splices:
        messages += state.messages[done : splice.at]
        seqs += state.seqs[done : splice.at]
        done = splice.at + splice.removed
        before = seqs[-1] if seqs else next(iter(state.seqs), state.covered)
        messages += splice.put
        seqs += (before,) * len(splice.put)
    return Transcript(
        seq=state.seq,
        messages=(*messages, *state.messages[done:]),
        turn=state.turn,
        seqs=(*seqs, *state.seqs[done:]),
        covered=state.covered,
    )


def _forked(body: Forked, seq: int, at: float) -> Transcript:
    # The numbers of the other journal go on backwards from here, so that a summary can
    # stand for a part of what came from there.
    here = seq - body.seq
    return Transcript(
        seq=seq,
        messages=body.messages,
        seqs=tuple(number + here for number in body.seqs),
        covered=body.covered + here,
        counted=body.counted,
        at=at,
        agent=body.agent,
        tainted=body.tainted,
        owed=body.owed,
    )


SUMMARY = "[What was said before, in short]\n"


def _compacted(state: Transcript, body: Compacted) -> Transcript:
    first = bisect_right(state.seqs, body.last)
    messages = (said("user", SUMMARY + body.summary), *state.messages[first:])
    return Transcript(
        seq=state.seq,
        messages=messages,
        turn=state.turn,
        seqs=(body.last, *state.seqs[first:]),
        covered=body.last,
    )


def extend(state: Transcript, events: Iterable[Event]) -> Transcript:
    """*state* after *events*, those that count, as read from the ledger."""
    for stored in events:
        fact = Fact(read(stored), stored.run_id, stored.at)
        state = evolve(state, stored.seq, fact)
    return state


def replay(events: Sequence[Event], to: int | None = None) -> Transcript:
    """What a whole journal adds up to, or had come to behind event *to*.

    Raises:
        beamclaw.contracts.path.Unreachable: There is no such event.
    """
    return extend(Transcript(), path(events, to=to))


def advance(state: Transcript, facts: Iterable[Fact]) -> Transcript:
    """*state* after *facts* that have just been committed in this order."""
    for fact in facts:
        state = evolve(state, state.seq + 1, fact)
    return state
