"""What fits into a window, where a conversation is cut, and how a prompt uses it."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts import tokens
from beamclaw.contracts.context import (
    Left,
    Share,
    Window,
    cut,
    fresh,
    keeps_all,
    left,
    most,
    share,
    size,
    standing_for,
    to_share,
)
from beamclaw.contracts.journal import Answered, Asked, Body, Compacted, InboundTaken
from beamclaw.contracts.messages import (
    Message,
    ToolCall,
    ToolResult,
    Usage,
    said,
)
from beamclaw.contracts.transcript import Billed, Fact, Transcript, advance, evolve
from tests.support.journals import histories, messages

WINDOW = Window(tokens=2_000, output=100, overhead=70, keep=50, system=30)
HI, HO = said("user", "hi there " * 20), said("assistant", "ho there " * 20)


def state_of(said_: list[Message], counted: tuple[int, int] = (0, 0)) -> Transcript:
    return Transcript(
        len(said_), said_, None, range(1, len(said_) + 1), counted=counted
    )


@given(st.lists(messages, max_size=8), st.integers(0, 8), st.integers(0, 900))
def test_the_size_is_what_was_counted_and_an_estimate_of_the_rest(
    many: list[Message], upto: int, counted: int
):
    upto = min(upto, len(many))
    state = state_of(many, (upto, counted))
    rest = tokens.of_messages(many[upto:])
    expected = max(0, counted - 70) + rest if upto else tokens.of_messages(many)
    assert size(state, 70) == expected


# --- what a compaction leaves


@pytest.mark.parametrize(
    ("keep", "room", "summary", "kept"),
    [
        # A large window: what is configured, of the half that may be taken.
        (20_000, 180_000, 2_000, 88_000),
        (20_000, 44_000, 2_000, 20_000),
        # Less than that: half of the room stays free, whatever is configured.
        (20_000, 20_200, 2_000, 8_100),
        (20_000, 6_000, 1_000, 2_000),
        (300, 6_000, 1_000, 2_000),
        # Hardly anything: a summary that no model writes, and the last message.
        (20_000, 600, 150, 150),
        (20_000, 100, 150, 0),
        (20_000, 0, 150, 0),
    ],
)
def test_what_a_compaction_leaves(keep, room, summary, kept):
    assert left(keep, room) == Left(summary=summary, keep=keep, most=kept)


@pytest.mark.parametrize(
    ("summary", "covered", "worth"),
    [
        (2_000, 4_000, True),
        (2_000, 3_999, False),
        (151, 302, True),
        (151, 301, False),
        # In so few tokens no model says anything.
        (150, 100_000, False),
    ],
)
def test_what_a_model_is_paid_to_sum_up(summary, covered, worth):
    assert Left(summary=summary, keep=0, most=0).is_worth(covered) is worth


@given(st.lists(messages, max_size=8), st.integers(0, 300), st.integers(0, 500))
def test_a_cut_leaves_so_many_tokens_where_it_can(
    many: list[Message], keep: int, most: int
):
    plain = [Message("user", message.parts[:0]) for message in many]
    state = state_of(plain)
    at = cut(state, Left(summary=150, keep=keep, most=most))
    if len(plain) < 2:
        assert at is None
        return
    assert at is not None
    stays, before = tokens.of_messages(plain[at:]), tokens.of_messages(plain[at:-1])
    # One more would be too many, unless the first is all that can be covered.
    assert (stays <= most and before <= keep) or at == len(plain) - 1
    more = tokens.of_message(plain[at - 1])
    assert at == 1 or before + more > keep or stays + more > most


CALLS = Message("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")))
SAYS = [Message("tool", (ToolResult(id_, "x" * 597),)) for id_ in "ab"]
# Of 15, 10, 207, 207, 15 and 15 tokens.
WORKED = [said("user", "a" * 20), CALLS, *SAYS, said("user", "b" * 20), HI]


@pytest.mark.parametrize(
    ("keep", "most", "at"),
    [
        # All of the call and of its results stays while it may ...
        (300, 1_000, 1),
        (230, 1_000, 1),
        # ... and goes whole when there is no room for it.
        (230, 300, 4),
        (300, 0, 5),
        (0, 1_000, 5),
    ],
)
def test_a_call_and_its_results_stay_or_go_together(keep, most, at):
    assert cut(state_of(WORKED), Left(summary=150, keep=keep, most=most)) == at


def test_what_is_summed_up_already_is_not_fresh():
    state = evolve(state_of([HI, HO, HI, HO]), 5, Fact(SHORT))
    assert fresh(state, 2) == tokens.of_message(HI)
    assert fresh(state_of([HI, HO]), 1) == tokens.of_message(HI)


def test_all_stays_that_is_among_the_latest():
    one = tokens.of_message(HI)
    assert keeps_all(state_of([]), 0)
    assert keeps_all(state_of([HI]), 0)
    assert keeps_all(state_of([HI, HO]), one)
    assert not keeps_all(state_of([HI, HO]), one - 1)


@pytest.mark.parametrize(
    ("counted", "refused", "room"),
    [
        ((0, 0), False, WINDOW.room),
        # Who counts half as much again for the same has less room for it.
        ((20, 2_110), False, WINDOW.room * 2 // 3),
        # It was refused: there is less room than this took.
        ((0, 0), True, 1_360),
    ],
)
def test_the_room_is_that_of_who_counts(counted, refused, room):
    state = state_of([HI] * 20, counted)
    assert to_share(state, WINDOW, refused=refused) == room


# --- what stands for what was said

SHORT = Compacted(first=1, last=2, summary="short", method="trim", before=9)
WISH = said("user", "I wish for a garden, and for 100 roses in it")


def test_a_trim_keeps_the_summary_that_was_paid_for():
    state = evolve(state_of([HI, HO, HI, HO]), 5, Fact(SHORT))
    assert standing_for(state, 2, 500).startswith("short\nuser: hi there")


def test_what_was_asked_for_last_stays_word_for_word():
    state = state_of([WISH, HO, HO])
    told = standing_for(state, 2, 500, "a summary")
    assert told == f"a summary\n\n[What was asked for last]\n{WISH.text}"
    # Also when that is summed up again, and once more by the words of another.
    body = attrs.evolve(SHORT, summary=told)
    again = evolve(attrs.evolve(state, messages=[WISH, HO, HO, HO]), 4, Fact(body))
    assert standing_for(again, 1, 500, "next").endswith(f"last]\n{WISH.text}")
    assert standing_for(again, 1, 500).startswith("a summary")
    assert standing_for(again, 1, 500).count("roses") == 1


def test_what_was_asked_for_is_not_said_twice():
    assert standing_for(state_of([WISH, HO, HI]), 2, 500, "a summary") == "a summary"
    by_order = standing_for(state_of([WISH, HO, HO]), 2, 500, "so", quotes=False)
    assert by_order == "so"


def test_what_stands_for_it_is_bounded_and_says_what_is_missing():
    state = state_of([said("user", "word " * 9_000), HO])
    told = standing_for(state, 1, 150, "long " * 9_000)
    assert tokens.of_text(told) <= 150
    assert told.startswith("long")
    assert told.count("characters left out") == 2


# --- how a prompt uses it


def test_a_prompt_says_how_it_uses_the_window():
    state = state_of([HI, HO, HI])
    assert share(state, WINDOW) == Share(
        window=2_000,
        system=30,
        tools=40,
        summary=0,
        messages=tokens.of_messages([HI, HO, HI]),
        answer=100,
        margin=100,
    )
    assert share(state, WINDOW).free == WINDOW.room - size(state, 70)


def test_a_summary_has_a_share_of_its_own():
    summed_up = Compacted(first=1, last=2, summary="short", method="trim", before=9)
    state = evolve(state_of([HI, HO, HI]), 4, Fact(summed_up))
    found = share(state, WINDOW)
    assert found.summary == tokens.of_message(state.messages[0])
    assert found.messages == tokens.of_message(HI)
    assert found.free == WINDOW.room - size(state, 70)


def test_a_prompt_that_is_too_long_has_less_than_nothing_left():
    assert share(state_of([HI] * 40), WINDOW).free < 0


# --- at most


@given(histories())
def test_the_bound_goes_along_with_what_is_said(history: list[Fact]) -> None:
    state = advance(Transcript(), history)
    assert state.most == tokens.most_of_messages(state.messages)
    assert state.billed.most <= state.most


CJK = said("user", "漢字" * 100)
HEARD = InboundTaken(messages=(CJK,), inbox_id=1)
ASKED = Asked(attempt=1, provider="p", model="m")
ANSWERED = Answered(
    attempt=1,
    message=HO,
    stop_reason="stop",
    usage=Usage(90, 20),
    provider="p",
    model="m",
)
ONE, TWO = tokens.most_of_message(CJK), tokens.most_of_message(HO)


def after(*bodies: Body) -> Transcript:
    return advance(Transcript(), map(Fact, bodies))


@pytest.mark.parametrize(
    ("bodies", "model", "same", "bound"),
    [
        # Nobody has counted anything.
        ((HEARD,), "p/m", False, ONE + 70),
        # What was sent has its figure; the answer, and what came since, are new.
        ((HEARD, ASKED, ANSWERED), "p/m", True, 90 + TWO),
        ((HEARD, ASKED, ANSWERED, HEARD), "p/m", True, 90 + TWO + ONE),
        # Also what came while the model was asked.
        ((HEARD, ASKED, HEARD, ANSWERED), "p/m", True, 90 + ONE + TWO),
        # The system's words or the tools are others by now.
        ((HEARD, ASKED, ANSWERED), "p/m", False, 90 + TWO + 70),
        # Another model counts otherwise.
        ((HEARD, ASKED, ANSWERED), "p/other", True, ONE + TWO + 70),
        # A figure that no tokenizer has is not needed.
        (
            (HEARD, ASKED, attrs.evolve(ANSWERED, usage=Usage(90_000, 20))),
            "p/m",
            True,
            ONE + TWO + 70,
        ),
        # Our own guess is none of the provider's.
        (
            (HEARD, ASKED, attrs.evolve(ANSWERED, usage=Usage(90, 20, estimated=True))),
            "p/m",
            True,
            ONE + TWO + 70,
        ),
        # A summary is no answer to what was sent.
        (
            (HEARD, ASKED, HEARD, attrs.evolve(ASKED, purpose="summary"), ANSWERED),
            "p/m",
            True,
            90 + ONE + TWO,
        ),
    ],
)
def test_what_a_prompt_may_be_billed_for(
    bodies: tuple[Body, ...], model: str, same: bool, bound: int
) -> None:
    assert most(after(*bodies), model, 70, same=same) == bound


def test_what_stands_for_what_was_said_is_counted_anew() -> None:
    short = Compacted(first=1, last=3, summary="short", method="trim", before=9)
    state = after(HEARD, ASKED, ANSWERED, short)
    assert state.billed == Billed()
    assert most(state, "p/m", 70, same=True) == state.most + 70
