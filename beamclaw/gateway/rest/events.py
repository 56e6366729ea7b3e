"""A turn as server-sent events that can be gone on with. Pure.

An event of text has an id, ``<model call>.<characters>``: what its reader has then. Who
comes back with that id gets what follows, whether it was said meanwhile, or the turn is
over, or its node was killed in between: the text is read from what is kept.
"""

import re
from typing import Any, Final

import attrs
import orjson

from beamclaw.contracts.sessions import (
    Delta,
    Question,
    Reset,
    RunEnded,
    ToolUse,
    Waiting,
)
from beamclaw.gateway.events.approvals import ms, visible

LAST: Final = re.compile(r"([0-9]{1,9})\.([0-9]{1,12})")
# Milliseconds after which a browser comes back by itself.
RETRY: Final = b"retry: 1000\n\n"
BEAT: Final = b": still here\n\n"


@attrs.define(eq=False)
class RunEvents:
    """What one reader gets.

    Attributes:
        attempt: Of the model call that the reader's text comes from.
        length: Characters that it has.
        ended: The last event was given.
    """

    attempt: int = 0
    length: int = 0
    ended: bool = False

    @classmethod
    def after(cls, last: str | None) -> "RunEvents | None":
        """For a reader whose last event was *last*; None: that is none of ours."""
        if last is None:
            return cls()
        found = LAST.fullmatch(last)
        return None if found is None else cls(int(found[1]), int(found[2]))

    def feed(self, value: object) -> bytes:
        """The events for *value*, possibly none."""
        match value:
            case Delta():
                return self._delta(value)
            case Reset(attempt=attempt, offset=offset):
                self.attempt, self.length = attempt, min(offset, self.length)
                return self._event("reset", {"offset": self.length}, marked=True)
            case RunEnded():
                self.ended = True
                return self._event("end", _end(value))
            case ToolUse() | Waiting() | Question():
                return self._event(*_told(value))
            case _:
                return b""

    def _delta(self, value: Delta) -> bytes:
        """What of it is new; a reader that has a text of another call begins anew."""
        before = b""
        if value.offset < self.length and value.attempt != self.attempt:
            self.length = value.offset
            self.attempt = value.attempt
            before = self._event("reset", {"offset": value.offset}, marked=True)
        fresh = value.text[max(0, self.length - value.offset) :]
        self.attempt = value.attempt
        if not fresh:
            return before
        offset, self.length = self.length, self.length + len(fresh)
        given = {"offset": offset, "text": fresh}
        return before + self._event("delta", given, marked=True)

    def _event(self, name: str, data: dict[str, Any], *, marked: bool = False) -> bytes:
        mark = f"id: {self.attempt}.{self.length}\n" if marked else ""
        # JSON has no line ends in it, and half a character cannot be sent.
        try:
            body = orjson.dumps(data)
        except orjson.JSONEncodeError:
            body = orjson.dumps(_sendable(data))
        return f"{mark}event: {name}\ndata: ".encode() + body + b"\n\n"


def _sendable(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.encode("utf-8", "replace").decode()
        if isinstance(value, str)
        else value
        for key, value in data.items()
    }


def _told(value: ToolUse | Waiting | Question) -> tuple[str, dict[str, Any]]:
    match value:
        case ToolUse(call_id=call_id, tool=tool, outcome=outcome):
            return "tool", {"callId": call_id, "tool": tool, "outcome": outcome}
        case Waiting(phase=phase, detail=detail, seconds=seconds):
            return "waiting", {"for": phase, "detail": detail, "seconds": seconds}
        case Question():
            return "question", _question(value)


def _question(value: Question) -> dict[str, Any]:
    return {
        "id": value.wait_id,
        "question": visible(value.question),
        "verdict": value.verdict,
        "expiresAtMs": ms(value.expires_at),
    }


def _end(value: RunEnded) -> dict[str, Any]:
    return {
        "outcome": value.outcome,
        "stopReason": value.stop_reason,
        "text": value.text,
        "error": value.error,
        "usage": {"input": value.usage.input, "output": value.usage.output},
    }
