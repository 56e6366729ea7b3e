"""A conversation is a tuple of messages that takes little room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.conversation import Conversation, pack, packed, role, unpack
from beamclaw.contracts.messages import Message, Text, said
from tests.support.journals import messages

some = st.lists(messages, max_size=4)
places = st.none() | st.integers(-6, 6)


@given(some, some, places, places)
def test_it_reads_like_a_tuple_of_messages(before, after, start, stop):
    conversation, plain = Conversation(before).plus(after), (*before, *after)
    assert conversation == plain
    assert conversation == Conversation(plain) == Conversation(conversation)
    assert (len(conversation), tuple(conversation)) == (len(plain), plain)
    assert conversation[start:stop] == plain[start:stop]
    assert [conversation[place] for place in range(len(plain))] == list(plain)
    with pytest.raises(IndexError):
        conversation[len(plain)]


@given(messages, some)
def test_something_may_be_said_before_it(first, rest):
    conversation = Conversation(rest)
    assert conversation.behind(first) == (first, *rest)
    assert conversation == rest


@given(messages)
def test_a_message_comes_out_as_it_went_in(message):
    item = pack(message)
    assert unpack(item) == message
    assert role(item) == message.role
    is_plain_text = len(message.parts) == 1 and isinstance(message.parts[0], Text)
    assert isinstance(item, str) == is_plain_text


def test_whoever_goes_through_all_makes_no_messages():
    conversation = Conversation([said("user", "hi"), Message("assistant", ())])
    assert list(packed(conversation)) == ["uhi", Message("assistant", ())]
    assert packed(conversation) is conversation.items
    assert list(packed(list(conversation))) == list(conversation.items)


def test_it_differs_from_other_messages_and_from_what_is_no_sequence():
    conversation = Conversation([said("user", "hi")])
    assert conversation != [said("assistant", "hi")]
    assert conversation != Conversation()
    assert conversation != "uhi"
