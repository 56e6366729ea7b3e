"""A message, in one piece or as server-sent events."""

from typing import Any, Final

import orjson

from beamclaw.contracts.messages import ToolCall, Usage
from beamclaw.contracts.sessions import RunEnded
from beamclaw.gateway.ask import Ask
from beamclaw.gateway.openai.answer import failed
from beamclaw.gateway.problem import Problem, styled
from beamclaw.gateway.streamed import LOST_PLACE, Streamed

PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP: Final = {
    "stop": "end_turn",
    "limit": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "context_length": "model_context_window_exceeded",
}
Object = dict[str, Any]


def whole(ask: Ask, end: RunEnded) -> bytes | Problem:
    """The answer in one piece, or why there is none."""
    problem = failed(end, ephemeral=ask.ephemeral)
    if problem is not None:
        return problem
    text = [{"type": "text", "text": end.text}] if end.text else []
    content = [*text, *(_block(call, whole=True) for call in end.calls)]
    message = _message(end.run_id, ask.model, _usage(end.usage))
    return orjson.dumps(
        {**message, "content": content, "stop_reason": _stop_reason(end)}
    )


def _message(run_id: str, model: str, usage: Object) -> Object:
    return {
        "id": run_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _stop_reason(end: RunEnded) -> str:
    return _STOP.get(end.stop_reason, "end_turn")


def _usage(usage: Usage) -> Object:
    # All of the input are the three figures together.
    return {
        "input_tokens": usage.plain,
        "cache_creation_input_tokens": usage.stored,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }


def _block(call: ToolCall, *, whole: bool) -> Object:
    given: Object = orjson.loads(call.arguments or "{}") if whole else {}
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": given}


class MessageEvents(Streamed):
    """See :class:`beamclaw.gateway.api.Events`."""

    def __init__(self, run_id: str, ask: Ask) -> None:
        super().__init__(run_id)
        self._run_id = run_id
        self._ask = ask
        self._text: list[str] = []

    def first(self) -> bytes:
        """See the Protocol. What it takes is not known before the end."""
        message = _message(self._run_id, self._ask.model, _usage(Usage()))
        return _event("message_start", message=message)

    def beat(self) -> bytes:
        """See the Protocol."""
        return PING

    def fail(self, problem: Problem) -> bytes:
        """See the Protocol."""
        self.ended = True
        return b"event: error\ndata: %s\n\n" % styled(problem, "anthropic").body

    def _say(self, text: str) -> bytes:
        begun = b""
        if not self._text:
            block = {"type": "text", "text": ""}
            begun = _event("content_block_start", index=0, content_block=block)
        self._text.append(text)
        delta = {"type": "text_delta", "text": text}
        return begun + _event("content_block_delta", index=0, delta=delta)

    def _end(self, end: RunEnded) -> bytes:
        problem = failed(end, ephemeral=self._ask.ephemeral)
        if problem is not None:
            return self.fail(problem)
        shown = "".join(self._text)
        if not end.text.startswith(shown):
            return self.fail(LOST_PLACE)
        rest = end.text[len(shown) :]
        pieces = [self._say(rest)] if rest else []
        if self._text:
            pieces.append(_event("content_block_stop", index=0))
        first = 1 if self._text else 0
        pieces += (_called(first + i, call) for i, call in enumerate(end.calls))
        delta = {"stop_reason": _stop_reason(end), "stop_sequence": None}
        pieces += (
            _event("message_delta", delta=delta, usage=_usage(end.usage)),
            _event("message_stop"),
        )
        self.ended = True
        return b"".join(pieces)


def _called(index: int, call: ToolCall) -> bytes:
    delta = {"type": "input_json_delta", "partial_json": call.arguments or "{}"}
    return (
        _event(
            "content_block_start", index=index, content_block=_block(call, whole=False)
        )
        + _event("content_block_delta", index=index, delta=delta)
        + _event("content_block_stop", index=index)
    )


def _event(kind: str, **fields: Any) -> bytes:
    data = orjson.dumps({"type": kind, **fields})
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)
