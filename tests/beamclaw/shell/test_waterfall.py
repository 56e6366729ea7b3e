"""The waterfall of a turn from its journal: one case per shape of a turn."""

import pytest

from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
    InboundTaken,
    Revived,
    RunOver,
    RunStarted,
    ToolBegun,
    ToolEnded,
    WaitBegun,
    WaitOver,
    event,
)
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import ToolResult, Usage, said
from beamclaw.shell.waterfall import last_run, shown, waterfall

TAKEN = InboundTaken(messages=(said("user", "hello"),), inbox_id=1)
STARTED = RunStarted(epoch=1, agent="main", definition="d")
ASKED = Asked(attempt=1, provider="p", model="m")
ANSWERED = Answered(
    attempt=1, message=said("assistant", "hi"), stop_reason="stop", usage=Usage(1, 1)
)
OVER = RunOver(outcome="ok", stop_reason="stop")
BEGUN = ToolBegun(call_id="c", tool="read", effect="pure", key="k")
ENDED = ToolEnded(outcome="ok", result=ToolResult(id="c", text="x"))


def journal(*bodies, run_id="r"):
    found = []
    for seq, (at, body) in enumerate(bodies, 1):
        new = event(body, at=at, run_id=run_id)
        found.append(
            Event(
                seq=seq,
                kind=new.kind,
                version=new.version,
                at=at,
                body=new.body,
                run_id=run_id,
            )
        )
    return found


CASES = [
    (
        "a turn without a tool",
        [(2.0, TAKEN), (2.0, STARTED), (3.0, ASKED), (7.0, ANSWERED), (7.5, OVER)],
        [
            ("queue", 1.0, 2.0, "ok"),
            ("model", 3.0, 7.0, "ok"),
            ("delivery", 7.0, 7.5, "ok"),
        ],
    ),
    (
        "a tool that a person has agreed to",
        [
            (2.0, STARTED),
            (3.0, ASKED),
            (4.0, ANSWERED),
            (4.0, WaitBegun(wait_id="w", call_id="c", question="?", expires_at=99.0)),
            (9.0, WaitOver(wait_id="w", verdict="allow")),
            (9.0, BEGUN),
            (10.0, ENDED),
        ],
        [
            ("queue", 1.0, 2.0, "ok"),
            ("model", 3.0, 4.0, "ok"),
            ("person", 4.0, 9.0, "allow"),
            ("tool", 9.0, 10.0, "ok"),
        ],
    ),
    (
        "a call that failed, and one that is in progress",
        [
            (2.0, STARTED),
            (3.0, ASKED),
            (4.0, AttemptFailed(attempt=1, kind="overloaded", error="busy")),
            (5.0, ASKED),
        ],
        [
            ("queue", 1.0, 2.0, "ok"),
            ("model", 3.0, 4.0, "overloaded"),
            ("model", 5.0, None, "in progress"),
        ],
    ),
    (
        "a death in the middle of a call",
        [
            (2.0, STARTED),
            (3.0, ASKED),
            (8.0, Revived()),
            (8.5, RunStarted(epoch=2, agent="main", definition="d")),
            (8.6, ASKED),
        ],
        [
            ("queue", 1.0, 2.0, "ok"),
            ("model", 3.0, 3.0, "cut off"),
            ("death", 3.0, 8.5, "taken over, 2 in all"),
            ("model", 8.6, None, "in progress"),
        ],
    ),
]


@pytest.mark.parametrize(
    "words, bodies, expected", CASES, ids=[case[0] for case in CASES]
)
def test_the_spans_of_a_turn(words, bodies, expected):
    found = waterfall("r", journal(*bodies), queued_at=1.0)
    spans = [(each.kind, each.begun, each.ended, each.outcome) for each in found.spans]
    assert spans == expected


def test_only_the_events_of_that_turn_count():
    events = [*journal((1.0, STARTED)), *journal((2.0, STARTED), run_id="other")]
    assert last_run(events) == "other"
    assert len(waterfall("r", events).spans) == 1
    assert last_run([]) is None


def test_seconds_count_from_the_beginning_of_the_turn():
    bodies = [(12.0, TAKEN), (13.0, ASKED)]
    found = shown(waterfall("r", journal(*bodies), queued_at=10.0), now=20.0)
    assert (found["at"], found["seconds"], found["outcome"]) == (
        10.0,
        10.0,
        "in progress",
    )
    assert [(s["after"], s["seconds"]) for s in found["spans"]] == [
        (0.0, 2.0),
        (3.0, 7.0),
    ]
    assert shown(waterfall("nobody", []), now=5.0)["seconds"] == 0.0
