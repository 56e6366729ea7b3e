"""One model call's answer while it comes in, and what it adds up to."""

import attrs

from beamclaw.contracts import tokens
from beamclaw.contracts.messages import Message, Text, Thinking, Usage
from beamclaw.contracts.providers import StopReason


@attrs.define
class Answer:
    """What there is of an answer.

    Attributes:
        usage: The provider's figures; None while it gave none.
        stop_reason: Why it ended; None while it did not.
    """

    text: list[str] = attrs.field(factory=list[str])
    thinking: list[str] = attrs.field(factory=list[str])
    signature: str | None = None
    usage: Usage | None = None
    stop_reason: StopReason | None = None

    def message(self) -> Message:
        """What there is of it, as a message."""
        thinking, text = "".join(self.thinking), "".join(self.text)
        parts: list[Thinking | Text] = []
        if thinking or self.signature:
            parts.append(Thinking(thinking, self.signature))
        if text:
            parts.append(Text(text))
        return Message("assistant", tuple(parts))

    def cost(self, asked: Usage) -> Usage:
        """The provider's figures, or an estimate from what was sent and received."""
        if self.usage is not None:
            return self.usage
        received = tokens.of_text("".join(self.text) + "".join(self.thinking))
        return Usage(asked.input, received, estimated=True)
