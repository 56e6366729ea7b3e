"""The ``messages`` of a request as ours: text, pictures, tool calls and their results.

Besides each part the whole is checked here: somebody has to say something, and every
tool call has its result, because a provider would refuse it later, in worse words.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from beamclaw.contracts.messages import (
    File,
    Image,
    Message,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from beamclaw.gateway.fields import (
    DATA_URL,
    IMAGE_TYPES,
    MAX_URL,
    Wrong,
    is_base64,
    members,
)

MAX_IMAGES: Final = 8
MAX_FILES: Final = 8
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


def read_messages(raw: object, most: int) -> tuple[Message, ...]:
    """The messages in *raw*, at most *most* of them.

    Raises:
        Wrong: One of them, or what they are together.
    """
    messages = tuple(_message(item, where) for where, item in listed(raw, most))
    check_said(messages)
    check_calls(messages)
    return messages


def listed(raw: object, most: int) -> Iterator[tuple[str, object]]:
    """Each of the messages in *raw*, not read yet, behind its place.

    Raises:
        Wrong: It is no list of at least one, and at most *most*.
    """
    if not isinstance(raw, list) or not raw:
        raise Wrong("messages must be a list with at least one message", "messages")
    given = cast("list[object]", raw)
    if len(given) > most:
        raise Wrong(
            f"{len(given)} messages are more than {most} (gateway.max_messages)",
            "messages",
        )
    for i, item in enumerate(given):
        yield f"messages[{i}]", item


def _message(raw: object, where: str) -> Message:
    if not isinstance(raw, dict):
        raise Wrong(f"{where} must be an object with role and content", where)
    item = cast("dict[str, Any]", raw)
    role = _ROLES.get(item["role"]) if isinstance(item.get("role"), str) else None
    if role is None:
        roles = ", ".join(_ROLES)
        raise Wrong(f"{where}.role must be one of {roles}", f"{where}.role")
    if role == "tool":
        return Message(role, (_tool_result(item, where),))
    parts = _content(item.get("content"), role, where)
    if role == "assistant":
        parts = (*parts, *_tool_calls(item.get("tool_calls"), where))
    return Message(role, parts)


def _content(raw: object, role: Role, where: str) -> tuple[Part, ...]:
    where = f"{where}.content"
    if isinstance(raw, str):
        return (Text(raw),) if raw else ()
    if raw is None and role == "assistant":
        return ()
    if not isinstance(raw, list):
        raise Wrong(f"{where} must be text or a list of parts", where)
    return tuple(
        _part(part, role, f"{where}[{i}]")
        for i, part in enumerate(cast("list[object]", raw))
    )


def _part(raw: object, role: Role, where: str) -> Part:
    part = members(raw)
    kind = part.get("type")
    text = part.get("refusal" if kind == "refusal" else "text")
    if kind in ("text", "refusal") and isinstance(text, str):
        return Text(text)
    if kind == "image_url" and role == "user":
        image: object = part.get("image_url")
        url = image if isinstance(image, str) else members(image).get("url")
        if isinstance(url, str):
            return read_image(url, where)
    if kind == "file" and role == "user":
        return read_file(members(part.get("file")), where)
    raise Wrong(
        f"{where} must be {{type: text, text: ...}}, or in a user's message "
        "{type: image_url, image_url: {url: ...}} or {type: file, file: {filename: ..., "
        "file_data: ...}}",
        where,
    )


def read_file(file: dict[str, Any], where: str) -> File:
    """A file with its content.

    Raises:
        Wrong: It has none, or no name.
    """
    name, data = file.get("filename"), file.get("file_data")
    found = DATA_URL.match(data) if isinstance(data, str) else None
    if not isinstance(name, str) or not isinstance(data, str) or found is None:
        raise Wrong(
            f"{where}: a file has a filename, and file_data as data:...;base64,...",
            where,
        )
    encoded = data[found.end() :]
    if not is_base64(encoded):
        raise Wrong(f"{where}: the file is not valid base64", where)
    return File(name, found[1].lower(), data=encoded)


def read_image(url: str, where: str) -> Image:
    """A picture by its address, which its model's provider fetches, or with its content.

    Raises:
        Wrong: It is neither.
    """
    data = DATA_URL.match(url)
    if data is not None:
        return _embedded(data[1].lower(), url[data.end() :], where)
    if url.startswith(("https://", "http://")) and len(url) <= MAX_URL:
        return Image(url=url)
    raise Wrong(
        f"{where}: an image is an http(s) URL of at most {MAX_URL} characters or "
        "data:image/...;base64,...",
        where,
    )


def _embedded(media_type: str, data: str, where: str) -> Image:
    if media_type not in IMAGE_TYPES:
        raise Wrong(f"{where}: images are {', '.join(sorted(IMAGE_TYPES))}", where)
    if not is_base64(data):
        raise Wrong(f"{where}: the image is not valid base64", where)
    return Image(data=data, media_type=media_type)


def _tool_result(item: dict[str, Any], where: str) -> ToolResult:
    call = item.get("tool_call_id")
    if not isinstance(call, str) or not call:
        raise Wrong(f"{where}.tool_call_id must be text", f"{where}.tool_call_id")
    parts = _content(item.get("content"), "tool", where)
    return ToolResult(call, Message("tool", parts).text)


def _tool_calls(raw: object, where: str) -> tuple[ToolCall, ...]:
    if raw is None:
        return ()
    where = f"{where}.tool_calls"
    calls = cast("list[Any]", raw) if isinstance(raw, list) else [None]
    found: list[ToolCall] = []
    for item in calls:
        call = members(item)
        function = members(call.get("function"))
        texts = (call.get("id"), function.get("name"), function.get("arguments"))
        if not all(isinstance(text, str) for text in texts):
            raise Wrong(
                f"{where} must be a list of {{id, type, function: {{name, arguments}}}}",
                where,
            )
        found.append(ToolCall(*cast("tuple[str, str, str]", texts)))
    return tuple(found)


def check_said(messages: Sequence[Message]) -> None:
    """Refuse what says nothing, or shows too much.

    Raises:
        Wrong: It does.
    """
    last = next((m for m in reversed(messages) if m.role == "user"), None)
    if last is None:
        raise Wrong("messages has no message with role user", "messages")
    shown = any(isinstance(part, Image | File) for part in last.parts)
    if not last.text.strip() and not shown:
        raise Wrong("the last message with role user is empty", "messages")
    for kind, most, what in ((Image, MAX_IMAGES, "images"), (File, MAX_FILES, "files")):
        count = sum(isinstance(part, kind) for m in messages for part in m.parts)
        if count > most:
            raise Wrong(f"{count} {what} are more than {most}", "messages")


def check_calls(messages: Sequence[Message]) -> None:
    """Refuse tool calls without results, and results without calls.

    Raises:
        Wrong: There are such.
    """
    open_calls: set[str] = set()
    for message in messages:
        if message.role == "tool":
            call = cast("ToolResult", message.parts[0]).id
            if call not in open_calls:
                raise Wrong(
                    f"no tool call {call[:80]!r} waits for a result", "messages"
                )
            open_calls.remove(call)
        elif open_calls:
            break
        else:
            open_calls = {p.id for p in message.parts if isinstance(p, ToolCall)}
    if open_calls:
        raise Wrong(
            f"the tool call {min(open_calls)[:80]!r} has no result in the next messages",
            "messages",
        )
