"""Sub-agents: a tool call that is not a process, but a turn in another session.

What an agent may ask of other sessions (:data:`Request`), what a sub-agent's turn is
given (:class:`Allowance`) and has used (:class:`Spend`), and for whom it works
(:class:`Parent`). How these come to be done is in ``docs/explanation/sub-agents.md``.
"""

from typing import Literal, Protocol

import attrs

from beamclaw.contracts.tools import Order, ToolSpec

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


@attrs.frozen(kw_only=True)
class Allowance:
    """What a turn may use at most, all sub-agents below it included.

    ``seconds`` are those in which somebody works for it; siblings work at the same time,
    so these are not parted among them.
    """

    model_calls: int
    tool_calls: int
    tokens: int
    seconds: float


@attrs.frozen(kw_only=True)
class Spend:
    """What a turn has used, all sub-agents below it included."""

    model_calls: int = 0
    tool_calls: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(
            model_calls=self.model_calls + other.model_calls,
            tool_calls=self.tool_calls + other.tool_calls,
            tokens=self.tokens + other.tokens,
            seconds=self.seconds + other.seconds,
        )


def all_of(allowance: Allowance) -> Spend:
    """As if it had been used up."""
    return Spend(
        model_calls=allowance.model_calls,
        tool_calls=allowance.tool_calls,
        tokens=allowance.tokens,
        seconds=allowance.seconds,
    )


@attrs.frozen(kw_only=True)
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


@attrs.frozen(kw_only=True)
class ChildEnd:
    """With a message that announces a result: whose, for which turn, and its price."""

    run_id: str
    parent_run: str
    spend: Spend = Spend()


@attrs.frozen(kw_only=True)
class ChildBegun:
    """With the intent of a tool call: the turn in another session that it stands for."""

    run_id: str
    session_key: str
    kind: ChildKind
    mode: Mode
    allowance: Allowance | None = None


# --- what an agent may ask for


@attrs.frozen(kw_only=True)
class Spawn:
    """Have a sub-agent do *task*.

    Attributes:
        agent: None: the same as the one that asks.
        model: ``provider/model`` in place of the agent's.
        label: How it is called in lists.
        model_calls: At most so many; None: a share of what is left of the asking turn.
            The same for the next three.
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


@attrs.frozen(kw_only=True)
class Send:
    """Say *text* in another session; with *reply* its answer comes back as a message."""

    session_key: str
    text: str
    reply: bool = True


@attrs.frozen
class HandOver:
    """Another agent answers in this session, from the next turn on."""

    agent: str


@attrs.frozen
class Yield:
    """The turn ends when its calls have results; what is awaited comes as messages."""


Request = Spawn | Send | HandOver | Yield


class SessionTool(Protocol):
    """A tool whose calls are carried out by the engine, in one commit with their intent.

    Its ``spec.kind`` is ``session``. It only says what an order means.
    """

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
