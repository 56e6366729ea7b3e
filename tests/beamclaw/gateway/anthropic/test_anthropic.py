"""Anthropic's messages as values: requests are read, answers are written."""

from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.messages import (
    ClientTool,
    File,
    Image,
    Message,
    ModelParams,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
    said,
)
from beamclaw.contracts.sessions import Delta, RunEnded
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.anthropic import answer
from beamclaw.gateway.anthropic.answer import MessageEvents
from beamclaw.gateway.anthropic.messages import Messages, size
from beamclaw.gateway.ask import Ask
from beamclaw.gateway.problem import Problem, invalid, styled

API = Messages(agents=Agents.of(["main"]), max_messages=50)
USER = {"role": "user", "content": "hi"}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "done"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def got(body: dict[str, Any], **headers: str) -> Ask | Problem:
    given = {"max_tokens": 9, "messages": [USER]} | body
    return API.read(given, headers)


def ask(**body: Any) -> Ask:
    found = got(body)
    assert isinstance(found, Ask), found
    return found


def refused(**body: Any) -> Problem:
    found = got(body)
    assert isinstance(found, Problem), found
    assert found.status == 400
    return found


def of_user(*blocks: Any) -> list[Any]:
    return [{"role": "user", "content": list(blocks)}]


@pytest.mark.parametrize(
    "given, messages",
    [
        ([USER], (said("user", "hi"),)),
        # Neighbours of one role are one message.
        ([USER, USER], (Message("user", (Text("hi"), Text("hi"))),)),
        (
            [{"role": "system", "content": [{"type": "text", "text": "be"}]}, USER],
            (said("system", "be"), said("user", "hi")),
        ),
        (
            [
                USER,
                {"role": "assistant", "content": [{"type": "thinking"}, USE]},
                *of_user(RESULT, {"type": "text", "text": "and?"}),
            ],
            (
                said("user", "hi"),
                Message("assistant", (ToolCall("t1", "f", '{"x":1}'),)),
                Message("tool", (ToolResult("t1", "done"),)),
                said("user", "and?"),
            ),
        ),
        (
            of_user(
                {
                    "type": "image",
                    "source": {
                        "type": "base64",
                        "media_type": "image/png",
                        "data": "aGk=",
                    },
                },
                {
                    "type": "document",
                    "title": "t",
                    "source": {"type": "text", "data": "hi"},
                },
            ),
            (
                Message(
                    "user",
                    (
                        Image(data="aGk=", media_type="image/png"),
                        File("t", "text/plain", data="aGk="),
                    ),
                ),
            ),
        ),
    ],
)
def test_blocks_become_messages(given, messages):
    assert ask(messages=given).messages == messages


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": None},
        {"messages": []},
        {"messages": [5]},
        {"messages": [USER] * 51},
        {"messages": [{"role": {}, "content": "x"}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [{"role": "user", "content": []}]},
        {"messages": [{"role": "assistant", "content": "so"}, USER]},
        {"messages": [USER, {"role": "assistant", "content": "so"}]},
        {"messages": of_user(RESULT)},
        {"messages": of_user({"type": "video"})},
        {"messages": of_user({"type": "image", "source": {"type": "file"}})},
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [USE]},
                *of_user({"type": "text", "text": "x"}, RESULT),
            ]
        },
        {"messages": [USER, {"role": "assistant", "content": [USE]}, USER]},
        {"messages": [USER, {"role": "assistant", "content": [USE | {"input": 5}]}]},
        {"max_tokens": None},
        {"max_tokens": 0},
        {"temperature": 1.5},
        {"stop_sequences": [""]},
        {"stop_sequences": "x"},
        {"system": 5},
        {"system": [{"type": "image"}]},
        {"thinking": {"type": "hard"}},
        {"thinking": {"type": "enabled", "budget_tokens": 5}},
        {"output_config": {"effort": "hard"}},
        {"output_config": {"format": {"type": "xml"}}},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"tools": [TOOL, TOOL]},
        {"tools": [TOOL | {"name": "a b"}]},
        {"tools": [{"name": "f"}]},
        {"tool_choice": {"type": "any"}},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": []}},
        {"tool_choice": {"type": "some"}},
        {"container": "c"},
        {"mcp_servers": [{}]},
        {"model": "claude-opus-5"},
    ],
)
def test_what_is_wrong_is_refused_in_words(fields):
    assert refused(**fields).message


@pytest.mark.parametrize(
    "version, right",
    [("2023-06-01", True), ("2026-10-21", True), ("2023-01-01", False), ("x", False)],
)
def test_later_versions_are_spoken_the_same_way(version, right):
    found = got({}, **{"anthropic-version": version})
    assert isinstance(found, Ask) == right


def test_parameters_are_read():
    found = ask(
        system=[{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}],
        stop_sequences=["END"],
        top_k=5,
        thinking={"type": "enabled", "budget_tokens": 9000},
        tools=[TOOL],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        metadata={"user_id": "ann"},
    )
    assert found.params == ModelParams(
        max_tokens=9,
        stop=("END",),
        top_k=5,
        thinking="medium",
        tools=(ClientTool(name="f", parameters={"type": "object"}),),
        choice=ToolChoice("f"),
        parallel=False,
        instructions="Be\n\nbrief.",
    )
    assert found.session is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "name", "id", "input", "text", "source"]
            ),
            inner | st.sampled_from(["user", "assistant", "text", "tool_use", "image"]),
            max_size=4,
        )
    ),
    max_leaves=9,
)
FIELDS = [
    "messages",
    "model",
    "max_tokens",
    "system",
    "stream",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "thinking",
    "output_config",
    "tools",
    "tool_choice",
    "metadata",
    "container",
]


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES) | VALUES)
def test_whatever_comes_is_an_ask_or_a_problem(body):
    found = API.read(body, {})
    assert isinstance(found, Ask) or found.status == 400


def test_what_is_counted_is_all_that_is_sent():
    short = ask()
    long = attrs.evolve(short, messages=(said("user", "x" * 3000),))
    assert size(long, None) > size(short, None) + 900
    assert size(short, "x" * 3000) > size(short, None) + 900
    assert size(ask(tools=[TOOL]), None) > size(short, None)


# --- writing


def end(text: str = "", **more: Any) -> RunEnded:
    given = {"outcome": "ok", "stop_reason": "stop", "usage": Usage(7, 3, 2)} | more
    return RunEnded(run_id="msg_1", text=text, **given)


@pytest.mark.parametrize(
    "stop, said_so",
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("refusal", "refusal"),
        ("limit", "end_turn"),
    ],
)
def test_a_message_says_why_it_ended(stop, said_so):
    told = answer.whole(ask(), end("so", stop_reason=stop))
    assert isinstance(told, bytes)
    assert orjson.loads(told)["stop_reason"] == said_so


def test_all_of_the_input_are_the_figures_together():
    told = answer.whole(ask(), end("so"))
    assert isinstance(told, bytes)
    usage = orjson.loads(told)["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (5, 2)


def test_a_stream_has_its_blocks_one_after_the_other():
    events = MessageEvents("msg_1", ask())
    stream = events.first() + events.beat() + events.feed(Delta("msg_1", 1, 0, "s"))
    calls = (ToolCall("t1", "f", '{"x":1}'),)
    stream += events.feed(end("so", stop_reason="tool_calls", calls=calls))
    found = [
        orjson.loads(piece.split(b"\ndata: ")[1])
        for piece in stream.split(b"\n\n")
        if piece
    ]
    assert [(event["type"], event.get("index")) for event in found] == [
        ("message_start", None),
        ("ping", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert events.ended


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
    ],
)
def test_errors_have_anthropics_shape(status, kind):
    problem = styled(attrs.evolve(invalid("so"), status=status), "anthropic")
    assert orjson.loads(problem.body) == {
        "type": "error",
        "error": {"type": kind, "message": "so"},
    }
    length = dict(problem.headers)[b"content-length"]
    assert int(length) == len(problem.body)
