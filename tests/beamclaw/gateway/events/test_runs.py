"""What is proved: a turn's journal and words are told in order, numbered, each once."""

from typing import Any

import pytest

from beamclaw.contracts.journal import (
    Answered,
    Asked,
    InboundTaken,
    RunOver,
    RunStarted,
    ToolBegun,
    ToolEnded,
)
from beamclaw.contracts.messages import Message, Text, ToolCall, ToolResult, Usage, said
from beamclaw.contracts.sessions import Delta, Joined, Reset, RunEnded, Waiting
from beamclaw.gateway.events.runs import Told, Turn

KEY = "agent:main:main"
NOW = 1_000


def turn() -> Turn:
    return Turn("r1", KEY)


def written(one: Turn, *bodies: Any) -> list[Told]:
    return [
        told
        for seq, body in enumerate(bodies, 1)
        for told in one.written(body, seq, 1.0, NOW)
    ]


def sees(one: Turn, *values: Any) -> list[Told]:
    found: list[Told] = []
    for value in values:
        told = one.sees(value, NOW)
        assert told is not None
        found += told
    return found


def brief(told: list[Told]) -> list[tuple[Any, ...]]:
    return [_brief(each) for each in told]


def _brief(each: Told) -> tuple[Any, ...]:
    payload = each.payload
    if each.event == "agent":
        data = payload["data"]
        return ("agent", payload["stream"], data.get("phase") or data.get("delta"))
    if each.event == "chat":
        said = payload.get("deltaText") or payload.get("phase")
        return ("chat", payload["state"], said)
    return (each.event, payload["message"]["role"], payload["messageSeq"])


def ended(text: str = "", **more: Any) -> RunEnded:
    given: dict[str, Any] = {"run_id": "r1", "outcome": "ok", "text": text}
    given["stop_reason"] = "stop"
    return RunEnded(**(given | more))


def test_a_turn_from_its_message_to_its_end():
    one = turn()
    begun = written(
        one,
        InboundTaken(messages=(said("user", "hi"),), inbox_id=1),
        RunStarted(epoch=1, agent="main", definition="x"),
        Asked(attempt=1, provider="p", model="m"),
    )
    assert brief(begun) == [
        ("session.message", "user", 1),
        ("chat", "status", "preparing_context"),
        ("agent", "lifecycle", "start"),
        ("agent", "lifecycle", "model"),
        ("chat", "status", "starting_model"),
    ]
    assert sees(one, Delta("r1", 1, 0, "po"), Delta("r1", 1, 2, "ng")) == []
    words = list(one.words(NOW))
    assert brief(words) == [("agent", "assistant", "pong"), ("chat", "delta", "pong")]
    assert words[1].payload["message"]["content"] == [{"type": "text", "text": "pong"}]
    assert not one.has_words
    answer = Answered(
        attempt=1,
        message=said("assistant", "pong!"),
        stop_reason="stop",
        usage=Usage(3, 2),
        provider="p",
        model="m",
    )
    over = written(one, answer, RunOver(outcome="ok", stop_reason="stop"))
    assert brief(over) == [
        ("session.message", "assistant", 1),
        ("agent", "usage", None),
    ]
    end = sees(one, ended("pong!", usage=Usage(3, 2)))
    assert brief(end) == [
        ("agent", "assistant", "!"),
        ("chat", "delta", "!"),
        ("agent", "lifecycle", "finishing"),
        ("agent", "lifecycle", "end"),
        ("chat", "final", None),
    ]
    assert not any(each.lossy for each in end)
    numbers = [
        each.payload["seq"]
        for each in (*begun, *words, *over, *end)
        if each.event != "session.message"
    ]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_message_of_a_turn_is_named_by_its_run():
    (row, _) = written(turn(), InboundTaken(messages=(said("user", "hi"),), inbox_id=1))
    assert row.payload["message"]["idempotencyKey"] == "r1:user"
    assert row.payload["message"]["__openclaw"] == {"id": "1", "seq": 1, "runId": "r1"}


def test_a_tool_call_with_what_it_was_given_and_what_came_of_it():
    one = turn()
    call = ToolCall("c1", "exec", '{"command": "ls"}')
    asked = Answered(
        attempt=1,
        message=Message("assistant", (Text("look"), call)),
        stop_reason="tool_calls",
        usage=Usage(),
    )
    begin = ToolBegun(call_id="c1", tool="exec", effect="unsafe", key="k")
    end = ToolEnded(outcome="ok", result=ToolResult("c1", "a b"))
    told = written(one, asked, begin, end)
    assert brief(told) == [
        ("session.message", "assistant", 1),
        ("agent", "usage", None),
        ("agent", "item", "start"),
        ("agent", "tool", "start"),
        ("session.message", "toolResult", 3),
        ("agent", "item", "end"),
        ("agent", "tool", "result"),
    ]
    assert told[0].payload["message"]["stopReason"] == "toolUse"
    assert told[3].payload["data"]["args"] == {"command": "ls"}
    assert told[3].needs == told[6].needs == "tool-events"
    assert told[4].payload["message"]["toolName"] == "exec"
    assert told[6].payload["data"]["result"]["content"][0]["text"] == "a b"


def test_text_that_is_taken_back_is_replaced():
    one = turn()
    sees(one, Delta("r1", 1, 0, "one two"))
    list(one.words(NOW))
    sees(one, Reset("r1", 2, 4), Delta("r1", 2, 4, "three"))
    agent, chat = one.words(NOW)
    assert chat.payload["replace"] is True
    assert chat.payload["deltaText"] == "one three"
    assert agent.payload["data"]["text"] == "one three"


def test_text_that_was_not_told_is_taken_back_in_silence():
    one = turn()
    sees(one, Delta("r1", 1, 0, "one"))
    list(one.words(NOW))
    sees(one, Delta("r1", 1, 3, " two"), Reset("r1", 2, 3), Delta("r1", 2, 3, " x"))
    _, chat = one.words(NOW)
    assert "replace" not in chat.payload
    assert chat.payload["deltaText"] == " x"


def test_a_gap_has_the_run_looked_at():
    one = turn()
    assert one.sees(Delta("r1", 1, 5, "x"), NOW) is None
    one.caught_up("hello x", 1)
    assert [each.payload.get("deltaText") for each in one.words(NOW)][1] == "hello x"


@pytest.mark.parametrize(
    "more, state, facts",
    [
        ({}, "final", {"stopReason": "stop"}),
        ({"outcome": "limited", "stop_reason": "tool_limit"}, "final", {}),
        (
            {"outcome": "aborted", "stop_reason": "aborted"},
            "aborted",
            {"stopReason": "rpc"},
        ),
        (
            {"outcome": "error", "error": "no", "error_kind": "timeout"},
            "error",
            {"errorMessage": "no", "errorKind": "timeout"},
        ),
        ({"outcome": "error", "error_kind": "odd"}, "error", {"errorKind": "unknown"}),
        ({"outcome": "quarantined", "error": "x"}, "error", {"errorMessage": "x"}),
    ],
)
def test_how_a_turn_ends(more, state, facts):
    final = sees(turn(), ended("so far", **more))[-1]
    assert final.payload["state"] == state
    assert final.payload["message"]["content"][0]["text"] == "so far"
    assert facts.items() <= final.payload.items()


def test_an_end_is_told_once():
    one = turn()
    assert sees(one, ended())
    assert sees(one, ended()) == []


def test_a_message_that_another_turn_answers_is_over_for_its_client():
    (final,) = sees(turn(), Joined("r1", "r0"))
    assert final.payload["state"] == "final"


def test_waits_are_no_events():
    assert sees(turn(), Waiting("r1", "model")) == []
