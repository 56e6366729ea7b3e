"""Tools: what a model may ask for, how often it may be done, and what comes back.

A tool call is an effect on the world, and a crash may lie between the effect and its
record. What is then true depends on the tool, so each says which of four classes its
effect is of; ``beamclaw.runs.turn`` decides by it.
"""

from collections.abc import Awaitable, Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import supervision
from beamclaw.contracts.approvals import Clearance
from beamclaw.contracts.messages import Media
from beamclaw.values import frozen

Effect = Literal["pure", "idempotent", "checkable", "unsafe"]
"""What running a tool twice does.

``pure``: nothing, it only reads. ``idempotent``: the same as once, under the same key.
``checkable``: harm, but the tool can say what became of a key. ``unsafe``: harm, and
nobody can say; it is never run again by itself.
"""

ToolKind = Literal["process", "session"]
"""What a call is: a process of its own, or something done with sessions.

The tool of the first is a :class:`Tool`, that of the second a
:class:`beamclaw.contracts.subagents.SessionTool`.
"""

Asks = Literal["never", "by-call", "always"]
"""Whether a person has to agree before a call is begun; ``by-call``: the tool says."""

Group = Literal["fs", "runtime", "web", "sessions", "plugins", ""]
"""What a tool is about; a policy names all tools of one as ``group:fs``, and so on."""

CallOutcome = Literal["ok", "error", "unknown", "refused", "stopped"]
"""How a tool call came out.

``ok`` and ``error`` are what the tool said. ``unknown``: it was begun, and whether it did
its work nobody knows. ``refused``: it was never begun. ``stopped``: a person stopped it.
"""


@frozen(kw_only=True)
class ToolSpec:
    """A tool as a model and the turn machine know it.

    Attributes:
        name: As the model calls it.
        description: What it does, for the model.
        parameters: JSON Schema of its arguments, an object.
        effect: See :data:`Effect`.
        asks: See :data:`Asks`.
        kind: See :data:`ToolKind`.
        group: See :data:`Group`.
        untrusted: What it says are words of strangers.
        deadline: Seconds that a call may take; None: as many as are configured.
        source: Which package of somebody else brings it; empty: it is built in.
        strict: Whether a model has to keep to *parameters* exactly; None: nothing is
            said of it.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    effect: Effect
    asks: Asks = "never"
    kind: ToolKind = "process"
    group: Group = ""
    untrusted: bool = False
    deadline: float | None = None
    source: str = ""
    strict: bool | None = None


@frozen(kw_only=True)
class Order:
    """One call of a tool, to be carried out.

    Attributes:
        call_id: Unique in the session's transcript.
        key: The same however often the call is carried out, and no other call's.
        attempt: How often it has been begun, this time included.
        approved: The digest of what a person has agreed to; empty: nobody was asked.
        tainted: Words of strangers were in the conversation when the model asked for it.
        agent: Whose turn asks for it, by its id.
        variables: What commands get for the skills that the turn began with: each
            variable, and for which one.
    """

    tenant: str
    session_key: str
    run_id: str
    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    key: str
    attempt: int = 1
    approved: str = ""
    tainted: bool = False
    agent: str = ""
    variables: tuple[tuple[str, str], ...] = ()


@frozen
class Output:
    """What a tool says when it is done; *is_error* tells the model that it failed.

    *media* are pictures and files that the model is shown beside the text. A file that is
    a text is better said: what is too long of that is kept. *untrusted*: these are words
    of strangers, though the tool's output is not always that (see `ToolSpec.untrusted`).
    *unknown*: whether it did its work nobody knows, so it is not run again by itself.
    """

    text: str
    is_error: bool = False
    media: tuple[Media, ...] = ()
    untrusted: bool = False
    unknown: bool = False


@frozen
class Bounds:
    """How much of a tool's output is taken.

    Attributes:
        told: Characters of it that the model gets.
        kept: Bytes of it that are kept, where the model gets less.
        media: Bytes of the pictures and files in it.
    """

    told: int
    kept: int
    media: int


@frozen(kw_only=True)
class Bounded:
    """A tool's output as it goes into the ledger; see ``beamclaw.contracts.results``.

    Attributes:
        text: What the model gets of it.
        digest: Of all of it.
        size: Bytes of all of it; *length*: characters.
        pieces: What is kept of it where the model gets less, under the call's key; see
            :class:`beamclaw.contracts.ledger_ops.PutOutput`.
    """

    text: str
    is_error: bool = False
    digest: str = ""
    size: int = 0
    length: int = 0
    pieces: tuple[bytes, ...] = ()
    media: tuple[Media, ...] = ()
    untrusted: bool = False
    unknown: bool = False


class ToolFailed(Exception):  # noqa: N818 -- a situation
    """Raised by a tool: it did not work, in words for the model."""


class Tool(Protocol):
    """One tool. An instance serves all calls of a tenant, many at a time."""

    @property
    def spec(self) -> ToolSpec:
        """What it is."""
        ...

    async def run(self, order: Order) -> Output:
        """Do it, in a process of its own; cancelled, it stops at once.

        Raises:
            ToolFailed: It did not work. Any other exception is a fault of the tool, is
                reported, and told to the model without its text.
        """
        ...

    async def check(self, order: Order) -> Output | None:
        """What became of an order that was begun before, by its key; None: nothing.

        Only called on tools whose effect is ``checkable``. After None it is run again.
        """
        ...

    async def clear(self, order: Order) -> Clearance:
        """Whether a person has to agree before *order* is carried out.

        Only called on tools whose ``asks`` is ``by-call``: by the run, before the call is
        begun, when ``order.approved`` is empty; and by the process of the call, right
        before it works. Both times it has to look at the world anew. Nothing may be
        changed by it, and it takes a moment only.

        Raises:
            ToolFailed: It cannot be done at all, in words for the model.
        """
        ...


@runtime_checkable
class Forgets(Protocol):
    """A tool that keeps something of a call, for who asks it what became of that."""

    async def forget(self, order: Order) -> None:
        """The result of *order* is in the journal: nobody will ask any more.

        It may be lost, so what is kept has an end of its own as well.
        """
        ...


@frozen
class Collect:
    """Cast to the process of a call: send *to* a :class:`CallDone`, when it is done.

    It keeps the output until `Dismiss`, for whoever else asks.
    """

    to: supervision.Pid


@frozen
class CallDone:
    """Sent by the process of a call: what the tool has said."""

    call_id: str
    output: Bounded


@frozen
class Dismiss:
    """Cast to the process of a call: its result is in the journal, it may end."""


class BeginCall(Protocol):
    """Begin the process of a call, registered as :func:`beamclaw.contracts.names.call`.

    With *check* it asks the tool what became of the order before it runs it. Raises
    ``MaxChildren`` when too many calls are in progress, ``NoProcess`` when nobody is
    there to take it; then nothing was begun.
    """

    def __call__(
        self, tool: Tool, order: Order, *, check: bool
    ) -> Awaitable[supervision.Pid]:
        """See the class."""
        ...
