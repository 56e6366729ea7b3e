"""What ``beamclaw status`` shows."""

from typing import Any

from beamclaw.cli.status import lines

FOUND: dict[str, Any] = {
    "version": "0.1.0",
    "pid": 7,
    "uptime": 3.0,
    "data": "/data",
    "address": None,
    "agent": {"id": "main", "model": "demo/demo", "why": "so"},
    "providers": {},
    "tenants": {},
    "processes": 50,
}


def test_what_is_wrong_with_the_file_and_what_waits_is_said():
    config = {
        "waiting": ["a"],
        "words": "at the next start: a",
        "trouble": "f:1:1: b",
        "warnings": ["f:2:1: c: unknown key"],
    }
    shown = list(lines(FOUND | {"config": config}))
    assert "WRONG     f:1:1: b; what held goes on to hold" in shown
    assert "doubtful  f:2:1: c: unknown key" in shown
    assert "waiting   at the next start: a" in shown


def test_a_node_of_an_earlier_version_is_shown_as_far_as_it_says():
    assert list(lines(FOUND))[-1] == "processes 50"
