"""A journal as clients read it: the messages of the present conversation. Pure.

An entry's id is the number of its event in the journal; where one event brings several
messages, ``<number>.<place>``. So an entry that a client names is found again in the
journal, and a client that has missed something goes on behind the last number it has.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
import orjson

from beamclaw.contracts.journal import (
    Answered,
    Body,
    Compacted,
    Forked,
    InboundTaken,
    Noted,
    RunOver,
    ToolBegun,
    ToolEnded,
    UnreadableEventError,
    read,
)
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import (
    File,
    Image,
    Message,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from beamclaw.contracts.path import RESTS, path

STOP_REASONS: Final[Mapping[str, str]] = {
    "stop": "stop",
    "tool_calls": "toolUse",
    "length": "length",
    "aborted": "aborted",
}


@attrs.frozen(kw_only=True)
class Entry:
    """A message, as clients are shown it.

    Attributes:
        seq: Of the event that brought it.
        message: In OpenClaw's shape, with its id and number in ``__openclaw``.
    """

    id: str
    seq: int
    role: str
    text: str
    at: float
    message: Mapping[str, Any]
    run_id: str | None = None

    @property
    def at_ms(self) -> int:
        """When, in milliseconds since the epoch."""
        return round(self.at * 1000)


def entries(events: Sequence[Event]) -> list[Entry]:
    """The messages of the conversation that *events*, a whole journal, have come to.

    Those that a summary stands for are among them; those from before a reset are not.
    """
    return list(_entries(present(events)))


def entries_of(events: Sequence[Event]) -> list[Entry]:
    """The messages of *events* that follow each other, wherever they begin."""
    return list(_entries(events))


def present(events: Sequence[Event]) -> Sequence[Event]:
    """Of a whole journal the events that count in the present conversation."""
    counting = path(events)
    for place in range(len(counting) - 1, -1, -1):
        if counting[place].kind == "session-reset":
            return counting[place:]
    return counting


def find(found: Sequence[Entry], entry: str) -> Entry | None:
    """The one with the id *entry*; None: there is none."""
    return next((each for each in found if each.id == entry), None)


def entry_id(seq: int, place: int, of: int) -> str:
    """The id of message *place* of the *of* that event *seq* brings."""
    return str(seq) if of == 1 else f"{seq}.{place}"


def _entries(events: Sequence[Event]) -> Iterator[Entry]:
    names: dict[str, str] = {}
    runs = _runs_of(events)
    for place, event in enumerate(events):
        try:
            body = read(event)
        except UnreadableEventError:
            continue  # of a later release: it is shown there
        run_id = event.run_id or runs[place]
        shown = list(_shown(body, names))
        for number, (role, text, message) in enumerate(shown):
            yield Entry(
                id=entry_id(event.seq, number, len(shown)),
                seq=event.seq,
                role=role,
                text=text,
                at=event.at,
                run_id=run_id,
                message=_whole(
                    message,
                    entry=entry_id(event.seq, number, len(shown)),
                    event=event,
                    role=role,
                    run_id=run_id,
                ),
            )


def _whole(
    message: Mapping[str, Any],
    *,
    entry: str,
    event: Event,
    role: str,
    run_id: str | None,
) -> dict[str, Any]:
    about: dict[str, Any] = {"id": entry, "seq": event.seq}
    given: dict[str, Any] = {"role": role, "timestamp": round(event.at * 1000)}
    if run_id is not None:
        about["runId"] = run_id
        if role == "user":
            given["idempotencyKey"] = f"{run_id}:user"
    if event.sender is not None and role == "user":
        given["senderId"] = event.sender
    return {**given, **message, "__openclaw": about}


def _runs_of(events: Sequence[Event]) -> list[str | None]:
    """For each event the run that begins next: a message is taken before its run."""
    runs: list[str | None] = []
    current: str | None = None
    for event in reversed(events):
        if event.kind == "run-started":
            current = event.run_id
        elif event.kind == "run-over":
            current = None
        runs.append(current)
    runs.reverse()
    return runs


Shown = tuple[str, str, dict[str, Any]]


def _shown(body: Body, names: dict[str, str]) -> Iterator[Shown]:
    match body:
        case InboundTaken() | Forked():
            for message in body.messages:
                if message.role != "system":
                    yield _said(message)
        case Answered():
            yield _answered(body)
        case ToolBegun():
            names[body.call_id] = body.tool
        case ToolEnded():
            yield _result(body.result, names.get(body.result.id, ""))
        case Noted():
            yield "assistant", body.text, {"content": _texts(body.text)}
        case Compacted():
            yield (
                "system",
                body.summary,
                {"content": _texts(body.summary), "kind": "compaction"},
            )
        case RunOver(error=error) if error is not None:
            yield (
                "assistant",
                "",
                {"content": [], "stopReason": "error", "errorMessage": error},
            )
        case _:
            pass


def _said(message: Message) -> Shown:
    for part in message.parts:
        if isinstance(part, ToolResult):
            return _result(part, "")
    return message.role, message.text, {"content": _parts(message.parts)}


def _answered(body: Answered) -> Shown:
    message = {
        "content": _parts(body.message.parts),
        "stopReason": STOP_REASONS.get(body.stop_reason, body.stop_reason),
        "usage": usage_shape(body.usage),
        "provider": body.provider,
        "model": body.model,
    }
    return "assistant", body.message.text, message


def usage_shape(usage: Usage) -> dict[str, int]:
    """What a call took; ``input`` without what was read from a cache."""
    return {
        "input": usage.input - usage.cached,
        "output": usage.output,
        "cacheRead": usage.cached,
        "cacheWrite": 0,
        "totalTokens": usage.input + usage.output,
    }


def _result(result: ToolResult, name: str) -> Shown:
    message = {
        "toolCallId": result.id,
        "toolName": name,
        "content": [*_texts(result.text), *map(_part, result.media)],
        "isError": result.is_error,
    }
    return "toolResult", result.text, message


def _texts(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


def _parts(parts: Sequence[Part]) -> list[dict[str, Any]]:
    # What a provider has kept to itself is nobody's to read.
    return [
        _part(part) for part in parts if not isinstance(part, Thinking) or part.text
    ]


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Thinking(text):
            return {"type": "thinking", "thinking": text}
        case ToolCall(id, name, arguments):
            return {
                "type": "toolCall",
                "id": id,
                "name": name,
                "arguments": _arguments(arguments),
            }
        case Image(url, data, media_type):
            return _media({"type": "image"}, url, data, media_type)
        case File(name, media_type, url, data):
            return _media({"type": "file", "name": name}, url, data, media_type)
        case ToolResult(id, text):
            return {"type": "toolResult", "toolCallId": id, "text": text}


def _media(
    given: dict[str, Any], url: str | None, data: str | None, media_type: str | None
) -> dict[str, Any]:
    more = {"url": url, "data": data, "mimeType": media_type}
    return given | {name: value for name, value in more.items() if value is not None}


def _arguments(text: str) -> Any:
    """What the model has written as arguments, or the text where it is no JSON."""
    try:
        return orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return text


# --- what a journal says beside its messages


@attrs.frozen(kw_only=True)
class Branch:
    """A way that a conversation has gone, or goes (*active*).

    Attributes:
        seq: The last event on it.
        headline: What a person has said last.
    """

    seq: int
    headline: str
    messages: int
    at: float
    active: bool


MOST_BRANCHES: Final = 50


def branches(events: Sequence[Event]) -> list[Branch]:
    """The ways that the present conversation has gone, the present one first.

    A way ends where a later event follows another one than the last; the latest
    :data:`MOST_BRANCHES` of them.
    """
    if not events:
        return []
    left = [
        event.seq - 1
        for event in reversed(events)
        if event.parent is not None and event.parent != event.seq - 1
    ]
    now = present(events)
    # What a conversation before has gone through is not of this one.
    first = now[0].seq if now and now[0].kind == "session-reset" else 0
    ends = [end for end in dict.fromkeys([len(events), *left]) if end >= first]
    return [
        _branch(events, end, active=end == len(events))
        for end in ends[:MOST_BRANCHES]
        if end == len(events) or end > first
    ]


def _branch(events: Sequence[Event], end: int, *, active: bool) -> Branch:
    way = entries(events[:end])
    said = [entry.text for entry in way if entry.role == "user"]
    return Branch(
        seq=end,
        headline=short(said[-1], 120) if said else "",
        messages=len(way),
        at=events[end - 1].at,
        active=active,
    )


def rest_before(events: Sequence[Event], seq: int) -> int:
    """The last event before *seq*, on the present way, at which it rested."""
    from_start = [event.seq for event in path(events) if event.seq < seq]
    kinds = {event.seq: event.kind for event in events}
    for number in reversed(from_start):
        if kinds[number] in RESTS:
            return number
    return 0


def short(text: str, most: int) -> str:
    """The beginning of *text* in one line, of at most *most* characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
