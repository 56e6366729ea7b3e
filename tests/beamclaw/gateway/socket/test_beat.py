"""What is proved: when a client is ticked, pinged and given up."""

from beamclaw.gateway.socket.beat import Beat


def begun() -> Beat:
    beat = Beat(tick_every=30, ping_every=25)
    beat.start(100)
    return beat


def test_nothing_is_due_before_the_client_is_let_in():
    beat = Beat(30, 25)
    assert beat.deadline == float("inf")
    assert beat.due(1e9) == []


def test_a_ping_waits_for_its_answer():
    beat = begun()
    assert beat.deadline == 125
    assert beat.due(125) == ["ping"]
    assert beat.deadline == 130
    assert beat.due(130) == ["tick"]
    assert beat.deadline == 150
    assert beat.due(150) == ["dead"]


def test_whoever_answers_is_asked_again_later():
    beat = begun()
    assert beat.due(125) == ["ping"]
    beat.pong(126)
    assert beat.due(130) == ["tick"]
    assert beat.deadline == 151
    assert beat.due(151) == ["ping"]


def test_an_answer_that_nobody_has_asked_for_says_nothing():
    beat = begun()
    beat.pong(124)
    assert beat.due(125) == ["ping"]
    assert beat.due(150) == ["dead"]


def test_whoever_was_held_up_catches_up_once():
    beat = begun()
    assert beat.due(1000) == ["tick", "ping"]
    assert beat.due(1000) == []
