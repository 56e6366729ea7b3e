"""How many tokens something may be, where a provider has not counted yet."""

from collections.abc import Iterable

from beamclaw.contracts.messages import (
    Image,
    Message,
    Part,
    Text,
    ToolCall,
    ToolResult,
)

# English has about four bytes to a token, other scripts about three per character;
# an image costs what the large models charge for a full one.
BYTES_PER_TOKEN = 3
MESSAGE_OVERHEAD = 8
IMAGE_TOKENS = 1_600


def of_text(text: str) -> int:
    """An estimate on the high side for ordinary text; not a bound for hostile text."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def of_message(message: Message) -> int:
    """The same for a message as it is sent to a model."""
    return MESSAGE_OVERHEAD + sum(map(_of_part, message.parts))


def of_messages(messages: Iterable[Message]) -> int:
    """The same for several."""
    return sum(map(of_message, messages))


def _of_part(part: Part) -> int:
    if isinstance(part, Text):
        return of_text(part.text)
    if isinstance(part, ToolCall):
        return of_text(part.name) + of_text(part.arguments)
    if isinstance(part, ToolResult):
        return of_text(part.text)
    if isinstance(part, Image):
        return IMAGE_TOKENS
    return sum(map(of_text, (part.text, part.signature or "", part.redacted or "")))
