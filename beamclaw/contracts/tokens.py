"""How many tokens something may be, where a provider has not counted yet."""

from collections.abc import Iterable

from beamclaw.contracts.messages import (
    File,
    Image,
    Message,
    Part,
    Text,
    ToolCall,
    ToolResult,
)

# English has about four bytes to a token, other scripts about three per character;
# an image costs what the large models charge for a full one at the highest resolution.
BYTES_PER_TOKEN = 3
MESSAGE_OVERHEAD = 8
# What a model writes around the name and the arguments of a call.
CALL_OVERHEAD = 4
IMAGE_TOKENS = 4_800
# A page of a document is read as text and as a picture. How many it has is not known, so a
# byte counts as a token, up to the hundred pages that are read at most.
PAGE_TOKENS = 3 * IMAGE_TOKENS // 2
MOST_PAGES = 100


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
        return of_text(part.text) + sum(map(_of_part, part.media))
    if isinstance(part, Image):
        return IMAGE_TOKENS
    if isinstance(part, File):
        return of_text(part.name) + _of_pages(part)
    return sum(map(of_text, (part.text, part.signature or "", part.redacted or "")))


def _of_pages(file: File) -> int:
    most = PAGE_TOKENS * MOST_PAGES
    if file.data is None:
        return most
    return min(max(len(file.data) * 3 // 4, PAGE_TOKENS), most)
