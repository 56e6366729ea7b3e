"""What is shown of an answer, over repeats, new attempts and waiting."""

import pytest

from beamclaw.cli.answer import Answer, Show
from beamclaw.cli.screen import rows_of, width_of
from beamclaw.cli.status import duration, of_measure


def delta(text, offset=0, attempt=1):
    return {"type": "Delta", "attempt": attempt, "offset": offset, "text": text}


def ended(text, outcome="ok"):
    return {"type": "RunEnded", "outcome": outcome, "text": text}


def shown(*events):
    answer = Answer(0.0)
    return [show for event in events for show in answer.take(event, 0.0)]


def test_text_is_shown_once_however_often_it_comes():
    assert shown(
        delta("ab"), delta("ab"), delta("abc"), delta("cd", 2), ended("abcd")
    ) == [Show("text", "ab"), Show("text", "c"), Show("text", "d"), Show("end")]


def test_a_new_attempt_voids_what_was_shown():
    events = [delta("ab"), {"type": "Reset", "attempt": 2}, delta("x", attempt=2)]
    expected = [Show("text", "ab"), Show("again"), Show("text", "x")]
    assert shown(*events) == expected
    assert shown(events[0], events[2]) == expected
    assert shown(*events, delta("late", 2)) == expected


def test_what_an_earlier_model_call_said_stays():
    more = {"type": "Reset", "attempt": 3, "offset": 2}
    assert shown(delta("ab"), delta("cd", 2, 2), more, delta("x", 2, 3)) == [
        Show("text", "ab"),
        Show("text", "cd"),
        Show("again"),
        Show("text", "ab"),
        Show("text", "x"),
    ]


def test_a_reset_before_any_text_is_nothing():
    assert shown({"type": "Reset", "attempt": 2}, delta("x", attempt=2)) == [
        Show("text", "x")
    ]


def test_the_end_brings_what_is_missing_or_everything_anew():
    assert shown(delta("ab"), ended("abc"))[1:] == [Show("text", "c"), Show("end")]
    assert shown(delta("ab"), ended("xy"))[1:] == [
        Show("again"),
        Show("text", "xy"),
        Show("end"),
    ]


def test_what_is_not_known_is_left_out():
    assert shown({"type": "Thinking", "text": "hm"}) == []


@pytest.mark.parametrize(
    "event, now, words",
    [
        (None, 0.9, ""),
        (None, 2.0, "waiting for the node (2 s)"),
        (
            {"phase": "queue"},
            2.0,
            "waiting for an earlier message of this conversation (2 s)",
        ),
        (
            {"phase": "permit", "detail": "demo"},
            3.0,
            "waiting for leave to call the provider: demo (3 s)",
        ),
        (
            {"phase": "retry", "detail": "too many requests", "seconds": 9.0},
            2.0,
            "trying again in 7 s: too many requests",
        ),
        (
            {"phase": "model", "detail": "a/b", "seconds": 9.0},
            2.0,
            "waiting for the model: a/b (2 s, at most 7 s)",
        ),
    ],
)
def test_after_a_second_it_is_said_what_is_waited_for(event, now, words):
    answer = Answer(0.0)
    if event:
        answer.take({"type": "Waiting", **event}, 0.0)
    assert answer.waiting(now) == words


def test_waiting_begins_anew_with_each_piece_of_text_and_ends_with_the_end():
    answer = Answer(0.0)
    answer.take(delta("a"), 5.0)
    assert answer.waiting(5.5) == ""
    assert answer.waiting(7.0) == "waiting for more (2 s)"
    answer.take(ended("a"), 8.0)
    assert answer.waiting(99.0) == ""


@pytest.mark.parametrize(
    "text, columns, rows",
    [
        ("", 10, 0),
        ("abc", 10, 0),
        ("a" * 10, 10, 0),
        ("a" * 11, 10, 1),
        ("a\nb", 10, 1),
        ("a\nb\n", 10, 2),
        ("a" * 25 + "\nb", 10, 3),
        ("漢" * 6, 10, 1),
    ],
)
def test_how_many_rows_a_text_takes(text, columns, rows):
    assert rows_of(text, columns) == rows


def test_how_wide_a_text_is():
    assert width_of("e\u0301漢a") == 4


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0.5, "0 s"),
        (59, "59 s"),
        (125, "2 min 5 s"),
        (7500, "2 h 5 min"),
        (180000, "2 d 2 h"),
    ],
)
def test_a_duration_for_people(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("measure", "figure", "words"),
    [
        ("cost", 2_500_000, "$2.50"),
        ("seconds", 245_900, "4 min 5 s"),
        ("tokens", 1_000, "1,000"),
        ("calls", 3, "3"),
    ],
)
def test_a_figure_of_a_cap_for_people(measure, figure, words):
    assert of_measure(measure)(figure) == words
