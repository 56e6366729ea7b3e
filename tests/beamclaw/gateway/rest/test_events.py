"""What is proved: whoever comes back gets what follows, and never a text twice."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.sessions import Delta, Reset, RunEnded, ToolUse, Waiting
from beamclaw.gateway.rest.events import RunEvents

END = RunEnded(run_id="r", outcome="ok", stop_reason="stop", text="hello")


def read(raw: bytes) -> list[tuple[str, str | None, dict]]:
    found = []
    for block in raw.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        data = orjson.loads(fields["data"])
        found.append((fields["event"], fields.get("id"), data))
    return found


def fresh(last=None) -> RunEvents:
    events = RunEvents.after(last)
    assert events is not None
    return events


def test_text_comes_with_what_the_reader_has_then():
    events = fresh()
    raw = events.feed(Delta("r", 1, 0, "hel")) + events.feed(Delta("r", 1, 3, "lo"))
    assert read(raw) == [
        ("delta", "1.3", {"offset": 0, "text": "hel"}),
        ("delta", "1.5", {"offset": 3, "text": "lo"}),
    ]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (None, [("delta", "2.5", {"offset": 0, "text": "hello"})]),
        ("2.3", [("delta", "2.5", {"offset": 3, "text": "lo"})]),
        ("2.5", []),
        # Of another call: what it has may be void, so it begins anew.
        (
            "1.3",
            [
                ("reset", "2.0", {"offset": 0}),
                ("delta", "2.5", {"offset": 0, "text": "hello"}),
            ],
        ),
    ],
)
def test_who_comes_back_gets_what_follows(last, told):
    assert read(fresh(last).feed(Delta("r", 2, 0, "hello"))) == told


@pytest.mark.parametrize("last", ["", "1", "x.y", "1.2.3", "-1.2", "1.9999999999999"])
def test_an_id_that_is_none_of_ours_is_refused(last):
    assert RunEvents.after(last) is None


def test_text_that_is_void_is_taken_back():
    events = fresh()
    events.feed(Delta("r", 1, 0, "hello"))
    assert read(events.feed(Reset("r", 2, 1))) == [("reset", "2.1", {"offset": 1})]
    assert read(events.feed(Delta("r", 2, 1, "i"))) == [
        ("delta", "2.2", {"offset": 1, "text": "i"})
    ]


def test_the_end_has_the_whole_text_and_is_the_last():
    events = fresh("1.3")
    ((name, mark, data),) = read(events.feed(END))
    assert (name, mark, data["text"], data["outcome"]) == ("end", None, "hello", "ok")
    assert events.ended


def test_what_goes_on_is_told_without_an_id():
    events = fresh()
    told = events.feed(ToolUse("r", "c", "exec")) + events.feed(Waiting("r", "permit"))
    assert [(name, mark) for name, mark, _ in read(told)] == [
        ("tool", None),
        ("waiting", None),
    ]


def test_half_a_character_breaks_nothing():
    assert read(fresh().feed(Delta("r", 1, 0, "a\ud800")))[0][2]["text"] == "a?"


@given(
    st.text(alphabet="ab\n: é😀", max_size=40),
    st.lists(st.integers(0, 40), max_size=12),
)
def test_wherever_it_is_cut_the_text_is_whole(text, cuts):
    """A reader that leaves anywhere, as often as it likes, ends with the text."""
    have, last = "", None
    for cut in (*cuts, len(text)):
        upto = min(max(cut, len(have)), len(text))
        events = fresh(last)
        for name, mark, told in read(events.feed(Delta("r", 1, 0, text[:upto]))):
            assert name == "delta"
            have, last = have[: told["offset"]] + told["text"], mark
    assert have == text
