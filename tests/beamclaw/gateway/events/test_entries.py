"""A journal as clients read it: each kind of event, resets, ways that were left."""

import attrs
import pytest

from beamclaw.contracts import journal
from beamclaw.contracts.journal import (
    Answered,
    Body,
    Compacted,
    InboundTaken,
    Noted,
    Rewound,
    RunOver,
    RunStarted,
    SessionReset,
    ToolBegun,
    ToolEnded,
)
from beamclaw.contracts.ledger_rows import Event, SessionRow
from beamclaw.contracts.messages import (
    Message,
    Text,
    ToolCall,
    ToolResult,
    Usage,
    said,
)
from beamclaw.contracts.providers import StopReason
from beamclaw.gateway.events.entries import branches, entries, find, rest_before, short
from beamclaw.gateway.events.rows import Lately, lately, session_row, title_of

STARTED = RunStarted(epoch=1, agent="main", definition="d")
OVER = RunOver(outcome="ok", stop_reason="stop")
RESET = SessionReset(reason="reset", session_id="s2")


def events(*bodies: Body | tuple[str, Body]) -> list[Event]:
    """A journal of these, each with its run where one is given."""
    found: list[Event] = []
    for seq, given in enumerate(bodies, 1):
        run_id, body = given if isinstance(given, tuple) else (None, given)
        new = journal.event(body, at=float(seq), run_id=run_id)
        found.append(
            Event(
                seq=seq,
                kind=new.kind,
                version=new.version,
                at=new.at,
                body=new.body,
                run_id=run_id,
                parent=new.parent,
            )
        )
    return found


def taken(*texts: str) -> InboundTaken:
    return InboundTaken(messages=tuple(said("user", t) for t in texts), inbox_id=1)


def answered(text: str, *calls: ToolCall, stop: StopReason = "stop") -> Answered:
    return Answered(
        attempt=1,
        message=Message("assistant", (Text(text), *calls)),
        stop_reason=stop,
        usage=Usage(10, 2, 4),
        provider="p",
        model="m",
    )


def turn(run: str, question: str, answer: str) -> tuple[Body | tuple[str, Body], ...]:
    return taken(question), (run, STARTED), (run, answered(answer)), (run, OVER)


def test_a_message_has_the_run_that_answers_it():
    user, assistant = entries(events(*turn("r1", "hello", "hi")))
    assert user.message == {
        "role": "user",
        "timestamp": 1000,
        "idempotencyKey": "r1:user",
        "content": [{"type": "text", "text": "hello"}],
        "__openclaw": {"id": "1", "seq": 1, "runId": "r1"},
    }
    assert assistant.message == {
        "role": "assistant",
        "timestamp": 3000,
        "content": [{"type": "text", "text": "hi"}],
        "stopReason": "stop",
        "usage": {
            "input": 6,
            "output": 2,
            "cacheRead": 4,
            "cacheWrite": 0,
            "totalTokens": 12,
        },
        "provider": "p",
        "model": "m",
        "__openclaw": {"id": "3", "seq": 3, "runId": "r1"},
    }


def test_several_messages_of_one_event_have_ids_of_their_own():
    found = entries(events(taken("one", "two")))
    assert [entry.id for entry in found] == ["1.0", "1.1"]
    assert find(found, "1.1") is found[1]
    assert find(found, "1") is None


def test_a_tool_call_and_its_result():
    call = ToolCall("c1", "look", '{"path": "x"}')
    result = ToolEnded(outcome="ok", result=ToolResult("c1", "seen", is_error=True))
    begun = ToolBegun(call_id="c1", tool="look", effect="pure", key="k")
    _, asked, told = entries(
        events(taken("go"), ("r", answered("", call, stop="tool_calls")), begun, result)
    )
    assert asked.message["stopReason"] == "toolUse"
    assert asked.message["content"][-1] == {
        "type": "toolCall",
        "id": "c1",
        "name": "look",
        "arguments": {"path": "x"},
    }
    assert told.role == "toolResult"
    assert told.message["toolName"] == "look"
    assert told.message["isError"] is True
    assert told.message["content"] == [{"type": "text", "text": "seen"}]


@pytest.mark.parametrize(
    "arguments, shown", [("", {}), ("{broken", {"unreadable": "{broken"}), ("[1]", [1])]
)
def test_arguments_are_shown_as_they_are(arguments, shown):
    (entry,) = entries(events(answered("", ToolCall("c", "t", arguments))))
    assert entry.message["content"][-1]["arguments"] == shown


def test_what_the_node_says_itself():
    over = RunOver(outcome="error", stop_reason="error", error="no such model")
    summary = Compacted(first=1, last=1, summary="short", method="trim", before=9)
    noted, compacted, failed = entries(events(Noted(text="hm"), summary, over))
    assert (noted.role, noted.text) == ("assistant", "hm")
    assert compacted.message["kind"] == "compaction"
    assert failed.message["errorMessage"] == "no such model"


def test_of_the_conversation_before_nothing_is_shown():
    found = events(*turn("r1", "old", "x"), RESET, *turn("r2", "new", "y"))
    assert [entry.text for entry in entries(found)] == ["new", "y"]


def test_what_was_gone_back_from_is_a_way_of_its_own():
    found = events(*turn("r1", "one", "x"), *turn("r2", "two", "y"), Rewound(to=4))
    assert [entry.text for entry in entries(found)] == ["one", "x"]
    now, left = branches(found)
    assert (now.seq, now.headline, now.active) == (9, "one", True)
    assert (left.seq, left.headline, left.messages) == (8, "two", 4)
    assert not left.active


def test_ways_of_the_conversation_before_are_not_offered():
    before = (*turn("r1", "one", "x"), Rewound(to=0))
    found = events(*before, RESET, *turn("r2", "new", "y"))
    assert [way.headline for way in branches(found)] == ["new"]
    assert branches([]) == []


@pytest.mark.parametrize("seq, rest", [(1, 0), (4, 0), (5, 4), (8, 4), (9, 8)])
def test_where_it_rested_before(seq, rest):
    found = events(*turn("r1", "one", "x"), *turn("r2", "two", "y"))
    assert rest_before(found, seq) == rest


def test_what_is_left_out_of_a_line():
    assert short("a\n  b", 10) == "a b"
    assert short("abcdef", 4) == "abc…"


# --- rows

ROW = SessionRow(
    key="agent:main:main",
    session_id="s1",
    agent="main",
    seq=4,
    created_at=1.0,
    updated_at=2.0,
)


def test_what_the_end_of_a_journal_says():
    found = lately(events(*turn("r1", "hello", "hi")))
    assert (found.outcome, found.run_id, found.preview) == ("ok", "r1", "hi")
    assert (found.provider, found.model) == ("p", "m")
    row = session_row(ROW, found, window=100, preview=True)
    assert row["status"] == "done"
    assert row["totalTokens"] == 12
    assert (row["contextTokens"], row["lastMessagePreview"]) == (100, "hi")
    assert lately([]) == Lately()


@pytest.mark.parametrize(
    "key, kind, chat, via",
    [
        ("agent:main:main", "direct", "direct", "operator"),
        ("agent:main:telegram:group:1", "group", "group", "channel"),
        ("agent:main:slack:channel:1", "group", "channel", "channel"),
        ("agent:main:subagent:1", "direct", "direct", "spawn"),
        ("agent:main:cron:1", "unknown", "direct", "cron"),
        ("global", "global", "direct", "operator"),
    ],
)
def test_what_sort_of_session_it_is(key, kind, chat, via):
    channel = {"channel": "telegram"}.get(via, "http")
    row = session_row(attrs.evolve(ROW, key=key, channel=channel))
    assert (row["kind"], row["chatType"], row["createdVia"]) == (kind, chat, via)


def test_a_message_that_waits_is_work():
    row = session_row(ROW, Lately(outcome="ok", run_id="r1", waiting=("r2",)))
    assert (row["status"], row["activeRunIds"]) == ("queued", ["r2"])
    assert title_of(events(taken("x" * 100))) == "x" * 59 + "…"
