"""OpenAI-compatible chat completions, as client.

Compatible servers differ, and all of this is accepted: tool calls without index or id,
with all their arguments in one piece or as an object; ``stop`` in spite of tool calls;
``reasoning_content``; no ``[DONE]``; comment lines; usage in every chunk or in none; an
answer that is not streamed although a stream was asked for.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from typing import Any

import orjson

from beamclaw.contracts.conversation import ROLES, packed, unpack
from beamclaw.contracts.messages import (
    AnswerFormat,
    File,
    Image,
    Media,
    Message,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from beamclaw.contracts.providers import (
    EmbeddingRequest,
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.contracts.tools import ToolSpec
from beamclaw.providers import media
from beamclaw.providers._json import (
    count,
    dumps,
    fields,
    loads_object,
    objects,
    text,
)
from beamclaw.providers._wire import Wire, traced
from beamclaw.providers.embeddings import EmbeddingParser, embedding_body
from beamclaw.providers.errors import Failures
from beamclaw.providers.sse import ServerSentEvent

_STOP_REASONS: dict[object, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refusal",
}
_OTHER_LIMIT = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}


class OpenAI:
    """A provider that speaks ``POST /chat/completions``, and ``/embeddings`` (*vectors*).

    The limit of output tokens is called ``max_completion_tokens`` at OpenAI itself and
    ``max_tokens`` elsewhere, where servers silently ignore the newer name. A server
    that refuses the name is asked again with the other one, which is then kept.
    """

    def __init__(
        self,
        name: str,
        wire: Wire,
        failures: Failures,
        *,
        vectors: Wire,
        official: bool,
    ) -> None:
        self._name = name
        self._wire = wire
        self._vectors = vectors
        self._failures = failures
        self._limit = "max_completion_tokens" if official else "max_tokens"

    def __repr__(self) -> str:
        return f"<OpenAI {self._name} at {self._failures.address}>"

    @property
    def name(self) -> str:
        """The provider's name in the configuration."""
        return self._name

    def stream(
        self, request: ModelRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]:
        """See :class:`beamclaw.contracts.providers.Provider`."""
        return self._stream(request)

    def embed(
        self, request: EmbeddingRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]:
        """See :class:`beamclaw.contracts.providers.Embeds`."""
        parser = EmbeddingParser(self._failures, request)
        body = dumps(embedding_body(request))
        return self._vectors.ask(body, request.model, parser, traced(request))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._wire.aclose()
        await self._vectors.aclose()

    @asynccontextmanager
    async def _stream(
        self, request: ModelRequest
    ) -> AsyncGenerator[AsyncIterator[ProviderEvent], None]:
        limit = self._limit
        async with AsyncExitStack() as stack:
            try:
                events = await stack.enter_async_context(self._ask(request, limit))
            except ProviderError as error:
                if error.kind != "invalid" or limit not in error.message:
                    raise
                self._limit = limit = _OTHER_LIMIT[limit]
                events = await stack.enter_async_context(self._ask(request, limit))
            yield events

    def _ask(
        self, request: ModelRequest, limit: str
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]:
        body = chat_body(request, limit)
        if not body["messages"]:
            raise self._failures.nothing_to_say()
        parser = ChatParser(self._failures, request)
        return self._wire.ask(dumps(body), request.model, parser, traced(request))


# --- the request


def chat_body(request: ModelRequest, limit: str) -> dict[str, Any]:
    """The body of the request; *limit* is the name of the output limit."""
    params = request.params
    body: dict[str, Any] = {
        "model": request.model,
        "messages": _messages(request.messages),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    optional = {
        limit: params.max_tokens,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "presence_penalty": params.presence_penalty,
        "frequency_penalty": params.frequency_penalty,
        "seed": params.seed,
        "stop": list(params.stop) or None,
        # Not sent for "off": a model that does not think knows no such field.
        "reasoning_effort": None if params.thinking == "off" else params.thinking,
        "tools": [_function(tool) for tool in request.tools] or None,
        "tool_choice": _choice(params.choice),
        "parallel_tool_calls": params.parallel if request.tools else None,
        "response_format": None if params.format is None else _format(params.format),
        "top_k": params.top_k,  # of some servers; where it is unknown, they say so
    }
    body.update((key, value) for key, value in optional.items() if value is not None)
    return body


def _function(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice | None) -> str | dict[str, Any] | None:
    if choice is None:
        return None
    if choice.name is None:
        return "required"
    return {"type": "function", "function": {"name": choice.name}}


def _format(wanted: AnswerFormat) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name, "schema": wanted.schema}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Ours as theirs. What tools have shown follows their results as the user's."""
    said: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for item in packed(messages):
        # Most are one plain text, and there may be thousands.
        if isinstance(item, str) and item[0] != "t" and not shown:
            if len(item) > 1:
                said.append({"role": ROLES[item[0]], "content": item[1:]})
            continue
        message = unpack(item)
        if shown and message.role != "tool":
            said.append({"role": "user", "content": shown})
            shown = []
        said += _message(message)
        for part in message.parts:
            if isinstance(part, ToolResult) and part.media:
                words = f"What the tool call {part.id} has shown:"
                shown += [{"type": "text", "text": words}, *map(_shown, part.media)]
    if shown:
        said.append({"role": "user", "content": shown})
    return said


def _message(message: Message) -> Iterable[dict[str, Any]]:
    """One of ours as theirs: none if it says nothing, one per tool result."""
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": part.id, "content": part.text}
    match message.role:
        case "assistant":
            yield from _assistant(message)
        case "user":
            yield from _user(message)
        case "system" if message.text:
            yield {"role": "system", "content": message.text}
        case _:
            pass


def _assistant(message: Message) -> Iterable[dict[str, Any]]:
    calls = [
        {
            "id": part.id,
            "type": "function",
            "function": {"name": part.name, "arguments": part.arguments or "{}"},
        }
        for part in message.parts
        if isinstance(part, ToolCall)
    ]
    content = message.text
    if calls:
        yield {"role": "assistant", "content": content or None, "tool_calls": calls}
    elif content:
        yield {"role": "assistant", "content": content}


def _user(message: Message) -> Iterable[dict[str, Any]]:
    if any(isinstance(part, Image | File) for part in message.parts):
        yield {"role": "user", "content": list(_user_parts(message))}
    elif content := message.text:
        yield {"role": "user", "content": content}


def _user_parts(message: Message) -> Iterable[dict[str, Any]]:
    for part in message.parts:
        if isinstance(part, Text) and part.text:
            yield {"type": "text", "text": part.text}
        elif isinstance(part, Image | File):
            yield _shown(part)


def _shown(part: Media) -> dict[str, Any]:
    """A picture or a file; in words what this API does not take."""
    if isinstance(part, Image) and media.can_be_shown(part):
        url = part.url or f"data:{part.media_type};base64,{part.data}"
        return {"type": "image_url", "image_url": {"url": url}}
    if isinstance(part, File) and media.is_pdf(part):
        data = f"data:{media.PDF};base64,{part.data}"
        file = {"filename": part.name or "file.pdf", "file_data": data}
        return {"type": "file", "file": file}
    words = media.text_in(part) if isinstance(part, File) else None
    if isinstance(part, File) and words is not None:
        return {"type": "text", "text": media.as_text(part, words)}
    return {"type": "text", "text": media.in_words(part)}


# --- the answer


class ChatParser:
    """Chunks of one chat completion into our events; see the module. No I/O."""

    def __init__(self, failures: Failures, request: ModelRequest) -> None:
        self._failures = failures
        self._model = request.model
        # The transcript only grows, so its length makes an id that no other call has.
        self._turn = len(request.messages)
        self._stop: StopReason | None = None
        self._ended = False
        # Our index of each tool call by theirs, and by its id.
        self._by_index: dict[int, int] = {}
        self._by_id: dict[str, int] = {}
        self._calls = 0

    @property
    def complete(self) -> bool:
        """Whether the answer is over, though usage or ``[DONE]`` may follow."""
        return self._stop is not None

    def feed(self, event: ServerSentEvent) -> Iterable[ProviderEvent]:
        """Take the next chunk."""
        if self._ended:
            return ()
        data = event.data
        if data == b"[DONE]":
            return self._end()
        chunk = loads_object(data)
        if chunk is None:
            if not data.strip():
                return ()
            raise self._failures.garbled("an event that is no JSON object")
        if chunk.get("error") or event.name == b"error":
            raise self._failures.event(chunk, self._model)
        events: list[ProviderEvent] = []
        for choice in objects(chunk.get("choices")):
            if not choice.get("index"):  # others come only with n > 1, never asked for
                self._choice(choice, choice.get("delta"), events)
        if usage := chunk.get("usage"):
            events.append(UsageReport(_usage(fields(usage))))
        return events

    def finish(self) -> Iterable[ProviderEvent]:
        """Take the end of the stream."""
        if self._ended:
            return ()
        if self._stop is None:
            raise self._failures.cut("the stream ended without its end")
        return self._end()

    def whole(self, body: bytes) -> Iterable[ProviderEvent]:
        """Take an answer that was not streamed."""
        answer = loads_object(body)
        if answer is None:
            raise self._failures.garbled("an answer that is no JSON object")
        if answer.get("error"):
            raise self._failures.event(answer, self._model)
        choices = objects(answer.get("choices"))
        if not choices:
            raise self._failures.garbled("an answer without choices")
        events: list[ProviderEvent] = []
        self._choice(choices[0], choices[0].get("message"), events)
        if usage := answer.get("usage"):
            events.append(UsageReport(_usage(fields(usage))))
        events.extend(self._end())
        return events

    def _choice(
        self, choice: dict[str, Any], said: object, events: list[ProviderEvent]
    ) -> None:
        delta = fields(said)
        content = delta.get("content")
        if content:
            words = content if isinstance(content, str) else _texts(content)
            if words:
                events.append(TextDelta(words))
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if thought and isinstance(thought, str):
            events.append(ThinkingDelta(thought))
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._stop = "refusal"
            events.append(TextDelta(refusal))
        calls = delta.get("tool_calls")
        if calls:
            events.extend(map(self._call, objects(calls)))
        elif call := fields(delta.get("function_call")):
            events.append(self._call({"index": 0, "function": call}))
        reason = text(choice.get("finish_reason"))
        if reason and self._stop is None:
            self._stop = _STOP_REASONS.get(reason, "stop")

    def _call(self, piece: dict[str, Any]) -> ToolCallDelta:
        function = fields(piece.get("function"))
        name, own = text(function.get("name")), text(piece.get("id"))
        place, fresh = self._place(piece.get("index"), own, named=bool(name))
        arguments: object = function.get("arguments")
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):
            arguments = orjson.dumps(arguments).decode()
        if not fresh:
            return ToolCallDelta(place, None, None, arguments)
        own = own or f"call_{self._turn}_{place}"
        return ToolCallDelta(place, own, name, arguments)

    def _place(self, index: object, own: str, *, named: bool) -> tuple[int, bool]:
        """Our index of the call, and whether this is its first piece.

        Without index and id, a name begins a call, since it comes once.
        """
        theirs = index if isinstance(index, int) else None
        if theirs is not None:
            known = self._by_index.get(theirs)
        elif own:
            known = self._by_id.get(own)
        else:
            known = self._calls - 1 if self._calls and not named else None
        if known is not None:
            return known, False
        place, self._calls = self._calls, self._calls + 1
        if theirs is not None:
            self._by_index[theirs] = place
        self._by_id.setdefault(own, place)
        return place, True

    def _end(self) -> Iterable[ProviderEvent]:
        self._ended = True
        stop = self._stop or "stop"
        if self._calls and stop == "stop":
            stop = "tool_calls"
        return (End(stop),)


def _texts(content: object) -> str:
    """Content in parts, as some servers send it."""
    return "".join(text(part.get("text")) for part in objects(content))


def _usage(usage: dict[str, Any]) -> Usage:
    details = fields(usage.get("prompt_tokens_details"))
    return Usage(
        count(usage.get("prompt_tokens")),
        count(usage.get("completion_tokens")),
        count(details.get("cached_tokens")),
    )
