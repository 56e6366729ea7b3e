"""How many tokens something may be, where a provider has not counted yet.

There are two figures. ``of_…`` is an estimate: what fits into a window is decided by it.
``most_of_…`` is a bound: it is what is reserved before a call. A tokenizer that works on
bytes has at most one token for each, whatever the text is: base64, digits and most
scripts other than Latin come much nearer to that than prose does.
"""

from collections.abc import Iterable
from typing import Final

from beamclaw.contracts.messages import (
    File,
    Image,
    Message,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

# English has about four bytes to a token, other scripts about three per character;
# an image costs what the large models charge for a full one at the highest resolution.
BYTES_PER_TOKEN = 3
MESSAGE_OVERHEAD = 8
# What is written around what a model has thought, where it is sent back.
THINKING_OVERHEAD: Final = 8
# What a model writes around the name and the arguments of a call.
CALL_OVERHEAD = 4
# What is written around a file's text, and around what a tool has shown.
MEDIA_OVERHEAD: Final = 64
# What a provider tells a model of tools as such, and of each: the largest figure that
# Anthropic's documentation has for any model is 530 ("tool use system prompt").
TOOLS_OVERHEAD: Final = 530
TOOL_OVERHEAD: Final = 16
IMAGE_TOKENS = 4_800
# A page of a document is read as text and as a picture. How many it has is not known, so a
# byte counts as a token, up to the hundred pages that are read at most.
PAGE_TOKENS = 3 * IMAGE_TOKENS // 2
MOST_PAGES = 100


def of_text(text: str) -> int:
    """An estimate on the high side for ordinary text; not a bound for hostile text."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def most_of_text(text: str) -> int:
    """No tokenizer has more tokens for it: one for each byte."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-8", "surrogatepass"))


def of_message(message: Message) -> int:
    """The estimate for a message as it is sent to a model."""
    return MESSAGE_OVERHEAD + sum(map(_of_part, message.parts))


def most_of_message(message: Message) -> int:
    """The bound for a message as it is sent to a model."""
    return MESSAGE_OVERHEAD + sum(map(_most_of_part, message.parts))


def of_messages(messages: Iterable[Message]) -> int:
    """The estimate for several."""
    return sum(map(of_message, messages))


def most_of_messages(messages: Iterable[Message]) -> int:
    """The bound for several."""
    return sum(map(most_of_message, messages))


def most_of_tools(tools: Iterable[tuple[str, str, str]]) -> int:
    """The bound for tools, of which a model is told name, description and schema."""
    each = [TOOL_OVERHEAD + sum(map(most_of_text, spoken)) for spoken in tools]
    return TOOLS_OVERHEAD + sum(each) if each else 0


def _most_of_part(part: Part) -> int:
    # Some templates repeat by its id which call is meant.
    if isinstance(part, ToolCall):
        texts = part.id, part.name, part.arguments
        return CALL_OVERHEAD + sum(map(most_of_text, texts))
    if isinstance(part, ToolResult):
        shown = sum(map(_most_of_part, part.media))
        return CALL_OVERHEAD + most_of_text(part.id) + most_of_text(part.text) + shown
    if isinstance(part, Image):
        return MEDIA_OVERHEAD + IMAGE_TOKENS
    if isinstance(part, File):
        # One that is sent as text is no document, and has no last page.
        read = max(_of_pages(part), len(part.data or "") * 3 // 4)
        return MEDIA_OVERHEAD + most_of_text(part.name) + read
    if isinstance(part, Thinking):
        return THINKING_OVERHEAD + sum(map(most_of_text, _of_thinking(part)))
    return most_of_text(part.text)


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
    return sum(map(of_text, _of_thinking(part)))


def _of_thinking(part: Thinking) -> tuple[str, str, str]:
    return part.text, part.signature or "", part.redacted or ""


def _of_pages(file: File) -> int:
    most = PAGE_TOKENS * MOST_PAGES
    if file.data is None:
        return most
    return min(max(len(file.data) * 3 // 4, PAGE_TOKENS), most)
