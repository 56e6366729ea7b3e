"""What is proved: what waits for a client is bounded, and what is lost can be seen."""

import pytest

from beamclaw.gateway import frames
from beamclaw.gateway.socket import wire
from beamclaw.gateway.socket.outbox import WRITE_BYTES, Full, Outbox

EVENT = frames.event("x", "y" * 60)
SIZE = len(wire.text(frames.numbered(EVENT, 1)))


def test_what_waits_is_sent_together_in_order():
    outbox = Outbox(1000)
    outbox.frame(b"one")
    outbox.event(EVENT, lossy=False)
    outbox.raw(b"two")
    data = outbox.take()
    assert data == wire.text(b"one") + wire.text(frames.numbered(EVENT, 1)) + b"two"
    assert outbox.size == len(data)
    outbox.sent(len(data))
    assert (outbox.size, outbox.take()) == (0, b"")


def test_events_that_may_be_lost_are_lost_from_half_of_the_room_on():
    outbox = Outbox(4 * SIZE)
    for _ in range(5):
        outbox.event(EVENT, lossy=True)
    assert (outbox.number, outbox.lost) == (5, 2)
    outbox.event(EVENT, lossy=False)
    # The client sees that two are missing.
    assert b'"seq":6}' in outbox.take()


def test_what_may_not_be_lost_has_room_or_the_client_is_given_up():
    outbox = Outbox(2 * SIZE)
    for _ in range(3):
        outbox.event(EVENT, lossy=False)
    with pytest.raises(Full):
        outbox.event(EVENT, lossy=False)
    with pytest.raises(Full):
        outbox.frame(b"x")
    # What says good-bye needs no room.
    outbox.raw(b"x")


def test_one_large_answer_has_room():
    outbox = Outbox(10)
    outbox.frame(b"x" * 1000)
    with pytest.raises(Full):
        outbox.frame(b"x")


def test_one_write_is_not_larger_than_a_piece_or_one_frame():
    outbox = Outbox(10 * WRITE_BYTES)
    for size in (10, WRITE_BYTES, 20, 30):
        outbox.raw(b"x" * size)
    assert [len(outbox.take()) for _ in range(3)] == [10, WRITE_BYTES, 50]


def test_what_was_taken_is_on_its_way_when_the_rest_is_dropped():
    outbox = Outbox(100)
    outbox.raw(b"x" * 10)
    outbox.take()
    outbox.raw(b"y" * 20)
    outbox.clear()
    assert (outbox.size, outbox.take()) == (10, b"")
    outbox.sent(10)
    assert outbox.size == 0
