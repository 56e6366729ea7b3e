"""What a turn in progress waits for, in words."""

import pytest

from beamclaw.contracts.messages import ModelParams, ToolCall
from beamclaw.contracts.open_turn import Begun, Call, Child, OpenTurn, Wait
from beamclaw.contracts.subagents import ChildBegun

BEGUN = Begun(effect="unsafe", key="k", attempt=1)
ASKED = ToolCall("c", "exec", "{}")
CHILD = Child(
    call_id="c",
    begun=ChildBegun(run_id="r2", session_key="k2", kind="spawn", mode="wait"),
)


@pytest.mark.parametrize(
    "more, words",
    [
        ({}, "its next step"),
        ({"asking": True}, "a model"),
        ({"calls": (Call(asked=ASKED),)}, "its next step"),
        ({"calls": (Call(asked=ASKED, begun=BEGUN),)}, "the tool exec"),
        (
            {"calls": (Call(asked=ASKED, wait=Wait(id="w", expires_at=1.0)),)},
            "a person's answer",
        ),
        (
            {
                "calls": (
                    Call(
                        asked=ASKED,
                        begun=BEGUN,
                        wait=Wait(id="w", expires_at=1.0, verdict="allow"),
                    ),
                )
            },
            "the tool exec",
        ),
        (
            {"calls": (Call(asked=ASKED, begun=BEGUN),), "children": (CHILD,)},
            "a sub-agent",
        ),
    ],
)
def test_what_a_turn_waits_for_is_said_without_a_word_of_it(more, words):
    turn = OpenTurn(
        run_id="r",
        epoch=1,
        agent="main",
        definition="d",
        params=ModelParams(),
        retractable=True,
        **more,
    )
    assert turn.waits_for == words
