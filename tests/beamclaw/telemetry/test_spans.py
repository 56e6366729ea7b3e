"""From what a node tells of a turn to its spans: which, below which, and how many."""

from typing import Any

import pytest

import supervision
from beamclaw.contracts import news, sessions
from beamclaw.contracts.tracing import Peer, Tracing, span_of
from beamclaw.telemetry.contract import breach
from beamclaw.telemetry.traces import spans
from beamclaw.telemetry.traces.otlp import request
from beamclaw.telemetry.traces.spans import Spans
from beamclaw.telemetry.traces.steps import Span

TRACE, ABOVE = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{ABOVE}-01"
URL = "https://models.example/v1"
PEERS = {
    "p": Peer("openai", f"{URL}/chat/completions", f"{URL}/embeddings"),
    "demo": Peer("demo"),
}


def event(name: str, measured: dict[str, float], **told: Any) -> supervision.Event:
    """One that keeps the contract."""
    made = supervision.Event(name, measured, {"tenant": "t", "run": "r", **told})
    assert breach(made) is None
    return made


def accepted(**told: Any) -> supervision.Event:
    more = {"session": "s", "source": "http", "duplicate": False, **told}
    return event(sessions.ACCEPTED, {"seconds": 0.5}, **more)


def called(attempt: int = 1, resends: int = 0, **told: Any) -> supervision.Event:
    numbers = {
        "waited": 0.25,
        "first": 0.5,
        "seconds": 1.0,
        "cost": 0.5,
        "status": 0,
        "input": 10,
        "output": 4,
        "cached": 2,
        "stored": 3,
        "attempt": attempt,
        "resends": resends,
    }
    names = {"provider": "p", "model": "m", "purpose": "answer"}
    measured = {key: told.pop(key, value) for key, value in numbers.items()}
    more = {**names, "asked": True, "outcome": "ok", **told}
    return event(news.CALLED, measured, **more)


def tool(call: str = "c1", outcome: str = "ok") -> supervision.Event:
    told = {"call": call, "tool": "ls", "outcome": outcome}
    return event(news.TOOL_ENDED, {"seconds": 2.0}, **told)


def ended(traceparent: str = "", outcome: str = "ok", error: str = "") -> Any:
    numbers = {"seconds": 9.0, "model_calls": 1, "tool_calls": 1}
    told = {"session": "s", "agent": "main", "outcome": outcome, "error": error}
    return event(
        news.TURN_ENDED,
        {**numbers, "tokens": 14, "cost": 0.5},
        **told,
        traceparent=traceparent,
        tracestate="a=1" if traceparent else "",
    )


def of(*events: supervision.Event, sample: float = 1.0) -> list[Span]:
    """The spans after the last of *events*, which come a second apart."""
    made = Spans(Tracing(sample), PEERS)
    *before, last = events
    for now, each in enumerate(before, 100):
        assert made.take(each, now) == []
    found = made.take(last, 100 + len(before))
    assert made.lost == 0
    request(found, {}, "1")  # can be sent
    return found


def tree(found: list[Span]) -> list[tuple[str, str]]:
    """Each name with the name above it."""
    names = {span.id: span.name for span in found}
    assert len(names) == len(found)
    return [(span.name, names.get(span.parent, span.parent)) for span in found]


def test_a_turn_is_a_tree_below_who_asked():
    found = of(accepted(), called(), tool(), called(2), ended(HEADER))
    assert tree(found) == [
        ("message http", ABOVE),
        ("invoke_agent main", "message http"),
        ("chat m", "invoke_agent main"),
        ("POST", "chat m"),
        ("execute_tool ls", "invoke_agent main"),
        ("chat m", "invoke_agent main"),
        ("POST", "chat m"),
    ]
    assert {(span.trace, span.state) for span in found} == {(TRACE, "a=1")}
    assert {span.attributes["gen_ai.conversation.id"] for span in found} == {"s"}
    assert found[0].begun == 95.0  # the turn says that it took longer
    assert found[1].attributes["gen_ai.provider.name"] == "openai"


def test_whoever_sends_it_and_whoever_makes_it_mean_the_same_span():
    found = of(called(3), tool("c9"), ended(HEADER))
    ids = {span.name: span.id for span in found}
    assert ids["POST"] == span_of("r", *news.model_step(3))
    assert ids["execute_tool ls"] == span_of("r", *news.tool_step("c9"))
    sent = Tracing(1.0).outgoing("r", HEADER, *news.model_step(3))
    assert sent == f"00-{TRACE}-{ids['POST']}-01"


def test_what_is_asked_again_is_one_call_with_a_request_for_each_time():
    first = called(outcome="overloaded", status=529)
    again = called(2, 1, outcome="network")
    chat, *posts = of(first, again, called(3, 2), ended())[1:]
    assert [span.name for span in posts] == ["POST"] * 3
    assert {span.parent for span in posts} == {chat.id}
    assert [span.error for span in posts] == ["529", "network", ""]
    assert (chat.begun, chat.ended, chat.error) == (100 - 1.25, 102, "")
    assert chat.attributes["gen_ai.usage.input_tokens"] == 30
    assert chat.attributes["beamclaw.cost_dollars"] == 1.5
    counts = [span.attributes.get("http.request.resend_count") for span in posts]
    assert counts == [None, 1, 2]
    status = [span.attributes.get("http.response.status_code") for span in posts]
    assert status == [529, None, 200]


@pytest.mark.parametrize(
    "told", [{"asked": False}, {"provider": "demo"}, {"provider": "?"}]
)
def test_where_nothing_went_out_there_is_no_request(told):
    _, chat = of(
        called(outcome="overloaded", **told), ended(outcome="error", error="x")
    )
    assert (chat.name, chat.error) == ("chat m", "overloaded")
    name = chat.attributes["gen_ai.provider.name"]
    assert name == {"demo": "demo", "?": "?"}.get(told.get("provider", ""), "openai")


def test_an_order_of_vectors_has_no_turn_above_it():
    over = event(
        news.ORDER_ENDED,
        {"seconds": 1.0},
        outcome="ok",
        traceparent=HEADER,
        tracestate="",
    )
    found = of(called(purpose="embeddings", output=0), over)
    assert tree(found) == [("embeddings m", ABOVE), ("POST", "embeddings m")]
    assert found[1].attributes["url.full"] == f"{URL}/embeddings"
    assert found[1].attributes["server.port"] == 443


@pytest.mark.parametrize(
    "header, sample, kept",
    [
        (f"00-{TRACE}-{ABOVE}-00", 1.0, False),
        (HEADER, 0.0, True),
        ("", 0.0, False),
        ("", 1.0, True),
    ],
)
def test_what_nobody_keeps_is_not_sent(header, sample, kept):
    assert bool(of(called(), ended(header), sample=sample)) is kept


def test_a_message_that_came_twice_was_handed_in_once():
    found = of(accepted(), accepted(duplicate=True), ended())
    assert [span.name for span in found] == ["message http", "invoke_agent main"]
    assert found[0].begun == 93.0  # as the turn: it took nine seconds


def test_of_one_turn_and_of_all_turns_there_are_so_many_spans(monkeypatch):
    monkeypatch.setattr(spans, "MOST_SPANS", 3)
    monkeypatch.setattr(spans, "MOST_TURNS", 2)
    made = Spans(Tracing(1.0), PEERS)
    for number in range(3):
        made.take(tool(f"c{number}"), 1.0)
    made.take(called(outcome="server"), 1.0)
    made.take(called(2, 1), 1.0)
    assert len(made.take(ended(), 2.0)) == 4
    assert made.lost == 4
    for run in ("a", "b", "c"):
        made.take(attrs_of(tool(), run), 1.0)
    assert made.lost == 5


def attrs_of(given: supervision.Event, run: str) -> supervision.Event:
    """The same of another run."""
    told = {**given.metadata, "run": run}
    return supervision.Event(given.name, given.measurements, told)
