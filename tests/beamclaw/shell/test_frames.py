"""Frames and places of the socket for commands: decisions without I/O."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.shell import (
    BadSocketPath,
    Decoder,
    FrameError,
    encode,
    socket_path,
)
from beamclaw.shell.connection import is_trusted

FRAMES = [{"id": 1, "method": "tree"}, {"event": "größer\n"}, {"a": [None, {"b": 1.5}]}]


@given(st.integers(1, 60))
def test_frames_arrive_in_whatever_pieces(size):
    data = b"".join(map(encode, FRAMES))
    decoder = Decoder()
    found = []
    for start in range(0, len(data), size):
        found += decoder.feed(data[start : start + size])
    assert found == FRAMES


def test_a_frame_is_one_line():
    assert encode({"a": "x\ny"}).count(b"\n") == 1
    assert encode({"a": "\ud800"}).endswith(b"\n")


@pytest.mark.parametrize(
    "data", [b"no json\n", b"[1]\n", b"5\n", b"\xff\n", b"[" * 100_000 + b"\n"]
)
def test_what_is_no_frame_is_refused(data):
    with pytest.raises(FrameError, match="a frame is"):
        Decoder().feed(data)


def test_a_frame_without_end_is_refused_before_it_fills_the_memory():
    decoder = Decoder(limit=100)
    with pytest.raises(FrameError, match="longer than 100 bytes"):
        for _ in range(20):
            decoder.feed(b"x" * 10)
    with pytest.raises(FrameError, match="longer than 100 bytes"):
        Decoder(limit=100).feed(b'{"a":"' + b"x" * 200 + b'"}\n')


def test_a_path_that_is_too_long_is_told_with_what_to_do():
    assert socket_path(Path("/a")) == Path("/a/node.sock")
    with pytest.raises(BadSocketPath, match="choose a shorter one with --data"):
        socket_path(Path("/" + "a" * 100))


@pytest.mark.parametrize(
    "uid, own, trusted", [(5, 5, True), (0, 5, True), (6, 5, False), (5, 0, False)]
)
def test_who_may_speak(uid, own, trusted):
    assert is_trusted(uid, own) is trusted
