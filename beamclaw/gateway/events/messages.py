"""A conversation's journal as the messages that clients show. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import orjson

from beamclaw.contracts import journal
from beamclaw.contracts.journal import (
    Answered,
    Body,
    Forked,
    InboundTaken,
    Noted,
    RunStarted,
    SessionReset,
    ToolEnded,
)
from beamclaw.contracts.ledger import NewEvent
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import (
    File,
    Image,
    Media,
    Message,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from beamclaw.values import frozen

_E = TypeVar("_E", Event, NewEvent)
Shown = dict[str, Any]
USER: Final = ":user"
"""Behind the id of a run: the message that was sent under it."""

# Why a model stopped, as OpenClaw's clients call it.
_STOPS: Mapping[str, str] = {"tool_calls": "toolUse", "length": "length"}


def messages(events: Sequence[Event]) -> list[Shown]:
    """What is shown of the *events* that count, see ``beamclaw.contracts.path``."""
    found: list[Shown] = []
    names: dict[str, str] = {}
    for event, body, owner in owned(events):
        if isinstance(body, SessionReset):
            found.clear()
        found += shown(body, event.seq, event.at, owner, names)
    return found


def owned(events: Sequence[_E]) -> Iterator[tuple[_E, Body, str | None]]:
    """Each event with what it says and the run that it is of, see :func:`runs_of`."""
    bodies = [journal.read(event) for event in events]
    owners = runs_of(
        (event.run_id, body) for event, body in zip(events, bodies, strict=True)
    )
    return zip(events, bodies, owners, strict=True)


def runs_of(events: Iterable[tuple[str | None, Body]]) -> list[str | None]:
    """Which run each of some events is of: a message is of the run that it begins.

    What else stands between two turns, as a note does, is of neither.
    """
    owners: list[str | None] = []
    waiting: list[int] = []
    for place, (run_id, body) in enumerate(events):
        owners.append(run_id)
        if run_id is None and isinstance(body, InboundTaken):
            waiting.append(place)
        elif isinstance(body, RunStarted):
            for message in waiting:
                owners[message] = run_id
        if run_id is not None:
            waiting.clear()
    return owners


def shown(
    body: Body,
    seq: int,
    at: float,
    run_id: str | None,
    tool_names: dict[str, str],
) -> list[Shown]:
    """The messages that came with event *seq*; *tool_names*: of calls by their ids."""
    match body:
        case InboundTaken():
            rows = said(body.messages)
            # By the run that its sender knows: they see by it that it was taken.
            sent = body.joins or run_id
            if rows and sent is not None:
                rows[-1]["idempotencyKey"] = f"{sent}{USER}"
        case Answered():
            _note_names(body.message, tool_names)
            rows = [_answer(body)]
        case Noted():
            rows = [_of("assistant", [_text(body.text)])]
        case ToolEnded():
            rows = [_result(body.result, tool_names)]
        case Forked():
            rows = said(body.messages)
        case _:
            rows = []
    for place, row in enumerate(rows):
        about: Shown = {"id": _id(seq, place, len(rows)), "seq": seq}
        if run_id is not None:
            about["runId"] = run_id
        row["timestamp"] = round(at * 1000)
        row["__openclaw"] = about
    return rows


def _id(seq: int, place: int, count: int) -> str:
    """Of the message at *place* among the *count* that came with one event."""
    return f"{seq}.{place}" if count > 1 else f"{seq}"


def pictures(body: Body, place: int) -> list[Image]:
    """The pictures of the message that :func:`shown` gives at *place* of this event."""
    rows = _parts(body)
    parts = rows[place] if place < len(rows) else ()
    return [part for part in parts if isinstance(part, Image)]


def _parts(body: Body) -> Sequence[Sequence[Part]]:
    """The parts of each of its messages, where there may be more than words."""
    match body:
        case InboundTaken() | Forked():
            return [message.parts for message in body.messages]
        case Answered():
            return [body.message.parts]
        case ToolEnded():
            return [body.result.media]
        case _:
            return []


@frozen(kw_only=True)
class Attached:
    """A picture or a file of a conversation.

    Attributes:
        id: Of its message, and which of those in it, from 0.
        seq: The event that its message came with.
        run_id: The turn that the message is of.
    """

    id: str
    seq: int
    run_id: str | None
    media: Media


def attached(events: Sequence[Event]) -> list[Attached]:
    """The pictures and files of the *events* that count, of the present conversation."""
    found: list[Attached] = []
    for event, body, owner in owned(events):
        if isinstance(body, SessionReset):
            found.clear()
        rows = _parts(body)
        for place, parts in enumerate(rows):
            message = _id(event.seq, place, len(rows))
            media = (part for part in parts if isinstance(part, Image | File))
            found += (
                Attached(id=f"{message}-{n}", seq=event.seq, run_id=owner, media=each)
                for n, each in enumerate(media)
            )
    return found


def _note_names(message: Message, tool_names: dict[str, str]) -> None:
    for part in message.parts:
        if isinstance(part, ToolCall):
            tool_names[part.id] = part.name


def said(messages: Iterable[Message]) -> list[Shown]:
    """What was said, and nothing of when and where."""
    return [
        _of("toolResult" if each.role == "tool" else each.role, _content(each.parts))
        for each in messages
    ]


def _of(role: str, content: list[Shown]) -> Shown:
    return {"role": role, "content": content}


def _answer(body: Answered) -> Shown:
    return _of("assistant", _content(body.message.parts)) | {
        "provider": body.provider,
        "model": body.model,
        "usage": usage(body.usage),
        "stopReason": _STOPS.get(body.stop_reason, body.stop_reason),
    }


def _result(result: ToolResult, tool_names: Mapping[str, str]) -> Shown:
    content = [_text(result.text), *_content(result.media)]
    return _of("toolResult", content) | {
        "toolCallId": result.id,
        "toolName": tool_names.get(result.id, ""),
        "isError": result.is_error,
    }


def _content(parts: Iterable[Part]) -> list[Shown]:
    return [block for part in parts for block in _blocks(part)]


def _blocks(part: Part) -> Iterator[Shown]:
    match part:
        case Text():
            yield _text(part.text)
        case Thinking() if part.text:
            yield {"type": "thinking", "thinking": part.text}
        case ToolCall():
            yield {
                "type": "toolCall",
                "id": part.id,
                "name": part.name,
                "arguments": arguments(part.arguments),
            }
        case ToolResult():
            yield _text(part.text)
        case Image():
            # What a picture shows is not sent again with every look at a conversation.
            yield {"type": "image", "mimeType": part.media_type or "image/*"}
        case File():
            yield {"type": "file", "name": part.name, "mimeType": part.media_type}
        case _:
            pass


def _text(text: str) -> Shown:
    return {"type": "text", "text": text}


def text_message(text: str, now_ms: int) -> Shown:
    """What an assistant has said so far."""
    return _of("assistant", [_text(text)]) | {"timestamp": now_ms}


def arguments(text: str) -> Any:
    """What a model has written for a tool, if it can be read."""
    try:
        return orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {"unreadable": text}


def usage(used: Usage) -> Shown:
    """Tokens."""
    return {
        "input": used.plain,
        "output": used.output,
        "cacheRead": used.cached,
        "cacheWrite": used.stored,
        "totalTokens": used.input + used.output,
    }


def cut(rows: Sequence[Shown], most: int) -> list[Shown]:
    """*rows* with no text longer than *most* characters."""
    return [
        row | {"content": [_cut(block, most) for block in row["content"]]}
        for row in rows
    ]


def _cut(block: Shown, most: int) -> Shown:
    text = block.get("text")
    if not isinstance(text, str) or len(text) <= most:
        return block
    return block | {"text": f"{text[:most]}…", "truncated": True}
