"""What is proved: what was said is found, where one may look, and no more than that is read."""

import pytest

from beamclaw.contracts.journal import Answered, InboundTaken, SessionReset, event
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import Usage, said
from beamclaw.gateway.methods import searching
from tests.beamclaw.gateway.methods.conftest import said as say
from tests.beamclaw.gateway.methods.test_sessions import KEY, begun, ok, refused


def journal(*texts: str) -> list[Event]:
    """A person and an agent in turn; "" begins a new conversation."""
    bodies = [
        SessionReset(reason="reset", session_id="s")
        if not text
        else InboundTaken(messages=(said("user", text),), inbox_id=1)
        if place % 2 == 0
        else Answered(
            attempt=1,
            message=said("assistant", text),
            stop_reason="stop",
            usage=Usage(1, 1),
        )
        for place, text in enumerate(texts)
    ]
    made = (event(body, at=float(seq)) for seq, body in enumerate(bodies))
    return [
        Event(seq=seq, kind=new.kind, version=new.version, at=new.at, body=new.body)
        for seq, new in enumerate(made, 1)
    ]


@pytest.mark.parametrize("whole", [True, False])
def test_all_words_have_to_stand_in_one_message(whole):
    events = journal("Blue cheese", "cheese", "green", "BLUE and cheese and blue")
    found = searching.hits_in(events, ["blue", "cheese"], whole=whole)
    assert [entry.seq for _, entry in found] == [1, 4]
    assert found[1][0] > found[0][0]


@pytest.mark.parametrize("whole", [True, False])
def test_a_conversation_that_is_over_is_not_looked_at(whole):
    events = journal("blue", "", "blue")
    found = searching.hits_in(events, ["blue"], whole=whole)
    assert [entry.seq for _, entry in found] == [3]


def test_a_snippet_shows_what_was_found():
    text = "a " * 200 + "needle" + " b" * 200
    shown = searching.snippet(text, ["needle"])
    assert "needle" in shown
    assert (shown[0], shown[-1], len(shown) < 300) == ("…", "…", True)
    assert searching.snippet("short\ntext", ["none"]) == "short text"


async def test_what_was_said_is_found(talk):
    await begun(talk)
    await begun(talk, "agent:bob:main")
    await say(talk, KEY, "the blue whale", "k1")
    await say(talk, "agent:bob:main", "a blue bird", "k2")
    found = await ok(talk, "sessions.search", {"query": "BLUE whale"})
    texts = {(each["sessionKey"], each["role"]) for each in found["results"]}
    assert (KEY, "user") in texts
    assert {key for key, _ in texts} == {KEY}
    assert "truncated" not in found
    first = found["results"][0]
    whole = await ok(
        talk,
        "chat.message.get",
        {"sessionKey": KEY, "messageId": first["messageId"]},
    )
    assert "blue whale" in whole["message"]["content"][0]["text"]
    for params, keys in (
        ({"agentId": "bob"}, {"agent:bob:main"}),
        ({"sessionKeys": ["main"]}, {KEY}),
        ({"sessionKeys": ["agent:main:none"]}, set[str]()),
        ({"query": "  "}, set[str]()),
        ({"query": "purple"}, set[str]()),
    ):
        found = await ok(talk, "sessions.search", {"query": "blue", **params})
        assert {each["sessionKey"] for each in found["results"]} == keys
    one = await ok(talk, "sessions.search", {"query": "blue", "limit": 1})
    assert len(one["results"]) == 1
    error = await refused(talk, "sessions.search", {"query": "x", "agentId": "nobody"})
    assert "there is no agent 'nobody'" in error["message"]


async def test_no_more_is_read_than_is_said(talk, monkeypatch):
    await begun(talk)
    await say(talk, KEY, "needle", "k1")
    await say(talk, KEY, "hay", "k2")
    monkeypatch.setattr(searching, "MOST_EVENTS_EACH", 3)
    found = await ok(talk, "sessions.search", {"query": "needle"})
    assert found == {"results": [], "truncated": True}
    monkeypatch.setattr(searching, "MOST_EVENTS_EACH", 1000)
    monkeypatch.setattr(searching, "MOST_EVENTS", 0)
    found = await ok(talk, "sessions.search", {"query": "needle"})
    assert found == {"results": [], "truncated": True}
