"""A line of the log says to which trace it belongs, if it belongs to a turn."""

from typing import Any

import pytest

import supervision
from beamclaw.contracts import names, news
from beamclaw.contracts.tracing import Tracing, span_of
from beamclaw.telemetry import belonging
from beamclaw.telemetry.belonging import Belonging
from beamclaw.telemetry.contract import EVENTS, breach

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADER = f"00-{TRACE}-00f067aa0ba902b7-01"


def event(name: str, /, **told: Any) -> supervision.Event:
    """As the contract has it; what is not said is empty."""
    spec = EVENTS[name]
    metadata = {**dict.fromkeys(spec.told, ""), **told}
    made = supervision.Event(name, dict.fromkeys(spec.measured, 1), metadata)
    assert breach(made) is None
    return made


def started(run: str = "r", traceparent: str = HEADER) -> supervision.Event:
    where = {"tenant": "t", "session": f"s-{run}"}
    return event(news.TURN_STARTED, **where, run=run, traceparent=traceparent)


def ended(run: str = "r") -> supervision.Event:
    return event(news.TURN_ENDED, tenant="t", session=f"s-{run}", run=run)


@pytest.mark.parametrize(
    "told, step",
    [
        (event(news.CALLED, tenant="t", run="r"), news.model_step(1)),
        (event(news.TOOL_ENDED, tenant="t", run="r", call="c"), news.tool_step("c")),
        (event(news.MODEL_FAILED, tenant="t", run="r"), news.TURN_STEP),
        (event("beamclaw.tool.late", tenant="t", session="s-r"), news.TURN_STEP),
        (event("supervision.process.crash", name=names.run("t", "r")), news.TURN_STEP),
        (ended(), news.TURN_STEP),
    ],
)
def test_what_happens_in_a_turn_belongs_to_its_trace(told, step):
    turns = Belonging(Tracing(0.0))
    turns.take(started())
    assert turns.take(told) == {
        "trace_id": TRACE,
        "span_id": span_of("r", *step),
        "trace_flags": "01",
    }


@pytest.mark.parametrize(
    "told",
    [
        event("beamclaw.tool.late", tenant="t", session="another"),
        event("beamclaw.tool.late", tenant="another", session="s-r"),
        event("supervision.process.crash", name="store"),
        event("beamclaw.node.ready"),
        event(news.CALLED, tenant="t", run="another"),
    ],
)
def test_what_happens_elsewhere_belongs_to_none(told):
    turns = Belonging(Tracing(1.0))
    turns.take(started())
    assert turns.take(told) == {}


def test_after_its_end_nothing_belongs_to_a_turn():
    turns = Belonging(Tracing(1.0))
    turns.take(started())
    turns.take(ended())
    assert turns.take(event("beamclaw.tool.late", tenant="t", session="s-r")) == {}
    assert turns.take(ended()) == {}


def test_without_traces_there_is_nothing_to_say():
    turns = Belonging(Tracing())
    assert turns.take(started()) == {}
    assert turns.take(ended()) == {}


def test_turns_that_never_end_fill_nothing(monkeypatch):
    monkeypatch.setattr(belonging, "MOST_TURNS", 2)
    turns = Belonging(Tracing(1.0))
    for run in ("a", "b", "c"):
        assert turns.take(started(run, ""))
    assert turns.take(ended("a")) == {}
    late = event("beamclaw.tool.late", tenant="t", session="s-a")
    assert turns.take(late) == {}
    assert turns.take(ended("c"))["trace_flags"] == "01"
