"""Values to JSON bytes and back: one converter for journal, bus and sockets.

Unions of attrs classes carry a tag ``"_"`` with the class's name, so that a reader of
another version sees at once what it does not know.
"""

from typing import Any, TypeVar

import orjson
from cattrs.preconf.orjson import OrjsonConverter, make_converter
from cattrs.strategies import configure_tagged_union

from beamclaw.contracts.messages import Media, Message, Part, Text, ToolCall, ToolResult

T = TypeVar("T")


def general() -> OrjsonConverter:
    """A converter without a way of its own for anything: what the other has to equal."""
    made = make_converter(omit_if_default=True)
    configure_tagged_union(Media, made, tag_name="_")
    configure_tagged_union(Part, made, tag_name="_")
    return made


converter = general()
_structure = converter.get_structure_hook(Message)


def _message(data: Any, _: Any) -> Message:
    """A message, most of which are a few plain texts; a journal holds thousands.

    Whatever is not just as it is always written goes the general way, which also says
    what is wrong with it.
    """
    try:
        parts = tuple([_PARTS[part["_"]](part) for part in data["parts"]])
        if data["role"] in _ROLES and len(data) == _MESSAGE_FIELDS:
            return Message(data["role"], parts)
    except (KeyError, TypeError, ValueError):
        pass
    return _structure(data, Message)


_ROLES = frozenset({"system", "user", "assistant", "tool"})
_MESSAGE_FIELDS = 2


def _texts(*texts: object) -> None:
    if not all(type(text) is str for text in texts):
        raise TypeError


def _text(data: dict[str, Any]) -> Text:
    text = data["text"]
    if type(text) is not str:
        raise TypeError
    return Text(text)


def _call(data: dict[str, Any]) -> ToolCall:
    call = ToolCall(data["id"], data["name"], data["arguments"])
    _texts(call.id, call.name, call.arguments)
    return call


def _result(data: dict[str, Any]) -> ToolResult:
    result = ToolResult(data["id"], data["text"], data.get("is_error", False))
    _texts(result.id, result.text)
    if type(result.is_error) is not bool or data.keys() - _PLAIN_RESULT:
        raise TypeError
    return result


_PLAIN_RESULT = frozenset({"_", "id", "text", "is_error"})
_PARTS = {"Text": _text, "ToolCall": _call, "ToolResult": _result}
converter.register_structure_hook(Message, _message)


def encode(value: object, as_type: Any = None) -> bytes:
    """JSON bytes of an attrs value; *as_type* names the union it is a member of."""
    return orjson.dumps(converter.unstructure(value, as_type))


def decode(data: bytes | str, as_type: type[T]) -> T:
    """The value again.

    Raises:
        cattrs.errors.ClassValidationError: The bytes are no such value.
        orjson.JSONDecodeError: They are no JSON.
    """
    return converter.structure(orjson.loads(data), as_type)
