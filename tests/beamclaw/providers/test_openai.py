"""OpenAI-compatible chat completions: what is sent, and what is accepted."""

import orjson
import pytest

from beamclaw.contracts.messages import (
    File,
    Image,
    Message,
    ModelParams,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
    said,
)
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.providers.errors import Failures
from beamclaw.providers.openai import ChatParser, Manner, chat_body
from beamclaw.providers.sse import ServerSentEvent

FAILURES = Failures(
    provider="openai", address="http://h/v1", key=None, others=(),
    key_source="", key_variable="", url_variable="",
)  # fmt: skip
HI = ModelRequest(model="m", messages=(said("user", "hi"),))


def body(*messages, **params):
    request = ModelRequest(model="m", messages=messages, params=ModelParams(**params))
    return chat_body(request, Manner("max_tokens", "p/m"))


def read(*chunks, finish=True):
    parser = ChatParser(FAILURES, HI)
    events = []
    for chunk in chunks:
        data = chunk if isinstance(chunk, bytes) else orjson.dumps(chunk)
        events.extend(parser.feed(ServerSentEvent(b"", data)))
    if finish:
        events.extend(parser.finish())
    return events


def delta(finish=None, **fields):
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def call(**fields):
    return delta(tool_calls=[fields])


def function(name=None, arguments=None):
    return {"name": name, "arguments": arguments}


# --- the request


def test_messages_of_text():
    sent = body(said("system", "be"), said("user", "hi"), said("assistant", "yes"))
    assert sent["messages"] == [
        {"role": "system", "content": "be"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes"},
    ]
    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}


def test_messages_that_say_nothing_are_left_out():
    sent = body(said("system", ""), said("user", "hi"), said("assistant", ""))
    assert sent["messages"] == [{"role": "user", "content": "hi"}]


def test_tool_calls_and_their_results():
    sent = body(
        said("user", "hi"),
        Message("assistant", (Thinking("hm"), ToolCall("c1", "read", '{"a":1}'))),
        Message("tool", (ToolResult("c1", "one"), ToolResult("c2", ""))),
    )
    assert sent["messages"][1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "read", "arguments": '{"a":1}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
    ]


CALL = ToolCall("c1", "read", "{}")


def thought(text, field, model="p/m", redacted=None):
    return Thinking(text, redacted=redacted, field=field, model=model)


@pytest.mark.parametrize(
    ("parts", "fields"),
    [
        ((thought("hm", "reasoning_content"), CALL), {"reasoning_content": "hm"}),
        ((thought("hm", "reasoning"), Text("so")), {"reasoning": "hm"}),
        (
            (thought("a", "reasoning"), CALL, thought("b", "reasoning")),
            {"reasoning": "ab"},
        ),
        (
            (
                thought("hm", "reasoning"),
                thought("", "reasoning_details", redacted='[{"data":"x"}]'),
                CALL,
            ),
            {"reasoning_details": [{"data": "x"}]},
        ),
        ((thought("hm", "reasoning_content", "p/another"), CALL), {}),
        ((thought("hm", "reasoning_content", "another/m"), CALL), {}),
        ((thought("hm", "reasoning_content", ""), CALL), {}),
        ((Thinking("hm", "signed", model="p/m"), CALL), {}),
    ],
)
def test_what_was_thought_is_told_who_thought_it(parts, fields):
    (sent,) = body(Message("assistant", parts))["messages"]
    rest = {"role", "content", "tool_calls"}
    assert {key: value for key, value in sent.items() if key not in rest} == fields


def test_what_came_with_a_tool_call_goes_back_with_it_and_with_no_other():
    extra = thought("", "extra_content", redacted='{"g":1}')
    parts = (ToolCall("c0", "read", "{}"), extra, CALL, ToolCall("c2", "read", "{}"))
    (sent,) = body(Message("assistant", parts))["messages"]
    got = [call.get("extra_content") for call in sent["tool_calls"]]
    assert got == [None, {"g": 1}, None]


def test_pictures():
    parts = (
        Text("look"),
        Image(url="http://p"),
        Image(data="QQ==", media_type="image/png"),
    )
    sent = body(Message("user", parts))
    assert sent["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "http://p"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
    ]


PNG = Image(data="QQ==", media_type="image/png")
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}


def words(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (
            File("a.pdf", "application/pdf", data="QQ=="),
            {
                "type": "file",
                "file": {
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,QQ==",
                },
            },
        ),
        (File("a.csv", "text/csv", data="aGk="), words("The file 'a.csv':\nhi")),
        (
            File("a.zip", "application/zip", data="QQ=="),
            words(
                "(here was the file 'a.zip', application/zip, which cannot be shown to "
                "you)"
            ),
        ),
        (
            File("a.pdf", "application/pdf", url="https://example.org/a.pdf"),
            words(
                "(here was the file 'a.pdf', application/pdf, which cannot be shown to "
                "you)"
            ),
        ),
        (
            Image(data="QQ==", media_type="image/tiff"),
            words("(here was a picture, which cannot be shown to you)"),
        ),
        (
            Image(url="ftp://example.org/a.png"),
            words("(here was a picture, which cannot be shown to you)"),
        ),
    ],
)
def test_files_and_what_cannot_be_shown(part, sent):
    assert body(Message("user", (part,)))["messages"][0]["content"] == [sent]


def test_what_tools_have_shown_follows_their_results_as_the_users():
    calls = (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}"))
    sent = body(
        said("user", "hi"),
        Message("assistant", calls),
        Message("tool", (ToolResult("a", "see", media=(PNG,)),)),
        Message("tool", (ToolResult("b", "none"),)),
        said("user", "well?"),
    )
    assert sent["messages"][2:] == [
        {"role": "tool", "tool_call_id": "a", "content": "see"},
        {"role": "tool", "tool_call_id": "b", "content": "none"},
        {
            "role": "user",
            "content": [words("What the tool call a has shown:"), PICTURE],
        },
        {"role": "user", "content": "well?"},
    ]


def test_what_the_last_tool_has_shown_is_sent_too():
    call = Message("assistant", (ToolCall("a", "f", "{}"),))
    result = Message("tool", (ToolResult("a", "see", media=(PNG,)),))
    last = body(said("user", "hi"), call, result)["messages"][-1]
    assert (last["role"], last["content"][-1]) == ("user", PICTURE)


def test_only_settings_that_are_set_are_sent():
    assert body(said("user", "hi")).keys() == {
        "model", "messages", "stream", "stream_options",
    }  # fmt: skip
    sent = body(said("user", "hi"), max_tokens=5, temperature=0.0, stop=("x",), seed=1)
    assert (sent["max_tokens"], sent["temperature"], sent["stop"]) == (5, 0.0, ["x"])
    assert sent["seed"] == 1


@pytest.mark.parametrize(
    ("level", "sent"),
    [("high", "high"), ("minimal", "minimal"), ("off", None), (None, None)],
)
def test_how_long_it_may_think(level, sent):
    assert body(said("user", "hi"), thinking=level).get("reasoning_effort") == sent


# --- the answer


def test_text_usage_end():
    usage = {"prompt_tokens": 25, "completion_tokens": 12, "prompt_tokens_details": {"cached_tokens": 5}}  # fmt: skip
    assert read(
        delta(role="assistant", content=""),
        delta(content="Hel"),
        delta(content="lo"),
        delta("stop"),
        {"choices": [], "usage": usage},
        b"[DONE]",
    ) == [
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(Usage(25, 12, 5)),
        End("stop"),
    ]


@pytest.mark.parametrize(
    "theirs, ours",
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "refusal"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("eos", "stop"),
    ],
)
def test_stop_reasons(theirs, ours):
    assert read(delta(content="x"), delta(theirs))[-1] == End(ours)


def test_done_without_a_reason_is_an_end():
    assert read(delta(content="x"), b"[DONE]") == [TextDelta("x"), End("stop")]


def test_a_reason_without_done_is_an_end():
    assert read(delta("stop", content="x")) == [TextDelta("x"), End("stop")]


def test_neither_is_a_stream_that_broke_off():
    with pytest.raises(ProviderError) as error:
        read(delta(content="x"))
    assert error.value.kind == "network"


def test_nothing_counts_after_the_end():
    assert read(delta("stop"), b"[DONE]", delta(content="x"), b"junk") == [End("stop")]


TWO_CALLS = [
    ToolCallDelta(0, "c1", "read", ""),
    ToolCallDelta(1, "c2", "write", ""),
    ToolCallDelta(0, None, None, '{"a":'),
    ToolCallDelta(1, None, None, "{}"),
    ToolCallDelta(0, None, None, "1}"),
]


def test_two_tool_calls_interleaved():
    events = read(
        call(index=0, id="c1", function=function("read", "")),
        call(index=1, id="c2", function=function("write", "")),
        call(index=0, function=function(arguments='{"a":')),
        call(index=1, function=function(arguments="{}")),
        call(index=0, function=function(arguments="1}")),
        delta("tool_calls"),
    )
    assert events == [*TWO_CALLS, End("tool_calls")]


def test_tool_calls_told_apart_by_id_alone():
    events = read(
        call(id="c1", function=function("read", "")),
        call(id="c2", function=function("write", "")),
        call(id="c1", function=function(arguments='{"a":')),
        call(id="c2", function=function(arguments="{}")),
        call(id="c1", function=function(arguments="1}")),
        delta("stop"),
    )
    assert events == [*TWO_CALLS, End("tool_calls")]


def test_tool_calls_with_neither_index_nor_id():
    events = read(
        call(function=function("read", '{"a":')),
        call(function=function(arguments="1}")),
        call(function=function("write", "{}")),
        delta("stop"),
    )
    assert events == [
        ToolCallDelta(0, "call_1_0", "read", '{"a":'),
        ToolCallDelta(0, None, None, "1}"),
        ToolCallDelta(1, "call_1_1", "write", "{}"),
        End("tool_calls"),
    ]


def test_arguments_as_an_object():
    events = read(call(index=0, id="c", function=function("f", {"a": [1]})), b"[DONE]")
    assert events[0] == ToolCallDelta(0, "c", "f", '{"a":[1]}')


def test_the_older_function_call():
    events = read(
        delta(function_call=function("f", "")),
        delta(function_call=function(arguments="{}")),
        delta("function_call"),
    )
    assert events == [
        ToolCallDelta(0, "call_1_0", "f", ""),
        ToolCallDelta(0, None, None, "{}"),
        End("tool_calls"),
    ]


def test_reasoning():
    events = read(delta(reasoning_content="hm"), delta(reasoning="so"), delta("stop"))
    assert events[:2] == [
        ThinkingDelta("hm", field="reasoning_content"),
        ThinkingDelta("so", field="reasoning"),
    ]


def details(*pieces, **more):
    return delta(reasoning_details=list(pieces), **more)


def test_the_pieces_of_a_detail_become_one():
    first = {"type": "reasoning.text", "index": 0, "text": "h", "signature": None}
    secret = {"type": "reasoning.encrypted", "index": 1, "data": "x", "id": "a"}
    events = read(
        details(first, reasoning="h"),
        details({"type": "reasoning.text", "index": 0, "text": "m"}, reasoning="m"),
        details({"type": "reasoning.text", "index": 0, "signature": "s"}),
        details(secret),
        delta("stop", content="so"),
    )
    assert [event.text for event in events[:2]] == ["h", "m"]
    *_, whole, end = events
    assert orjson.loads(whole.redacted) == [
        {**first, "text": "hm", "signature": "s"},
        secret,
    ]
    assert (whole.field, end) == ("reasoning_details", End("stop"))


def test_details_that_come_alone_are_seen_too():
    events = read(details({"type": "reasoning.text", "text": "hm"}), delta("stop"))
    assert events[0] == ThinkingDelta("hm")


def test_details_that_never_end_are_refused():
    piece = details({"type": "reasoning.encrypted", "data": "x" * 1_000_000})
    with pytest.raises(ProviderError, match="without an end"):
        read(*[piece] * 5)


def test_what_comes_with_a_tool_call_comes_before_it():
    named = {"function": function("f", "{}"), "id": "a"}
    events = read(call(index=0, extra_content={"g": 1}, **named), delta("stop"))
    assert events[:2] == [
        ThinkingDelta("", redacted='{"g":1}', field="extra_content"),
        ToolCallDelta(0, "a", "f", "{}"),
    ]


def test_what_is_not_sent_back_is_not_kept_for_it():
    parser = ChatParser(FAILURES, HI, returns=False)
    message = {
        "reasoning": "hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "hm"}],
        "tool_calls": [
            {"id": "a", "function": {"name": "f"}, "extra_content": {"g": 1}}
        ],
    }
    events = parser.whole(orjson.dumps({"choices": [{"message": message}]}))
    assert list(events) == [
        ThinkingDelta("hm"),
        ToolCallDelta(0, "a", "f", ""),
        End("tool_calls"),
    ]


def test_a_refusal_is_text_with_its_own_reason():
    assert read(delta(refusal="No."), delta("stop")) == [
        TextDelta("No."),
        End("refusal"),
    ]


def test_content_in_parts():
    events = read(delta(content=[{"type": "text", "text": "x"}]), b"[DONE]")
    assert events[0] == TextDelta("x")


def test_other_choices_and_unknown_fields_are_nothing():
    other = {"choices": [{"index": 1, "delta": {"content": "no"}}], "new": 1}
    odd = {"choices": [{"index": 0, "delta": None}], "obfuscation": "x"}
    assert read(other, odd, {"choices": None}, b"[DONE]") == [End("stop")]


def test_an_error_inside_the_stream():
    error = {"error": {"message": "boom", "type": "server_error", "code": None}}
    with pytest.raises(ProviderError, match="boom") as caught:
        read(delta(content="x"), error)
    assert caught.value.kind == "server"


@pytest.mark.parametrize("data", [b"{", b"[]", b"null", b"\xff"])
def test_what_is_no_chunk(data):
    with pytest.raises(ProviderError, match="no JSON object") as caught:
        read(data)
    assert caught.value.kind == "server"


def test_an_answer_that_is_not_streamed():
    answer = {
        "choices": [
            {
                "index": 0,
                "message": {
                    "content": "hello",
                    "tool_calls": [{"id": "c", "function": function("f", "{}")}],
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    assert list(ChatParser(FAILURES, HI).whole(orjson.dumps(answer))) == [
        TextDelta("hello"),
        ToolCallDelta(0, "c", "f", "{}"),
        UsageReport(Usage(1, 2)),
        End("tool_calls"),
    ]


@pytest.mark.parametrize("answer", [b"{}", b"[]", b'{"error":{"message":"x"}}'])
def test_an_answer_that_is_none(answer):
    with pytest.raises(ProviderError):
        list(ChatParser(FAILURES, HI).whole(answer))
