"""What a model writes for the tools that are done with sessions, and what it means."""

from typing import Any

import pytest

from beamclaw.contracts.subagents import HandOver, Request, Send, Spawn, Yield
from beamclaw.contracts.tools import Order, ToolFailed
from beamclaw.tools.session_acts import session_acts

TOOLS = {tool.spec.name: tool for tool in session_acts()}


def order(tool: str, arguments: dict[str, Any]) -> Order:
    return Order(
        tenant="default",
        session_key="agent:main:main",
        run_id="r",
        call_id="c",
        tool=tool,
        arguments=arguments,
        key="r/c",
    )


@pytest.mark.parametrize(
    "tool, arguments, request_",
    [
        ("sessions_spawn", {"task": "look"}, Spawn(task="look")),
        (
            "sessions_spawn",
            {
                "task": "look",
                "label": "l",
                "agentId": "other",
                "model": "demo/x",
                "mode": "wait",
                "context": "fork",
                "runTimeoutSeconds": 60,
                "modelCalls": 3,
                "toolCalls": 4,
                "tokens": 5,
                "cost": 0.5,
            },
            Spawn(
                task="look",
                label="l",
                agent="other",
                model="demo/x",
                mode="wait",
                context="fork",
                seconds=60.0,
                model_calls=3,
                tool_calls=4,
                tokens=5,
                cost=0.5,
            ),
        ),
        # As OpenClaw says it: no limit.
        (
            "sessions_spawn",
            {"task": "look", "runTimeoutSeconds": 0},
            Spawn(task="look"),
        ),
        (
            "sessions_send",
            {"sessionKey": "main", "message": "hello"},
            Send(session_key="main", text="hello"),
        ),
        (
            "sessions_send",
            {"sessionKey": "main", "message": "hello", "reply": False},
            Send(session_key="main", text="hello", reply=False),
        ),
        ("sessions_hand_over", {"agentId": "other"}, HandOver("other")),
        ("sessions_yield", {}, Yield()),
        ("sessions_yield", {"message": "the sub-agents"}, Yield()),
    ],
)
def test_what_is_meant(tool: str, arguments: dict[str, Any], request_: Request):
    assert TOOLS[tool].request(order(tool, arguments)) == request_


@pytest.mark.parametrize(
    "tool, arguments, words",
    [
        ("sessions_spawn", {}, "- 'task' is missing"),
        ("sessions_spawn", {"task": ""}, "- task: expected a length of at least 1"),
        (
            "sessions_spawn",
            {"task": "x", "mode": "run"},
            "- mode: expected one of wait, announce, found the text 'run'",
        ),
        ("sessions_send", {"sessionKey": "x", "text": "y"}, "there is no 'text' here"),
        ("sessions_yield", {"until": "x"}, "there is no 'until' here"),
    ],
)
def test_what_does_not_fit_is_said(tool: str, arguments: dict[str, Any], words: str):
    with pytest.raises(ToolFailed) as failed:
        TOOLS[tool].request(order(tool, arguments))
    assert f"{tool} was not done, its arguments do not fit:" in str(failed.value)
    assert words in str(failed.value)
