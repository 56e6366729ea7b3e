"""What an answer adds up to, whole or cut off."""

import pytest

from beamclaw.contracts.messages import Part, Text, Thinking, ToolCall, Usage
from beamclaw.contracts.providers import (
    End,
    ProviderEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.runs.answer import Answer

ASKED = Usage(40, 1_000, estimated=True)


def answer(*events: ProviderEvent) -> Answer:
    made = Answer()
    for event in events:
        made.take(event)
    return made


def call(index: int, id_: str | None, text: str = "", name: str = "f") -> ToolCallDelta:
    return ToolCallDelta(index, id_, name if id_ is not None else None, text)


@pytest.mark.parametrize(
    ("events", "parts"),
    [
        ((), ()),
        ((TextDelta("he"), TextDelta("llo")), (Text("hello"),)),
        (
            (ThinkingDelta("h"), ThinkingDelta("m", "s"), TextDelta("so")),
            (Thinking("hm", "s"), Text("so")),
        ),
        # What only a signature tells of is kept.
        ((ThinkingDelta("", "s"),), (Thinking("", "s"),)),
        # A signature ends a block of reasoning; so does anything else that comes.
        (
            (ThinkingDelta("a", "1"), ThinkingDelta("b", "2")),
            (Thinking("a", "1"), Thinking("b", "2")),
        ),
        (
            (ThinkingDelta("", redacted="x"), ThinkingDelta("a")),
            (Thinking("", redacted="x"), Thinking("a")),
        ),
        (
            (
                ThinkingDelta("a", field="reasoning"),
                ThinkingDelta("b", field="reasoning"),
                ThinkingDelta("c"),
                ThinkingDelta("", redacted="[]", field="reasoning_details"),
            ),
            (
                Thinking("ab", field="reasoning"),
                Thinking("c"),
                Thinking("", redacted="[]", field="reasoning_details"),
            ),
        ),
        (
            (TextDelta("a"), ThinkingDelta("b"), TextDelta("c")),
            (Text("a"), Thinking("b"), Text("c")),
        ),
        (
            (TextDelta("so"), call(0, "x", '{"a"'), call(0, None, ":1}")),
            (Text("so"), ToolCall("x", "f", '{"a":1}')),
        ),
        # Two at once, their pieces mixed.
        (
            (
                call(0, "x", "{"),
                call(1, "y", "["),
                call(0, None, "}"),
                call(1, None, "]"),
            ),
            (ToolCall("x", "f", "{}"), ToolCall("y", "f", "[]")),
        ),
    ],
)
def test_pieces_become_a_message(
    events: tuple[ProviderEvent, ...], parts: tuple[Part, ...]
) -> None:
    assert answer(*events).message().parts == parts


def test_what_was_thought_is_kept_with_who_thought_it():
    said = Answer("p/m")
    said.take(ThinkingDelta("a", field="reasoning"))
    assert said.message().parts == (Thinking("a", field="reasoning", model="p/m"),)


def test_every_call_gets_an_id_of_its_own():
    twice = answer(call(0, "a"), call(1, "a"), call(2, ""), call(3, "no good"))
    parts = twice.message({"call"}).parts
    ids = [part.id for part in parts if isinstance(part, ToolCall)]
    assert ids == ["a", "a_2", "call_2", "no_good"]


def test_of_what_broke_off_no_call_is_kept():
    cut = answer(TextDelta("so"), call(0, "x", '{"pa'))
    assert cut.message(whole=False).parts == (Text("so"),)


def test_only_text_is_for_a_person():
    events = TextDelta("a"), ThinkingDelta("b"), call(0, "x"), End("stop")
    assert [Answer().take(event) for event in events] == ["a", "", "", ""]


def test_the_figures_of_the_provider_count():
    assert answer(TextDelta("a"), UsageReport(Usage(7, 3))).cost(ASKED) == Usage(7, 3)


def test_without_figures_each_byte_that_was_said_may_have_been_a_token():
    said = answer(TextDelta("abc"), ThinkingDelta("日"), call(0, "x", "{1}"))
    assert said.cost(ASKED) == Usage(40, 8 + 3 + 3 + 4 + 4, estimated=True)


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        (Usage(0, 0), Usage(40, 11, estimated=True)),
        (Usage(7, 0, 5), Usage(7, 11, 5, estimated=True)),
        (Usage(0, 9), Usage(40, 9, estimated=True)),
    ],
)
def test_nothing_for_what_there_was_is_no_figure(told: Usage, cost: Usage) -> None:
    said = answer(TextDelta("abc"), UsageReport(told), End("stop"))
    assert said.cost(ASKED) == cost


def test_without_figures_a_model_wrote_no_more_than_it_was_allowed() -> None:
    said = answer(TextDelta("x" * 3_000), End("length"))
    assert said.cost(ASKED) == Usage(40, 1_000, estimated=True)


def test_who_does_not_stop_where_it_was_told_is_not_believed_to_have() -> None:
    said = answer(TextDelta("x" * 3_000), UsageReport(Usage(7, 1_000)))
    said.break_off()
    assert said.cost(ASKED) == Usage(40, 3_008, estimated=True)


@pytest.mark.parametrize(
    ("events", "spent"),
    [
        ((), Usage()),
        ((UsageReport(Usage(7, 0)),), Usage(7, 0)),
        ((UsageReport(Usage(7, 1)), TextDelta("abc" * 4)), Usage(7, 20, 0, True)),
        ((TextDelta("abc" * 4), UsageReport(Usage(7, 99))), Usage(7, 99)),
        ((TextDelta("abc"), UsageReport(Usage(7, 2)), End("stop")), Usage(7, 2)),
        ((TextDelta("abc"),), Usage(40, 11, 0, True)),
        ((call(0, "x", ""),), Usage(40, 8 + 1 + 4, 0, True)),
    ],
)
def test_a_call_that_has_failed_is_billed_for_what_had_come(events, spent):
    assert answer(*events).spent(ASKED) == spent


@pytest.mark.parametrize(
    ("events", "cut", "silent"),
    [
        ((), Usage(40, 0, 0, True), Usage(40, 1_000, 0, True)),
        # What else had been written is lost with the connection: see the prompt.
        (
            (UsageReport(Usage(7, 0, 5)),),
            Usage(40, 0, 5, True),
            Usage(40, 1_000, 5, True),
        ),
        (
            (UsageReport(Usage(99, 3)),),
            Usage(99, 3, 0, True),
            Usage(99, 1_000, 0, True),
        ),
        ((TextDelta("abc"),), Usage(40, 11, 0, True), Usage(40, 1_000, 0, True)),
        (
            (UsageReport(Usage(7, 2)), End("stop")),
            Usage(7, 2),
            Usage(7, 2),
        ),
    ],
)
def test_what_nobody_has_heard_of_a_call_may_be_billed(events, cut, silent):
    said = answer(*events)
    said.unclear = True
    assert said.spent(ASKED) == cut
    said.unheard = True
    assert said.spent(ASKED) == silent
