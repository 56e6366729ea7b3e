"""What of a message becomes part of a transcript, and of what nobody waits for."""

import pytest

from beamclaw.contracts.intake import NOT_GIVEN, taken, unasked
from beamclaw.contracts.journal import Answered, InboundTaken, RunOver, RunStarted
from beamclaw.contracts.messages import (
    ClientTool,
    Message,
    ModelParams,
    ToolCall,
    ToolResult,
    Usage,
    said,
)
from beamclaw.contracts.repair import repaired
from beamclaw.contracts.sessions import Inbound
from beamclaw.contracts.transcript import Fact, Transcript, advance

HI, MORE = said("user", "hi"), said("user", "more")
ASKED = Message("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")))
PARAMS = ModelParams(tools=(ClientTool(name="f"),))


def result(id_: str, text: str = "done") -> Message:
    return Message("tool", (ToolResult(id_, text),))


def missing(id_: str) -> Message:
    return Message("tool", (ToolResult(id_, NOT_GIVEN, is_error=True),))


def inbound(*messages: Message, follows: str | None = None) -> Inbound:
    return Inbound(
        tenant="default",
        source="http",
        account="gateway",
        conversation="",
        external_id="e",
        session_key="agent:main:main",
        agent="main",
        messages=messages,
        run_id="r2",
        follows=follows,
    )


@pytest.mark.parametrize(
    ("messages", "owed", "kept"),
    [
        ((HI, MORE), (), (MORE,)),
        ((HI, ASKED, result("a"), result("b")), ("a", "b"), (result("a"), result("b"))),
        ((HI, ASKED, result("b")), ("a", "b"), (missing("a"), result("b"))),
        (
            (HI, ASKED, result("a"), result("b"), MORE),
            ("a", "b"),
            (result("a"), result("b"), MORE),
        ),
        ((MORE,), ("a",), (missing("a"), MORE)),
    ],
)
def test_each_call_that_is_owed_gets_one_result(messages, owed, kept):
    assert taken(inbound(*messages), fresh=False, owed=owed) == kept


def test_all_is_new_where_there_was_nothing_and_behind_a_run():
    everything = (HI, ASKED, result("a"), result("b"))
    assert taken(inbound(*everything), fresh=True) == everything
    behind = inbound(MORE, result("a"), HI, follows="r1")
    assert taken(behind, fresh=False, owed=("a",)) == (result("a"), MORE, HI)


@pytest.mark.parametrize(
    ("given", "owed", "wrong"),
    [
        (inbound(HI, ASKED, result("a"), result("b")), ("a", "b"), False),
        (inbound(HI, ASKED, result("a"), result("b")), (), True),
        (inbound(HI, ASKED, result("a"), result("b"), MORE), (), False),
        (inbound(result("a"), follows="r1"), ("a",), False),
        (inbound(result("x"), follows="r1"), ("a",), True),
        (inbound(ASKED, result("a"), result("b"), follows="r1"), (), False),
    ],
)
def test_results_that_nobody_waits_for_are_known(given, owed, wrong):
    assert unasked(given, owed) is wrong


def test_a_transcript_says_what_it_owes_until_the_next_message():
    run = RunStarted(epoch=1, agent="main", definition="h", params=PARAMS)
    answered = Answered(
        attempt=1, message=ASKED, stop_reason="tool_calls", usage=Usage()
    )
    over = RunOver(outcome="ok", stop_reason="tool_calls")
    facts = [
        Fact(InboundTaken(messages=(HI,), inbox_id=1)),
        Fact(run, "r1"),
        Fact(answered, "r1"),
        Fact(over, "r1"),
    ]
    state = advance(Transcript(), facts)
    assert (state.owed, state.last_run) == (("a", "b"), "r1")
    # Nothing is wrong with it: the client has them.
    assert repaired(state) is None
    new = taken(inbound(MORE), fresh=False, owed=state.owed)
    state = advance(state, [Fact(InboundTaken(messages=new, inbox_id=2))])
    assert state.owed == ()
    assert repaired(state) is None
