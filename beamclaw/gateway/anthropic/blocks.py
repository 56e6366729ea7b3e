"""The ``messages`` of a request as ours: text, pictures, documents, tools.

Neighbours of one role are merged, as Anthropic does; and what it would refuse is refused
here, in better words: nothing said, calls without results, results without calls.
"""

import base64
from collections.abc import Sequence
from typing import Any, Final, cast

import attrs
import orjson

from beamclaw.contracts.messages import (
    File,
    Image,
    Message,
    Part,
    Text,
    ToolCall,
    ToolResult,
)
from beamclaw.gateway.fields import (
    IMAGE_TYPES,
    MAX_URL,
    Wrong,
    is_base64,
    members,
    tool_name,
)
from beamclaw.gateway.openai.messages import check_calls, check_said, listed

_PDF: Final = "application/pdf"


def read_messages(raw: object, most: int) -> tuple[Message, ...]:
    """The messages in *raw*, at most *most* of them.

    Raises:
        Wrong: One of them, or what they are together.
    """
    messages = _merged(
        message
        for where, item in listed(raw, most)
        for message in _messages(item, where)
    )
    if next((m.role for m in messages if m.role != "system"), "") != "user":
        raise Wrong("the first message must be of the user", "messages")
    if messages[-1].role == "assistant":
        raise Wrong(
            "the last message must be of the user: an answer cannot be begun for the "
            "model here",
            "messages",
        )
    if any(isinstance(part, Text | Image | File) for m in messages for part in m.parts):
        _check_shown(messages)
    check_calls(messages)
    return messages


def _check_shown(messages: Sequence[Message]) -> None:
    # Results alone may be the last message, and then nothing else has to be said in it.
    if messages[-1].role == "user":
        check_said(messages)


def _merged(items: Any) -> tuple[Message, ...]:
    messages: list[Message] = []
    for message in items:
        last = messages[-1] if messages else None
        if last is not None and last.role == message.role != "tool":
            messages[-1] = attrs.evolve(last, parts=(*last.parts, *message.parts))
        else:
            messages.append(message)
    if not messages:
        raise Wrong("messages says nothing", "messages")
    return tuple(messages)


def _messages(raw: object, where: str) -> Sequence[Message]:
    """One of theirs as ours: results of tools are messages of their own."""
    item = members(raw)
    role, content = item.get("role"), item.get("content")
    if role not in ("user", "assistant", "system"):
        raise Wrong(f"{where}.role must be user, assistant or system", f"{where}.role")
    where = f"{where}.content"
    if isinstance(content, str):
        if not content:
            raise Wrong(f"{where} is empty", where)
        return (Message(role, (Text(content),)),)
    if not isinstance(content, list) or not content:
        raise Wrong(f"{where} must be text or a list of blocks", where)
    blocks = cast("list[object]", content)
    if role == "assistant":
        parts = tuple(
            part
            for i, block in enumerate(blocks)
            for part in _said(block, f"{where}[{i}]")
        )
        return (Message("assistant", parts),)
    if role == "system":
        texts = (_text(members(b), f"{where}[{i}]") for i, b in enumerate(blocks))
        return (Message("system", tuple(texts)),)
    return _of_user(blocks, where)


def _said(raw: object, where: str) -> Sequence[Part]:
    block = members(raw)
    match block.get("type"):
        case "text":
            return (_text(block, where),)
        case "tool_use":
            return (_call(block, where),)
        case "thinking" | "redacted_thinking":
            return ()  # of another server: this one gives none away
        case _:
            raise Wrong(
                f"{where}: an assistant's block is text or tool_use", f"{where}.type"
            )


def _of_user(blocks: Sequence[object], where: str) -> Sequence[Message]:
    results: list[Message] = []
    parts: list[Part] = []
    for i, raw in enumerate(blocks):
        block, place = members(raw), f"{where}[{i}]"
        if block.get("type") == "tool_result":
            if parts:
                raise Wrong(f"{place}: results of tools have to come first", place)
            results.append(Message("tool", (_result(block, place),)))
        else:
            parts.append(_shown(block, place))
    said = (Message("user", tuple(parts)),) if parts else ()
    return (*results, *said)


def _text(block: dict[str, Any], where: str) -> Text:
    text = block.get("text")
    if not isinstance(text, str) or not text:
        raise Wrong(f"{where}.text must be text, and not empty", f"{where}.text")
    return Text(text)


def _call(block: dict[str, Any], where: str) -> ToolCall:
    id_, given = block.get("id"), block.get("input")
    if not isinstance(id_, str) or not id_ or not isinstance(given, dict):
        raise Wrong(f"{where}: a tool_use has id, name and input (an object)", where)
    name = tool_name(block.get("name"), f"{where}.name")
    return ToolCall(id_, name, orjson.dumps(given).decode())


def _result(block: dict[str, Any], where: str) -> ToolResult:
    id_, content = block.get("tool_use_id"), block.get("content")
    failed = block.get("is_error")
    if not isinstance(id_, str) or not id_:
        raise Wrong(f"{where}.tool_use_id must be text", f"{where}.tool_use_id")
    if failed is not None and not isinstance(failed, bool):
        raise Wrong(f"{where}.is_error must be true or false", f"{where}.is_error")
    if content is None or isinstance(content, str):
        return ToolResult(id_, content or "", is_error=failed or False)
    if not isinstance(content, list):
        raise Wrong(f"{where}.content must be text or a list of blocks", where)
    parts = [
        _shown(members(part), f"{where}.content[{i}]")
        for i, part in enumerate(cast("list[object]", content))
    ]
    text = "".join(part.text for part in parts if isinstance(part, Text))
    media = tuple(part for part in parts if not isinstance(part, Text))
    return ToolResult(id_, text, is_error=failed or False, media=media)


def _shown(block: dict[str, Any], where: str) -> Text | Image | File:
    match block.get("type"):
        case "text":
            return _text(block, where)
        case "image":
            return _image(members(block.get("source")), f"{where}.source")
        case "document":
            title = block.get("title")
            name = title if isinstance(title, str) else ""
            return _document(members(block.get("source")), name, f"{where}.source")
        case _:
            raise Wrong(
                f"{where}.type must be text, image, document or (first) tool_result",
                f"{where}.type",
            )


def _image(source: dict[str, Any], where: str) -> Image:
    if source.get("type") == "url":
        return Image(url=_url(source, where))
    kind, data = _base64(source, where)
    if kind not in IMAGE_TYPES:
        types = ", ".join(sorted(IMAGE_TYPES))
        raise Wrong(f"{where}.media_type must be one of {types}", where)
    return Image(data=data, media_type=kind)


def _document(source: dict[str, Any], name: str, where: str) -> File:
    match source.get("type"):
        case "url":
            return File(name or "file.pdf", _PDF, url=_url(source, where))
        case "text":
            text = source.get("data")
            if not isinstance(text, str):
                raise Wrong(f"{where}.data must be text", f"{where}.data")
            return File(name or "file.txt", "text/plain", data=_encoded(text))
        case _:
            kind, data = _base64(source, where)
            return File(name or "file.pdf", kind, data=data)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _url(source: dict[str, Any], where: str) -> str:
    url = source.get("url")
    web = isinstance(url, str) and url.startswith(("https://", "http://"))
    if not web or len(cast("str", url)) > MAX_URL:
        raise Wrong(
            f"{where}.url must be http(s), of at most {MAX_URL} characters", where
        )
    return cast("str", url)


def _base64(source: dict[str, Any], where: str) -> tuple[str, str]:
    kind, data = source.get("media_type"), source.get("data")
    if source.get("type") != "base64" or not isinstance(kind, str):
        raise Wrong(f"{where} must be of type base64 (with media_type) or url", where)
    if not isinstance(data, str) or not is_base64(data):
        raise Wrong(f"{where}.data is not valid base64", f"{where}.data")
    return kind.lower(), data
