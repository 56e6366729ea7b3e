"""Who may start, see and write to whom; what a sub-agent takes and gives back."""

import attrs
import pytest

from beamclaw.config.checks import check
from beamclaw.config.problems import Where
from beamclaw.config.schema import (
    AgentConfig,
    AgentSubagentsConfig,
    Config,
    SessionToolsConfig,
    ToolsConfig,
)
from beamclaw.contracts.announcements import Place, announced, result
from beamclaw.contracts.journal import (
    Answered,
    Body,
    InboundTaken,
    RunStarted,
    ToolBegun,
    ToolEnded,
    WaitBegun,
    WaitOver,
)
from beamclaw.contracts.ledger_rows import ChildRow
from beamclaw.contracts.messages import Message, ToolCall, ToolResult, Usage
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.sessions import RunEnded
from beamclaw.contracts.subagents import (
    Allowance,
    Asker,
    ChildBegun,
    ChildEnd,
    Parent,
    Rules,
    Spend,
    may_hand_over,
    may_see,
    may_send,
    may_spawn,
    offered,
)
from beamclaw.contracts.transcript import Fact, Transcript, evolve
from beamclaw.tree import subagent_rules

ME = "agent:main:main"
ASKER = Asker(agent="main", session_key=ME)
RULES = Rules(
    depth=2,
    per_turn=3,
    rounds=4,
    ping_pong=2,
    spawns={"main": ("writer",), "boss": ("*",)},
    hands_over={"main": ("writer",), "boss": ("*",)},
)


# --- who may


@pytest.mark.parametrize(
    "asker, agent, said",
    [
        ({}, "main", None),
        ({}, "writer", None),
        ({}, "boss", "agent main may not start agent boss (agents.main.subagents"),
        ({"agent": "boss"}, "anybody", None),
        ({"depth": 1}, "main", None),
        (
            {"depth": 2},
            "main",
            "2 levels down may start none (limits.subagents.depth: 2",
        ),
        ({"children": 3}, "main", "limits.subagents.per_turn: 3"),
        ({"hops": 3}, "main", None),
        ({"hops": 4}, "main", "limits.subagents.rounds: 4"),
    ],
)
def test_who_may_start_whom(asker, agent, said):
    words = may_spawn(RULES, attrs.evolve(ASKER, **asker), agent)
    assert words is None if said is None else said in (words or "")


OWN, CHILD, OTHER = "agent:main:second", "agent:main:subagent:1", "agent:writer:main"
SEEN = {
    "self": {ME},
    "tree": {ME, CHILD},
    "agent": {ME, CHILD, OWN},
    "all": {ME, CHILD, OWN},
}


@pytest.mark.parametrize("visibility", SEEN)
def test_what_is_seen_from_where(visibility):
    rules = attrs.evolve(RULES, visibility=visibility)
    above = {CHILD: (ME,)}
    seen = {
        key
        for key in (ME, OWN, CHILD, OTHER)
        if may_see(rules, ASKER, key.split(":")[1], key, above.get(key, ())) is None
    }
    assert seen == SEEN[visibility]


@pytest.mark.parametrize(
    "pairs, seen",
    [((), False), (("main",), False), (("main", "writer"), True), (("*",), True)],
)
def test_agents_see_one_anothers_sessions_where_both_may(pairs, seen):
    rules = attrs.evolve(RULES, visibility="all", agent_to_agent=pairs)
    words = may_see(rules, ASKER, "writer", OTHER, ())
    assert (words is None) == seen
    assert seen or "tools.sessions.agent_to_agent" in (words or "")


def test_nobody_writes_to_itself_or_for_ever():
    rules = attrs.evolve(RULES, visibility="agent")
    assert "the session itself" in (may_send(rules, ASKER, "main", ME, ()) or "")
    assert may_send(rules, ASKER, "main", OWN, ()) is None
    tired = attrs.evolve(ASKER, hops=2)
    assert "sessions.ping_pong: 2" in (may_send(rules, tired, "main", OWN, ()) or "")


@pytest.mark.parametrize(
    "asker, agent, allowed",
    [
        ({}, "writer", True),
        ({}, "main", False),
        ({}, "boss", False),
        ({"agent": "boss"}, "writer", True),
        ({"depth": 1}, "writer", False),
    ],
)
def test_who_may_hand_over_to_whom(asker, agent, allowed):
    words = may_hand_over(RULES, attrs.evolve(ASKER, **asker), agent)
    assert (words is None) == allowed


@pytest.mark.parametrize(
    "depth, shown",
    [
        (0, {"spawn", "send", "hand-over", "yield"}),
        (1, {"spawn", "yield"}),
        (2, {"yield"}),
    ],
)
def test_which_tools_a_turn_is_shown(depth, shown):
    deeds = ("spawn", "send", "hand-over", "yield")
    assert {deed for deed in deeds if offered(RULES, depth, deed)} == shown


def test_the_rules_are_those_of_the_configuration():
    allowing = AgentSubagentsConfig(allow_agents=("writer",))
    config = Config(
        agents={
            "main": AgentConfig(subagents=allowing, hand_over=("*",)),
            "writer": AgentConfig(),
        },
        tools=ToolsConfig(sessions=SessionToolsConfig(visibility="agent")),
    )
    rules = subagent_rules(config)
    assert (rules.depth, rules.children, rules.concurrent) == (5, 5, 8)
    assert (rules.visibility, rules.ping_pong) == ("agent", 5)
    assert rules.spawns["main"] == ("writer",)
    assert rules.hands_over == {"main": ("*",), "writer": ()}


def test_an_agent_that_is_allowed_has_to_be_there():
    allowing = AgentSubagentsConfig(allow_agents=("writr",))
    config = Config(
        agents={
            "main": AgentConfig(subagents=allowing, hand_over=("nobody",)),
            "writer": AgentConfig(),
        }
    )
    found = check(config, lambda path: Where("config"))
    assert [problem.path for problem in found] == [
        "agents.main.subagents.allow_agents",
        "agents.main.hand_over",
    ]
    assert "writer" in found[0].message


# --- how a result is told


PARENT = Parent(
    session_key=ME,
    agent="main",
    run_id="r",
    call_id="c",
    kind="spawn",
    mode="announce",
    depth=1,
    hops=3,
)
PLACE = Place("default", CHILD)


@pytest.mark.parametrize(
    "outcome, text, error, said",
    [
        ("ok", "done", None, f"[The sub-agent {CHILD} has answered]\ndone"),
        ("error", "", "no model", f"[The sub-agent {CHILD} has failed: no model]"),
        ("aborted", "so far", None, f"[The sub-agent {CHILD} was stopped]\nso far"),
        ("limited", "x", None, f"[The sub-agent {CHILD} has come to a limit]\nx"),
    ],
)
def test_a_result_is_announced_in_words(outcome, text, error, said):
    end = RunEnded(
        run_id="k", outcome=outcome, stop_reason="stop", text=text, error=error
    )
    message = announced(end, PARENT, PLACE, Spend(tokens=5))
    assert message is not None
    assert message.messages[0].text == said
    assert (message.session_key, message.external_id) == (ME, "k")
    assert message.child == ChildEnd(run_id="k", parent_run="r", spend=Spend(tokens=5))
    assert message.hops == 4


def test_what_is_not_announced():
    end = RunEnded(
        run_id="k", outcome="ok", stop_reason="stop", text=" ANNOUNCE_SKIP\n"
    )
    assert PARENT.depth == 1
    assert announced(end, PARENT, PLACE, Spend()) is None
    waits = attrs.evolve(PARENT, mode="wait")
    end = attrs.evolve(end, text="done")
    assert announced(end, waits, PLACE, Spend()) is None


def test_a_sub_agent_is_told_without_words_that_a_quiet_one_below_it_is_over():
    end = RunEnded(run_id="k", outcome="ok", stop_reason="stop", text="ANNOUNCE_SKIP")
    below = attrs.evolve(PARENT, depth=2)
    message = announced(end, below, PLACE, Spend(tokens=5))
    assert message is not None
    assert (message.messages, message.reply_to) == ((), None)
    assert message.child == ChildEnd(run_id="k", parent_run="r", spend=Spend(tokens=5))


def test_a_result_that_is_waited_for_is_told_as_it_is_or_as_a_failure():
    row = ChildRow(
        run_id="k",
        session_key=CHILD,
        parent_session=ME,
        parent_run="r",
        call_id="c",
        kind="spawn",
        mode="wait",
        state="ended",
        at=1.0,
        outcome="ok",
        text="done",
    )
    assert (result(row).text, result(row).is_error) == ("done", False)
    failed = result(attrs.evolve(row, outcome="quarantined", error="too often"))
    assert failed.text == "[The sub-agent was put aside: too often]\ndone"
    assert failed.is_error


# --- what it takes and gives back


GIVEN = Allowance(model_calls=10, tool_calls=20, tokens=1000, seconds=60.0)


def turn_after(*given: tuple[float, Body]) -> OpenTurn:
    """The turn that began at second 0 and has come to these, at their times."""
    begun = RunStarted(epoch=1, agent="main", definition="h")
    state = Transcript()
    for at, body in ((0.0, begun), *given):
        state = evolve(state, state.seq + 1, Fact(body, "r", at))
    assert state.turn is not None
    return state.turn


def answered(*ids: str) -> Answered:
    calls = tuple(ToolCall(id_, "spawn", "{}") for id_ in ids)
    return Answered(
        attempt=1,
        message=Message("assistant", calls),
        stop_reason="tool_calls",
        usage=Usage(80, 20),
    )


def spawned(id_: str, mode: str = "wait") -> ToolBegun:
    child = ChildBegun(
        run_id=f"run of {id_}",
        session_key=CHILD,
        kind="spawn",
        mode=mode,  # type: ignore[arg-type] -- from a table
        allowance=GIVEN,
    )
    return ToolBegun(
        call_id=id_, tool="spawn", effect="idempotent", key=id_, child=child
    )


def over(id_: str, spend: Spend | None = None) -> ToolEnded:
    return ToolEnded(outcome="ok", result=ToolResult(id_, "done"), spend=spend)


def test_a_sub_agent_at_work_counts_with_all_that_it_may_use():
    turn = turn_after((1, answered("a", "b")), (2, spawned("a")), (2, spawned("b")))
    assert turn.used == Spend(model_calls=21, tool_calls=40, tokens=2100)


def test_what_it_has_not_used_comes_back():
    spend = Spend(model_calls=2, tool_calls=1, tokens=300, seconds=5.0)
    turn = turn_after((1, answered("a")), (2, spawned("a")), (9, over("a", spend)))
    assert turn.used == Spend(model_calls=3, tool_calls=2, tokens=400)
    assert not turn.open_children


def test_of_one_that_was_cut_off_nothing_comes_back():
    turn = turn_after((1, answered("a")), (2, spawned("a")), (9, over("a")))
    assert turn.used == Spend(model_calls=11, tool_calls=21, tokens=1100)


def test_what_is_announced_in_time_comes_back_as_well():
    spend = Spend(model_calls=1, tokens=7)
    end = ChildEnd(run_id="run of a", parent_run="r", spend=spend)
    turn = turn_after(
        (1, answered("a")),
        (2, spawned("a", "announce")),
        (2, over("a")),
        (9, InboundTaken(messages=(), inbox_id=1, child=end)),
    )
    assert turn.used == Spend(model_calls=2, tool_calls=1, tokens=107)
    assert not turn.waits


@pytest.mark.parametrize(
    "spends, busy",
    [
        ([("a", 12, 8.0)], 2 + 8 + 8),
        ([("a", 12, 3.0)], 2 + 3 + 8),  # seven seconds were a person's
        ([("a", 12, 3.0), ("b", 17, 15.0)], 2 + 15 + 3),  # the longest of both
        ([("a", 12, 0.0), ("b", 17, 0.0)], 2 + 0 + 3),
    ],
)
def test_of_the_time_that_it_waits_a_turn_counts_what_was_worked(spends, busy):
    ids = [id_ for id_, _, _ in spends]
    turn = turn_after(
        (1, answered(*ids)),
        *((2, spawned(id_)) for id_ in ids),
        *((at, over(id_, Spend(seconds=worked))) for id_, at, worked in spends),
    )
    assert turn.busy_seconds(20.0) == busy


def test_while_it_waits_its_clock_stands():
    turn = turn_after((1, answered("a")), (2, spawned("a")))
    assert turn.busy_seconds(1_000.0) == 2.0
    assert turn.waits


def test_a_successor_that_finds_it_waiting_counts_the_same():
    again = RunStarted(epoch=2, agent="main", definition="h")
    turn = turn_after(
        (1, answered("a")),
        (2, spawned("a")),
        (3_602, again),  # the run had died at once; the sub-agent worked on
        (3_702, over("a", Spend(seconds=3_650.0))),
    )
    assert turn.busy_seconds(3_702.0) == 2 + 3_650


def test_a_person_and_a_sub_agent_may_be_waited_for_at_once():
    turn = turn_after(
        (1, answered("a", "b")),
        (2, WaitBegun(wait_id="w", call_id="b", question="?", expires_at=900.0)),
        (4, spawned("a")),
        (10, over("a", Spend(seconds=3.0))),
        (12, WaitOver(wait_id="w", verdict="allow")),
    )
    assert turn.busy_seconds(12.0) == 2 + 3.0
    assert not turn.waits


def test_what_a_sub_agent_has_worked_is_not_the_turns_own_time():
    turn = turn_after(
        (1, answered("a", "b")),
        (2, spawned("a")),
        (4, spawned("b")),
        (10, over("a", Spend(seconds=5.0))),
        (22, over("b", Spend(seconds=6.0))),
    )
    assert turn.busy_seconds(25.0) == 2 + 6.0 + 3
    assert turn.own_seconds(25.0) == 2 + 3


def test_the_depth_is_the_sessions_for_all_its_turns():
    state = Transcript()
    parent = attrs.evolve(PARENT, depth=3)
    for body in (
        RunStarted(epoch=1, agent="main", definition="h", parent=parent),
        RunStarted(epoch=1, agent="main", definition="h"),
    ):
        state = evolve(state, state.seq + 1, Fact(body, str(state.seq), 1.0))
    assert state.turn is not None
    assert (state.depth, state.turn.depth) == (3, 3)
