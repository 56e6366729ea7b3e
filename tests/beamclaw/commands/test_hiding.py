"""Secrets that a command was given are not in what is kept of its output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.commands.hiding import Hiding
from beamclaw.commands.ring import Ring
from beamclaw.contracts.secret import REDACTED, Secret

KEY, LONGER = "abab-canary", "abab-canary-2"


def kept(pieces: list[str], *secrets: str, most: int = 1_000) -> str:
    ring = Ring(most, Hiding(map(Secret, secrets)))
    for piece in pieces:
        ring.put(piece.encode())
    ring.finish()
    return ring.text()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"KEY={KEY}\n", f"KEY={REDACTED}\n"),
        (f"{KEY}{KEY}", REDACTED * 2),
        (f"{LONGER} {KEY}", f"{REDACTED} {REDACTED}"),
        ("abab-canar", "abab-canar"),
        (f"ab{KEY}", f"ab{REDACTED}"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_however_it_is_cut_none_is_kept(said: str, shown: str):
    for cut in range(len(said) + 1):
        assert kept([said[:cut], said[cut:]], KEY, LONGER) == shown
    assert kept(list(said), KEY, LONGER) == shown


@pytest.mark.parametrize(
    "said",
    ['{"KEY": "a\\"b\\\\c%d"}', "?key=a%22b%5Cc%25d&", 'declare -x KEY="a\\"b\\\\c%d"'],
)
def test_what_is_quoted_is_not_kept_either_however_it_is_cut(said: str):
    shown = kept([said], 'a"b\\c%d')
    assert "a" not in shown.replace(REDACTED, "").replace("declare", "")
    for cut in range(len(said) + 1):
        assert kept([said[:cut], said[cut:]], 'a"b\\c%d') == shown


@given(st.lists(st.sampled_from(["ab", "abab", "-can", "ary", "-2", KEY, "x"])))
def test_in_any_pieces_it_is_as_in_one(pieces: list[str]):
    assert kept(pieces, KEY, LONGER) == kept(["".join(pieces)], KEY, LONGER)
    assert KEY not in kept(pieces, KEY, LONGER)


def test_what_may_become_one_waits_and_everything_else_is_there_at_once():
    ring = Ring(1_000, Hiding([Secret(KEY)]))
    ring.put(b"password: ab")
    assert ring.text() == "password: "
    ring.put(b"c")
    assert ring.text() == "password: abc"


def test_a_value_that_is_too_short_to_be_a_secret_is_shown():
    assert kept(["is 1 of 123"], "1", "") == "is 1 of 123"
