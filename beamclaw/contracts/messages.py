"""What people and models say to each other, as values.

One vocabulary for transcripts, requests to providers and answers to clients. Parts for
tools and files are here from the start, so that a journal written today stays readable.
"""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from beamclaw.values import frozen

Role = Literal["system", "user", "assistant", "tool"]
ThinkingLevel = Literal["off", "minimal", "low", "medium", "high", "xhigh"]
"""How long a model may think before it answers."""


@frozen
class Text:
    """Plain text."""

    text: str


@frozen
class Image:
    """A picture, by URL or as base64 data (then *media_type* says which kind)."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None


@frozen
class File:
    """A document, by URL or as base64 data. *name* is what a person calls it."""

    name: str
    media_type: str
    url: str | None = None
    data: str | None = None


Media = Image | File


@frozen
class Thinking:
    """Reasoning that a provider wants back unchanged; *signature* proves it.

    Attributes:
        redacted: What its author keeps to itself, in place of words.
        field: The field in which a server of chat completions gave it, and takes it
            back: its *text*, or *redacted* as JSON. Of ``extra_content`` it is what
            came with the tool call right behind it.
        model: Who thought it (``provider/model``), and nobody else is sent it; empty:
            not known, as in what was written before there was this field.
    """

    text: str
    signature: str | None = None
    redacted: str | None = None
    field: str = ""
    model: str = ""


@frozen
class ToolCall:
    """The model asks for a tool; *arguments* is JSON text exactly as it came."""

    id: str
    name: str
    arguments: str


@frozen
class ToolResult:
    """The one answer to the tool call with this id; *media* is shown beside its text."""

    id: str
    text: str
    is_error: bool = False
    media: tuple[Media, ...] = ()


Part = Text | Image | File | Thinking | ToolCall | ToolResult


@frozen
class Message:
    """One turn of one speaker."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All text of the message, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


def said(role: Role, text: str) -> Message:
    """A message of plain text."""
    return Message(role, (Text(text),))


@frozen
class Usage:
    """Tokens of one model call. ``input`` counts everything sent, cached or not.

    Of it, ``cached`` were read from the provider's cache, and ``stored`` written into it.
    ``estimated`` says that the provider gave no figures and these are our upper bound.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    estimated: bool = False
    stored: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.estimated or other.estimated,
            self.stored + other.stored,
        )

    @property
    def plain(self) -> int:
        """Tokens of the input that no cache had to do with."""
        return max(0, self.input - self.cached - self.stored)


@frozen(kw_only=True)
class ClientTool:
    """A tool that the client carries out: a model that asks for it ends the turn.

    Attributes:
        parameters: JSON Schema of its arguments, an object.
        strict: Whether the model has to keep to it exactly; None: nothing is said.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    strict: bool | None = None


@frozen
class ToolChoice:
    """The model has to ask for a tool of the client's: this one, or (None) any."""

    name: str | None = None


@frozen(kw_only=True)
class AnswerFormat:
    """The answer has to be JSON: any object, or (with *schema*) what a schema says.

    *strict*: whether it has to keep to it exactly; None: nothing is said.
    """

    schema: Mapping[str, Any] | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


@frozen(kw_only=True)
class ModelParams:
    """What a client may set for one turn; ``None`` leaves it to agent and provider.

    Attributes:
        tools: The client's own, beside the agent's; one of the same name goes before.
        choice: That it must ask for one of those; the agent's are not offered then.
        parallel: Whether it may ask for several tools at once.
        instructions: Behind the agent's own, for this one turn.
        seconds: How long the turn may take, if that is less than ``limits.turn.seconds``.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    thinking: ThinkingLevel | None = None
    top_k: int | None = None
    tools: tuple[ClientTool, ...] = ()
    choice: ToolChoice | None = None
    parallel: bool | None = None
    format: AnswerFormat | None = None
    instructions: str = ""
    seconds: float | None = None
