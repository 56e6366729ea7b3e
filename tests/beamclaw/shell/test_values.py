"""Values in a few characters, without secrets."""

import enum
from collections import deque
from pathlib import Path

import attrs
import pytest

from beamclaw.config.redactor import Redactor
from beamclaw.contracts.secret import Secret
from beamclaw.shell.values import Shower

SHOW = Shower(
    redactor=Redactor((Secret("hunter2-hunter2"),)), items=3, text=20, depth=2
)


class Colour(enum.Enum):
    RED = 1


@attrs.frozen
class Point:
    x: int
    inner: object = None
    hidden: str = attrs.field(default="quiet", repr=False)
    masked: str = attrs.field(default="quiet", repr=lambda _: "***")


class Bad:
    def __repr__(self):
        raise ValueError("no")

    def __str__(self):
        raise ValueError("no")


@pytest.mark.parametrize(
    "value, shown",
    [
        (None, "None"),
        (True, "True"),
        (7, "7"),
        (1.5, "1.5"),
        (1 << 5000, "<int of 5001 bits>"),
        ("short", "'short'"),
        ("x" * 30, "'xxxxxxxxxxxxxxxxxxxx'… (30 characters)"),
        (b"ab", "b'ab'"),
        ([1, 2], "[1, 2]"),
        ([1, 2, 3, 4, 5], "[1, 2, 3, … 2 more]"),
        ((1,), "(1)"),
        (deque([1]), "[1]"),
        ({"a": 1}, "{'a': 1}"),
        ({}, "{}"),
        ([[[[1]]]], "[[[…]]]"),
        (Colour.RED, "<enum Colour>"),
        (Path("/x"), "PosixPath('/x')"),
        (Point(1), "Point(x=1, inner=None, masked=[secret])"),
        (
            Point(1, Point(2, Point(3))),
            "Point(x=1, inner=Point(x=2, inner=Point(…), masked=[secret]), masked=[secret])",
        ),
        (Secret("abcdef"), "[secret]"),
        ("my hunter2-hunter2", "'my [secret]'"),
        ({"hunter2-hunter2": b"hunter2-hunter2"}, "{'[secret]': b'[secret]'}"),
        (ValueError("hunter2-hunter2"), "ValueError([secret])"),
        (Bad(), "<tests.beamclaw.shell.test_values.Bad>"),
        (object(), "<builtins.object>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_in_one_line(value, shown):
    if isinstance(value, Colour):
        shown = repr(value)
    assert SHOW(value) == shown


def test_a_secret_across_the_cut_is_not_half_shown():
    text = "x" * 15 + "hunter2-hunter2"
    assert "hunter" not in SHOW(text)


def test_what_is_shown_is_not_shown_again():
    once = SHOW("a")
    assert SHOW(once) is once


def test_a_value_that_contains_itself_ends():
    ring: list[object] = []
    ring.append(ring)
    assert SHOW(ring) == "[[[…]]]"


def test_a_huge_value_is_not_written_out_whole():
    deep = Shower(items=1_000, text=100, depth=20)
    assert len(deep([["y" * 90] * 500] * 500)) < 2_100


def test_words_of_what_cannot_be_said():
    assert SHOW.words(Bad()) == "<no words: ValueError"[:20] + "…"
