"""What is proved: bytes are whole messages within limits, or the connection is broken."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from beamclaw.gateway.socket import wire
from beamclaw.gateway.socket.wire import Broken, Closed, Message, Pinged, Ponged, Wire


def client() -> Connection:
    return Connection(ConnectionType.CLIENT)


def read(data: bytes, limit: int = 1000) -> list:
    one = Wire(limit)
    one.feed(data)
    return [each for each in one.arrived() if each is not None]


def test_messages_pings_and_good_byes():
    other = client()
    data = (
        other.send(TextMessage("one"))
        + other.send(Ping(b"x"))
        + other.send(TextMessage("t", message_finished=False))
        + other.send(Pong())
        + other.send(TextMessage("wö"))
        + other.send(CloseConnection(4000, "done"))
    )
    expected = [
        Message(b"one"),
        Pinged(b"x"),
        Ponged(),
        Message("twö".encode()),
        Closed(4000),
    ]
    assert read(data) == expected
    one = Wire(1000)
    found = []
    for byte in data:
        one.feed(bytes([byte]))
        found += [each for each in one.arrived() if each is not None]
    assert found == expected


@pytest.mark.parametrize(
    "data, code",
    [
        (b"\x81\x01x", 1002),  # not masked
        (b"\xc1\x81\x00\x00\x00\x00x", 1002),  # compressed
        (b"\x83\x80\x00\x00\x00\x00", 1002),  # no such sort of frame
        (b"\x80\x81\x00\x00\x00\x00x", 1002),  # goes on with nothing
        (b"\x09\x80\x00\x00\x00\x00", 1002),  # a ping in pieces
        (b"\x89\xfe\x00\x7e\x00\x00\x00\x00", 1002),  # a ping too long
        (b"\x81\x81\x00\x00\x00\x00\xff", 1007),  # no UTF-8
        (b"\x88\x81\x00\x00\x00\x00x", 1002),  # a code of one byte
        (b"\x88\x82\x00\x00\x00\x00\x03\xed", 1002),  # a code that is never sent
        (client().send(BytesMessage(b"x")), 1003),
        (client().send(TextMessage("x" * 1001)), 1009),
        (
            b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00" + b"x" * 1001,
            1009,
        ),
    ],
)
def test_what_breaks_a_connection(data, code):
    with pytest.raises(Broken) as caught:
        read(data)
    assert caught.value.code == code


def test_pieces_are_counted_together():
    other = client()
    one = Wire(10)
    one.feed(other.send(TextMessage("x" * 8, message_finished=False)))
    assert list(one.arrived()) == [None]
    one.feed(other.send(TextMessage("x" * 3)))
    with pytest.raises(Broken, match="too large"):
        list(one.arrived())


def test_pieces_without_anything_take_no_room():
    one = Wire(10)
    one.feed(b"\x01\x80\x00\x00\x00\x00" + b"\x00\x80\x00\x00\x00\x00" * 1000)
    assert list(one.arrived()) == [None] * 1001
    assert one._pieces == b""


def test_a_message_in_tiny_pieces_takes_no_more_room_than_its_bytes():
    size = 20_000
    one = Wire(size)
    one.feed(b"\x01\x80\x00\x00\x00\x00")
    one.feed(b"\x00\x82\x00\x00\x00\x00xy" * (size // 2))
    tracemalloc.start()
    try:
        assert set(one.arrived()) == {None}
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 3 * size


def test_a_good_bye_is_said_once():
    one, other = Wire(10), client()
    said = one.close(1008, "no")
    assert one.close(1000) == b""
    other.receive_data(said)
    assert list(other.events()) == [CloseConnection(1008, "no")]
    assert (one.ping(), one.pong(b"")) == (b"", b"")


def test_a_good_bye_is_answered():
    one, other = Wire(10), client()
    one.feed(other.send(CloseConnection(1000)))
    assert list(one.arrived()) == [Closed(1000)]
    assert one.close(1000)
    # What comes after it is nothing any more.
    one.feed(b"\x81\x80\x00\x00\x00\x00")
    assert list(one.arrived()) == []


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_a_text_of_any_size_is_one_frame(size):
    other = client()
    other.receive_data(wire.text(b"x" * size))
    assert list(other.events()) == [TextMessage("x" * size)]


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_read_or_break_the_connection(chunks):
    one = Wire(20)
    try:
        for chunk in chunks:
            one.feed(chunk)
            list(one.arrived())
    except Broken:
        pass
