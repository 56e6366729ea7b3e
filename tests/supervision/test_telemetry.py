"""Events."""

import logging

import pytest
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import _telemetry as telemetry
from supervision.testing import wait_exit
from tests.supervision.stage import child, crash, tree, wait


def test_a_handler_gets_events_until_it_is_detached():
    got = []
    detach = telemetry.attach(got.append)
    supervision.emit("a.b", {"n": 1}, {"x": "y"})
    detach()
    detach()
    supervision.emit("a.b")
    assert got == [telemetry.Event("a.b", {"n": 1}, {"x": "y"})]


def test_a_handler_that_fails_is_detached_and_hurts_nobody(events, caplog):
    calls = []

    def bad(event):
        calls.append(event)
        raise ValueError("bad sink")

    telemetry.attach(bad)
    supervision.emit("one")
    supervision.emit("two")
    assert len(calls) == 1
    assert events.names() == ["one", "two"]
    assert "bad sink" in caplog.text


async def test_crashes_and_restarts_are_events(events):
    with pytest.raises(supervision.SupervisorGaveUp):
        async with tree(child("c", crash, restart="transient"), max_restarts=2):
            await wait()
    names = events.names()
    assert names.count("supervision.process.crash") == 3
    assert names.count("supervision.child.restart") == 2
    assert names[-1] == "supervision.supervisor.gave_up"


async def test_without_a_handler_crashes_are_logged_at_a_limited_rate(
    caplog,
    monkeypatch,
    leaks,
):
    leaks.memory = False  # in the records of the log
    monkeypatch.setattr(telemetry, "_handlers", ())
    monkeypatch.setattr(telemetry, "_rate", telemetry._Rate())
    monkeypatch.setattr(telemetry.time, "monotonic", lambda: 1.0)
    with caplog.at_level(logging.ERROR, "supervision"):
        async with tree():
            for number in range(30):
                supervision.spawn(crash, f"crash {number}")
            await wait_all_tasks_blocked()
            monkeypatch.setattr(telemetry.time, "monotonic", lambda: 2.0)
            await wait_exit(supervision.spawn(crash, "the last"))
    assert len(caplog.records) == 11
    assert "OnPurpose: crash" in caplog.text
    assert "20 such lines were suppressed" in caplog.records[-1].message
    assert caplog.records[0].exc_info is not None
