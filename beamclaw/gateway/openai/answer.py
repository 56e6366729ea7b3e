"""The answer to a chat completion, in one piece or as server-sent events.

:func:`whole` makes it of an ended run, :class:`Chunks` of what is published of a run
while it goes on, and :func:`failed` says what a run is that ended without one.
"""

from typing import Final

import orjson

from beamclaw.contracts.messages import ToolCall, Usage
from beamclaw.contracts.sessions import RunEnded
from beamclaw.gateway.ask import Ask
from beamclaw.gateway.problem import Problem, invalid
from beamclaw.gateway.streamed import LOST_PLACE, Streamed

DONE: Final = b"data: [DONE]\n\n"
HEARTBEAT: Final = b": waiting\n\n"
_FINISH: Final = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "refusal": "content_filter",
}


def failed(end: RunEnded, *, ephemeral: bool) -> Problem | None:
    """What an ended run is for a client, if it is no answer.

    OpenAI's clients ask again by themselves after most errors; for a turn that is in
    a conversation to stay this would say everything twice, so they are told not to.
    """
    if end.outcome in ("ok", "limited"):
        return None
    if end.outcome == "aborted":
        return Problem(
            status=409,
            type="api_error",
            message="the turn was stopped by somebody else",
            code="aborted",
            retry=False,
        )
    message = end.error or "the turn failed"
    match end.error_kind:
        case "context_length":
            return invalid(message, code="context_length_exceeded", param="messages")
        case "rate_limit":
            return Problem(
                status=429,
                type="rate_limit_error",
                message=message,
                code="rate_limit_exceeded",
                retry_after=1.0,
                retry=ephemeral,
            )
        case "gone":
            return Problem(
                status=410, type="api_error", message=message, code="gone", retry=False
            )
        case kind:
            passing = kind in ("overloaded", "network", "server")
            return Problem(
                status=502,
                type="api_error",
                message=message,
                # "overloaded" alone is what this node says of itself, with 429.
                code="provider_overloaded" if kind == "overloaded" else kind,
                retry=passing and ephemeral,
            )


def _finish_reason(end: RunEnded) -> str:
    """OpenAI's word for why the answer ended."""
    return _FINISH.get(end.stop_reason, "stop")


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


def whole(ask: Ask, end: RunEnded, *, created: int) -> bytes:
    """The answer in one piece."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": end.text if end.text or not end.calls else None,
        "refusal": None,
    }
    if end.calls:
        message["tool_calls"] = [_call(call) for call in end.calls]
    return orjson.dumps(
        {
            "id": end.run_id,
            "object": "chat.completion",
            "created": created,
            "model": ask.model,
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "logprobs": None,
                    "finish_reason": _finish_reason(end),
                }
            ],
            "usage": _usage(end.usage),
        }
    )


def _call(call: ToolCall) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}


def _error_event(problem: Problem) -> bytes:
    """The last event of a stream that fails: no ``[DONE]`` follows."""
    return b"data: " + problem.body + b"\n\n"


class Chunks(Streamed):
    """See :class:`beamclaw.gateway.api.Events`."""

    def __init__(self, run_id: str, ask: Ask, *, created: int) -> None:
        super().__init__(run_id)
        self._ask = ask
        self._text: list[str] = []
        head = {
            "id": run_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": ask.model,
        }
        self._head = orjson.dumps(head)[:-1]
        self._tail = b',"usage":null}\n\n' if ask.include_usage else b"}\n\n"
        self._before = self._opening(b'{"content":')
        self._after = b'},"logprobs":null,"finish_reason":null}]' + self._tail

    def _opening(self, delta: bytes) -> bytes:
        return b"data: " + self._head + b',"choices":[{"index":0,"delta":' + delta

    def first(self) -> bytes:
        """The first event: its arrival means that the message is kept."""
        return self._opening(b'{"role":"assistant","content":""') + self._after

    def _say(self, text: str) -> bytes:
        self._text.append(text)
        return self._before + orjson.dumps(text) + self._after

    def _end(self, end: RunEnded) -> bytes:
        problem = failed(end, ephemeral=self._ask.ephemeral)
        if problem is not None:
            return self.fail(problem)
        shown = "".join(self._text)
        if not end.text.startswith(shown):
            return self.fail(LOST_PLACE)
        rest = end.text[len(shown) :]
        missing = self._say(rest) if rest else b""
        self.ended = True
        return missing + self._calls(end) + self._finish(end) + DONE

    def _calls(self, end: RunEnded) -> bytes:
        """Each call by its name first, then with its arguments."""
        pieces: list[bytes] = []
        for index, call in enumerate(end.calls):
            named = _call(ToolCall(call.id, call.name, ""))
            named["function"] = {"name": call.name, "arguments": ""}
            arguments = {"arguments": call.arguments or "{}"}
            for delta in (named, {"function": arguments}):
                piece = orjson.dumps([{"index": index, **delta}])
                pieces.append(self._opening(b'{"tool_calls":') + piece + self._after)
        return b"".join(pieces)

    def _finish(self, end: RunEnded) -> bytes:
        reason = orjson.dumps(_finish_reason(end))
        last = (
            self._opening(b"{}")
            + b',"logprobs":null,"finish_reason":'
            + reason
            + b"}]"
            + self._tail
        )
        if not self._ask.include_usage:
            return last
        usage = orjson.dumps(_usage(end.usage))
        return (
            last + b"data: " + self._head + b',"choices":[],"usage":' + usage + b"}\n\n"
        )

    def fail(self, problem: Problem) -> bytes:
        """The stream ends with an error."""
        self.ended = True
        return _error_event(problem)

    def beat(self) -> bytes:
        """A comment, which clients pass over."""
        return HEARTBEAT
