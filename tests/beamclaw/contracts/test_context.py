"""What fits into a window, where a conversation is cut, and how a prompt uses it."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts import tokens
from beamclaw.contracts.context import Share, Window, cut, most, share, size
from beamclaw.contracts.journal import Answered, Asked, Body, Compacted, InboundTaken
from beamclaw.contracts.messages import Message, Usage, said
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


@given(st.lists(messages, max_size=8), st.integers(0, 300))
def test_a_cut_leaves_so_many_tokens_where_it_can(many: list[Message], keep: int):
    plain = [Message("user", message.parts[:0]) for message in many]
    state = state_of(plain)
    at = cut(state, keep)
    if len(plain) < 2:
        assert at is None
        return
    assert at is not None
    left = tokens.of_messages(plain[at:-1])
    # One more would be too many, unless the first is all that can be covered.
    assert left <= keep or at == len(plain) - 1
    assert at == 1 or left + tokens.of_message(plain[at - 1]) > keep


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
