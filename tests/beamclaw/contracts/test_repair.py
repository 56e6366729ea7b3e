"""A damaged conversation becomes one that every provider takes, and says what it was."""

from collections.abc import Sequence

import attrs
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beamclaw.contracts.journal import Repaired
from beamclaw.contracts.messages import (
    Message,
    ModelParams,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    said,
)
from beamclaw.contracts.open_turn import Call, OpenTurn
from beamclaw.contracts.providers import ModelRequest
from beamclaw.contracts.repair import LOST, _Mending, is_whole, repaired
from beamclaw.contracts.transcript import Fact, Transcript, evolve
from beamclaw.providers import anthropic, openai
from beamclaw.testing._http import HTTPRequest
from beamclaw.testing.fake_anthropic import FakeAnthropic
from beamclaw.testing.fake_openai import FakeOpenAI
from tests.support.journals import messages


def asks(*ids: str, text: str = "") -> Message:
    words: tuple[Part, ...] = (Text(text),) if text else ()
    return Message("assistant", (*words, *(ToolCall(id_, "f", "{}") for id_ in ids)))


def answers(*ids: str, text: str = "ok") -> Message:
    return Message("tool", tuple(ToolResult(id_, text) for id_ in ids))


def lost(id_: str) -> Message:
    return Message("tool", (ToolResult(id_, LOST, is_error=True),))


HI, HO = said("user", "hi"), said("assistant", "ho")


def state_of(damaged: Sequence[Message], turn: OpenTurn | None = None) -> Transcript:
    return Transcript(len(damaged), damaged, turn, range(1, len(damaged) + 1))


def mended(damaged: Sequence[Message], turn: OpenTurn | None = None) -> Transcript:
    state = state_of(damaged, turn)
    found = repaired(state)
    assert found is not None
    return evolve(state, state.seq + 1, Fact(found))


OTHERS = "results under another id, or with something else"
DAMAGED = {
    "a call without a result": (
        [HI, asks("a"), HI],
        [HI, asks("a"), lost("a"), HI],
        ["the call a without a result"],
    ),
    "one of two results is missing": (
        [HI, asks("a", "b"), answers("b")],
        [HI, asks("a", "b"), answers("b"), lost("a")],
        ["the call a without a result"],
    ),
    "a result without a call": (
        [HI, HO, answers("a"), HI],
        [HI, HO, HI],
        ["a result without its call"],
    ),
    "a result whose answer is missing": (
        [answers("a"), HO],
        [HO],
        ["a result without its call"],
    ),
    "two results of one call": (
        [HI, asks("a"), answers("a"), answers("a", text="again"), HO],
        [HI, asks("a"), answers("a"), HO],
        [f"a result without its call, or the second of one; {OTHERS}"],
    ),
    "two calls of one id": (
        [HI, asks("a"), answers("a"), asks("a"), answers("a", text="new")],
        [HI, asks("a"), answers("a"), asks("a_2"), answers("a_2", text="new")],
        [f"an id or a name that no provider takes, or that two have; {OTHERS}"],
    ),
    "two calls of one id in one answer": (
        [HI, asks("a", "a"), answers("a"), answers("a", text="new")],
        [HI, asks("a", "a_2"), answers("a"), answers("a_2", text="new")],
        [
            "an id or a name that no provider takes, or that two have",
            OTHERS,
        ],
    ),
    "a result that comes too late": (
        [HI, asks("a"), HI, answers("a"), HO],
        [HI, asks("a"), answers("a"), HI, HO],
        ["a result that comes too late", "that result was here"],
    ),
    "a late result is its own call's": (
        [HI, asks("a"), HI, asks("a"), answers("a")],
        [HI, asks("a"), lost("a"), HI, asks("a_2"), answers("a_2")],
        None,
    ),
    "an id that nobody takes": (
        [HI, asks("f:0"), answers("f:0")],
        [HI, asks("f_0"), answers("f_0")],
        None,
    ),
    "a name that nobody takes": (
        [HI, Message("assistant", (ToolCall("a", "", "{}"),)), answers("a")],
        [HI, Message("assistant", (ToolCall("a", "unknown", "{}"),)), answers("a")],
        None,
    ),
    "a person who calls tools and thinks": (
        [Message("user", (Thinking("hm"), Text("hi"), ToolCall("a", "f", "{}"))), HO],
        [HI, HO],
        ["what a message of role user cannot hold"],
    ),
    "a result in a person's words": (
        [HI, asks("a"), Message("user", (ToolResult("a", "ok"), Text("hi")))],
        [HI, asks("a"), answers("a"), HI],
        None,
    ),
}


@pytest.mark.parametrize(
    ("damaged", "whole", "why"), DAMAGED.values(), ids=DAMAGED.keys()
)
def test_what_is_damaged_is_made_whole(
    damaged: list[Message], whole: list[Message], why: list[str] | None
):
    state = mended(damaged)
    assert state.messages == whole
    assert list(state.seqs) == sorted(state.seqs)
    assert repaired(state) is None
    found = repaired(state_of(damaged))
    assert found is not None
    assert all(splice.why for splice in found.splices)
    if why is not None:
        assert [splice.why for splice in found.splices] == why


@pytest.mark.parametrize(
    "whole",
    [
        [],
        [HI, HO, HI],
        [HI, asks("a", "b", text="so"), answers("b"), answers("a"), HO, HI],
        [HI, asks("a", "b"), answers("b", "a"), asks("c"), answers("c")],
        [HI, Message("assistant", ()), Message("user", ())],
        [said("system", "be"), Message("assistant", (Thinking("hm", "s"), Text("x")))],
    ],
)
def test_what_is_whole_is_left_alone(whole: list[Message]):
    assert repaired(state_of(whole)) is None


def open_turn(*calls: Call) -> OpenTurn:
    return OpenTurn(
        run_id="r",
        epoch=1,
        agent="main",
        definition="h",
        params=ModelParams(),
        retractable=True,
        calls=calls,
    )


def call(id_: str, outcome: str | None = None) -> Call:
    return Call(asked=ToolCall(id_, "f", "{}"), outcome=outcome)  # pyright: ignore[reportArgumentType]


def test_calls_of_the_turn_in_progress_may_wait_for_their_results():
    turn = open_turn(call("a"), call("b", "ok"))
    assert repaired(state_of([HI, asks("a", "b"), answers("b")], turn)) is None


def test_a_call_of_it_that_has_come_out_has_its_result():
    turn = open_turn(call("a"), call("b", "ok"))
    state = mended([HI, asks("a", "b")], turn)
    assert state.messages == [HI, asks("a", "b"), lost("b")]


def test_the_ids_of_the_turn_in_progress_stay_others_change():
    turn = open_turn(call("a"))
    state = mended([HI, asks("a"), answers("a"), HI, asks("a")], turn)
    assert state.messages == [HI, asks("a_2"), answers("a_2"), HI, asks("a")]


def test_what_a_provider_had_counted_does_not_hold_any_more():
    state = Transcript(3, [HI, asks("a"), HI], None, (1, 2, 3), 0, (2, 50))
    found = repaired(state)
    assert found is not None
    assert evolve(state, 4, Fact(found)).counted == (0, 0)


# --- any damage at all

ids = st.sampled_from(["a", "b", "c", "a:b", ""])
some_calls = st.lists(ids, min_size=1, max_size=3).map(lambda found: asks(*found))
some_results = st.lists(ids, min_size=1, max_size=2).map(lambda found: answers(*found))
pieces = st.one_of(some_calls, some_calls, some_results, some_results, messages)
JSON = {"content-type": "application/json", "anthropic-version": "2023-06-01"}


def refused(request: ModelRequest) -> list[object]:
    """What the strict fakes have against it."""
    chat = openai.chat_body(request, openai.Manner("max_tokens", "p/m"))
    brief = anthropic.messages_body(request, 1_000, anthropic.Manner())
    thinks = attrs.evolve(request, params=ModelParams(thinking="high"))
    thinking = anthropic.messages_body(thinks, 9_000, anthropic.Manner())
    bodies = [
        (FakeOpenAI(), chat),
        (FakeAnthropic(), brief),
        (FakeAnthropic(), thinking),
    ]
    return [
        breach
        for fake, body in bodies
        for breach in fake.check(
            HTTPRequest("POST", fake.path, JSON, orjson.dumps(body)), body
        )
    ]


@given(st.lists(pieces, max_size=12))
def test_whatever_the_damage_both_providers_take_what_comes_of_it(
    damaged: list[Message],
):
    state = state_of(damaged)
    found = repaired(state)
    if found is not None:
        assert all(splice.why for splice in found.splices)
        state = evolve(state, state.seq + 1, Fact(found))
    assert is_whole(state.messages)
    assert repaired(state) is None
    assert list(state.seqs) == sorted(state.seqs)
    assert len(state.seqs) == len(state.messages) == len(state.sums)
    asked = [
        part.id
        for message in state.messages
        for part in message.parts
        if isinstance(part, ToolCall)
    ]
    results = [
        part.id
        for message in state.messages
        for part in message.parts
        if isinstance(part, ToolResult)
    ]
    assert sorted(asked) == sorted(results)
    assert len(set(asked)) == len(asked)
    # The session is asked again: that is why it was loaded.
    request = ModelRequest(
        model="m",
        messages=(*state.messages, said("user", "next")),
        params=ModelParams(),
    )
    assert refused(request) == []


@example([asks("a", "b"), answers("a")], {"b"})
@example([asks("b"), answers("b"), asks("a"), answers("a")], {"b"})
@given(st.lists(pieces, max_size=6), st.sets(ids, max_size=2))
def test_what_is_whole_at_a_glance_is_whole(damaged: list[Message], open_ids: set[str]):
    state = state_of(damaged, open_turn(*map(call, sorted(open_ids))))
    if is_whole(state.messages, open_ids):
        assert not list(_Mending(state.messages, open_ids, open_ids).splices())


def test_a_repair_is_an_event_like_any_other():
    state = state_of([HI, asks("a"), HI])
    found = repaired(state)
    assert isinstance(found, Repaired)
    (splice,) = found.splices
    assert (splice.at, splice.removed, splice.put) == (2, 0, (lost("a"),))
