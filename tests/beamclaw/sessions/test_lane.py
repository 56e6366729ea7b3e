"""What a session does next, as a table."""

import attrs
import pytest

from beamclaw.contracts.codec import encode
from beamclaw.contracts.intake import taken
from beamclaw.contracts.ledger_inbox import InboxRow
from beamclaw.contracts.messages import ModelParams, ToolCall, said
from beamclaw.contracts.open_turn import Call, OpenTurn
from beamclaw.contracts.open_turn import Wait as Question
from beamclaw.contracts.sessions import Inbound, QueueMode
from beamclaw.contracts.subagents import ChildEnd
from beamclaw.contracts.transcript import Transcript
from beamclaw.contracts.wanted import Wanted
from beamclaw.sessions.inbox import Inbox
from beamclaw.sessions.lane import (
    Begin,
    Close,
    Hand,
    Idle,
    Interrupt,
    Lane,
    Pending,
    Quarantine,
    Revive,
    Rules,
    Step,
    Wait,
    Withdraw,
    back_off,
    decide,
)

TURN = OpenTurn(
    run_id="r",
    epoch=1,
    agent="main",
    definition="h",
    params=ModelParams(),
    retractable=True,
    wanted=Wanted(source="http", account="gateway", conversation="c"),
)
INBOUND = Inbound(
    tenant="default",
    source="http",
    account="gateway",
    conversation="c",
    external_id="1",
    session_key="agent:main:main",
    agent="main",
    messages=(said("system", "be brief"), said("user", "a"), said("assistant", "b")),
    run_id="r1",
)
FIRST = Pending(1, INBOUND)
QUIET = Lane(
    transcript=Transcript(),
    pending=(),
    running=False,
    resting=False,
    intake=True,
    revivals=0,
)
OPEN = attrs.evolve(QUIET, transcript=Transcript(3, (), TURN))
GOING = attrs.evolve(OPEN, transcript=Transcript(3, (), attrs.evolve(TURN, progress=1)))
CALL = Call(asked=ToolCall("a", "send", "{}"), wait=Question(id="w", expires_at=9.0))
ASKED = attrs.evolve(
    QUIET, transcript=Transcript(3, (), attrs.evolve(TURN, calls=(CALL,)))
)
FULL = attrs.evolve(QUIET, pending=(FIRST, Pending(2, INBOUND)))
COLLECT = attrs.evolve(INBOUND, queue="collect")
COLLECTED = attrs.evolve(QUIET, pending=(FIRST, Pending(2, COLLECT)), gathering=True)


@pytest.mark.parametrize(
    ("lane", "step"),
    [
        (QUIET, Idle()),
        (FULL, Begin(FIRST)),
        (attrs.evolve(FULL, intake=False), Wait()),
        (attrs.evolve(FULL, running=True), Wait()),
        # What a turn needs that is about to begin may be on its way. Who comes meanwhile
        # does not come into it.
        (attrs.evolve(FULL, preparing=Begin(FIRST)), Wait()),
        (attrs.evolve(COLLECTED, preparing=Begin(FIRST), prepared=True), Begin(FIRST)),
        (
            attrs.evolve(FULL, preparing=Begin(FIRST), prepared=True, intake=False),
            Wait(),
        ),
        (attrs.evolve(FULL, preparing=Begin(FIRST), cancelled={"r1"}), Withdraw(FIRST)),
        (attrs.evolve(OPEN, running=True), Wait()),
        (OPEN, Revive()),
        (attrs.evolve(OPEN, pending=(FIRST,)), Revive()),
        (attrs.evolve(OPEN, resting=True), Wait()),
        (attrs.evolve(OPEN, intake=False), Wait()),
        (attrs.evolve(OPEN, revivals=4), Revive()),
        (attrs.evolve(OPEN, revivals=5), Quarantine(5)),
        # Who gets further between two deaths is not put aside for dying.
        (attrs.evolve(GOING, revivals=5), Revive(innocent=True)),
        (attrs.evolve(GOING, revivals=5, crashed=True), Revive(innocent=True)),
        (attrs.evolve(OPEN, revivals=5, intake=False), Quarantine(5)),
        # Nor who waits, unless it dies of something: of what has come, for one.
        (attrs.evolve(ASKED, revivals=5), Revive(innocent=True)),
        (attrs.evolve(ASKED, revivals=5, answered={"other"}), Revive(innocent=True)),
        (attrs.evolve(ASKED, revivals=4, answered={"w"}), Revive()),
        (attrs.evolve(ASKED, revivals=5, answered={"w"}), Quarantine(5)),
        (attrs.evolve(ASKED, revivals=4, crashed=True), Revive()),
        (attrs.evolve(ASKED, revivals=5, crashed=True), Quarantine(5)),
    ],
)
def test_the_next_step_of_a_session(lane: Lane, step: Step) -> None:
    assert decide(lane, Rules(revive_limit=5)) == step


# --- messages that come while a turn is in progress


def queued(*modes: QueueMode | None, **more: object) -> tuple[Pending, ...]:
    return tuple(
        Pending(n, attrs.evolve(INBOUND, queue=mode, **more))
        for n, mode in enumerate(modes, 1)
    )


NINE: list[QueueMode] = ["collect"] * 9
OTHER = queued("steer", model="other")
BEHIND_IT = tuple(attrs.evolve(each, inbox_id=2) for each in queued("steer"))
BUSY = attrs.evolve(OPEN, running=True)
FREE = QUIET


@pytest.mark.parametrize(
    ("lane", "step"),
    [
        (attrs.evolve(BUSY, pending=queued("followup", "collect")), Wait()),
        (attrs.evolve(BUSY, pending=queued("steer")), Hand(queued("steer"))),
        (attrs.evolve(BUSY, pending=queued("steer"), handed={1}), Wait()),
        (
            attrs.evolve(BUSY, pending=queued("steer", "steer"), handed={1}),
            Hand(queued("steer", "steer")[1:]),
        ),
        # Nobody overtakes.
        (attrs.evolve(BUSY, pending=queued("followup", "steer")), Wait()),
        # What wants another answer waits for a turn of its own, and so do those behind.
        (attrs.evolve(BUSY, pending=OTHER), Wait()),
        (attrs.evolve(BUSY, pending=(*OTHER, *queued("steer"))), Wait()),
        # What the turn was given it has, whatever is set for the session since.
        (attrs.evolve(BUSY, pending=OTHER, handed={1}), Wait()),
        (
            attrs.evolve(BUSY, pending=(*OTHER, *BEHIND_IT), handed={1}),
            Hand(BEHIND_IT),
        ),
        (attrs.evolve(BUSY, pending=queued("followup", "interrupt")), Interrupt()),
        (attrs.evolve(BUSY, pending=queued("interrupt"), stopping=True), Wait()),
        (attrs.evolve(BUSY, pending=queued("steer"), stopping=True), Wait()),
        # The configuration's mode, where a message names none.
        (attrs.evolve(BUSY, pending=queued(None)), Hand(queued(None))),
    ],
)
def test_a_message_meanwhile(lane: Lane, step: Step) -> None:
    assert decide(lane, Rules(revive_limit=5, queue="steer")) == step


@pytest.mark.parametrize(
    ("pending", "together"),
    [
        (queued("followup", "followup"), 1),
        (queued("collect", "collect", "collect"), 3),
        (queued("steer", "collect", "followup", "collect"), 2),
        (queued("interrupt", "collect"), 1),
        (queued("collect", "interrupt"), 1),
        (queued(*NINE), 4),
        (queued("collect") + queued("collect", conversation="d"), 1),
        (queued("collect") + queued("collect", reply_to="d"), 1),
        (queued("collect") + queued("collect", model="other"), 1),
    ],
)
def test_what_one_turn_takes_together(
    pending: tuple[Pending, ...], together: int
) -> None:
    step = decide(
        attrs.evolve(FREE, pending=pending), Rules(revive_limit=5, collect_most=4)
    )
    assert step == Begin(pending[0], pending[1:together])


def test_messages_are_collected_until_it_is_quiet() -> None:
    gathering = attrs.evolve(FREE, pending=queued("collect"), gathering=True)
    assert decide(gathering, Rules(revive_limit=5)) == Wait()
    other = attrs.evolve(gathering, pending=queued("followup"))
    assert decide(other, Rules(revive_limit=5)) == Begin(other.pending[0])


def test_who_writes_without_a_pause_is_answered_when_a_turn_can_take_no_more() -> None:
    rules = Rules(revive_limit=5, collect_most=3)
    gathering = attrs.evolve(FREE, pending=queued(*NINE[:2]), gathering=True)
    assert decide(gathering, rules) == Wait()
    full = attrs.evolve(gathering, pending=queued(*NINE[:4]))
    assert decide(full, rules) == Begin(full.pending[0], full.pending[1:3])


def test_a_new_session_takes_everything_that_was_given() -> None:
    assert taken(INBOUND, fresh=True) == INBOUND.messages


def test_a_session_with_a_history_takes_the_last_message_of_the_user() -> None:
    assert taken(INBOUND, fresh=False) == (said("user", "a"),)


def test_without_a_message_of_the_user_the_last_one_counts() -> None:
    inbound = attrs.evolve(INBOUND, messages=(said("system", "x"),))
    assert taken(inbound, fresh=False) == (said("system", "x"),)


def test_the_pause_before_a_revival_doubles_up_to_its_limit() -> None:
    pauses = [back_off(n, first=0.05, most=1.0) for n in (0, 1, 2, 3, 6, 10_000)]
    assert pauses == [0.05, 0.05, 0.1, 0.2, 1.0, 1.0]


# --- turns that work for others, and others that work for it


def announced(by: str) -> tuple[Pending, ...]:
    end = ChildEnd(run_id="k", parent_run=by)
    return tuple(
        attrs.evolve(each, inbound=attrs.evolve(each.inbound, child=end))
        for each in queued("steer")
    )


def quiet(by: str) -> tuple[Pending, ...]:
    return tuple(
        attrs.evolve(each, inbound=attrs.evolve(each.inbound, messages=()))
        for each in announced(by)
    )


BEHIND = tuple(attrs.evolve(each, inbox_id=9) for each in announced("r"))


@pytest.mark.parametrize(
    ("lane", "step"),
    [
        # Whoever ordered it is over: it is stopped, whatever state it is in.
        (attrs.evolve(BUSY, cancelled={"r"}), Interrupt()),
        (attrs.evolve(BUSY, cancelled={"r"}, stopping=True), Wait()),
        (attrs.evolve(OPEN, cancelled={"r"}), Close()),
        (attrs.evolve(OPEN, cancelled={"r"}, resting=True), Close()),
        (attrs.evolve(OPEN, cancelled={"r"}, intake=False), Close()),
        (attrs.evolve(OPEN, cancelled={"another"}), Revive()),
        (attrs.evolve(FULL, cancelled={"r1"}), Withdraw(FIRST)),
        (attrs.evolve(BUSY, pending=(FIRST,), cancelled={"r1"}), Withdraw(FIRST)),
        # What a turn has ordered itself goes to it, also past those that wait.
        (attrs.evolve(BUSY, pending=announced("r")), Hand(announced("r"))),
        (attrs.evolve(BUSY, pending=(*queued("followup"), *BEHIND)), Hand(BEHIND)),
        (
            attrs.evolve(BUSY, pending=(*queued("followup"), *BEHIND), handed={9}),
            Wait(),
        ),
        # Without words it says nothing to any other turn.
        (attrs.evolve(BUSY, pending=quiet("r")), Hand(quiet("r"))),
        (attrs.evolve(BUSY, pending=quiet("x")), Withdraw(quiet("x")[0])),
        (attrs.evolve(FREE, pending=quiet("r")), Withdraw(quiet("r")[0])),
        # What an earlier one has ordered is a message like any.
        (attrs.evolve(BUSY, pending=announced("another")), Hand(announced("another"))),
        # An announcement that kills whoever takes it up.
        (attrs.evolve(ASKED, pending=announced("r"), revivals=5), Quarantine(5)),
        (
            attrs.evolve(ASKED, pending=announced("x"), revivals=5),
            Revive(innocent=True),
        ),
    ],
)
def test_what_relatives_change(lane: Lane, step: Step) -> None:
    assert decide(lane, Rules(revive_limit=5)) == step


# --- what it knows of its inbox


def row(number: int) -> InboxRow:
    body = encode(INBOUND, Inbound)
    return InboxRow(id=number, session_key="s", run_id=f"r{number}", at=0.0, body=body)


def test_what_is_read_behind_a_later_one_that_has_rung_goes_before_it() -> None:
    inbox = Inbox(collect_seconds=1.0)
    assert inbox.ring(row(3))
    inbox.add([row(2), row(3), row(4)])
    assert list(inbox.pending) == [2, 3, 4]
    # The others have been taken by a run.
    inbox.see((row(1), row(4)))
    assert list(inbox.pending) == [1, 4]
    # Its ring comes late: it was read before.
    assert not inbox.ring(row(3))
    assert list(inbox.pending) == [1, 4]
