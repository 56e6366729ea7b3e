"""What is said in a request: parts, pictures, tool calls, and the whole of them."""

import pytest

from beamclaw.contracts.messages import File, Image, Text, ToolCall, ToolResult
from beamclaw.gateway.fields import Wrong
from beamclaw.gateway.openai.messages import read_messages

HELLO = [{"role": "user", "content": "hello"}]
PIXEL = "data:image/png;base64,aGk="


def read(messages):
    return read_messages(messages, 100)


PDF = "data:application/pdf;base64,aGk="


def named(data: str) -> dict[str, object]:
    return {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}


@pytest.mark.parametrize(
    "content, parts",
    [
        ("hi", (Text("hi"),)),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        (
            [{"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}],
            (Image(data="aGk=", media_type="image/png"),),
        ),
        (
            [{"type": "image_url", "image_url": "https://example.org/a.png"}],
            (Image(url="https://example.org/a.png"),),
        ),
        (
            [{"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}],
            (File("a.pdf", "application/pdf", data="aGk="),),
        ),
    ],
)
def test_content_becomes_parts(content, parts):
    (message,) = read([{"role": "user", "content": content}])
    if isinstance(parts, str):
        assert message.text == parts
    else:
        assert message.parts == parts


def test_a_transcript_with_tools_is_taken_as_it_is():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "done"},
        {"role": "assistant", "content": "it is done"},
        {"role": "user", "content": "thanks"},
    ]
    found = read(messages)
    assert found[1].parts == (ToolCall("c", "f", "{}"),)
    assert found[2].parts == (ToolResult("c", "done"),)


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        {},
        "hello",
        ["hello"],
        [{}],
        [{"role": "user"}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": "  \n"}],
        [{"role": "user", "content": []}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": 7}],
        [{"role": "user", "content": [{"type": "text"}]}],
        [{"role": "user", "content": [{"type": "file", "file": {"file_data": PDF}}]}],
        [{"role": "user", "content": [named("nothing")]}],
        [{"role": "user", "content": [named("data:text/csv;base64,?")]}],
        [{"role": "user", "content": [named(PDF)] * 9}],
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}],
        [{"role": "user", "content": ["hello"]}],
        [{"role": "robot", "content": "hello"}],
        [{"role": ["user"], "content": "hello"}],
        [{"role": "system", "content": "hello"}],
        [{"role": "assistant", "content": "hello"}],
        [*HELLO, {"role": "tool", "content": "x"}],
        [*HELLO, {"role": "tool", "tool_call_id": "c", "content": "x"}],
        [*HELLO, {"role": "assistant", "tool_calls": "x"}],
        [*HELLO, {"role": "assistant", "tool_calls": [{"id": "c"}]}],
        [
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": ""}}],
            },
            *HELLO,
        ],
        [{"role": "system", "content": [{"type": "image_url", "image_url": PIXEL}]}],
        *(
            [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]
            for url in (
                "file:///etc/passwd",
                "ftp://example.org/a.png",
                "data:text/html;base64,aGk=",
                "data:image/svg+xml;base64,aGk=",
                "data:image/png;base64,%%",
                "data:image/png;base64,",
                "data:image/png,hi",
                "https://example.org/" + "x" * 9000,
                None,
                {"href": "x"},
            )
        ),
        [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": PIXEL}] * 9,
            }
        ],
        HELLO * 101,
    ],
)
def test_messages_that_say_nothing_or_nonsense_are_refused(messages):
    with pytest.raises(Wrong) as caught:
        read(messages)
    assert (caught.value.problem.param or "").startswith("messages")
