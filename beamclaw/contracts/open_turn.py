"""The turn in progress: what a journal says of it, and what follows from that."""

from typing import Final

import attrs

from beamclaw.contracts.ledger_rows import Verdict
from beamclaw.contracts.messages import Message, ModelParams, ToolCall, Usage
from beamclaw.contracts.providers import StopReason
from beamclaw.contracts.subagents import ChildBegun, Parent, Spend, all_of
from beamclaw.contracts.tools import CallOutcome, Effect
from beamclaw.contracts.wanted import Wanted
from beamclaw.values import frozen

# Letters of a tool's name: those of clients are as long as these want.
_NAME: Final = 60


@frozen(kw_only=True)
class Begun:
    """The last intent of a call: see :class:`beamclaw.contracts.journal.ToolBegun`."""

    effect: Effect
    key: str
    attempt: int


@frozen(kw_only=True)
class Wait:
    """A question to a person; *verdict* is None until it is answered or has expired.

    *digest* is of all that is agreed to.
    """

    id: str
    expires_at: float
    verdict: Verdict | None = None
    by: str = ""
    text: str = ""
    digest: str = ""


@frozen(kw_only=True)
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


@frozen(kw_only=True)
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


@frozen(kw_only=True)
class Did:
    """What a model asked for and got, as far as it tells a loop from progress.

    Attributes:
        arguments: A digest of them: they may be long, and are only compared.
        digest: Of the result, see :class:`beamclaw.contracts.journal.ToolEnded`.
        answer: Which of the turn's answers asked for it, counted from 1.
    """

    tool: str
    arguments: str
    digest: str
    answer: int


@frozen
class Reserved:
    """What a call may take at most, see :class:`beamclaw.contracts.journal.Asked`."""

    bound: Usage = Usage()
    cost: int = 0


@frozen(kw_only=True)
class OpenTurn:
    """The turn in progress.

    Attributes:
        started_at: When it began, seconds since the epoch; put on by the time in which
            nobody worked for it, between a death and who took it up again, and with the
            wall's clock (``ClockMoved``).
        touched_at: When its run wrote its last event.
        waited: Seconds of that in which it waited for a person or a sub-agent, without
            those in which the sub-agent worked.
        waiting_since: When it began to do so; None: it does not.
        lent: Seconds in which sub-agents have worked since then: the longest of them.
        lent_before: The same of all waits that are over.
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
        call_ids: Of all tool calls of the turn: what was said of those before may have
            been summed up, and none of their ids may come again.
        done: What they and those of the answers before came to, the last one last; the
            same of one answer only once.
        compactions: How often the transcript was compacted since the last answer.
        overflow: The model has refused the prompt as too long.
        progress: Answers and results since the turn was begun or revived.
        parent: For whom it works, if not for a person.
        depth: How far below a person's conversation; 0: it is in one.
        hops: Turns since a person has spoken.
        reply_to: Where its answer is wanted.
        children: The turns in other sessions that it has ordered.
        last: The model wants the turn to end, see ``ToolEnded``.
        tainted: The model had read words of strangers when it gave its last answer.
        ordered: No model is asked: a client has ordered the one call that there is.
        compacts: It only writes a summary.
        traceparent: The header of its request, if that brought one; *tracestate*, too.
        wanted: What its message has asked for; None: an earlier release has begun it.
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
    lent_before: float = 0.0
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
    call_ids: tuple[str, ...] = ()
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
    tainted: bool = False
    ordered: bool = False
    compacts: bool = False
    traceparent: str = ""
    tracestate: str = ""
    wanted: Wanted | None = None

    def busy_seconds(self, now: float) -> float:
        """Seconds that somebody has worked for the turn.

        Those without in which a person was asked; of those in which it waited for
        sub-agents, as many as the longest of them worked.
        """
        since = now if self.waiting_since is None else self.waiting_since
        return now - self.started_at - self.waited - (now - since)

    def own_seconds(self, now: float) -> float:
        """Those of them in which no sub-agent has worked in its place.

        These are paid for by the turns of the sub-agents, and by nobody twice.
        """
        return max(0.0, self.busy_seconds(now) - self.lent_before)

    @property
    def open_waits(self) -> tuple[Wait, ...]:
        """The questions that nobody has answered yet."""
        waits = (call.wait for call in self.open_calls)
        return tuple(wait for wait in waits if wait and wait.verdict is None)

    @property
    def waits(self) -> bool:
        """Whether it waits for a person, or for a sub-agent."""
        awaited = any(child.awaited for child in self.children)
        return awaited or bool(self.open_waits)

    @property
    def waits_for(self) -> str:
        """What it waits for since ``touched_at``, in words that tell nothing of it."""
        if self.open_waits:
            return "a person's answer"
        if any(child.awaited for child in self.children):
            return "a sub-agent"
        tools = [call.asked.name for call in self.open_calls if call.begun is not None]
        if tools:
            return f"the tool {tools[0][:_NAME]}"
        return "a model" if self.asking else "its next step"

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

    @property
    def owed(self) -> tuple[ToolCall, ...]:
        """Those of them that the client carries out."""
        names = {tool.name for tool in self.params.tools}
        return tuple(call.asked for call in self.open_calls if call.asked.name in names)


# Between two answers of one turn that both have text.
PARAGRAPH = "\n\n"


def told(before: str, text: str) -> str:
    """What a person reads of a turn that said *before* and then *text*."""
    return f"{before}{PARAGRAPH}{text}" if before and text else before or text
