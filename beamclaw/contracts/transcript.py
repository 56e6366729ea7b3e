"""What a session's journal adds up to: the transcript, and the turn in progress.

``evolve`` is the only reading of a journal: the session and the run that works for it
keep their state with it event by event, and recovery is the same function over the
same events.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

import attrs

from beamclaw.contracts import tokens
from beamclaw.contracts.history import History
from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
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
    ToolBegun,
    ToolEnded,
    WaitBegun,
    WaitOver,
    read,
)
from beamclaw.contracts.ledger_rows import Event, Verdict
from beamclaw.contracts.messages import Message, ModelParams, ToolCall, Usage, said
from beamclaw.contracts.path import path
from beamclaw.contracts.providers import StopReason
from beamclaw.contracts.subagents import ChildBegun, ChildEnd, Parent, Spend, all_of
from beamclaw.contracts.tools import CallOutcome, Effect


@attrs.frozen(kw_only=True)
class Begun:
    """The last intent of a call: see :class:`beamclaw.contracts.journal.ToolBegun`."""

    effect: Effect
    key: str
    attempt: int


@attrs.frozen(kw_only=True)
class Wait:
    """A question to a person; *verdict* is None until it is answered or has expired."""

    id: str
    expires_at: float
    verdict: Verdict | None = None
    by: str = ""
    text: str = ""


@attrs.frozen(kw_only=True)
class Call:
    """A tool call of the model's last answer.

    Attributes:
        wait: None: no person was asked.
        begun: None: the tool cannot have done anything.
        outcome: None: it has no result yet.
        child: The run in another session that it stands for.
    """

    asked: ToolCall
    wait: Wait | None = None
    begun: Begun | None = None
    outcome: CallOutcome | None = None
    child: str | None = None


@attrs.frozen(kw_only=True)
class Child:
    """A turn in another session that works for this one; *spend* when it has ended."""

    call_id: str
    begun: ChildBegun
    spend: Spend | None = None

    @property
    def counted(self) -> Spend:
        """What it takes from its parent: all that it may use, until it has ended."""
        if self.begun.allowance is None:
            return Spend()
        return all_of(self.begun.allowance) if self.spend is None else self.spend

    @property
    def awaited(self) -> bool:
        """Whether a tool call waits for it."""
        return self.spend is None and self.begun.mode == "wait"


@attrs.frozen(kw_only=True)
class Did:
    """What a model asked for and got, as far as it tells a loop from progress.

    *digest* is of the result, see :class:`beamclaw.contracts.journal.ToolEnded`.
    """

    tool: str
    arguments: str
    digest: str


@attrs.frozen
class Reserved:
    """What a call may take at most, see :class:`beamclaw.contracts.journal.Asked`."""

    bound: Usage = Usage()
    cost: int = 0


@attrs.frozen(kw_only=True)
class OpenTurn:
    """The turn in progress.

    Attributes:
        started_at: When it began, seconds since the epoch; put on by the time in which
            nobody worked for it, between a death and who took it up again.
        touched_at: When its run wrote its last event.
        waited: Seconds of that in which it waited for a person or a sub-agent, without
            those in which the sub-agent worked.
        waiting_since: When it began to do so; None: it does not.
        lent: Seconds in which sub-agents have worked since then: the longest of them.
        attempt: The last model call begun, counted from 1; 0: none yet.
        failed: How many of them failed and were followed by another.
        failed_in_a_row: How many of those since the last answer, by the same model.
        link: Which of the agent's models is asked: 0 the first, 1 its first fallback.
        asking: A call was begun and has neither answer nor failure in the journal.
        unanswered: A call was begun since the last answer.
        model_calls: Answers that were asked for, attempts that failed not counted.
        tool_calls: Tool calls that have come to a result.
        tokens: Tokens that its calls have taken, also those that failed or were cut.
        cost: What they cost, in millionths of a dollar.
        reserved: What the call in progress may take at most.
        text: What the person has been told in this turn so far, see ``told``.
        answer: The model's last answer; *model* is who gave it, ``provider/model``.
        calls: Its tool calls, in its order.
        done: What they and all before them came to, the last one last.
        compactions: How often the transcript was compacted since the last answer.
        overflow: The model has refused the prompt as too long.
        progress: Answers and results since the turn was begun or revived.
        parent: For whom it works, if not for a person.
        depth: How far below a person's conversation; 0: it is in one.
        hops: Turns since a person has spoken.
        reply_to: Where its answer is wanted.
        children: The turns in other sessions that it has ordered.
        last: The model wants the turn to end, see ``ToolEnded``.
    """

    run_id: str
    epoch: int
    agent: str
    definition: str
    params: ModelParams
    retractable: bool
    started_at: float = 0.0
    touched_at: float = 0.0
    waited: float = 0.0
    waiting_since: float | None = None
    lent: float = 0.0
    attempt: int = 0
    failed: int = 0
    failed_in_a_row: int = 0
    link: int = 0
    asking: bool = False
    unanswered: bool = False
    model_calls: int = 0
    tool_calls: int = 0
    usage: Usage = Usage()
    tokens: int = 0
    cost: int = 0
    reserved: Reserved = Reserved()
    text: str = ""
    answer: Message | None = None
    model: str = ""
    stop_reason: StopReason | None = None
    calls: tuple[Call, ...] = ()
    done: tuple[Did, ...] = ()
    compactions: int = 0
    overflow: bool = False
    progress: int = 0
    parent: Parent | None = None
    depth: int = 0
    hops: int = 0
    reply_to: str | None = None
    children: tuple[Child, ...] = ()
    last: bool = False

    def busy_seconds(self, now: float) -> float:
        """Seconds that somebody has worked for the turn.

        Those without in which a person was asked; of those in which it waited for
        sub-agents, as many as the longest of them worked.
        """
        since = now if self.waiting_since is None else self.waiting_since
        return now - self.started_at - self.waited - (now - since)

    @property
    def open_waits(self) -> tuple[Wait, ...]:
        """The questions that nobody has answered yet."""
        waits = (call.wait for call in self.open_calls)
        return tuple(wait for wait in waits if wait and wait.verdict is None)

    @property
    def moves(self) -> bool:
        """Whether a death says nothing against it: it got further, or only waited."""
        return self.progress > 0 or self.waits

    @property
    def waits(self) -> bool:
        """Whether it waits for a person, or for a sub-agent."""
        awaited = any(child.awaited for child in self.children)
        return awaited or bool(self.open_waits)

    @property
    def open_children(self) -> tuple[Child, ...]:
        """The sub-agents that work for it."""
        return tuple(
            child
            for child in self.children
            if child.spend is None and child.begun.kind == "spawn"
        )

    @property
    def used(self) -> Spend:
        """What it takes, without time; a sub-agent at work with all that it may take."""
        own = Spend(
            model_calls=self.model_calls,
            tool_calls=self.tool_calls,
            tokens=self.tokens,
            cost=self.cost,
        )
        for child in self.children:
            own += attrs.evolve(child.counted, seconds=0.0)
        return own

    def spent(self, now: float) -> Spend:
        """What it has used at its end."""
        return attrs.evolve(self.used, seconds=max(0.0, self.busy_seconds(now)))

    @property
    def open_calls(self) -> tuple[Call, ...]:
        """The calls that have no result yet."""
        return tuple(call for call in self.calls if call.outcome is None)


def _messages(items: Iterable[Message]) -> History[Message]:
    return items if isinstance(items, History) else History(items)


def _numbers(items: Iterable[int]) -> History[int]:
    return items if isinstance(items, History) else History(items)


def running(messages: Iterable[Message], before: int = 0) -> list[int]:
    """Tokens of *messages* up to each one, with it, and with *before*; estimated."""
    return list(accumulate(map(tokens.of_message, messages), initial=before))[1:]


def _sums(state: "Transcript") -> History[int]:
    return History(running(state.messages))


@attrs.frozen
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
        at: When its last event was written, seconds since the epoch.
        depth: How far the session is below a person's conversation.
        agent: Who answers in it, if it was handed over.
    """

    seq: int = 0
    messages: History[Message] = attrs.field(
        factory=History[Message], converter=_messages
    )
    turn: OpenTurn | None = None
    seqs: History[int] = attrs.field(factory=History[int], converter=_numbers)
    covered: int = 0
    counted: tuple[int, int] = (0, 0)
    sums: History[int] = attrs.field(
        default=attrs.Factory(_sums, takes_self=True), converter=_numbers
    )
    at: float = 0.0
    depth: int = 0
    agent: str | None = None

    @property
    def tokens(self) -> int:
        """Of all messages, estimated."""
        return self.sums[-1] if self.sums else 0


@attrs.frozen
class Fact:
    """One event as it is read: what, for which run, and when."""

    body: Body
    run_id: str | None = None
    at: float = 0.0


# A turn remembers so many of its tool calls, to tell a loop.
REMEMBERED = 32
# Between two answers of one turn that both have text.
PARAGRAPH = "\n\n"


def told(before: str, text: str) -> str:
    """What a person reads of a turn that said *before* and then *text*."""
    return f"{before}{PARAGRAPH}{text}" if before and text else before or text


def evolve(  # noqa: C901 -- a table
    state: Transcript, seq: int, fact: Fact
) -> Transcript:
    """*state* after the event *fact* with number *seq*.

    For a :class:`~beamclaw.contracts.journal.Rewound`, *state* is what it goes back to.
    """
    body, turn = fact.body, state.turn
    depth, agent = state.depth, state.agent
    if isinstance(body, SessionReset):
        return Transcript(seq, covered=seq, at=fact.at, depth=depth, agent=agent)
    if isinstance(body, Forked):
        return _forked(body, seq, fact.at)
    if isinstance(body, RunStarted):
        if body.parent is not None and body.parent.kind == "spawn":
            depth = body.parent.depth
        turn = _started(turn, fact, body, depth)
    elif isinstance(body, RunOver):
        turn = None
    elif turn is not None:
        turn = _goes_on(turn, fact)
        if fact.run_id == turn.run_id and not isinstance(body, Revived):
            turn = attrs.evolve(turn, touched_at=fact.at)
    if isinstance(body, HandedOver):
        agent = body.agent
    state = _remade(state, body)
    messages, seqs, sums = state.messages, state.seqs, state.sums
    if new := _said(body):
        sums = sums.plus(running(new, state.tokens))
        messages, seqs = messages.plus(new), seqs.plus((seq,) * len(new))
    counted = state.counted
    if isinstance(body, Answered) and not body.usage.estimated and body.usage.input:
        counted = len(messages), body.usage.input + body.usage.output
    return Transcript(
        seq=seq,
        messages=messages,
        turn=turn,
        seqs=seqs,
        covered=state.covered,
        counted=counted,
        sums=sums,
        at=fact.at,
        depth=depth,
        agent=agent,
    )


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


def _started(
    turn: OpenTurn | None, fact: Fact, body: RunStarted, depth: int
) -> OpenTurn:
    if turn is not None and turn.run_id == fact.run_id:
        away = max(0.0, fact.at - turn.touched_at)
        since = None if turn.waiting_since is None else turn.waiting_since + away
        # How far a call had come that a death has cut nobody knows.
        turn = _paid(turn, _total(turn.reserved.bound), turn.reserved.cost)
        return attrs.evolve(
            turn,
            epoch=body.epoch,
            asking=False,
            started_at=turn.started_at + away,
            touched_at=fact.at,
            waiting_since=since,
        )
    return OpenTurn(
        run_id=fact.run_id or "",
        epoch=body.epoch,
        agent=body.agent,
        definition=body.definition,
        params=body.params,
        retractable=body.retractable,
        started_at=fact.at,
        touched_at=fact.at,
        parent=body.parent,
        depth=depth,
        hops=body.hops,
        reply_to=body.reply_to,
    )


def _goes_on(turn: OpenTurn, fact: Fact) -> OpenTurn:  # noqa: C901, PLR0911 -- a table
    """The open turn after an event of its own, one case per kind."""
    body = fact.body
    match body:
        case Revived():
            return attrs.evolve(turn, progress=0)
        case Asked():
            unanswered = turn.unanswered or body.purpose == "answer"
            return attrs.evolve(
                turn,
                attempt=body.attempt,
                asking=True,
                unanswered=unanswered,
                reserved=Reserved(body.bound, body.cost),
            )
        case Compacted():
            return attrs.evolve(
                _paid(turn, _total(body.usage), body.cost),
                asking=False,
                overflow=False,
                compactions=turn.compactions + 1,
                usage=turn.usage + body.usage,
            )
        case AttemptFailed():
            return attrs.evolve(
                _paid(turn, _total(body.usage), body.cost),
                asking=False,
                overflow=body.kind == "context_length",
                failed=turn.failed + 1,
                failed_in_a_row=turn.failed_in_a_row + 1
                if body.link == turn.link
                else 0,
                link=body.link,
            )
        case Answered():
            return _answered(turn, body)
        case ToolBegun():
            return _begun(turn, body, fact.at)
        case ToolEnded():
            return _ended(turn, body, fact.at)
        case InboundTaken():
            # What the model has said before is not its answer to this.
            turn = attrs.evolve(turn, answer=None, last=False)
            return turn if body.child is None else _announced(turn, body.child)
        case WaitBegun():
            wait = Wait(id=body.wait_id, expires_at=body.expires_at)
            since = fact.at if turn.waiting_since is None else turn.waiting_since
            calls = _changed(turn, body.call_id, wait=wait)
            return attrs.evolve(turn, calls=calls, waiting_since=since)
        case WaitOver():
            return _answered_wait(turn, body, fact.at)
        case Noted():
            return attrs.evolve(turn, text=told(turn.text, body.text))
        case _:
            return turn


def _paid(turn: OpenTurn, tokens: int, cost: int) -> OpenTurn:
    """The call in progress is over, and took so much."""
    return attrs.evolve(
        turn, tokens=turn.tokens + tokens, cost=turn.cost + cost, reserved=Reserved()
    )


def _total(usage: Usage) -> int:
    return usage.input + usage.output


def _answered(turn: OpenTurn, body: Answered) -> OpenTurn:
    return attrs.evolve(
        _paid(turn, _total(body.usage), body.cost),
        asking=False,
        unanswered=False,
        failed_in_a_row=0,
        compactions=0,
        model_calls=turn.model_calls + 1,
        usage=turn.usage + body.usage,
        text=told(turn.text, body.message.text),
        answer=body.message,
        model=f"{body.provider}/{body.model}" if body.provider else "",
        stop_reason=body.stop_reason,
        calls=tuple(
            Call(asked=part)
            for part in body.message.parts
            if isinstance(part, ToolCall)
        ),
        progress=turn.progress + 1,
    )


def _begun(turn: OpenTurn, body: ToolBegun, at: float) -> OpenTurn:
    begun, child = (
        Begun(effect=body.effect, key=body.key, attempt=body.attempt),
        body.child,
    )
    if child is None:
        return attrs.evolve(turn, calls=_changed(turn, body.call_id, begun=begun))
    turn = attrs.evolve(
        turn,
        calls=_changed(turn, body.call_id, begun=begun, child=child.run_id),
        children=(*turn.children, Child(call_id=body.call_id, begun=child)),
    )
    if turn.waiting_since is None and child.mode == "wait":
        return attrs.evolve(turn, waiting_since=at)
    return turn


def _announced(turn: OpenTurn, end: ChildEnd) -> OpenTurn:
    children = tuple(
        attrs.evolve(child, spend=end.spend)
        if child.begun.run_id == end.run_id
        else child
        for child in turn.children
    )
    return attrs.evolve(turn, children=children)


def _returned(turn: OpenTurn, body: ToolEnded, at: float) -> OpenTurn:
    """The call has a result: what its sub-agent was given and has not used is back."""
    id_ = body.result.id
    waited_for = [c for c in turn.children if c.call_id == id_ and c.awaited]
    if not waited_for:
        return turn
    (child,) = waited_for
    # Of one that was cut off nobody knows what it has used.
    spend = body.spend or attrs.evolve(child.counted, seconds=0.0)
    children = tuple(
        attrs.evolve(each, spend=spend) if each is child else each
        for each in turn.children
    )
    lent = max(turn.lent, spend.seconds)
    return _waited(attrs.evolve(turn, children=children, lent=lent), at)


def _waited(turn: OpenTurn, at: float) -> OpenTurn:
    """The turn's clock goes on, when it waits for nobody any more."""
    if turn.waiting_since is None or turn.waits:
        return turn
    # Less than nothing, where a sub-agent worked while nobody worked for the turn.
    waited = turn.waited + max(0.0, at - turn.waiting_since) - turn.lent
    return attrs.evolve(turn, waited=waited, waiting_since=None, lent=0.0)


def _ended(turn: OpenTurn, body: ToolEnded, at: float) -> OpenTurn:
    id_ = body.result.id
    asked = next((call.asked for call in turn.calls if call.asked.id == id_), None)
    if asked is None:
        return turn
    did = Did(tool=asked.name, arguments=asked.arguments, digest=body.digest)
    turn = _returned(turn, body, at)
    return attrs.evolve(
        turn,
        last=turn.last or body.last,
        calls=_changed(turn, id_, outcome=body.outcome),
        tool_calls=turn.tool_calls + 1,
        done=(*turn.done[1 - REMEMBERED :], did),
        progress=turn.progress + 1,
    )


def _answered_wait(turn: OpenTurn, body: WaitOver, at: float) -> OpenTurn:
    calls = tuple(
        attrs.evolve(
            call,
            wait=attrs.evolve(
                call.wait, verdict=body.verdict, by=body.by, text=body.text
            ),
        )
        if call.wait is not None and call.wait.id == body.wait_id
        else call
        for call in turn.calls
    )
    return _waited(attrs.evolve(turn, calls=calls), at)


def _changed(turn: OpenTurn, call_id: str, **changes: object) -> tuple[Call, ...]:
    return tuple(
        attrs.evolve(call, **changes) if call.asked.id == call_id else call
        for call in turn.calls
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
