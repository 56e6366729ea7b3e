"""Sub-agents: a tool call that is not a process, but a turn in another session.

What an agent may ask of other sessions (:data:`Request`), what a sub-agent's turn is
given (:class:`Allowance`) and has used (:class:`Spend`), and for whom it works
(:class:`Parent`). How these come to be done is in ``docs/explanation/sub-agents.md``.
"""

from collections.abc import Collection, Mapping
from typing import Final, Literal, Protocol

import attrs

from beamclaw.contracts.tools import Order, ToolSpec
from beamclaw.values import frozen

Mode = Literal["wait", "announce"]
"""How a result comes back: as the result of the tool call, or later as a message."""

ChildKind = Literal["spawn", "send"]
"""``spawn``: a sub-agent, in a session of its own. ``send``: a message to a session."""

Context = Literal["isolated", "fork"]
"""What a sub-agent knows: its task; or all that was said before it was asked for, too."""

Visibility = Literal["self", "tree", "agent", "all"]
"""Which sessions an agent may read and write to, as OpenClaw's setting of this name.

``self``: the one it works in. ``tree``: that, and those it has spawned, and those they
have. ``agent``: all of its own. ``all``: those of every agent.
"""


@frozen(kw_only=True)
class Allowance:
    """What a turn may use at most, all sub-agents below it included.

    ``seconds`` are those in which somebody works for it; siblings work at the same time,
    so these are not parted among them. ``cost`` is in millionths of a dollar; None: the
    turn's money is not limited.
    """

    model_calls: int
    tool_calls: int
    tokens: int
    seconds: float
    cost: int | None = None


@frozen(kw_only=True)
class Spend:
    """What a turn has used, all sub-agents below it included."""

    model_calls: int = 0
    tool_calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    cost: int = 0

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(
            model_calls=self.model_calls + other.model_calls,
            tool_calls=self.tool_calls + other.tool_calls,
            tokens=self.tokens + other.tokens,
            seconds=self.seconds + other.seconds,
            cost=self.cost + other.cost,
        )


def all_of(allowance: Allowance) -> Spend:
    """As if it had been used up."""
    return Spend(
        model_calls=allowance.model_calls,
        tool_calls=allowance.tool_calls,
        tokens=allowance.tokens,
        seconds=allowance.seconds,
        cost=allowance.cost or 0,
    )


@frozen(kw_only=True)
class Parent:
    """For whom a message is answered: a tool call of a turn in another session.

    Attributes:
        agent: Whose session that is.
        depth: How far below a person's conversation: 1, or more for theirs.
        allowance: None: what the configuration allows any turn.
        reply_to: Where an announced result is to be told in the end.
        hops: Turns since a person has spoken, up to the one that asks.
    """

    session_key: str
    agent: str
    run_id: str
    call_id: str
    kind: ChildKind
    mode: Mode
    depth: int
    allowance: Allowance | None = None
    reply_to: str | None = None
    hops: int = 0


@frozen(kw_only=True)
class ChildEnd:
    """With a message that announces a result: whose, for which turn, and its price."""

    run_id: str
    parent_run: str
    spend: Spend = Spend()


@frozen(kw_only=True)
class ChildBegun:
    """With the intent of a tool call: the turn in another session that it stands for."""

    run_id: str
    session_key: str
    kind: ChildKind
    mode: Mode
    allowance: Allowance | None = None


# --- what an agent may ask for


@frozen(kw_only=True)
class Spawn:
    """Have a sub-agent do *task*.

    Attributes:
        agent: None: the same as the one that asks.
        model: ``provider/model`` in place of the agent's.
        label: How it is called in lists.
        model_calls: At most so many; None: a share of what is left of the asking turn.
            The same for the next four.
        cost: In dollars.
    """

    task: str
    agent: str | None = None
    model: str | None = None
    label: str | None = None
    mode: Mode = "announce"
    context: Context = "isolated"
    model_calls: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    cost: float | None = None


@frozen(kw_only=True)
class Send:
    """Say *text* in another session; with *reply* its answer comes back as a message."""

    session_key: str
    text: str
    reply: bool = True


@frozen
class HandOver:
    """Another agent answers in this session, from the next turn on."""

    agent: str


@frozen
class Yield:
    """The turn ends when its calls have results; what is awaited comes as messages."""


Request = Spawn | Send | HandOver | Yield
Deed = Literal["spawn", "send", "hand-over", "yield"]


class SessionTool(Protocol):
    """A tool whose calls are carried out by the engine, in one commit with their intent.

    Its ``spec.kind`` is ``session``. It only says what an order means.
    """

    @property
    def does(self) -> Deed:
        """Which sort of request it makes."""
        ...

    @property
    def spec(self) -> ToolSpec:
        """What it is."""
        ...

    def request(self, order: Order) -> Request:
        """What is asked for.

        Raises:
            ToolFailed: Nothing that can be done, in words for the model.
        """
        ...


# --- what is allowed


@frozen(kw_only=True)
class Rules:
    """The configuration's word on sub-agents, and on what sessions may do to another.

    Attributes:
        depth: Levels of sub-agents below a person's conversation.
        children: Sub-agents of one session at work at once.
        concurrent: Those of a tenant.
        per_turn: Those that one turn may start altogether.
        rounds: Turns that agents may go on for by themselves: an announced result
            begins a turn, that one begins sub-agents, and so on.
        ping_pong: The same, until a message to another session is refused.
        share: Part of what is left of a turn that a sub-agent gets, if nothing is asked.
        visibility: See :data:`Visibility`.
        agent_to_agent: Agents that reach one another's sessions, where *visibility* is
            ``all``; ``*`` is all of them.
        spawns: Which agents an agent may start, beside itself.
        hands_over: Which agents an agent may hand a conversation to.
    """

    depth: int = 5
    children: int = 5
    concurrent: int = 8
    per_turn: int = 50
    rounds: int = 20
    ping_pong: int = 5
    share: float = 0.5
    visibility: Visibility = "tree"
    agent_to_agent: tuple[str, ...] = ()
    spawns: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, tuple[str, ...]]
    )
    hands_over: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, tuple[str, ...]]
    )


@frozen(kw_only=True)
class Asker:
    """Whose turn asks: *depth* of its session, *hops* and *children* of the turn."""

    agent: str
    session_key: str
    depth: int = 0
    hops: int = 0
    children: int = 0


ANY: Final = "*"


def offered(rules: Rules, depth: int, deed: Deed) -> bool:
    """Whether a turn so far down is shown tools of this sort at all.

    As in OpenClaw: those at the lowest level start nobody, and sub-agents talk to no
    session beside their own.
    """
    return depth < rules.depth if deed == "spawn" else not depth or deed == "yield"


def may_spawn(rules: Rules, asker: Asker, agent: str) -> str | None:
    """Why this sub-agent may not be started, in words for the model; None: it may."""
    allowed = rules.spawns.get(asker.agent, ())
    if asker.depth >= rules.depth:
        return (
            f"a sub-agent {asker.depth} levels down may start none "
            f"(limits.subagents.depth: {rules.depth})"
        )
    if asker.children >= rules.per_turn:
        return (
            f"this turn has started {asker.children} sub-agents "
            f"(limits.subagents.per_turn: {rules.per_turn})"
        )
    if asker.hops >= rules.rounds:
        return (
            f"agents have gone on by themselves for {asker.hops} turns "
            f"(limits.subagents.rounds: {rules.rounds}); a person has to say something"
        )
    if agent != asker.agent and not {agent, ANY} & {*allowed}:
        return (
            f"agent {asker.agent} may not start agent {agent} "
            f"(agents.{asker.agent}.subagents.allow_agents)"
        )
    return None


def may_send(
    rules: Rules, asker: Asker, agent: str, session_key: str, ancestors: Collection[str]
) -> str | None:
    """The same for a message to another session; see :func:`may_see`."""
    if session_key == asker.session_key:
        return "this is the session itself"
    if asker.hops >= rules.ping_pong:
        return (
            f"agents have talked among themselves for {asker.hops} turns "
            f"(sessions.ping_pong: {rules.ping_pong}); a person has to say something"
        )
    return may_see(rules, asker, agent, session_key, ancestors)


def may_see(
    rules: Rules, asker: Asker, agent: str, session_key: str, ancestors: Collection[str]
) -> str | None:
    """The same for a look into a session.

    Args:
        rules: What is allowed.
        asker: Whose turn.
        agent: Whose session is looked into.
        session_key: Its key.
        ancestors: The sessions that it was spawned by, and so on.
    """
    if session_key == asker.session_key:
        return None
    if rules.visibility != "self" and asker.session_key in ancestors:
        return None
    if rules.visibility in ("agent", "all") and agent == asker.agent:
        return None
    if rules.visibility != "all" or agent == asker.agent:
        return (
            f"the session {session_key} cannot be seen from here "
            f"(tools.sessions.visibility: {rules.visibility})"
        )
    if ANY in rules.agent_to_agent or {agent, asker.agent} <= {*rules.agent_to_agent}:
        return None
    return (
        f"agent {asker.agent} does not reach sessions of agent {agent} "
        "(tools.sessions.agent_to_agent)"
    )


def may_hand_over(rules: Rules, asker: Asker, agent: str) -> str | None:
    """The same for handing the conversation to another agent."""
    if asker.depth:
        return "a sub-agent has no conversation to hand over"
    if agent == asker.agent:
        return f"agent {agent} has the conversation already"
    if not {agent, ANY} & {*rules.hands_over.get(asker.agent, ())}:
        return (
            f"agent {asker.agent} may not hand over to agent {agent} "
            f"(agents.{asker.agent}.hand_over)"
        )
    return None
