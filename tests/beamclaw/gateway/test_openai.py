"""OpenAI's requests taken apart and answers put together, without any I/O."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.messages import (
    Image,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from beamclaw.contracts.sessions import Delta, Reset, RunEnded, Waiting
from beamclaw.gateway import openai
from beamclaw.gateway.openai import Agents, Ask, Chunks
from beamclaw.gateway.problem import Problem
from tests.beamclaw.gateway.edge import events

AGENTS = Agents.of(["main", "bob"])
HELLO = [{"role": "user", "content": "hello"}]
PIXEL = "data:image/png;base64,aGk="


def read(body, headers=(), *, most=100):
    return openai.read(body, dict(headers), AGENTS, max_messages=most)


def ask(headers=(), **fields) -> Ask:
    found = read({"model": "openclaw", "messages": HELLO} | fields, headers)
    assert isinstance(found, Ask), found
    return found


def refused(headers=(), **fields) -> Problem:
    found = read({"model": "openclaw", "messages": HELLO} | fields, headers)
    assert isinstance(found, Problem)
    assert found.status == 400
    assert found.type == "invalid_request_error"
    return found


# --- which agent


@pytest.mark.parametrize(
    "model, agent",
    [
        ("openclaw", "main"),
        ("openclaw/default", "main"),
        ("openclaw/main", "main"),
        ("openclaw/bob", "bob"),
        ("openclaw:bob", "bob"),
        ("agent:bob", "bob"),
        ("beamclaw", "main"),
        ("beamclaw/bob", "bob"),
        (None, "main"),
    ],
)
def test_model_selects_an_agent(model, agent):
    assert ask(model=model).agent == agent


@pytest.mark.parametrize(
    "model",
    ["gpt-4o", "openclaw/", "openclaw/eve", "agent:eve", "OPENCLAW", "x" * 300, "bob"],
)
def test_a_model_that_is_no_agent_is_refused_with_those_there_are(model):
    problem = refused(model=model)
    assert problem.param == "model"
    assert "openclaw/bob" in problem.message or "characters" in problem.message


def test_the_header_goes_before_the_model():
    assert ask({"x-openclaw-agent-id": "bob"}, model="gpt-4o").agent == "bob"
    problem = refused({"x-openclaw-agent-id": "eve"})
    assert problem.code == "unknown_agent"
    assert "main, bob" in problem.message


def test_without_main_the_first_agent_is_the_default():
    assert Agents.of(["zoe", "bob"]).default == "zoe"


def test_an_agent_called_default_is_listed_once():
    assert Agents.of(["default"]).models == ("openclaw", "openclaw/default")
    assert Agents.of(["main", "default"]).select("openclaw/default") == "default"


# --- which session


@pytest.mark.parametrize(
    "headers, fields, key",
    [
        ({}, {}, None),
        ({}, {"user": ""}, None),
        ({}, {"user": "ann"}, "agent:main:openai-user:ann"),
        ({}, {"user": "Ann B"}, "agent:main:openai-user:Ann%20B"),
        ({}, {"user": "ann", "model": "agent:bob"}, "agent:bob:openai-user:ann"),
        ({"x-openclaw-session-key": "s"}, {"user": "ann"}, "agent:main:s"),
        ({"x-openclaw-session-key": "agent:bob:x"}, {}, "agent:bob:x"),
        ({"x-openclaw-session-key": "global"}, {}, "global"),
    ],
)
def test_the_session_follows_from_header_and_user(headers, fields, key):
    session = ask(headers, **fields).session
    assert (None if session is None else str(session)) == key


@pytest.mark.parametrize(
    "headers, fields",
    [
        ({"x-openclaw-session-key": "subagent:1"}, {}),
        ({"x-openclaw-session-key": "cron:1"}, {}),
        ({"x-openclaw-session-key": "acp:1"}, {}),
        ({"x-openclaw-session-key": "agent:main:subagent:1"}, {}),
        ({"x-openclaw-session-key": ""}, {}),
        ({"x-openclaw-session-key": "../x"}, {}),
        ({"x-openclaw-session-key": "x" * 10_000}, {}),
        ({"x-openclaw-session-key": "agent:eve:main"}, {}),
        ({"x-openclaw-session-key": "agent:main:x"}, {"model": "agent:bob"}),
        ({"x-openclaw-message-channel": "a b"}, {}),
        ({"x-openclaw-model": "a b"}, {}),
        ({"idempotency-key": ""}, {}),
        ({"idempotency-key": "x" * 256}, {}),
        ({}, {"user": "x" * 500}),
        ({}, {"user": 7}),
    ],
)
def test_what_would_end_up_in_the_wrong_session_is_refused(headers, fields):
    assert refused(headers, **fields).param


def test_a_message_of_its_own_session_is_ephemeral():
    inbound = ask().inbound(tenant="t", run_id="r", unique="u")
    assert inbound.session_key == "agent:main:openai:u"
    assert inbound.ephemeral
    assert inbound.external_id == "r"
    named = ask({"idempotency-key": "k"}, user="ann")
    inbound = named.inbound(tenant="t", run_id="r", unique="u")
    assert not inbound.ephemeral
    assert inbound.external_id == "k"
    assert inbound.sender == "ann"


# --- what is said


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
    ],
)
def test_content_becomes_parts(content, parts):
    (message,) = ask(messages=[{"role": "user", "content": content}]).messages
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
    found = ask(messages=messages).messages
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
    assert (refused(messages=messages).param or "").startswith("messages")


# --- how


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function"}]},
        {"functions": [{}]},
        {"n": 2},
        {"n": "1"},
        {"temperature": 3},
        {"temperature": "hot"},
        {"temperature": True},
        {"top_p": -0.1},
        {"presence_penalty": 5},
        {"frequency_penalty": -5},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"max_completion_tokens": -1},
        {"seed": 2**64},
        {"stop": ["a"] * 5},
        {"stop": [7]},
        {"stop": ""},
        {"stream": "yes"},
        {"stream_options": 5},
        {"model": 7},
    ],
)
def test_parameters_out_of_bounds_are_refused_by_name(fields):
    assert refused(**fields).param in fields


def test_parameters_are_read():
    params = ask(
        max_tokens=5,
        max_completion_tokens=6,
        temperature=1,
        top_p=0.5,
        presence_penalty=-1,
        frequency_penalty=1,
        seed=9,
        stop=["a", "b"],
        n=1,
        tools=[],
        logit_bias={},
    ).params
    assert params.max_tokens == 6
    assert params.temperature == 1.0
    assert params.stop == ("a", "b")
    assert params.seed == 9


def test_a_body_that_is_no_object_is_refused():
    assert isinstance(read([1]), Problem)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "tool_calls", "id"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["model", "messages", "stream", "n", "stop", "user", "max_tokens", "tools"]
        ),
        json,
    )
)
def test_whatever_comes_is_an_ask_or_a_problem(body):
    assert isinstance(read(body), Ask | Problem)


# --- answers


def end(text: str, **more) -> RunEnded:
    given = {"outcome": "ok", "stop_reason": "stop", "usage": Usage(7, 3)} | more
    return RunEnded(run_id="r", text=text, **given)


def streamed(*values, **fields) -> list:
    chunks = Chunks("r", ask(stream=True, **fields), created=5)
    return events(b"".join([chunks.first(), *map(chunks.feed, values)]))


def text_of(got) -> str:
    deltas = [c["choices"][0]["delta"] for c in got if isinstance(c, dict)]
    return "".join(delta.get("content", "") for delta in deltas)


def test_chunks_come_in_the_order_that_clients_expect():
    got = streamed(Delta("r", 1, 0, "he"), Delta("r", 1, 2, "llo"), end("hello"))
    assert got[0] == {
        "id": "r",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "openclaw",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": ""},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
    }
    assert [c["choices"][0]["delta"] for c in got[1:-1]] == [
        {"content": "he"},
        {"content": "llo"},
        {},
    ]
    assert got[-2]["choices"][0]["finish_reason"] == "stop"
    assert got[-1] == "[DONE]"


def test_usage_comes_last_and_only_when_asked_for():
    options = {"include_usage": True}
    got = streamed(end("x"), stream_options=options)
    assert got[-2]["choices"] == []
    assert got[-2]["usage"]["total_tokens"] == 10
    assert [c["usage"] for c in got[:-2]] == [None, None, None]


@pytest.mark.parametrize(
    "values, text",
    [
        ([end("all of it")], "all of it"),
        ([Delta("r", 1, 0, "all"), end("all of it")], "all of it"),
        (
            [Delta("r", 1, 0, "all"), Delta("r", 1, 0, "all of"), end("all of")],
            "all of",
        ),
        ([Delta("r", 2, 0, "a"), Delta("r", 1, 1, "x"), end("a")], "a"),
        ([Reset("r", 2), Delta("r", 2, 0, "a"), end("a")], "a"),
        ([Waiting("r", "model"), Delta("q", 1, 0, "other"), end("a")], "a"),
        ([end("a"), end("a")], "a"),
    ],
)
def test_what_was_shown_is_not_shown_again_and_what_is_missing_is_added(values, text):
    got = streamed(*values)
    assert text_of(got) == text
    assert got[-1] == "[DONE]"


@pytest.mark.parametrize(
    "values",
    [
        [Delta("r", 1, 0, "a"), Reset("r", 2)],
        [Delta("r", 1, 0, "a"), Delta("r", 2, 0, "b")],
        [Delta("r", 1, 0, "a"), end("b")],
    ],
)
def test_what_cannot_be_taken_back_ends_in_an_error(values):
    got = streamed(*values, end("more"))
    assert got[-1]["error"]["code"] == "answer_restarted"


@pytest.mark.parametrize(
    "stop, reason",
    [
        ("stop", "stop"),
        ("length", "length"),
        ("refusal", "content_filter"),
        ("tool_calls", "tool_calls"),
    ],
)
def test_finish_reasons_are_openais(stop, reason):
    got = streamed(end("x", stop_reason=stop))
    assert got[-2]["choices"][0]["finish_reason"] == reason
    answer = orjson.loads(openai.whole(ask(), end("x", stop_reason=stop), created=5))
    assert answer["choices"][0]["finish_reason"] == reason


@pytest.mark.parametrize(
    "outcome, kind, status, code",
    [
        ("error", "rate_limit", 429, "rate_limit_exceeded"),
        ("error", "context_length", 400, "context_length_exceeded"),
        ("error", "auth", 502, "auth"),
        ("error", "model_not_found", 502, "model_not_found"),
        ("error", None, 502, None),
        ("quarantined", None, 502, None),
        ("aborted", None, 409, "aborted"),
    ],
)
def test_a_failed_run_is_a_problem(outcome, kind, status, code):
    failed = end("x", outcome=outcome, error_kind=kind, error="because")
    problem = openai.failed(failed, ephemeral=True)
    assert problem is not None
    assert (problem.status, problem.code) == (status, code)
    assert outcome == "aborted" or problem.message == "because"


def test_a_failed_turn_in_a_lasting_session_is_not_to_be_repeated_blindly():
    failed = end("", outcome="error", error_kind="network")
    problems = [openai.failed(failed, ephemeral=own) for own in (True, False)]
    assert [problem and problem.retry for problem in problems] == [True, False]


def test_the_names_of_models_are_all_that_is_listed():
    listed = orjson.loads(openai.model_list(AGENTS, created=5))
    assert [model["id"] for model in listed["data"]] == [
        "openclaw",
        "openclaw/default",
        "openclaw/main",
        "openclaw/bob",
    ]
    assert isinstance(openai.model(AGENTS, "gpt-4o", created=5), Problem)
