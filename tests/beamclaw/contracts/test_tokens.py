"""How many tokens something may be: never fewer than a provider counts."""

import base64

import pytest
from hypothesis import given

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
from tests.support.journals import messages

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
        (Thinking("x" * 300, field="reasoning", model="p/m"), 100),
        (ToolResult("a", "x" * 300), 100),
        (ToolResult("a", "", media=(IMAGE, IMAGE)), 2 * tokens.IMAGE_TOKENS),
    ],
)
def test_each_part_counts(part: Part, least: int):
    message = Message("user", (part,))
    assert least <= tokens.of_message(message) <= least + 2 * tokens.MESSAGE_OVERHEAD
    assert tokens.of_messages([message, message]) == 2 * tokens.of_message(message)


def spoken(part: Part) -> int:
    """Bytes of all that a model is told of *part* in words."""
    texts = [getattr(part, name, None) for name in _SPOKEN]
    shown = part.media if isinstance(part, ToolResult) else ()
    given = [text.encode("utf-8", "surrogatepass") for text in texts if text]
    return sum(map(len, given)) + sum(map(spoken, shown))


_SPOKEN = ("text", "signature", "redacted", "id", "name", "arguments")


@given(messages)
def test_the_bound_has_a_token_for_each_byte(message: Message) -> None:
    least = tokens.MESSAGE_OVERHEAD + sum(map(spoken, message.parts))
    most = tokens.most_of_message(message)
    assert most >= max(least, tokens.of_message(message))
    assert tokens.most_of_messages([message, message]) == 2 * most


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(bytes(range(256))).decode(),
        "8675309" * 40,
        "鬱蒼とした森" * 20,
        "\U0001f9d1\u200d\U0001f680" * 9,
        "x\ud800" * 9,
    ],
)
def test_of_text_that_is_not_prose_the_bound_is_its_bytes(text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    assert tokens.most_of_text(text) == size
    assert tokens.of_text(text) < size


def test_a_file_that_is_sent_as_text_has_no_last_page() -> None:
    long = File("a.csv", "text/csv", data="x" * 9_000_000)
    assert tokens.most_of_message(Message("user", (long,))) > 6_750_000


def test_tools_cost_what_is_said_of_them_and_around_them() -> None:
    assert tokens.most_of_tools([]) == 0
    one, two = ("f", "does it", "{}"), ("g", "does it", "{}")
    around = tokens.most_of_tools([one]) - len("fdoes it{}")
    assert around == tokens.TOOLS_OVERHEAD + tokens.TOOL_OVERHEAD
    more = tokens.most_of_tools([one, two]) - tokens.most_of_tools([one])
    assert more == len("gdoes it{}") + tokens.TOOL_OVERHEAD
