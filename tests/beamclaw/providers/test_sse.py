"""Server-sent events out of bytes, wherever they were cut."""

import itertools

import hypothesis
import pytest
from hypothesis import strategies as st

from beamclaw.providers.sse import EventSplitter, EventTooLong, ServerSentEvent
from tests.support.examples import examples

STREAM = (
    b"\xef\xbb\xbf: a comment\n"
    b"data: one\n\n"
    b"event: named\ndata: two\ndata:three\n\n"
    b"id: 7\nretry: 10\nunknown\ndata:  spaced\n\n"
    b"event: without data\n\n"
    b"data\n\n"
    + 'data: {"text":"grüße 🦀"}\n\n'.encode()
    + b": ping\n\n"
    + b"data: [DONE]\n\n"
)
EVENTS = [
    ServerSentEvent(b"", b"one"),
    ServerSentEvent(b"named", b"two\nthree"),
    ServerSentEvent(b"", b" spaced"),
    ServerSentEvent(b"", b""),
    ServerSentEvent(b"", '{"text":"grüße 🦀"}'.encode()),
    ServerSentEvent(b"", b"[DONE]"),
]
NEWLINES = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


def read(*chunks):
    splitter = EventSplitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    return events + splitter.finish()


@pytest.mark.parametrize("newline", NEWLINES)
def test_any_line_ending_does(newline):
    assert read(STREAM.replace(b"\n", NEWLINES[newline])) == EVENTS


@pytest.mark.parametrize("newline", NEWLINES)
def test_it_does_not_matter_where_the_bytes_are_cut_in_two(newline):
    stream = STREAM.replace(b"\n", NEWLINES[newline])
    for place in range(len(stream) + 1):
        assert read(stream[:place], stream[place:]) == EVENTS


@pytest.mark.parametrize("newline", NEWLINES)
def test_byte_by_byte(newline):
    stream = STREAM.replace(b"\n", NEWLINES[newline])
    assert read(*(stream[n : n + 1] for n in range(len(stream)))) == EVENTS


@hypothesis.given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
@hypothesis.settings(max_examples=examples(200))
def test_cuts_change_nothing_whatever_the_bytes_are(stream, places):
    ends = [0, *sorted(places), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(ends)]
    assert read(*pieces) == read(stream)


def test_an_event_is_given_as_soon_as_it_is_complete():
    splitter = EventSplitter()
    assert splitter.feed(b"data: x\r\n\r") == [ServerSentEvent(b"", b"x")]
    assert splitter.feed(b"\ndata: y\n\n") == [ServerSentEvent(b"", b"y")]


def test_the_last_event_may_lack_its_empty_line():
    assert read(b"data: [DONE]") == [ServerSentEvent(b"", b"[DONE]")]
    assert read(b"data: [DONE]\n") == [ServerSentEvent(b"", b"[DONE]")]


def test_an_endless_line_is_refused():
    splitter = EventSplitter(limit=100)
    with pytest.raises(EventTooLong):
        for _ in range(11):
            splitter.feed(b"0123456789")


def test_an_endless_event_is_refused():
    splitter = EventSplitter(limit=100)
    with pytest.raises(EventTooLong):
        for _ in range(11):
            splitter.feed(b"data: 0123456789\n")


def test_comments_without_end_are_no_event():
    splitter = EventSplitter(limit=100)
    for _ in range(1000):
        assert splitter.feed(b": keep-") == []
        assert splitter.feed(b"alive\n") == []
