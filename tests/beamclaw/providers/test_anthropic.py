"""The Anthropic Messages API: what is sent, and what is accepted."""

import orjson
import pytest

from beamclaw.config.schema import CacheRetention, ThinkingForm
from beamclaw.contracts.messages import (
    AnswerFormat,
    File,
    Image,
    Message,
    ModelParams,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
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
from beamclaw.providers.anthropic import Manner, MessagesParser, messages_body
from beamclaw.providers.errors import Failures
from beamclaw.providers.sse import ServerSentEvent

FAILURES = Failures(
    provider="anthropic", address="http://h", key=None, others=(),
    key_source="", key_variable="", url_variable="",
)  # fmt: skip


ADAPTIVE = ("either", "adaptive", "default", "always")


def body(*messages, **params):
    request = ModelRequest(model="m", messages=messages, params=ModelParams(**params))
    return messages_body(request, 99, Manner())


def kept(*messages, retention: CacheRetention = "short", **request):
    request = {"goes_on": True, **request}
    asked = ModelRequest(model="m", messages=messages, **request)
    return messages_body(asked, 99, Manner(retention=retention))


def marks(asked):
    """Where something is to be kept, from the end, and how long."""
    blocks = [
        *(asked.get("system") or []),
        *(block for turn in asked["messages"] for block in turn["content"]),
    ]
    found = [block.get("cache_control") for block in blocks]
    return {n - len(found): mark for n, mark in enumerate(found) if mark is not None}


SHORT = {"type": "ephemeral"}


def text(words):
    return {"type": "text", "text": words}


def read(*events):
    parser = MessagesParser(FAILURES, "m")
    found = []
    for event in events:
        data = event if isinstance(event, bytes) else orjson.dumps(event)
        found.extend(parser.feed(ServerSentEvent(b"x", data)))
    found.extend(parser.finish())
    return found


def start(index, **block):
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index, **fields):
    return {"type": "content_block_delta", "index": index, "delta": fields}


def stop(reason="end_turn", **usage):
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


STOP = {"type": "message_stop"}


# --- the request


def test_system_messages_go_to_system_wherever_they_are():
    sent = body(
        said("system", "be"),
        said("user", "hi"),
        said("system", "short"),
        said("system", ""),
    )
    assert sent["system"] == "be\n\nshort"
    assert sent["messages"] == [{"role": "user", "content": [text("hi")]}]
    assert (sent["max_tokens"], sent["stream"]) == (99, True)


def test_without_a_system_message_there_is_no_system():
    assert "system" not in body(said("user", "hi"))


def test_neighbours_of_one_role_are_merged_and_empty_texts_left_out():
    sent = body(
        said("user", "a"), said("user", " \n"), said("user", "b"),
        said("assistant", "c"), said("assistant", ""), said("user", "d"),
    )  # fmt: skip
    assert [(turn["role"], turn["content"]) for turn in sent["messages"]] == [
        ("user", [text("a"), text("b")]),
        ("assistant", [text("c")]),
        ("user", [text("d")]),
    ]


def test_what_the_assistant_said_before_the_user_is_left_out():
    sent = body(said("assistant", "hello!"), said("user", "hi"))
    assert sent["messages"] == [{"role": "user", "content": [text("hi")]}]
    assert body(said("assistant", "hello!"))["messages"] == []


def test_what_is_to_be_continued_does_not_end_in_white_space():
    sent = body(said("user", "hi"), said("assistant", "well, \n"))
    assert sent["messages"][1]["content"] == [text("well,")]


def test_tool_calls_thinking_and_results_which_come_first():
    sent = body(
        said("user", "hi"),
        Message(
            "assistant",
            (
                Thinking("hm", "sig"),
                Thinking("unsigned"),
                Thinking("", redacted="xx"),
                ToolCall("c1", "read", '{"a":1}'),
                ToolCall("c2", "list", ""),
            ),
        ),
        Message("tool", (ToolResult("c1", "one"),)),
        said("user", "and"),
        Message("tool", (ToolResult("c2", "bad", is_error=True),)),
    )
    assert sent["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xx"},
        {"type": "tool_use", "id": "c1", "name": "read", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "list", "input": {}},
    ]
    assert sent["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
        {
            "type": "tool_result",
            "tool_use_id": "c2",
            "content": "bad",
            "is_error": True,
        },
        text("and"),
    ]


def test_pictures():
    image = Message(
        "user", (Image(url="https://u"), Image(data="QQ==", media_type="image/png"))
    )
    assert [block["source"] for block in body(image)["messages"][0]["content"]] == [
        {"type": "url", "url": "https://u"},
        {"type": "base64", "media_type": "image/png", "data": "QQ=="},
    ]


def words(part) -> str:
    what = f"file {part.name!r}, {part.media_type}" if isinstance(part, File) else None
    return f"(here was {'the ' + what if what else 'a picture'}, which cannot be shown to you)"


PNG = Image(data="QQ==", media_type="image/png")
PICTURE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="},
}
PDF = File("a.pdf", "application/pdf", data="QQ==")
DOCUMENT = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="},
    "title": "a.pdf",
}
ZIP = File("a.zip", "application/zip", data="QQ==")
TIFF = Image(data="QQ==", media_type="image/tiff")


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (PDF, DOCUMENT),
        (
            File("", "application/pdf", url="https://example.org/a.pdf"),
            {
                "type": "document",
                "source": {"type": "url", "url": "https://example.org/a.pdf"},
            },
        ),
        (
            File("a.csv", "text/csv", data="aGk="),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "hi"},
                "title": "a.csv",
            },
        ),
        (ZIP, text(words(ZIP))),
        (TIFF, text(words(TIFF))),
    ],
)
def test_files_and_what_cannot_be_shown(part, block):
    assert body(Message("user", (part,)))["messages"][0]["content"] == [block]


@pytest.mark.parametrize(
    ("result", "content"),
    [
        (ToolResult("a", "see", media=(PNG, PDF)), [text("see"), PICTURE, DOCUMENT]),
        (ToolResult("a", "", media=(PNG,)), [PICTURE]),
        (
            ToolResult("a", "no", is_error=True, media=(PNG, ZIP)),
            [text("no"), text(words(PNG)), text(words(ZIP))],
        ),
    ],
)
def test_what_a_tool_has_shown_is_in_its_result(result, content):
    call = Message("assistant", (ToolCall("a", "f", "{}"),))
    sent = body(said("user", "hi"), call, Message("tool", (result,)))
    assert sent["messages"][2]["content"][0]["content"] == content


def test_what_was_only_thought_is_left_out():
    sent = body(
        said("user", "hi"),
        Message("assistant", (Thinking("hm", "sig"),)),
        said("user", "well?"),
    )
    assert sent["messages"] == [
        {"role": "user", "content": [text("hi"), text("well?")]}
    ]


def test_a_picture_of_the_assistants_is_left_out():
    sent = body(said("user", "hi"), Message("assistant", (PNG, Text("so"))))
    assert sent["messages"][1]["content"] == [text("so")]


def test_settings_that_exist_here():
    sent = body(said("user", "hi"), temperature=0.5, stop=("END", " "), seed=1)
    assert sent["temperature"] == 0.5
    assert sent["stop_sequences"] == ["END"]
    assert "seed" not in sent


def thinking(level, limit, *messages, form: ThinkingForm = "budget", **params):
    request = ModelRequest(
        model="m",
        messages=messages or (said("user", "hi"),),
        params=ModelParams(thinking=level, **params),
    )
    return messages_body(request, limit, Manner("p/m", form))


@pytest.mark.parametrize(
    ("level", "limit", "budget"),
    [
        ("minimal", 50_000, 1_024),
        ("low", 50_000, 2_048),
        ("high", 50_000, 16_384),
        ("high", 4_096, 3_072),  # at least as much is left for the answer
        ("xhigh", 2_048, 1_024),
        ("minimal", 2_047, None),
        ("off", 50_000, None),
        (None, 50_000, None),
    ],
)
def test_how_long_it_may_think(level, limit, budget):
    sent = thinking(level, limit, temperature=0.5, top_p=0.5)
    if budget is None:
        assert "thinking" not in sent
        assert sent["temperature"] == 0.5
    else:
        assert sent["thinking"] == {"type": "enabled", "budget_tokens": budget}
        assert not {"temperature", "top_p"} & sent.keys()


@pytest.mark.parametrize("thought", [True, False])
def test_in_the_middle_of_tool_calls_it_thinks_only_if_it_did_before(thought):
    parts = (Thinking("hm", "sig"),) if thought else (Text("so"),)
    sent = thinking(
        "high",
        50_000,
        said("user", "hi"),
        Message("assistant", (*parts, ToolCall("c1", "read", "{}"))),
        Message("tool", (ToolResult("c1", "one"),)),
    )
    assert ("thinking" in sent) == thought


@pytest.mark.parametrize(
    ("form", "level", "told", "effort"),
    [
        *((form, None, None, None) for form in ADAPTIVE),
        *((form, "minimal", "adaptive", "low") for form in ADAPTIVE),
        *((form, "high", "adaptive", "high") for form in ADAPTIVE),
        ("either", "xhigh", "adaptive", "max"),
        ("adaptive", "xhigh", "adaptive", "xhigh"),
        ("either", "off", None, None),
        ("adaptive", "off", None, None),
        ("default", "off", "disabled", None),
        ("always", "off", None, "low"),
    ],
)
def test_newer_models_are_told_by_an_effort(form, level, told, effort):
    # However little is left for the answer.
    sent = thinking(level, 100, form=form)
    assert sent.get("thinking", {}).get("type") == told
    assert sent.get("output_config") == (effort and {"effort": effort})


@pytest.mark.parametrize(
    ("form", "level", "kept"),
    [
        ("budget", None, True),
        ("budget", "low", False),
        ("either", "off", True),
        ("either", "low", False),
        ("adaptive", None, False),
        ("default", "off", False),
        ("always", None, False),
    ],
)
def test_who_thinks_takes_no_temperature_and_the_newest_never_do(form, level, kept):
    sent = thinking(level, 50_000, form=form, temperature=0.5, top_p=0.5, top_k=5)
    assert len({"temperature", "top_p", "top_k"} & sent.keys()) == (3 if kept else 0)


@pytest.mark.parametrize("form", ADAPTIVE)
def test_who_has_to_ask_for_a_tool_is_not_told_to_think(form):
    sent = thinking("high", 50_000, form=form, choice=ToolChoice())
    assert not {"thinking", "output_config"} & sent.keys()


def test_the_effort_stands_beside_the_form_of_the_answer():
    wanted = AnswerFormat(schema={"type": "object"})
    sent = thinking("low", 50_000, form="adaptive", format=wanted)
    assert sent["output_config"].keys() == {"effort", "format"}


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (Thinking("hm", "s", model="p/m"), True),
        (Thinking("hm", "s"), True),
        (Thinking("hm", "s", model="p/another"), False),
        (Thinking("", redacted="x", model="another/m"), False),
        (Thinking("", redacted="[]", field="reasoning_details"), False),
    ],
)
def test_what_another_model_has_thought_is_left_out(part, sent):
    said_before = Message("assistant", (part, Text("so")))
    found = thinking("high", 9_000, said("user", "hi"), said_before, said("user", "on"))
    assert len(found["messages"][1]["content"]) == 1 + sent


# --- the answer


SYSTEM = said("system", "be nice")
LOOP = (
    SYSTEM,
    said("user", "hi"),
    Message("assistant", (Thinking("hm", "s"), ToolCall("a", "f", "{}"))),
    Message("tool", (ToolResult("a", "1"),)),
)


@pytest.mark.parametrize(
    "messages, places",
    [
        ((SYSTEM, said("user", "hi")), {-2, -1}),
        ((said("user", "hi"),), {-1}),
        # The end of the request before, too.
        (LOOP, {-5, -4, -1}),
        ((*LOOP, said("user", "and?")), {-6, -5, -1}),
        ((*LOOP, said("assistant", "1"), said("user", "so?")), {-7, -3, -1}),
        # What the model is to go on with.
        ((SYSTEM, said("user", "hi"), said("assistant", "He")), {-3, -2, -1}),
    ],
)
def test_it_is_kept_up_to_the_end_and_up_to_that_of_the_request_before(
    messages, places
):
    assert marks(kept(*messages)) == dict.fromkeys(places, SHORT)


def test_how_long_it_is_kept_is_said():
    hour = {"type": "ephemeral", "ttl": "1h"}
    assert marks(kept(*LOOP, retention="long")) == dict.fromkeys((-5, -4, -1), hour)


@pytest.mark.parametrize("settings", [{"retention": "none"}, {"goes_on": False}])
def test_what_nothing_follows_or_nobody_wants_kept_is_not_kept(settings):
    asked = kept(*LOOP, **settings)
    assert "cache_control" not in orjson.dumps(asked).decode()
    assert asked["system"] == "be nice"


def test_text_usage_end():
    usage = {
        "input_tokens": 20,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 1,
        "output_tokens": 1,
    }
    assert read(
        {"type": "message_start", "message": {"usage": usage}},
        {"type": "ping"},
        start(0, type="text", text=""),
        delta(0, type="text_delta", text="Hel"),
        delta(0, type="text_delta", text="lo"),
        {"type": "content_block_stop", "index": 0},
        {"type": "new_event_of_next_year"},
        stop(output_tokens=12),
        STOP,
    ) == [
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(Usage(25, 12, 4, stored=1)),
        End("stop"),
    ]


def test_the_output_that_a_beginning_tells_of_is_not_that_of_the_whole():
    said = stop()
    del said["usage"]
    begun = {"usage": {"input_tokens": 20, "output_tokens": 1}}
    assert read(
        {"type": "message_start", "message": begun},
        start(0, type="text", text="Hello, and much more"),
        said,
        STOP,
    ) == [TextDelta("Hello, and much more"), UsageReport(Usage(20, 0)), End("stop")]


@pytest.mark.parametrize(
    "theirs, ours",
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "stop"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "context_length"),
        ("something_new", "stop"),
    ],
)
def test_stop_reasons(theirs, ours):
    assert read(stop(theirs), STOP) == [End(ours)]


def test_thinking_with_its_signature_and_what_is_kept_secret():
    assert read(
        start(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="hm"),
        delta(0, type="signature_delta", signature="sig"),
        start(1, type="redacted_thinking", data="xx"),
        stop(),
        STOP,
    ) == [
        ThinkingDelta("hm"),
        ThinkingDelta("", "sig"),
        ThinkingDelta("", None, "xx"),
        End("stop"),
    ]


def test_tool_calls():
    assert read(
        start(0, type="text", text=""),
        start(1, type="tool_use", id="t1", name="read", input={}),
        delta(1, type="input_json_delta", partial_json=""),
        delta(1, type="input_json_delta", partial_json='{"a":'),
        delta(1, type="input_json_delta", partial_json="1}"),
        start(2, type="tool_use", id="t2", name="list", input={"b": 2}),
        stop("tool_use"),
        STOP,
    ) == [
        ToolCallDelta(0, "t1", "read", ""),
        ToolCallDelta(0, None, None, '{"a":'),
        ToolCallDelta(0, None, None, "1}"),
        ToolCallDelta(1, "t2", "list", '{"b":2}'),
        End("tool_calls"),
    ]


def test_without_message_stop_the_answer_is_cut():
    with pytest.raises(ProviderError) as caught:
        read(delta(0, type="text_delta", text="x"), stop())
    assert caught.value.kind == "network"


def test_an_error_after_text():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    with pytest.raises(ProviderError, match="Busy") as caught:
        read(delta(0, type="text_delta", text="x"), error)
    assert caught.value.kind == "overloaded"


def test_an_answer_that_is_not_streamed():
    answer = {
        "type": "message",
        "content": [
            text("hello"),
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    assert list(MessagesParser(FAILURES, "m").whole(orjson.dumps(answer))) == [
        TextDelta("hello"),
        ToolCallDelta(0, "t", "f", '{"a":1}'),
        UsageReport(Usage(1, 2)),
        End("tool_calls"),
    ]
