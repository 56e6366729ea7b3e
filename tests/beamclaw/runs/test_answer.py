"""What an answer adds up to, whole or cut off."""

from beamclaw.contracts.messages import Text, Thinking, Usage
from beamclaw.runs.answer import Answer

ASKED = Usage(40, 1_000, estimated=True)


def test_pieces_become_a_message():
    answer = Answer(text=["he", "llo"], thinking=["h", "m"], signature="s")
    assert answer.message().parts == (Thinking("hm", "s"), Text("hello"))


def test_of_nothing_there_is_nothing():
    assert Answer().message().parts == ()


def test_what_only_a_signature_tells_of_is_kept():
    assert Answer(signature="s").message().parts == (Thinking("", "s"),)


def test_the_figures_of_the_provider_count():
    assert Answer(text=["hello"], usage=Usage(7, 3)).cost(ASKED) == Usage(7, 3)


def test_without_figures_what_was_said_is_estimated():
    cost = Answer(text=["abc"], thinking=["def"]).cost(ASKED)
    assert cost == Usage(40, 2, estimated=True)
