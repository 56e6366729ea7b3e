"""Responses as values: requests are read, answers are written."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.contracts.messages import (
    Image,
    Message,
    ModelParams,
    Text,
    ToolCall,
    ToolResult,
    Usage,
    said,
)
from beamclaw.contracts.sessions import Delta, Reset, RunEnded
from beamclaw.gateway import responses
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.ask import Ask
from beamclaw.gateway.openai import response
from beamclaw.gateway.openai.answer import HEARTBEAT
from beamclaw.gateway.openai.response import ResponseEvents
from beamclaw.gateway.openai.responses import Responses
from beamclaw.gateway.problem import Problem
from beamclaw.gateway.stored import behind

API = Responses(agents=Agents.of(["main", "bob"]), max_messages=50)
ABOUT = {"model": "openclaw", "created_at": 5}
CALL = ToolCall("c1", "f", '{"x":1}')
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "done"}
ASKED = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
USER = {"role": "user", "content": "hi"}


def ask(**body: Any) -> Ask:
    found = API.read({"input": "hi"} | body, {})
    assert isinstance(found, Ask), found
    return found


def refused(**body: Any) -> Problem:
    found = API.read({"input": "hi"} | body, {})
    assert isinstance(found, Problem), found
    assert found.status == 400
    return found


def end(text: str = "", **more: Any) -> RunEnded:
    given = {"outcome": "ok", "stop_reason": "stop", "usage": Usage(7, 3)} | more
    return RunEnded(run_id="resp_1", text=text, **given)


# --- reading


@pytest.mark.parametrize(
    "items, messages",
    [
        ("hi", (said("user", "hi"),)),
        ([USER], (said("user", "hi"),)),
        (
            [{"type": "message", "role": "developer", "content": "be"}, USER],
            (said("system", "be"), said("user", "hi")),
        ),
        (
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "look"},
                        {
                            "type": "input_image",
                            "image_url": "data:image/png;base64,aGk=",
                        },
                    ],
                }
            ],
            (
                Message(
                    "user",
                    (Text("look"), Image(data="aGk=", media_type="image/png")),
                ),
            ),
        ),
        (
            [
                USER,
                {
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "so"}],
                },
                {"type": "reasoning", "summary": []},
                ASKED,
                OUTPUT,
            ],
            (
                said("user", "hi"),
                Message("assistant", (Text("so"), ToolCall("c1", "f", "{}"))),
                Message("tool", (ToolResult("c1", "done"),)),
            ),
        ),
    ],
)
def test_items_become_messages(items, messages):
    assert ask(input=items).messages == messages


def test_results_alone_are_enough_behind_another_response():
    found = ask(input=[OUTPUT], previous_response_id="resp_0")
    assert found.messages == (Message("tool", (ToolResult("c1", "done"),)),)
    assert found.previous == "resp_0"
    assert refused(input=[OUTPUT]).param == "messages"


@pytest.mark.parametrize(
    "fields",
    [
        {"input": None},
        {"input": []},
        {"input": 5},
        {"input": ""},
        {"input": [5]},
        {"input": [USER] * 51},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"input": [{"type": "computer_call"}]},
        {"input": [{"type": {}}]},
        {"input": [{"role": "tool", "content": "x"}]},
        {"input": [{"role": {}, "content": "x"}]},
        {"input": [USER, ASKED]},
        {"input": [USER, OUTPUT]},
        {"input": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        {"input": [USER, ASKED | {"name": 5}, OUTPUT]},
        {"input": [USER, ASKED, OUTPUT | {"output": 5}]},
        {"conversation": "c"},
        {"prompt": {"id": "p"}},
        {"max_tool_calls": 3},
        {"tools": [{"type": "web_search"}]},
        {"metadata": {"a": 5}},
        {"metadata": {"a": "x" * 513}},
        {"metadata": {str(n): "" for n in range(17)}},
        {"text": {"format": {"type": "xml"}}},
        {"text": {"verbosity": "low"}},
        {"reasoning": {"effort": "hard"}},
        {"truncation": "some"},
        {"background": True, "store": False},
        {"previous_response_id": 5},
        {"instructions": 5},
        {"max_output_tokens": 0},
        {"model": "nobody"},
    ],
)
def test_what_is_wrong_is_refused_in_words(fields):
    assert refused(**fields).message


def test_parameters_are_read():
    found = ask(
        instructions="Be brief.",
        max_output_tokens=9,
        temperature=0.5,
        reasoning={"effort": "high"},
        background=True,
        metadata={"a": "b"},
    )
    assert found.params == ModelParams(
        max_tokens=9, temperature=0.5, thinking="high", instructions="Be brief."
    )
    assert (found.stored, found.ephemeral, found.background) == (True, False, True)
    assert found.about["metadata"] == {"a": "b"}
    assert ask(store=False).ephemeral


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "name", "call_id", "output", "text", "x"]
            ),
            inner
            | st.sampled_from(["message", "user", "function", "function_call_output"]),
            max_size=4,
        )
    ),
    max_leaves=9,
)
FIELDS = [
    "input",
    "model",
    "instructions",
    "previous_response_id",
    "store",
    "stream",
    "background",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "temperature",
    "top_p",
    "reasoning",
    "text",
    "metadata",
    "user",
    "truncation",
    "conversation",
    "prompt",
]


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES) | VALUES)
def test_whatever_comes_is_an_ask_or_a_problem(body):
    found = API.read(body, {})
    assert isinstance(found, Ask) or found.status == 400


# --- going on


def row(key: str, about: bytes = b"{}") -> RunRow:
    return RunRow(run_id="resp_0", session_key=key, state="ended", about=about)


def test_it_goes_on_behind_the_response_it_names():
    found = behind(
        ask(previous_response_id="resp_0"), row("agent:main:openai-response:u")
    )
    assert isinstance(found, Ask)
    assert (str(found.session), found.follows) == (
        "agent:main:openai-response:u",
        "resp_0",
    )


def test_a_conversation_with_a_name_just_goes_on():
    found = behind(
        ask(previous_response_id="resp_0", user="ann"),
        row("agent:main:openai-user:ann"),
    )
    assert isinstance(found, Ask)
    assert (str(found.session), found.follows) == ("agent:main:openai-user:ann", None)


@pytest.mark.parametrize(
    "found",
    [
        None,
        row("agent:main:openai:u", about=b""),
        row("agent:bob:openai-response:u"),
    ],
)
def test_what_cannot_be_followed_is_refused(found):
    problem = behind(ask(previous_response_id="resp_0"), found)
    assert isinstance(problem, Problem)
    assert problem.param == "previous_response_id"


# --- writing


@pytest.mark.parametrize(
    "ended, status",
    [
        (end("so"), "completed"),
        (end("so", stop_reason="length"), "incomplete"),
        (end("so", stop_reason="refusal"), "incomplete"),
        (end("so", outcome="limited", stop_reason="limit"), "completed"),
        (end(outcome="aborted", stop_reason="aborted"), "cancelled"),
        (end(outcome="error", error_kind="server", error="broke"), "failed"),
    ],
)
def test_a_response_says_how_it_came_out(ended, status):
    told = orjson.loads(response.whole("resp_1", ABOUT, ended))
    assert told["status"] == status
    assert (told["error"] is None) == (status != "failed")
    assert (told["incomplete_details"] is None) == (status != "incomplete")


def read(stream: bytes) -> list[dict[str, Any]]:
    events = [piece.split(b"\n") for piece in stream.split(b"\n\n") if piece]
    assert events.pop() == [b"data: [DONE]"]
    found = [orjson.loads(data.removeprefix(b"data: ")) for _, data in events]
    assert [name.decode() for name, _ in events] == [
        f"event: {event['type']}" for event in found
    ]
    numbers = [event["sequence_number"] for event in found]
    assert numbers == sorted(set(numbers))
    return found


TEXT = "what was said, in the end"
SPOKEN = end(TEXT, stop_reason="tool_calls", calls=(CALL,))


def streamed(*cuts: int, after: int = -1) -> list[dict[str, Any]]:
    """The events of one answer, whose text came in pieces that begin at *cuts*."""
    events = ResponseEvents("resp_1", ABOUT, after=after)
    stream = events.first()
    for begins, ends in pairwise((*cuts, len(TEXT))):
        stream += events.feed(Delta("resp_1", 1, begins, TEXT[begins:ends]))
    return read((stream + events.feed(SPOKEN)).removeprefix(HEARTBEAT))


@pytest.mark.parametrize("cuts", [(0,), (0, 1, 2, 9), (), (0, 24)])
def test_whoever_comes_back_gets_what_follows_and_nothing_twice(cuts):
    first = streamed(0, 3, 4, 11)
    for number, event in enumerate(first):
        # The pieces are others, now that it is told again.
        rest = streamed(*cuts, after=event["sequence_number"])
        seen = [*first[: number + 1], *rest]
        numbers = [each["sequence_number"] for each in seen]
        assert numbers == sorted(set(numbers))
        said = [e["delta"] for e in seen if e["type"] == "response.output_text.delta"]
        assert "".join(said) == TEXT
        kinds = [e["type"] for e in seen if "delta" not in e["type"]]
        assert kinds == [e["type"] for e in first if "delta" not in e["type"]]
        assert seen[-1]["type"] == "response.completed"


def test_behind_the_end_nothing_follows():
    last = streamed(0)[-1]["sequence_number"]
    events = ResponseEvents("resp_1", ABOUT, after=last)
    assert events.first() == HEARTBEAT
    assert events.feed(SPOKEN) == b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "query, asked",
    [
        ("", responses.Asked()),
        ("include=x&stream=false", responses.Asked()),
        ("stream=true", responses.Asked(stream=True)),
        ("stream=true&starting_after=7", responses.Asked(stream=True, after=7)),
    ],
)
def test_how_a_response_is_read_is_in_the_query(query, asked):
    assert responses.read_query(query) == asked


@pytest.mark.parametrize(
    "query, param",
    [
        ("stream=1", "stream"),
        ("stream=true&starting_after=-1", "starting_after"),
        ("stream=true&starting_after=", "starting_after"),
        ("stream=true&starting_after=1e3", "starting_after"),
        ("stream=true&starting_after=" + "9" * 16, "starting_after"),
        ("starting_after=3", "starting_after"),
    ],
)
def test_a_query_that_says_nothing_is_refused(query, param):
    problem = responses.read_query(query)
    assert isinstance(problem, Problem)
    assert (problem.status, problem.param) == (400, param)


def test_the_last_event_has_what_a_later_look_has():
    events = ResponseEvents("resp_1", ABOUT)
    stream = events.first()
    stream += events.feed(Delta("resp_1", 1, 0, "s"))
    ended = end("so", stop_reason="tool_calls", calls=(CALL,))
    stream += events.feed(ended)
    assert events.ended
    assert events.feed(ended) == b""
    *_, last = read(stream)
    assert last["response"] == orjson.loads(response.whole("resp_1", ABOUT, ended))
    text, call = last["response"]["output"]
    assert text["content"][0]["text"] == "so"
    assert (call["call_id"], call["arguments"]) == ("c1", '{"x":1}')


def test_what_was_sent_and_is_void_ends_the_stream():
    events = ResponseEvents("resp_1", ABOUT)
    stream = events.first() + events.feed(Delta("resp_1", 1, 0, "so"))
    stream += events.feed(Reset("resp_1", 2))
    assert events.ended
    *_, last = read(stream)
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["code"] == "answer_restarted"
