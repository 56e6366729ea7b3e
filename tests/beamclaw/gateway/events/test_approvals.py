"""What is proved: a question is told as it stands, and nothing in it is invisible."""

import attrs
import pytest

from beamclaw.contracts.approvals import Grant, GrantRow
from beamclaw.contracts.ledger_rows import WaitRow
from beamclaw.gateway.events import approvals as shown

ROW = WaitRow(
    wait_id="r1/c1",
    session_key="agent:main:main",
    run_id="r1",
    question="run: ls \u202e",
    at=5.0,
    expires_at=60.0,
    agent="main",
    details={
        "command": "ls \u202e",
        "program": "/bin/ls",
        "folder": "/ws",
        "why": "asked for",
    },
)
GRANT = Grant(tool="exec", pattern="/bin/ls", words="ls\x1b[2J")


def test_an_open_question():
    told = shown.pending(attrs.evolve(ROW, grant=GRANT))
    assert told["id"] == "r1/c1"
    assert (told["createdAtMs"], told["expiresAtMs"]) == (5_000, 60_000)
    assert told["request"]["command"] == "ls \\u202e"
    assert told["request"]["resolvedPath"] == "/bin/ls"
    assert told["request"]["cwd"] == "/ws"
    assert told["request"]["allowedDecisions"] == ["allow-once", "allow-always", "deny"]
    assert "unavailableDecisions" not in told["request"]


def test_what_can_be_allowed_once_only_says_so():
    asked = shown.request(ROW)
    assert asked["allowedDecisions"] == ["allow-once", "deny"]
    assert asked["unavailableDecisions"] == ["allow-always"]


def test_a_question_of_another_tool_is_told_by_its_words():
    assert shown.command(attrs.evolve(ROW, details={})) == "run: ls \\u202e"
    assert shown.warning(attrs.evolve(ROW, details={})) is None


@pytest.mark.parametrize(
    ("more", "now", "status", "decision", "reason"),
    [
        ({}, 10, "pending", None, None),
        ({}, 60, "expired", None, "timeout"),
        ({"verdict": "allow"}, 10, "allowed", "allow-once", "user"),
        ({"verdict": "allow", "always": True}, 10, "allowed", "allow-always", "user"),
        ({"verdict": "deny", "closed_at": 9.0}, 10, "denied", "deny", "user"),
        ({"verdict": "expired"}, 70, "expired", None, "timeout"),
        ({"closed_at": 60.0}, 70, "expired", None, "timeout"),
        ({"closed_at": 9.0}, 70, "cancelled", None, "run-aborted"),
    ],
)
def test_how_it_stands(more, now, status, decision, reason):
    told = shown.snapshot(attrs.evolve(ROW, **more), now)
    assert told["status"] == status
    assert told.get("decision") == decision
    assert told.get("reason") == reason
    assert told["urlPath"] == "/approve/r1%2Fc1"
    assert ("resolvedAtMs" in told) == (status != "pending")


def test_what_nobody_answered_is_told_as_denied():
    assert shown.resolved(ROW, 61.0)["decision"] == "deny"
    assert shown.resolved(attrs.evolve(ROW, by="anna"), 61.0)["resolvedBy"] == "anna"


def test_what_was_allowed_for_good():
    row = GrantRow(id=3, agent="main", grant=GRANT, at=5.0, by="anna", wait_id="w")
    told = shown.grant(row)
    assert (told["grantId"], told["command"]) == ("3", "ls\\u001b[2J")
    assert told["revokedAtMs"] is None


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("ls -l\n\tx", "ls -l\n\tx"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("a\u200bb", "a\\u200bb"),
        ("a\rb\x00", "a\\u000db\\u0000"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("größe 中 😀", "größe 中 😀"),
    ],
)
def test_nothing_is_invisible(text, seen):
    assert shown.visible(text) == seen
