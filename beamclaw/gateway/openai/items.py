"""What a response was given, as a list of items in pages. Decisions without I/O.

An item keeps its id for good: the response's, and where it stands in what was given.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal
from urllib.parse import parse_qs

import orjson

from beamclaw.contracts.messages import (
    File,
    Image,
    Media,
    Message,
    Part,
    Text,
    ToolCall,
    ToolResult,
)
from beamclaw.gateway.fields import Wrong
from beamclaw.gateway.problem import Problem, invalid
from beamclaw.values import frozen

Order = Literal["asc", "desc"]
Object = dict[str, Any]
LIMIT: Final = 20
MOST: Final = 100
_ADDRESSES: Final = "message.input_image.image_url"
_LONGEST: Final = 100


@frozen(kw_only=True)
class Page:
    """Which part of the list is wanted.

    Attributes:
        limit: Items, at most.
        order: By when they were said.
        after: The id of the last item of the page before.
        images: Whether pictures are shown with their address or data.
    """

    limit: int = LIMIT
    order: Order = "desc"
    after: str | None = None
    images: bool = False


def read_page(query: str) -> Page | Problem:
    """What the query of ``…/input_items`` asks for; what is not ours is passed over."""
    given = parse_qs(query, keep_blank_values=True)
    try:
        return Page(
            limit=_limit(given.get("limit", [str(LIMIT)])[-1]),
            order=_order(given.get("order", ["desc"])[-1]),
            after=given.get("after", [None])[-1],
            images=_ADDRESSES
            in (*given.get("include", ()), *given.get("include[]", ())),
        )
    except Wrong as wrong:
        return wrong.problem


def _limit(given: str) -> int:
    if given.isascii() and given.isdecimal() and 1 <= int(given[:9]) <= MOST:
        return int(given)
    raise Wrong(f"limit must be a whole number from 1 to {MOST}", "limit")


def _order(given: str) -> Order:
    if given in ("asc", "desc"):
        return given
    raise Wrong("order must be asc or desc", "order")


def listed(
    response_id: str, messages: Sequence[Message], page: Page
) -> bytes | Problem:
    """That page of the items in *messages*, which the response was given."""
    name = response_id.removeprefix("resp_")
    items = [
        _named(item, f"{name}_in{place}")
        for place, item in enumerate(_items(messages, images=page.images))
    ]
    if page.order == "desc":
        items.reverse()
    begin = 0
    if page.after is not None:
        places = [i for i, item in enumerate(items) if item["id"] == page.after]
        if not places:
            return invalid(
                f"{page.after[:_LONGEST]!r} is no item that {response_id} was given",
                param="after",
            )
        begin = places[0] + 1
    shown = items[begin : begin + page.limit]
    return orjson.dumps(
        {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": begin + page.limit < len(items),
        }
    )


_PREFIXES: Final = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
}


def _named(item: Object, name: str) -> Object:
    return {"id": f"{_PREFIXES[item['type']]}_{name}", **item, "status": "completed"}


def _items(messages: Sequence[Message], *, images: bool) -> Iterator[Object]:
    for message in messages:
        match message.role:
            case "tool":
                yield from (
                    _result(part, images=images)
                    for part in message.parts
                    if isinstance(part, ToolResult)
                )
            case "assistant":
                yield from _answer(message)
            case _:
                yield {
                    "type": "message",
                    "role": message.role,
                    "content": [_part(part, images=images) for part in message.parts],
                }


_SPOKEN: Final[Object] = {"type": "output_text", "annotations": [], "logprobs": []}


def _answer(message: Message) -> Iterator[Object]:
    """What was given as said by the model; what it thought is nobody's."""
    spoken = [part.text for part in message.parts if isinstance(part, Text)]
    if spoken:
        content = [{**_SPOKEN, "text": text} for text in spoken]
        yield {"type": "message", "role": "assistant", "content": content}
    for part in message.parts:
        if isinstance(part, ToolCall):
            yield {
                "type": "function_call",
                "call_id": part.id,
                "name": part.name,
                "arguments": part.arguments,
            }


def _result(result: ToolResult, *, images: bool) -> Object:
    output: object = result.text
    if result.media:
        shown = [_part(part, images=images) for part in result.media]
        said = [_part(Text(result.text), images=images)] if result.text else []
        output = [*said, *shown]
    return {"type": "function_call_output", "call_id": result.id, "output": output}


def _part(part: Part, *, images: bool) -> Object:
    match part:
        case Image():
            address = _address(part) if images else None
            return {"type": "input_image", "detail": "auto", "image_url": address}
        case File():
            where = "file_url" if part.url is not None else "file_data"
            return {
                "type": "input_file",
                "filename": part.name,
                where: _address(part),
            }
        case Text():
            return {"type": "input_text", "text": part.text}
        case _:
            raise TypeError(f"a client gives no {type(part).__name__} there")


def _address(media: Media) -> str:
    return media.url or f"data:{media.media_type};base64,{media.data}"
