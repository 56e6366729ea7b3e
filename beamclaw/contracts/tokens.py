"""How many tokens something may be, where a provider has not counted yet."""

from collections.abc import Iterable

from beamclaw.contracts.messages import Image, Message, Text, ToolResult

# English has about four bytes to a token, other scripts about three per character;
# an image costs what the large models charge for a full one.
BYTES_PER_TOKEN = 3
MESSAGE_OVERHEAD = 8
IMAGE_TOKENS = 1_600


def of_text(text: str) -> int:
    """An estimate on the high side for ordinary text; not a bound for hostile text."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def of_messages(messages: Iterable[Message]) -> int:
    """The same for messages as they are sent to a model."""
    return sum(MESSAGE_OVERHEAD + _of_parts(message) for message in messages)


def _of_parts(message: Message) -> int:
    total = 0
    for part in message.parts:
        if isinstance(part, Image):
            total += IMAGE_TOKENS
        elif isinstance(part, Text | ToolResult):
            total += of_text(part.text)
    return total
