"""A request's agent, session and parameters; its messages have a file of their own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.messages import AnswerFormat, ClientTool, ToolChoice
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.ask import Ask
from beamclaw.gateway.openai import request as openai_request
from beamclaw.gateway.problem import Problem

AGENTS = Agents.of(["main", "bob"])
HELLO = [{"role": "user", "content": "hello"}]


def read(body, headers=(), *, most=100):
    return openai_request.read(body, dict(headers), AGENTS, max_messages=most)


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


# --- how


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": {}},
        {"tools": [{"type": "function", "function": {"name": "f"}}] * 129},
        {"tools": [{"type": "function", "function": {"name": "f"}}] * 2},
        {"tool_choice": "required"},
        {"tool_choice": "some"},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "allowed_tools"}},
        {"functions": [{}]},
        {"function_call": "auto"},
        {"logprobs": True},
        {"logit_bias": {"5": 1}},
        {"modalities": ["audio"]},
        {"verbosity": "low"},
        {"reasoning_effort": "hard"},
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


@pytest.mark.parametrize("mode", ["steer", "followup", "collect", "interrupt"])
def test_a_request_says_how_it_queues(mode):
    asked = ask({"x-openclaw-queue-mode": mode})
    assert asked.inbound(tenant="t", run_id="r", unique="u").queue == mode
    assert ask({}).queue == "followup"


def test_a_queue_mode_that_is_none_is_refused_in_words():
    problem = refused({"x-openclaw-queue-mode": "jump"})
    assert "steer, followup, collect, interrupt, not 'jump'" in problem.message


# --- tools of the client


def tool(name: str = "f", **more) -> dict:
    return {"type": "function", "function": {"name": name, **more}}


def test_tools_are_the_clients():
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    params = ask(
        tools=[tool("f", description="d", parameters=schema, strict=True), tool("g")],
        parallel_tool_calls=False,
    ).params
    assert params.tools == (
        ClientTool(name="f", description="d", parameters=schema, strict=True),
        ClientTool(name="g", parameters={"type": "object"}),
    )
    assert params.parallel is False
    assert params.choice is None


@pytest.mark.parametrize(
    "choice, names, chosen",
    [
        (None, ["f", "g"], None),
        ("auto", ["f", "g"], None),
        ("none", [], None),
        ("required", ["f", "g"], ToolChoice()),
        (tool("g"), ["f", "g"], ToolChoice("g")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [tool("g")]},
            },
            ["g"],
            ToolChoice(),
        ),
    ],
)
def test_the_client_says_which_tools_are_asked_for(choice, names, chosen):
    params = ask(tools=[tool("f"), tool("g")], tool_choice=choice).params
    assert [each.name for each in params.tools] == names
    assert params.choice == chosen


@pytest.mark.parametrize(
    "wrong, param",
    [
        (5, "tools[0]"),
        ({"type": "web_search"}, "tools[0]"),
        ({"type": "function"}, "tools[0].function.name"),
        (tool("a b"), "tools[0].function.name"),
        (tool(description=5), "tools[0].function.description"),
        (tool(parameters=[]), "tools[0].function.parameters"),
        (tool(strict="yes"), "tools[0].function.strict"),
    ],
)
def test_a_tool_that_is_none_is_refused_by_name(wrong, param):
    assert refused(tools=[wrong]).param == param


@pytest.mark.parametrize(
    "given, read",
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, AnswerFormat()),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}},
            },
            AnswerFormat(name="n", schema={"type": "object"}),
        ),
    ],
)
def test_the_form_of_the_answer_is_read(given, read):
    assert ask(response_format=given).params.format == read


@pytest.mark.parametrize(
    "wrong",
    [
        5,
        {},
        {"type": "xml"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"schema": {}}},
    ],
)
def test_a_form_that_is_none_is_refused(wrong):
    param = refused(response_format=wrong).param
    assert param is not None
    assert param.startswith("response_format")
