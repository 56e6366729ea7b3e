"""What a reader of a run is given, whatever order and repeats it arrives in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.follow import Shown
from beamclaw.contracts.sessions import Delta, Reset, TopicValue, Waiting

RUN = "r"


def shown(text: str = "", attempt: int = 1) -> Shown:
    reader = Shown(RUN)
    reader.sees(delta(0, text, attempt))
    return reader


def delta(offset: int, text: str, attempt: int = 1) -> Delta:
    return Delta(RUN, attempt, offset, text)


@pytest.mark.parametrize(
    ("shown", "value", "passed"),
    [
        (shown(), delta(0, "ab"), (delta(0, "ab"),)),
        (shown("ab"), delta(0, "ab"), ()),
        (shown("ab"), delta(0, "abc"), (delta(2, "c"),)),
        (shown("ab"), delta(1, "bcd"), (delta(2, "cd"),)),
        (shown("ab"), delta(3, "d"), None),
        (shown("ab", 2), delta(0, "ab"), ()),
        # A later model call goes on where the one before ended ...
        (shown("ab"), delta(2, "x", 2), (delta(2, "x", 2),)),
        (shown("ab"), delta(0, "abx", 2), (delta(2, "x", 2),)),
        (shown("ab"), delta(3, "x", 2), None),
        # ... or takes the place of what was said of an answer that came to nothing.
        (shown("ab"), delta(0, "x", 2), (Reset(RUN, 2), delta(0, "x", 2))),
        (shown("ab"), delta(1, "x", 2), (Reset(RUN, 2, 1), delta(1, "x", 2))),
        (shown("ab"), delta(0, "a", 2), (Reset(RUN, 2, 1),)),
        (shown(""), delta(0, "x", 2), (delta(0, "x", 2),)),
        (shown("ab"), Reset(RUN, 2), (Reset(RUN, 2),)),
        (shown("ab"), Reset(RUN, 2, 1), (Reset(RUN, 2, 1),)),
        (shown("ab"), Reset(RUN, 2, 2), ()),
        (shown("ab", 2), Reset(RUN, 2), ()),
        (shown(), Reset(RUN, 2), ()),
        (shown(), Delta("other", 1, 0, "x"), ()),
        (shown(), Waiting(RUN, "model"), (Waiting(RUN, "model"),)),
    ],
)
def test_what_is_passed_on(
    shown: Shown, value: TopicValue, passed: tuple[TopicValue, ...] | None
) -> None:
    assert shown.sees(value) == passed


@given(
    st.text(min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=30),
)
def test_pieces_in_any_order_never_repeat_skip_or_change_text(
    text: str, cuts: list[tuple[int, int]]
) -> None:
    shown, given_text = Shown(RUN), ""
    for start, end in [*cuts, (0, len(text))]:
        passed = shown.sees(delta(min(start, len(text)), text[start:end]))
        for value in passed or ():
            assert isinstance(value, Delta)
            assert value.offset == len(given_text)
            given_text += value.text
    assert given_text == text
