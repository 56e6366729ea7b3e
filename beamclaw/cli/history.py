"""A journal's events as lines for a person: decisions without I/O."""

from collections.abc import Iterator, Mapping
from typing import Any

Event = Mapping[str, Any]

_REASONS = {
    "new": "/new",
    "reset": "a reset",
    "daily": "the hour of the day",
    "idle": "a pause",
}
# Of what a tool said, that many characters.
_TOOL = 200


class History:
    """Turns events into lines; *every*: those that count no more are marked."""

    def __init__(self, *, every: bool) -> None:
        self._every = every
        self._agent = "agent"

    def lines(self, event: Event) -> Iterator[str]:
        """What to show for *event*; nothing for most kinds."""
        if event["type"] == "session":
            self._agent = event["agent"]
            return
        if "left_out" in event["body"]:
            yield "[left out: it is too long]"
            return
        mark = "" if event["counts"] or not self._every else "· "
        for line in self._of(event["kind"], event["body"], event):
            yield f"{mark}{line}".rstrip()

    def _of(self, kind: str, body: Event, event: Event) -> Iterator[str]:  # noqa: C901 -- a table
        match kind:
            case "inbound":
                for message in body["messages"]:
                    yield from _said(_who(message["role"], self._agent), message)
            case "answered":
                yield from _said(self._agent, body["message"])
            case "noted":
                yield from _paragraph("node", body["text"])
            case "tool-ended":
                yield from _tool(body)
            case "compacted":
                yield f"--- summed up, up to event {body['last']}"
            case "run-over":
                yield f"--- {event['seq']}{_end(body)}"
            case "session-reset":
                yield f"=== {event['seq']} a new conversation, by {_REASONS[body['reason']]}"
            case "rewound":
                yield f"=== {event['seq']} back to event {body['to']}"
            case "forked":
                yield f"=== {event['seq']} from event {body['seq']} of {body['source']}"
                for message in body.get("messages", ()):
                    yield from _said(_who(message["role"], self._agent), message)
            case _:
                return


def _end(body: Event) -> str:
    if body["outcome"] == "ok":
        return ""
    return f" {body['outcome']}: {body.get('error') or body['stop_reason']}"


def _tool(body: Event) -> Iterator[str]:
    yield from _paragraph("tool", _short(body["result"]["text"]))
    if body.get("rest"):
        yield f"  [all that is kept of it: beamclaw sessions output {body['rest']}]"


def _who(role: str, agent: str) -> str:
    return {"user": "you", "assistant": agent}.get(role, role)


def _said(who: str, message: Event) -> Iterator[str]:
    for part in message["parts"]:
        match part.get("_"):
            case "Text":
                yield from _paragraph(who, part["text"])
            case "ToolCall":
                yield from _paragraph(
                    who, f"[calls {part['name']} {part['arguments']}]"
                )
            case "ToolResult":
                yield from _paragraph("tool", _short(part["text"]))
            case "Image":
                yield from _paragraph(who, "[an image]")
            case "File":
                yield from _paragraph(who, f"[the file {part['name']}]")
            case _:
                continue


def _paragraph(who: str, text: str) -> Iterator[str]:
    first, *rest = text.split("\n")
    yield f"{who}: {first}"
    yield from (f"  {line}" for line in rest)


def _short(text: str) -> str:
    return text if len(text) <= _TOOL else f"{text[:_TOOL]} …"
