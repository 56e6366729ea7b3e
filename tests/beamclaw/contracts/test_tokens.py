"""How many tokens something may be: never fewer than a provider counts."""

import pytest

from beamclaw.contracts import tokens
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

IMAGE = Image(data="x" * 9_000_000, media_type="image/png")
PAGE, MOST = tokens.PAGE_TOKENS, tokens.PAGE_TOKENS * tokens.MOST_PAGES


@pytest.mark.parametrize(
    ("part", "least"),
    [
        (Text("word " * 30), 50),
        (IMAGE, tokens.IMAGE_TOKENS),
        (Image(url="https://example.org"), tokens.IMAGE_TOKENS),
        (File("a.pdf", "application/pdf", data="x" * 40), PAGE),
        (File("a.pdf", "application/pdf", data="x" * 400_000), 300_000),
        (File("a.pdf", "application/pdf", data="x" * 9_000_000), MOST),
        (File("a.pdf", "application/pdf", url="https://example.org"), MOST),
        (ToolCall("a", "f", "x" * 300), 100),
        (Thinking("x" * 300, "s" * 300), 200),
        (Thinking("", redacted="r" * 300), 100),
        (ToolResult("a", "x" * 300), 100),
        (ToolResult("a", "", media=(IMAGE, IMAGE)), 2 * tokens.IMAGE_TOKENS),
    ],
)
def test_each_part_counts(part: Part, least: int):
    message = Message("user", (part,))
    assert least <= tokens.of_message(message) <= least + 2 * tokens.MESSAGE_OVERHEAD
    assert tokens.of_messages([message, message]) == 2 * tokens.of_message(message)
