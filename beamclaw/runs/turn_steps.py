"""The steps of a turn: what `beamclaw.runs.turn` decides on, and a run carries out."""

from collections.abc import Mapping, Sequence
from typing import Any

from beamclaw.contracts import approvals
from beamclaw.contracts.ledger_rows import Outcome
from beamclaw.contracts.messages import Message, ModelParams
from beamclaw.contracts.open_turn import Call, Wait
from beamclaw.contracts.providers import StopReason
from beamclaw.contracts.tools import CallOutcome, ToolSpec
from beamclaw.values import frozen


@frozen(kw_only=True)
class Ask:
    """Call the model."""

    attempt: int
    messages: Sequence[Message]
    params: ModelParams


@frozen(kw_only=True)
class Begin:
    """Commit the intent of a tool call, then carry it out.

    With *check* the tool is first asked what became of it. *tainted*: the model had read
    words of strangers when it asked for it.
    """

    call: Call
    spec: ToolSpec
    arguments: Mapping[str, Any]
    attempt: int
    check: bool = False
    tainted: bool = False

    @property
    def approved(self) -> str:
        """The digest of what a person has agreed to; empty: nobody was asked."""
        return self.call.wait.digest if self.call.wait else ""


@frozen(kw_only=True)
class Act:
    """Commit a tool call together with what it means for other sessions, or for this."""

    call: Call
    spec: ToolSpec
    arguments: Mapping[str, Any]


@frozen
class Compact:
    """Put a summary in the place of the first *cut* messages.

    With *model* one is asked to write it. It has *summary* tokens at most; with *quotes*
    what was asked for last stays in it word for word.
    """

    cut: int
    model: bool
    summary: int
    quotes: bool = True


@frozen(kw_only=True)
class AskTool:
    """Ask the tool whether a person has to agree to the call; nothing is written."""

    call: Call
    spec: ToolSpec
    arguments: Mapping[str, Any]
    tainted: bool


@frozen
class AskPerson:
    """Commit a question to a person, whether the call may be carried out."""

    call: Call
    about: approvals.Ask


@frozen
class Expire:
    """Commit that nobody has answered in time."""

    wait: Wait


@frozen(kw_only=True)
class Conclude:
    """Commit a result for a tool call that is not carried out, or not any longer."""

    call: Call
    outcome: CallOutcome
    text: str


@frozen
class Await:
    """Wait for a call in progress to end, for a person's answer or for a sub-agent."""


@frozen
class Linger:
    """The answer is there, but what sub-agents have to add to it is not: wait for it."""


@frozen(kw_only=True)
class Finish:
    """Commit the end of the turn.

    *note* is told to the person before; *error* is what went wrong, in words, and *kind*
    for a program.
    """

    outcome: Outcome
    stop_reason: StopReason
    note: str = ""
    error: str = ""
    kind: str = "context_length"


Step = (
    Ask
    | Act
    | Compact
    | Begin
    | AskTool
    | AskPerson
    | Expire
    | Conclude
    | Await
    | Linger
    | Finish
)
