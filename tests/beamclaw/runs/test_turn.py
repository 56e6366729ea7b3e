"""The turn machine's decisions, as tables."""

from collections.abc import Mapping
from functools import partial

import attrs
import pytest

from beamclaw.contracts import approvals
from beamclaw.contracts.approvals import Clear, Clearance, Deny, digest_of
from beamclaw.contracts.budgets import Cap
from beamclaw.contracts.context import Window
from beamclaw.contracts.messages import (
    ClientTool,
    ModelParams,
    ToolCall,
    ToolChoice,
    said,
)
from beamclaw.contracts.open_turn import Begun, Call, Child, Did, OpenTurn, Wait
from beamclaw.contracts.subagents import Allowance, ChildBegun, Spend
from beamclaw.contracts.tools import Effect, ToolSpec
from beamclaw.contracts.transcript import Transcript
from beamclaw.contracts.turns import TurnLimits
from beamclaw.runs import client_tools
from beamclaw.runs.turn import NoOpenTurnError, decide
from beamclaw.runs.turn_calls import parse
from beamclaw.runs.turn_steps import (
    Act,
    Ask,
    AskPerson,
    AskTool,
    Await,
    Begin,
    Compact,
    Conclude,
    Expire,
    Finish,
    Linger,
    Step,
)

TURN = OpenTurn(
    run_id="r",
    epoch=1,
    agent="main",
    definition="h",
    params=ModelParams(seed=1),
    retractable=True,
)
SAID = (said("user", "hi"),)
LIMITS = TurnLimits(
    model_calls=10,
    tool_calls=10,
    seconds=100.0,
    tokens=1_000,
    failures=6,
    repeats=3,
    begins=2,
    wait_seconds=60.0,
)
EFFECTS: dict[str, Effect] = {
    "look": "pure",
    "put": "idempotent",
    "order": "checkable",
    "send": "unsafe",
}
WINDOW = Window(tokens=10_000, output=100, overhead=10, keep=1_000)
LONG = "word " * 400  # 667 tokens
TOOLS = {
    name: ToolSpec(name=name, description="", parameters={}, effect=effect)
    for name, effect in EFFECTS.items()
} | {
    "spawn": ToolSpec(
        name="spawn",
        description="",
        parameters={},
        effect="idempotent",
        kind="session",
    ),
    "exec": ToolSpec(
        name="exec", description="", parameters={}, effect="unsafe", asks="by-call"
    ),
    "pay": ToolSpec(
        name="pay", description="", parameters={}, effect="unsafe", asks="always"
    ),
    "tell": ToolSpec(
        name="tell",
        description="",
        parameters={},
        effect="idempotent",
        asks="by-call",
        kind="session",
    ),
}


def steps(
    turn: OpenTurn | None,
    *,
    now: float = 1.0,
    running: set[str] | None = None,
    system: str | None = None,
    window: Window = WINDOW,
    clearances: Mapping[str, Clearance] | None = None,
    limits: TurnLimits = LIMITS,
) -> tuple[Step, ...]:
    return decide(
        Transcript(3, SAID, turn, seqs=(1,)),
        now=now,
        limits=limits,
        window=window,
        system=system,
        tools=TOOLS,
        running=running or set(),
        clearances=clearances or {},
    )


def ask(attempt: int) -> Ask:
    return Ask(attempt=attempt, messages=SAID, params=ModelParams(seed=1))


# --- asking and finishing


@pytest.mark.parametrize(
    ("turn", "step"),
    [
        (TURN, ask(1)),
        (attrs.evolve(TURN, attempt=1, asking=True), ask(2)),
        (attrs.evolve(TURN, attempt=2, failed=2), ask(3)),
        (
            attrs.evolve(TURN, attempt=1, answer=said("assistant", "ho")),
            Finish(outcome="ok", stop_reason="stop"),
        ),
        (
            attrs.evolve(TURN, answer=said("assistant", "h"), stop_reason="length"),
            Finish(outcome="ok", stop_reason="length"),
        ),
    ],
)
def test_the_next_step_of_a_turn(turn: OpenTurn, step: Step) -> None:
    assert steps(turn) == (step,)


def test_the_agents_own_words_go_before_everything_said() -> None:
    (step,) = steps(TURN, system="be kind")
    assert isinstance(step, Ask)
    assert step.messages == (said("system", "be kind"), *SAID)


def test_a_closed_turn_has_no_next_step() -> None:
    with pytest.raises(NoOpenTurnError):
        steps(None)


# --- a call that a client has ordered


@pytest.mark.parametrize(
    ("outcome", "step"),
    [
        (None, Await()),
        ("ok", Finish(outcome="ok", stop_reason="stop")),
        *(
            (
                outcome,
                Finish(
                    outcome="error",
                    stop_reason="error",
                    error="its words",
                    kind=f"tool_{outcome}",
                ),
            )
            for outcome in ("error", "unknown", "refused", "stopped")
        ),
    ],
)
def test_what_a_client_has_ordered_is_all_there_is_of_the_turn(outcome, step) -> None:
    done = attrs.evolve(call("send"), outcome=outcome)
    turn = attrs.evolve(wanting(done), ordered=True, text="its words")
    assert steps(turn, running={done.asked.id}) == (step,)


# --- a summary that a client has ordered


def test_a_summary_by_order_is_written_once_and_nothing_is_answered() -> None:
    over = (Finish(outcome="ok", stop_reason="stop"),)
    turn = attrs.evolve(TURN, compacts=True)
    # There is one message, which stays.
    assert steps(turn) == over
    two = (said("user", "a"), said("user", "b"))
    talked = Transcript(3, two, turn, seqs=(1, 2))
    ordered = partial(
        decide,
        now=1.0,
        limits=attrs.evolve(LIMITS, model_calls=0),
        window=attrs.evolve(WINDOW, keep=0),
        system=None,
        tools=TOOLS,
        running=set[str](),
        clearances=dict[str, Clearance](),
    )
    # What is hardly longer than a summary needs no model.
    by = partial(Compact, 1, summary=1_565, quotes=False)
    assert ordered(talked) == (by(model=False),)
    much = Transcript(3, (said("user", LONG), said("user", "b")), turn, seqs=(1, 2))
    assert ordered(much) == (by(model=True),)
    assert ordered(much, window=attrs.evolve(WINDOW, keep=800)) == over
    once = attrs.evolve(turn, compactions=1)
    assert ordered(attrs.evolve(talked, turn=once)) == over


# --- tool calls of the client


def brought(*names: str, **more: object) -> ModelParams:
    tools = tuple(ClientTool(name=name) for name in names)
    return attrs.evolve(ModelParams(seed=1, tools=tools), **more)


CLIENTS = Finish(outcome="ok", stop_reason="tool_calls")


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (("theirs",), (CLIENTS,)),
        (("theirs", "theirs"), (CLIENTS,)),
        # One of the agent's own has the same name: the client's goes before.
        (("send",), (CLIENTS,)),
    ],
)
def test_a_turn_ends_with_what_the_client_has_to_do(calls, expected) -> None:
    asked = [call(name, id_=f"c{n}") for n, name in enumerate(calls)]
    turn = wanting(*asked, params=brought("theirs", "send"))
    assert steps(turn) == expected


def test_the_agents_own_calls_are_done_before() -> None:
    own, theirs = call("look", id_="a"), call("theirs", id_="b")
    turn = wanting(theirs, own, params=brought("theirs"))
    (begin,) = steps(turn)
    assert isinstance(begin, Begin)
    assert begin.call == own
    assert steps(turn, running={"a"}) == (Await(),)
    done = attrs.evolve(own, outcome="ok")
    assert steps(wanting(theirs, done, params=brought("theirs"))) == (CLIENTS,)


def test_the_client_never_gets_arguments_that_are_none() -> None:
    wrong, right = call("theirs", id_="a", text="{"), call("theirs", id_="b")
    turn = wanting(wrong, right, params=brought("theirs"))
    (refusal,) = steps(turn)
    assert isinstance(refusal, Conclude)
    assert (refusal.call, refusal.outcome) == (wrong, "refused")
    told = attrs.evolve(wrong, outcome="refused")
    turn = wanting(told, right, params=brought("theirs"))
    assert steps(turn) == (CLIENTS,)
    assert [asked.id for asked in turn.owed] == ["b"]


def test_at_the_limit_of_time_the_clients_calls_are_its_own_still() -> None:
    turn = wanting(
        call("look", id_="a"), call("theirs", id_="b"), params=brought("theirs")
    )
    (late,) = steps(turn, now=500.0)
    assert isinstance(late, Conclude)
    assert late.call.asked.id == "a"


def test_instructions_of_the_client_stand_behind_the_agents() -> None:
    turn = attrs.evolve(TURN, params=brought(instructions="be brief"))
    (step,) = steps(turn, system="be kind")
    assert isinstance(step, Ask)
    assert step.messages[0] == said("system", "be kind\n\nbe brief")
    (step,) = steps(turn)
    assert isinstance(step, Ask)
    assert step.messages[0] == said("system", "be brief")


@pytest.mark.parametrize(
    ("params", "names"),
    [
        (ModelParams(), ["look", "send"]),
        (brought("theirs"), ["look", "send", "theirs"]),
        (brought("send"), ["look", "send"]),
        (brought("theirs", choice=ToolChoice()), ["theirs"]),
    ],
)
def test_the_model_is_told_of_both_unless_it_must_ask_for_the_clients(
    params, names
) -> None:
    own = {name: TOOLS[name] for name in ("look", "send")}
    told = client_tools.offered(params, own)
    assert [spec.name for spec in told] == names
    assert [spec is own.get(spec.name) for spec in told] == [
        name not in {tool.name for tool in params.tools} for name in names
    ]


# --- tool calls


def call(name: str = "look", *, id_: str = "a", text: str = "{}") -> Call:
    return Call(asked=ToolCall(id_, name, text))


def begun(effect: Effect, attempt: int = 1, name: str = "look") -> Call:
    return attrs.evolve(
        call(name), begun=Begun(effect=effect, key="k", attempt=attempt)
    )


def wanting(*calls: Call, **more: object) -> OpenTurn:
    turn = attrs.evolve(TURN, attempt=1, answer=said("assistant", ""), calls=calls)
    return attrs.evolve(turn, **more)


def did(*answers: str) -> tuple[Did, ...]:
    """What the calls of some answers came to, each as ``tool=digest``."""
    return tuple(
        Did(tool=one.split("=")[0], arguments="{}", digest=one, answer=number)
        for number, answer in enumerate(answers, 1)
        for one in answer.split()
    )


def test_a_call_is_begun_with_its_arguments() -> None:
    one = call("put", text='{"a":1}')
    begin = Begin(call=one, spec=TOOLS["put"], arguments={"a": 1}, attempt=1)
    assert steps(wanting(one)) == (begin,)


def test_all_calls_of_an_answer_are_begun_together() -> None:
    both = call(id_="a"), call("put", id_="b")
    begins = steps(wanting(*both))
    assert [step.call for step in begins if isinstance(step, Begin)] == [*both]


def test_what_runs_is_waited_for() -> None:
    assert steps(wanting(begun("pure")), running={"a"}) == (Await(),)
    other = call("put", id_="b")
    (step,) = steps(wanting(begun("unsafe"), other), running={"a"})
    assert isinstance(step, Begin)
    assert step.call == other


def test_when_all_have_a_result_the_model_is_asked_again() -> None:
    done = attrs.evolve(begun("pure"), outcome="ok")
    assert steps(wanting(done, tool_calls=1)) == (ask(2),)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (call("dance"), "there is no tool 'dance'; tools: exec, look, order"),
        (call(text="{"), "the arguments are no JSON"),
        (call(text="3"), "have to be a JSON object"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_in_words(one: Call, words: str) -> None:
    (step,) = steps(wanting(one))
    assert isinstance(step, Conclude)
    assert step.outcome == "refused"
    assert words in step.text


def test_no_arguments_are_an_empty_object() -> None:
    assert parse("") == {}


@pytest.mark.parametrize(
    ("one", "attempt", "check"),
    [
        (begun("pure"), 2, False),
        (begun("idempotent", name="put"), 2, False),
        (begun("checkable", name="order"), 2, True),
    ],
)
def test_a_call_that_lost_its_process_is_begun_again(
    one: Call, attempt: int, check: bool
) -> None:
    (step,) = steps(wanting(one))
    assert isinstance(step, Begin)
    assert (step.attempt, step.check) == (attempt, check)


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (begun("unsafe", name="send"), "unknown"),
        # Its tool is not there any more: nobody can repeat it or look.
        (begun("pure", name="gone"), "unknown"),
        (begun("pure", attempt=2), "error"),
        (begun("idempotent", attempt=2, name="put"), "unknown"),
        (begun("checkable", attempt=2, name="order"), "unknown"),
        # The effect at the beginning counts, whatever the tool says today.
        (begun("unsafe", name="look"), "unknown"),
    ],
)
def test_a_call_that_lost_its_process_for_good(one: Call, outcome: str) -> None:
    (step,) = steps(wanting(one))
    assert isinstance(step, Conclude)
    assert step.outcome == outcome


# --- limits


@pytest.mark.parametrize(
    ("changes", "now", "words"),
    [
        ({"model_calls": 10}, 1.0, "limit of 10 calls of the model"),
        ({"tool_calls": 10}, 1.0, "limit of 10 tool calls"),
        ({"tokens": 1_000}, 1.0, "limit of 1,000 tokens"),
        ({}, 100.0, "limit of 100 seconds"),
        ({"done": did("f=d", "f=d", "f=d")}, 1.0, "the same call of f 3 times"),
    ],
)
def test_a_turn_at_a_limit_is_ended_in_words(
    changes: dict[str, object], now: float, words: str
) -> None:
    done = attrs.evolve(begun("pure"), outcome="ok")
    (step,) = steps(wanting(done, **changes), now=now)
    assert isinstance(step, Finish)
    assert step.outcome == "limited"
    assert words in step.note


@pytest.mark.parametrize(
    "changes",
    [
        {"model_calls": 9, "tool_calls": 9, "tokens": 999},
        {"done": did("f=d", "f=d")},
        {"done": did(*(f"f={n}" for n in range(9)))},
    ],
)
def test_below_the_limits_it_goes_on(changes: dict[str, object]) -> None:
    done = attrs.evolve(begun("pure"), outcome="ok")
    assert steps(wanting(done, **changes), now=99.0) == (ask(2),)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        # The same set again and again, in whatever order the results come.
        (["f=a g=b"] * 3, "the same calls of f and g 3 times"),
        (["f=a g=b", "g=b f=a", "f=a g=b"], "the same calls of f and g 3 times"),
        (["f=a f=b"] * 3, "the same call of f 3 times"),
        (["f=a g=b"] * 2, ""),
        # In between it did something else, or did the parts by themselves.
        (["f=a g=b", "h=c", "f=a g=b", "h=d", "f=a g=b"], "of f and g 3 times"),
        (["f=a", "g=b", "f=a", "g=b", "f=a g=b"], "of f and g 3 times"),
        (["f=a g=b", "f=a g=b", "f=a"], "the same call of f 3 times"),
        # One of them gets something new each time.
        (["f=a g=1", "f=a g=2", "f=a g=3", "f=a g=4"], ""),
        (["f=a", "f=a g=1", "f=a g=2"], ""),
        (["f=1 f=2", "f=3 f=4", "f=5 f=6"], ""),
        # Asked for at once, it is no repetition, however often.
        (["f=a f=a f=a f=a"], ""),
        (["f=a f=a", "f=a f=a"], ""),
    ],
)
def test_a_circle_is_one_of_whole_answers(answers: list[str], words: str) -> None:
    done = attrs.evolve(begun("pure"), outcome="ok")
    (step,) = steps(wanting(done, done=did(*answers)), now=1.0)
    if words:
        assert isinstance(step, Finish)
        assert words in step.note
    else:
        assert step == ask(2)


def test_an_answer_that_is_there_is_not_lost_to_a_limit() -> None:
    turn = attrs.evolve(TURN, answer=said("assistant", "ho"), model_calls=10)
    assert steps(turn, now=1e9) == (Finish(outcome="ok", stop_reason="stop"),)


def test_calls_above_the_limit_are_refused() -> None:
    many = wanting(call(id_="a"), call(id_="b"), call(id_="c"), tool_calls=8)
    *kinds, last = steps(many)
    assert [type(step) for step in kinds] == [Begin, Begin]
    assert isinstance(last, Conclude)
    assert "(limits.turn.tool_calls)" in last.text


@pytest.mark.parametrize(
    ("short", "key"),
    [
        (None, "limits.turn.seconds"),
        (Cap("tenant", "seconds", 100_000, "limits.day.seconds"), "limits.day.seconds"),
    ],
)
def test_when_the_time_is_over_what_runs_is_stopped(
    short: Cap | None, key: str
) -> None:
    turn = wanting(begun("unsafe", name="send"), call(id_="b"))
    limits = attrs.evolve(LIMITS, short=short)
    ends = steps(turn, now=100.0, running={"a"}, limits=limits)
    told = [step for step in ends if isinstance(step, Conclude)]
    assert [step.outcome for step in told] == ["stopped", "refused"]
    assert all(f"({key})" in step.text for step in told)


# --- turns in other sessions


def child(mode: str = "wait", spend: Spend | None = None) -> Child:
    begun = ChildBegun(
        run_id="k",
        session_key="agent:main:subagent:1",
        kind="spawn",
        mode=mode,  # type: ignore[arg-type] -- of a table
        allowance=Allowance(model_calls=4, tool_calls=4, tokens=400, seconds=50.0),
    )
    return Child(call_id="a", begun=begun, spend=spend)


SPAWN = ToolCall("a", "spawn", '{"task":"t"}')
WAITS = attrs.evolve(
    TURN,
    answer=said("assistant", ""),
    calls=(
        Call(
            asked=SPAWN,
            begun=Begun(effect="idempotent", key="r/a", attempt=1),
            child="k",
        ),
    ),
    children=(child(),),
    waiting_since=1.0,
)
SAYS = attrs.evolve(TURN, answer=said("assistant", "so"), children=(child("announce"),))
BELOW = attrs.evolve(SAYS, depth=1)


def test_a_call_that_concerns_sessions_is_no_process():
    call = Call(asked=SPAWN)
    turn = attrs.evolve(TURN, answer=said("assistant", ""), calls=(call,))
    (step,) = steps(turn)
    assert step == Act(call=call, spec=TOOLS["spawn"], arguments={"task": "t"})


def test_a_sub_agent_is_waited_for_and_never_begun_again():
    assert steps(WAITS) == (Await(),)
    # Its time is not the turn's while it waits; see `busy_seconds`.
    assert steps(WAITS, now=5_000.0) == (Await(),)


def test_a_sub_agent_is_stopped_with_the_time_of_the_turn():
    late = attrs.evolve(WAITS, waiting_since=200.0)
    (step,) = steps(late, now=200.0)
    assert isinstance(step, Conclude)
    assert (step.call.child, step.outcome) == ("k", "stopped")


@pytest.mark.parametrize(
    ("turn", "step"),
    [
        # A person's turn ends; what it has started announces itself later.
        (SAYS, Finish(outcome="ok", stop_reason="stop")),
        # A sub-agent is over when those below it are.
        (BELOW, Linger()),
        (
            attrs.evolve(BELOW, children=(child("announce", Spend()),)),
            Finish(outcome="ok", stop_reason="stop"),
        ),
        # Messages came after its answer: it is asked again.
        (attrs.evolve(BELOW, answer=None), ask(1)),
        # It wants to end, to wait for what will be announced.
        (
            attrs.evolve(SAYS, last=True, stop_reason="tool_calls"),
            Finish(outcome="ok", stop_reason="stop"),
        ),
        (attrs.evolve(BELOW, last=True), Linger()),
    ],
)
def test_how_a_turn_ends_that_has_sub_agents(turn: OpenTurn, step: Step) -> None:
    assert steps(turn) == (step,)


def test_nobody_lingers_for_ever():
    (step,) = steps(BELOW, now=100.0)
    assert isinstance(step, Finish)
    assert step.outcome == "limited"
    assert "limits.turn.seconds" in step.note


def test_what_sub_agents_may_use_counts_before_they_have_used_it():
    several = attrs.evolve(TURN, children=(child(), child(), child()))
    (step,) = steps(several)
    assert isinstance(step, Finish)
    assert "limits.turn.model_calls" in step.note


# --- leave

EXEC = Call(asked=ToolCall("c", "exec", "{}"))
PAY = Call(asked=ToolCall("c", "pay", '{"to": "a"}'))
TELL = Call(asked=ToolCall("c", "tell", "{}"))
ASKED = approvals.Ask(question="run it?", digest="d", details={"folder": "/"})
PAYING = approvals.Ask(
    question='pay({"to": "a"})',
    digest=digest_of("pay", {"to": "a"}),
    details={"tool": "pay", "arguments": '{"to": "a"}'},
)


def waiting(call: Call, **answer: object) -> Call:
    wait = Wait(id="w", expires_at=10.0, digest="d")
    return attrs.evolve(call, wait=attrs.evolve(wait, **answer))


def no(call: Call, words: str) -> Conclude:
    text = f"it was not carried out: {words}"
    return Conclude(call=call, outcome="refused", text=text)


def exec_begins(call: Call) -> Begin:
    return Begin(call=call, spec=TOOLS["exec"], arguments={}, attempt=1)


UNANSWERED = "nobody answered in time whether it may be carried out"


@pytest.mark.parametrize(
    ("call", "cleared", "now", "step"),
    [
        # The tool is asked first, and again after a crash: nothing is known then.
        (
            EXEC,
            None,
            1.0,
            AskTool(call=EXEC, spec=TOOLS["exec"], arguments={}, tainted=False),
        ),
        (EXEC, Clear(), 1.0, exec_begins(EXEC)),
        (EXEC, Deny("not here"), 1.0, no(EXEC, "not here")),
        (EXEC, ASKED, 1.0, AskPerson(EXEC, ASKED)),
        # A person was asked: what the tool says now does not matter, it is asked again
        # right before it works.
        (waiting(EXEC), None, 1.0, Await()),
        (waiting(EXEC), Clear(), 1.0, Await()),
        (waiting(EXEC), None, 10.0, Expire(Wait(id="w", expires_at=10.0, digest="d"))),
        (
            waiting(EXEC, verdict="allow"),
            None,
            1.0,
            exec_begins(waiting(EXEC, verdict="allow")),
        ),
        (
            waiting(EXEC, verdict="allow"),
            Deny("x"),
            99.0,
            exec_begins(waiting(EXEC, verdict="allow")),
        ),
        (
            waiting(EXEC, verdict="deny", by="anna"),
            None,
            1.0,
            no(waiting(EXEC, verdict="deny", by="anna"), "anna said no"),
        ),
        (
            waiting(EXEC, verdict="deny", by="anna"),
            Clear(),
            1.0,
            no(waiting(EXEC, verdict="deny", by="anna"), "anna said no"),
        ),
        (
            waiting(EXEC, verdict="expired"),
            None,
            1.0,
            no(waiting(EXEC, verdict="expired"), UNANSWERED),
        ),
        # Whatever it is, a person is asked.
        (PAY, None, 1.0, AskPerson(PAY, PAYING)),
        (PAY, Clear(), 1.0, AskPerson(PAY, PAYING)),
        (waiting(PAY), None, 1.0, Await()),
        # What has no process of its own cannot look again.
        (
            TELL,
            Clear(),
            1.0,
            AskPerson(
                TELL,
                approvals.Ask(
                    question="tell({})",
                    digest=digest_of("tell", {}),
                    details={"tool": "tell", "arguments": "{}"},
                ),
            ),
        ),
    ],
)
def test_leave_for_a_call(
    call: Call, cleared: Clearance | None, now: float, step: Step
) -> None:
    turn = attrs.evolve(TURN, started_at=0.0, calls=(call,))
    known = {} if cleared is None else {"c": cleared}
    assert steps(turn, now=now, clearances=known) == (step,)


def test_what_was_agreed_to_goes_with_the_call_each_time_it_is_begun() -> None:
    asked = attrs.evolve(EXEC, asked=ToolCall("c", "look", "{}"))
    call = attrs.evolve(
        waiting(asked, verdict="allow"),
        begun=Begun(effect="pure", key="k", attempt=1),
    )
    (begin,) = steps(attrs.evolve(TURN, calls=(call,)))
    assert isinstance(begin, Begin)
    assert (begin.attempt, begin.approved) == (2, "d")


def test_a_call_knows_what_the_model_had_read() -> None:
    turn = attrs.evolve(TURN, calls=(EXEC,), tainted=True)
    (step,) = steps(turn)
    assert isinstance(step, AskTool)
    assert step.tainted
    (begin,) = steps(turn, clearances={"c": Clear()})
    assert isinstance(begin, Begin)
    assert begin.tainted


def test_calls_do_not_wait_for_one_another_to_be_cleared() -> None:
    look = Call(asked=ToolCall("l", "look", "{}"))
    first, second = steps(attrs.evolve(TURN, calls=(EXEC, look)))
    assert isinstance(first, Begin)
    assert isinstance(second, AskTool)
