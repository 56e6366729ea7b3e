"""The fast way of reading messages comes to the same as the general one."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.codec import converter, decode, encode, general
from beamclaw.contracts.messages import (
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    said,
)
from tests.support.journals import messages

GENERAL = general()


@given(messages)
def test_a_message_is_written_and_read_as_in_general(message: Message):
    data = encode(message)
    assert data == orjson.dumps(GENERAL.unstructure(message))
    assert decode(data, Message) == GENERAL.structure(orjson.loads(data), Message)
    assert decode(data, Message) == message


def outcome(of: Any, data: object) -> object:
    try:
        return of.structure(data, Message)
    except Exception as error:  # noqa: BLE001 -- whatever it is
        return type(error)


texts = st.text(max_size=3)
odd = st.one_of(texts, st.none(), st.integers(0, 3), st.booleans())
part_data = st.dictionaries(
    st.sampled_from(["_", "id", "text", "name", "arguments", "is_error", "new"]),
    st.one_of(st.sampled_from(["Text", "ToolCall", "ToolResult", "Thinking"]), odd),
)
message_data = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "nobody"]), "parts": st.lists(part_data)},
    optional={"more": odd},
)


@pytest.mark.slow
@given(message_data)
def test_what_is_not_as_it_is_written_comes_to_what_it_comes_to_in_general(
    data: object,
):
    assert outcome(converter, data) == outcome(GENERAL, data)


@pytest.mark.parametrize("data", [{}, {"role": "user"}, [], None, "text"])
def test_what_is_no_message_is_refused_as_in_general(data: object):
    found = outcome(converter, data)
    assert isinstance(found, type)
    assert issubclass(found, Exception)


def test_the_usual_messages_go_the_fast_way(monkeypatch: pytest.MonkeyPatch):
    usual = [
        said("user", "hello"),
        Message("assistant", (Text("so"), ToolCall("a", "f", "{}"))),
        Message("tool", (ToolResult("a", "no", is_error=True),)),
    ]
    data = [encode(message) for message in usual]

    def slow(data: object, _: object) -> None:
        raise AssertionError(data)

    monkeypatch.setattr("beamclaw.contracts.codec._structure", slow)
    assert [decode(each, Message) for each in data] == usual


def test_thoughts_that_were_written_before_say_nobody_knows_whose_they_are():
    old = b'{"role":"assistant","parts":[{"_":"Thinking","text":"hm","signature":"s"}]}'
    message = Message("assistant", (Thinking("hm", "s"),))
    assert decode(old, Message) == message
    assert orjson.loads(encode(message)) == orjson.loads(old)
