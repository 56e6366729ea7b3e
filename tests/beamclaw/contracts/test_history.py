"""A history is a tuple that costs nothing to grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.history import History

numbers = st.lists(st.integers(0, 3), max_size=5)
places = st.none() | st.integers(-7, 7)


@given(numbers, places, places, st.none() | st.sampled_from([-2, -1, 1, 2]))
def test_it_reads_like_a_tuple(items, start, stop, step):
    # What comes after it is nobody's business.
    history, plain = History(items), tuple(items)
    history.plus([9, 9])
    assert (history, len(history), list(history)) == (plain, len(plain), list(plain))
    assert history[start:stop:step] == plain[start:stop:step]
    assert list(reversed(history)) == list(reversed(plain))
    for place in range(-len(plain), len(plain)):
        assert history[place] == plain[place]
    for place in (len(plain), -len(plain) - 1):
        with pytest.raises(IndexError):
            history[place]


@given(st.lists(st.tuples(st.integers(0, 9), numbers), max_size=12))
def test_each_version_keeps_what_it_had_whatever_is_added_to_any(work):
    versions: list[tuple[History[int], tuple[int, ...]]] = [(History(), ())]
    for which, new in work:
        history, plain = versions[which % len(versions)]
        versions.append((history.plus(new), (*plain, *new)))
    for history, plain in versions:
        assert history == plain
        assert History(plain) == history


def test_it_differs_from_what_has_other_items_or_is_no_sequence():
    assert History([1]) != (2,)
    assert History([1]) != History()
    assert History([1]) != "1"
