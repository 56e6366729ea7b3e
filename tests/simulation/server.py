"""A provider of a world behind HTTP: what a model says, in bytes of OpenAI's protocol.

The server is the one of the fakes, on the network in memory. What is asked is checked by
the rules of the strict fake; what is answered, and when, is up to the world's models.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, cast

import attrs
import orjson
import trio

from beamclaw.contracts.messages import Message, Text, ToolCall, ToolResult
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.contracts.tools import ToolSpec
from beamclaw.testing._http import Channel, Cut, HTTPRequest, serving
from beamclaw.testing._provider import Refused
from beamclaw.testing.fake_openai import FakeOpenAI
from tests.simulation.model import Models
from tests.simulation.network import Socket

# Where each provider is.
HOSTS: Mapping[str, str] = {"a.world": "10.0.0.1", "b.world": "10.0.0.2"}
_STREAM = "text/event-stream; charset=utf-8"
# How each failure looks; none: the connection is cut.
_STATUS: Mapping[str, tuple[int, str] | None] = {
    "rate_limit": (429, "rate_limit_exceeded"),
    "overloaded": (503, "overloaded"),
    "server": (500, "server_error"),
    "network": None,
    "auth": (401, "invalid_api_key"),
    "quota": (429, "insufficient_quota"),
    "invalid": (400, "invalid_request_error"),
    "context_length": (400, "context_length_exceeded"),
}


@asynccontextmanager
async def serving_models(models: Models) -> AsyncGenerator[None]:
    """Have both providers listen while the block lasts."""
    async with AsyncExitStack() as stack:
        for host, address in HOSTS.items():
            provider = Provider(models, host.partition(".")[0])
            await stack.enter_async_context(
                serving(provider.handle, host=address, port=80)
            )
        yield


@attrs.define(eq=False)
class Provider:
    """One of them."""

    models: Models
    name: str
    fake: FakeOpenAI = attrs.field(factory=FakeOpenAI)

    async def handle(self, request: HTTPRequest, channel: Channel) -> None:
        """Answer one request."""
        body = orjson.loads(request.body)
        found = [str(refused) for refused in self.fake.check(request, body)]
        self.models.wrong += [f"{self.name} refuses it: {why}" for why in found]
        asked = read_request(body)
        # A request counts from when it was sent: who sent it may be dead by now.
        socket = cast("trio.SocketStream", channel._stream).socket
        sent = cast("Socket", socket).heard
        call = self.models.begin(self.name, asked, sent)
        began = False
        async with aclosing(self.models.answer(call, asked)) as events:
            try:
                async for event in events:
                    if not began:
                        began = True
                        await channel.begin(_STREAM)
                    await channel.chunk(_chunk(body["model"], event))
            except ProviderError as error:
                if began or _STATUS[error.kind] is None:
                    raise Cut from None
                await self._refuse(channel, error)
                return
        await channel.chunk(b"data: [DONE]\n\n")
        await channel.end()

    async def _refuse(self, channel: Channel, error: ProviderError) -> None:
        found = _STATUS[error.kind]
        assert found is not None
        headers = {}
        if error.retry_after is not None:
            headers["retry-after"] = f"{error.retry_after:g}"
        refused = Refused(*found, str(error))
        await channel.respond(found[0], self.fake.error(refused), headers=headers)


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


def read_request(body: Mapping[str, Any]) -> ModelRequest:
    """What is asked, from OpenAI's words back into ours."""
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
