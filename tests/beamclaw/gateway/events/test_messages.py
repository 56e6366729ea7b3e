"""What is proved: which run each message of a conversation is shown to be of."""

import attrs

from beamclaw.contracts.journal import (
    InboundTaken,
    Noted,
    RunOver,
    RunStarted,
    SessionReset,
    event,
)
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import said
from beamclaw.gateway.events.messages import messages, runs_of

TAKEN = InboundTaken(messages=(said("user", "hi"),), inbox_id=1)
STARTED = RunStarted(epoch=1, agent="main", definition="d")
OVER = RunOver(outcome="ok", stop_reason="stop")
NOTE = Noted(text="remember")
RESET = SessionReset(reason="reset", session_id="s2")


def test_messages_are_of_the_run_that_they_begin():
    events = [(None, TAKEN), (None, TAKEN), ("r1", STARTED), ("r1", OVER)]
    assert runs_of(events) == ["r1"] * 4


def test_what_stands_between_two_runs_is_of_neither():
    events = [("r1", OVER), (None, NOTE), (None, RESET), (None, TAKEN), ("r2", STARTED)]
    assert runs_of(events) == ["r1", None, None, "r2", "r2"]


def test_a_message_that_has_begun_no_run_yet_is_of_none():
    assert runs_of([("r1", OVER), (None, TAKEN)]) == ["r1", None]


def test_a_message_is_known_by_the_run_that_its_sender_was_given():
    joined = attrs.evolve(TAKEN, joins="r2")
    told = [(None, TAKEN), ("r1", STARTED), ("r1", joined), ("r1", OVER)]
    rows = messages(
        [
            Event(seq=seq, **attrs.asdict(event(body, at=0.0, run_id=run_id)))
            for seq, (run_id, body) in enumerate(told, 1)
        ]
    )
    found = [(row["idempotencyKey"], row["__openclaw"]["runId"]) for row in rows]
    assert found == [("r1:user", "r1"), ("r2:user", "r1")]
