"""The ``input`` of a response as ours: messages, tool calls and what they came to."""

from collections.abc import Sequence
from typing import Any, Final, cast

import attrs

from beamclaw.contracts.messages import (
    Media,
    Message,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
    said,
)
from beamclaw.gateway.fields import Wrong, members
from beamclaw.gateway.openai.messages import (
    check_calls,
    check_said,
    read_file,
    read_image,
)

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_TEXTS: Final = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "refusal": "refusal",
}


def read_input(raw: object, most: int, *, follows: bool) -> tuple[Message, ...]:
    """The messages in *raw*, at most *most* of them.

    With *follows* there is a conversation before it, whose tool calls may be answered
    here; whether they are is looked at when it is known.

    Raises:
        Wrong: One of them, or what they are together.
    """
    if isinstance(raw, str):
        messages = (said("user", raw),)
    elif isinstance(raw, list) and raw:
        given = cast("list[object]", raw)
        if len(given) > most:
            raise Wrong(
                f"{len(given)} items are more than {most} (gateway.max_messages)",
                "input",
            )
        messages = _joined(
            message
            for i, item in enumerate(given)
            for message in _item(item, f"input[{i}]")
        )
    else:
        raise Wrong("input must be text or a list with at least one item", "input")
    results = any(message.role == "tool" for message in messages)
    if not (follows and results):
        check_said(messages)
    if not follows:
        check_calls(messages)
    return messages


def _joined(items: Any) -> tuple[Message, ...]:
    """The items of one answer are one message: what was said, and the calls after it."""
    messages: list[Message] = []
    for message in items:
        last = messages[-1] if messages else None
        if last is not None and last.role == message.role == "assistant":
            messages[-1] = attrs.evolve(last, parts=(*last.parts, *message.parts))
        else:
            messages.append(message)
    return tuple(messages)


def _item(raw: object, where: str) -> Sequence[Message]:
    item = members(raw)
    match item.get("type", "message"):
        case "message":
            return (_message(item, where),)
        case "function_call":
            return (Message("assistant", (_call(item, where),)),)
        case "function_call_output":
            return (Message("tool", (_result(item, where),)),)
        case "reasoning":
            return ()  # of another server: this one gives none away
        case "item_reference":
            raise Wrong(
                f"{where}: items cannot be named here; send them, or name the response "
                "by previous_response_id",
                where,
            )
        case _:
            raise Wrong(
                f"{where}.type must be message, function_call or function_call_output",
                where,
            )


def _message(item: dict[str, Any], where: str) -> Message:
    named = item.get("role")
    role = _ROLES.get(named) if isinstance(named, str) else None
    if role is None:
        raise Wrong(f"{where}.role must be one of {', '.join(_ROLES)}", f"{where}.role")
    content = item.get("content")
    if isinstance(content, str):
        return Message(role, (Text(content),) if content else ())
    if not isinstance(content, list):
        raise Wrong(f"{where}.content must be text or a list of parts", where)
    parts = tuple(
        _part(part, f"{where}.content[{i}]", shows=role == "user")
        for i, part in enumerate(cast("list[object]", content))
    )
    return Message(role, parts)


def _part(raw: object, where: str, *, shows: bool) -> Part:
    part = members(raw)
    kind = part.get("type")
    text = part.get(_TEXTS.get(kind, "")) if isinstance(kind, str) else None
    if isinstance(text, str):
        return Text(text)
    if shows and kind == "input_image":
        url = part.get("image_url")
        if isinstance(url, str):
            return read_image(url, where)
        raise Wrong(f"{where}.image_url must be text; files have no ids here", where)
    if shows and kind == "input_file":
        return read_file(part, where)
    raise Wrong(
        f"{where} must be {{type: input_text, text: ...}}, or in a user's message an "
        "input_image with image_url or an input_file with filename and file_data",
        where,
    )


def _call(item: dict[str, Any], where: str) -> ToolCall:
    texts = item.get("call_id"), item.get("name"), item.get("arguments")
    if not all(isinstance(text, str) and text for text in texts[:2]):
        raise Wrong(f"{where}: a function_call has call_id, name and arguments", where)
    if not isinstance(texts[2], str):
        raise Wrong(f"{where}.arguments must be text", f"{where}.arguments")
    return ToolCall(*cast("tuple[str, str, str]", texts))


def _result(item: dict[str, Any], where: str) -> ToolResult:
    call, output = item.get("call_id"), item.get("output")
    if not isinstance(call, str) or not call:
        raise Wrong(f"{where}.call_id must be text", f"{where}.call_id")
    if isinstance(output, str):
        return ToolResult(call, output)
    if not isinstance(output, list):
        raise Wrong(f"{where}.output must be text or a list of parts", where)
    parts = [
        _part(part, f"{where}.output[{i}]", shows=True)
        for i, part in enumerate(cast("list[object]", output))
    ]
    media = tuple(cast("Media", p) for p in parts if not isinstance(p, Text))
    return ToolResult(call, Message("tool", tuple(parts)).text, media=media)
