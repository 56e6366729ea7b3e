"""A response, in one piece or as server-sent events.

The items of one are the same whoever asks for it, and when: the text is ``msg_<id>``,
a tool call ``fc_<id>_<number>``, where ``resp_<id>`` is the response, which is the run.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import orjson

from beamclaw.contracts.messages import ToolCall, Usage
from beamclaw.contracts.sessions import RunEnded
from beamclaw.gateway.openai.answer import DONE, HEARTBEAT, failed
from beamclaw.gateway.problem import Problem
from beamclaw.gateway.streamed import LOST_PLACE, Streamed

Status = Literal[
    "queued", "in_progress", "completed", "incomplete", "failed", "cancelled"
]
Object = dict[str, Any]
_INCOMPLETE: Final = {"length": "max_output_tokens", "refusal": "content_filter"}
# Kept with a response and not told: whether it was streamed, so that it may be again.
STREAMED: Final = "stream"
# The number of the event behind which the text begins.
_BEGUN: Final = 3
# What stands in a response of which nobody has said anything else.
_DEFAULTS: Final[Mapping[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


def whole(run_id: str, about: Mapping[str, Any], end: RunEnded) -> bytes:
    """A response that is over, for whatever reason."""
    return orjson.dumps(_over(run_id, about, end))


def open_(run_id: str, about: Mapping[str, Any], status: Status) -> bytes:
    """A response that is not over."""
    return orjson.dumps(_object(run_id, about, status))


def _object(
    run_id: str, about: Mapping[str, Any], status: Status, **more: Any
) -> Object:
    return {
        "id": run_id,
        "object": "response",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
        **_DEFAULTS,
        **{name: value for name, value in about.items() if name != STREAMED},
        **more,
    }


def _over(run_id: str, about: Mapping[str, Any], end: RunEnded) -> Object:
    status = _status(end)
    more: Object = {"output": _output(run_id, end), "usage": _usage(end.usage)}
    if status == "incomplete":
        more["incomplete_details"] = {"reason": _INCOMPLETE[end.stop_reason]}
    if status == "failed":
        more["error"] = _error(failed(end, ephemeral=True))
    return _object(run_id, about, status, **more)


def _status(end: RunEnded) -> Status:
    if end.outcome == "aborted":
        return "cancelled"
    if end.outcome not in ("ok", "limited"):
        return "failed"
    return "incomplete" if end.stop_reason in _INCOMPLETE else "completed"


def _error(problem: Problem | None) -> Object | None:
    if problem is None:
        return None
    return {"code": problem.code or problem.type, "message": problem.message}


def _usage(usage: Usage) -> Object:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }


# --- items


def _output(run_id: str, end: RunEnded) -> list[Object]:
    # An answer of which nothing came is one all the same, unless it asks for tools.
    spoken = [_message(run_id, end.text)] if end.text or not end.calls else []
    return [*spoken, *(_call(run_id, i, call) for i, call in enumerate(end.calls))]


def _name(run_id: str) -> str:
    return run_id.removeprefix("resp_")


def _message(run_id: str, text: str | None) -> Object:
    """What was said; None: it is only beginning."""
    return {
        "id": f"msg_{_name(run_id)}",
        "type": "message",
        "role": "assistant",
        "status": "in_progress" if text is None else "completed",
        "content": [] if text is None else [_part(text)],
    }


def _part(text: str) -> Object:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call(run_id: str, index: int, call: ToolCall, *, begun: bool = False) -> Object:
    return {
        "id": f"fc_{_name(run_id)}_{index}",
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        "arguments": "" if begun else call.arguments or "{}",
        "status": "in_progress" if begun else "completed",
    }


# --- events


class ResponseEvents(Streamed):
    """See :class:`beamclaw.gateway.api.Events`.

    Each event has a number, which rises. That of a piece of text says how much of the
    text there is with it, so a reader who comes back may be given other pieces, but none
    twice: whoever names the last number that it has seen (*after*) gets what follows.
    """

    def __init__(
        self, run_id: str, about: Mapping[str, Any], *, after: int = -1
    ) -> None:
        super().__init__(run_id)
        self._after = after
        # Characters of the text so far.
        self._length = 0
        self._run_id = run_id
        self._about = about
        self._text: list[str] = []
        self._number = 0

    def first(self) -> bytes:
        """See the Protocol."""
        begun = _object(self._run_id, self._about, "in_progress")
        kinds = ("response.created", "response.in_progress")
        events = b"".join(self._event(kind, response=begun) for kind in kinds)
        return events or HEARTBEAT

    def beat(self) -> bytes:
        """See the Protocol."""
        return HEARTBEAT

    def fail(self, problem: Problem) -> bytes:
        """See the Protocol."""
        broken = _object(self._run_id, self._about, "failed", error=_error(problem))
        return self._last("failed", broken)

    def _event(self, kind: str, **fields: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        if number <= self._after:
            return b""
        event = {"type": kind, "sequence_number": number, **fields}
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps(event))

    def _last(self, status: str, over: Object) -> bytes:
        self.ended = True
        return self._event(f"response.{status}", response=over) + DONE

    def _say(self, text: str) -> bytes:
        begun = b"" if self._text else self._begin()
        self._text.append(text)
        seen = max(0, self._after - _BEGUN - self._length)
        self._length += len(text)
        self._number = _BEGUN + self._length
        text = text[seen:]
        return begun + self._event(
            "response.output_text.delta", **self._place, delta=text, logprobs=[]
        )

    @property
    def _place(self) -> Object:
        item = f"msg_{_name(self._run_id)}"
        return {"item_id": item, "output_index": 0, "content_index": 0}

    def _begin(self) -> bytes:
        added = _message(self._run_id, None)
        return self._event(
            "response.output_item.added", output_index=0, item=added
        ) + self._event("response.content_part.added", **self._place, part=_part(""))

    def _end(self, end: RunEnded) -> bytes:
        problem = failed(end, ephemeral=True)
        if problem is not None:
            status = _status(end)
            over = _over(self._run_id, self._about, end)
            # There is no event of its own for one that was stopped.
            return self._last("failed" if status == "cancelled" else status, over)
        shown = "".join(self._text)
        if not end.text.startswith(shown):
            return self.fail(LOST_PLACE)
        rest = end.text[len(shown) :]
        pieces = [self._say(rest)] if rest else []
        if not self._text and not end.calls:
            pieces.append(self._begin())
            self._text.append("")
        if self._text:
            pieces.append(self._spoken(end.text))
        first = 1 if self._text else 0
        pieces += (self._called(first + i, i, call) for i, call in enumerate(end.calls))
        over = _over(self._run_id, self._about, end)
        return b"".join(pieces) + self._last(_status(end), over)

    def _spoken(self, text: str) -> bytes:
        done = _message(self._run_id, text)
        return (
            self._event(
                "response.output_text.done", **self._place, text=text, logprobs=[]
            )
            + self._event("response.content_part.done", **self._place, part=_part(text))
            + self._event("response.output_item.done", output_index=0, item=done)
        )

    def _called(self, place: int, index: int, call: ToolCall) -> bytes:
        begun = _call(self._run_id, index, call, begun=True)
        done = _call(self._run_id, index, call)
        where = {"item_id": done["id"], "output_index": place}
        arguments = done["arguments"]
        kind = "response.function_call_arguments"
        return (
            self._event("response.output_item.added", output_index=place, item=begun)
            + self._event(f"{kind}.delta", **where, delta=arguments)
            + self._event(f"{kind}.done", **where, name=call.name, arguments=arguments)
            + self._event("response.output_item.done", output_index=place, item=done)
        )
