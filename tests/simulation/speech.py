"""What providers of a world say and understand: OpenAI's protocol, and Anthropic's.

Each is a table between their words and ours, for one answer at a time. Whether a request
keeps their rules is for the strict fakes to say.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Protocol

import attrs
import orjson

from beamclaw.contracts.messages import Message, Text, ToolCall, ToolResult, Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.contracts.tools import ToolSpec
from beamclaw.testing._provider import FakeProvider
from beamclaw.testing.fake_anthropic import FakeAnthropic
from beamclaw.testing.fake_openai import FakeOpenAI

Dialect = Literal["openai", "anthropic"]
# How each failure looks; none: the connection is cut.
Failures = Mapping[str, tuple[int, str] | None]


class Answer(Protocol):
    """One answer on its way."""

    def said(self, event: ProviderEvent) -> bytes:
        """*event* in their bytes."""
        ...


# --- OpenAI


@attrs.define
class OpenAIAnswer:
    """In chunks; the last says nothing but that it is the last."""

    model: str

    def said(self, event: ProviderEvent) -> bytes:
        """See :class:`Answer`."""
        chunk = _chunk(self.model, event)
        return chunk + b"data: [DONE]\n\n" * isinstance(event, End)


def _chunk(model: str, event: ProviderEvent) -> bytes:
    """An event as OpenAI sends it."""
    delta: dict[str, Any] = {}
    finish, usage = None, None
    match event:
        case TextDelta(text=text):
            delta = {"content": text}
        case ToolCallDelta():
            function = {"name": event.name, "arguments": event.arguments}
            piece = {
                "index": event.index,
                "id": event.id,
                "type": "function",
                "function": {k: v for k, v in function.items() if v is not None},
            }
            delta = {"tool_calls": [{k: v for k, v in piece.items() if v is not None}]}
        case UsageReport(usage=counted):
            usage = {
                "prompt_tokens": counted.input,
                "completion_tokens": counted.output,
                "total_tokens": counted.input + counted.output,
            }
        case End(stop_reason=reason):
            finish = reason
        case _:
            pass
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {
        "id": "chatcmpl-world",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": model,
        "choices": [] if usage else choices,
        "usage": usage,
    }
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _read_openai(body: Mapping[str, Any]) -> ModelRequest:
    return ModelRequest(
        model=body["model"],
        messages=tuple(map(_message, body["messages"])),
        tools=tuple(map(_tool, body.get("tools") or ())),
    )


def _message(message: Mapping[str, Any]) -> Message:
    role, text = message["role"], _text(message.get("content"))
    if role == "tool":
        return Message("tool", (ToolResult(message["tool_call_id"], text),))
    calls = [
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    ]
    return Message(role, (*([Text(text)] if text else ()), *calls))


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _tool(tool: Mapping[str, Any]) -> ToolSpec:
    named = tool["function"]
    return ToolSpec(name=named["name"], description="", parameters={}, effect="pure")


# --- Anthropic


@attrs.define
class AnthropicAnswer:
    """In events, block by block."""

    model: str
    _begun: bool = False
    _block: str = ""  # the kind of the one that is open
    _index: int = -1
    _usage: Usage = Usage()

    def said(self, event: ProviderEvent) -> bytes:
        """See :class:`Answer`."""
        return b"".join(self._events(event))

    def _events(self, event: ProviderEvent) -> Iterator[bytes]:
        if isinstance(event, UsageReport):
            self._usage = event.usage
            if self._begun:
                return  # it is said with the end
        if not self._begun:
            self._begun = True
            yield self._start()
        match event:
            case TextDelta(text=text):
                if self._block != "text":
                    yield from self._open({"type": "text", "text": ""})
                yield self._delta({"type": "text_delta", "text": text})
            case ToolCallDelta():
                if event.id is not None:
                    named = {"id": event.id, "name": event.name, "input": {}}
                    yield from self._open({"type": "tool_use", **named})
                piece = event.arguments or ""
                yield self._delta({"type": "input_json_delta", "partial_json": piece})
            case End(stop_reason=reason):
                yield from self._close()
                yield from self._end("end_turn" if reason == "stop" else "tool_use")
            case _:
                pass

    def _start(self) -> bytes:
        usage = {"input_tokens": self._usage.input, "output_tokens": 1}
        said = {"id": "msg_world", "type": "message", "role": "assistant"}
        message = {**said, "model": self.model, "content": [], "usage": usage}
        return _event("message_start", message=message)

    def _open(self, block: Mapping[str, Any]) -> Iterator[bytes]:
        yield from self._close()
        self._index += 1
        self._block = block["type"]
        yield _event("content_block_start", index=self._index, content_block=block)

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> Iterator[bytes]:
        if self._block:
            self._block = ""
            yield _event("content_block_stop", index=self._index)

    def _end(self, reason: str) -> Iterator[bytes]:
        used = self._usage
        usage = {"input_tokens": used.input, "output_tokens": used.output}
        yield _event("message_delta", delta={"stop_reason": reason}, usage=usage)
        yield _event("message_stop")


def _event(kind: str, **fields: Any) -> bytes:
    data = orjson.dumps({"type": kind, **fields})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def _read_anthropic(body: Mapping[str, Any]) -> ModelRequest:
    # One text, or blocks of it, of which the last one says how long all is kept.
    given = body.get("system") or []
    blocks = [{"text": given}] if isinstance(given, str) else given
    system = tuple(Text(block["text"]) for block in blocks)
    spoken = [message for each in body["messages"] for message in _blocks(each)]
    tools = (
        ToolSpec(name=tool["name"], description="", parameters={}, effect="pure")
        for tool in body.get("tools") or ()
    )
    return ModelRequest(
        model=body["model"],
        messages=(*([Message("system", system)] if system else ()), *spoken),
        tools=tuple(tools),
    )


def _blocks(message: Mapping[str, Any]) -> Iterator[Message]:
    """A turn as messages of ours: what a person said, and each result, is one."""
    blocks = message["content"]
    if message["role"] == "assistant":
        yield Message("assistant", tuple(map(_part, blocks)))
        return
    for block in blocks:
        part = _part(block)
        yield Message("tool" if isinstance(part, ToolResult) else "user", (part,))


def _part(block: Mapping[str, Any]) -> Text | ToolCall | ToolResult:
    match block["type"]:
        case "tool_use":
            given = orjson.dumps(block["input"]).decode()
            return ToolCall(block["id"], block["name"], given)
        case "tool_result":
            return ToolResult(block["tool_use_id"], block["content"])
        case _:
            return Text(block["text"])


# --- both


@attrs.frozen
class Speech:
    """A protocol.

    Attributes:
        fake: Knows the rules of requests, and how an error is said.
        read: What is asked, in our words.
        answer: Begins an answer of a model.
    """

    fake: FakeProvider
    failures: Failures
    read: Callable[[Mapping[str, Any]], ModelRequest]
    answer: Callable[[str], Answer]


def speech(dialect: Dialect) -> Speech:
    """The one of that name."""
    if dialect == "openai":
        return Speech(FakeOpenAI(), _OPENAI, _read_openai, OpenAIAnswer)
    return Speech(FakeAnthropic(), _ANTHROPIC, _read_anthropic, AnthropicAnswer)


_OPENAI: Failures = {
    "rate_limit": (429, "rate_limit_exceeded"),
    "overloaded": (503, "overloaded"),
    "server": (500, "server_error"),
    "network": None,
    "auth": (401, "invalid_api_key"),
    "quota": (429, "insufficient_quota"),
    "invalid": (400, "invalid_request_error"),
    "context_length": (400, "context_length_exceeded"),
}
_ANTHROPIC: Failures = {
    "rate_limit": (429, "rate_limit_error"),
    "overloaded": (529, "overloaded_error"),
    "server": (500, "api_error"),
    "network": None,
    "auth": (401, "authentication_error"),
    "quota": (402, "billing_error"),
    "invalid": (400, "invalid_request_error"),
    "context_length": (400, "invalid_request_error"),
}
