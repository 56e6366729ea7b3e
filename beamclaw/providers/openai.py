"""OpenAI-compatible chat completions, as client.

Compatible servers differ, and all of this is accepted: tool calls without index or id,
with all their arguments in one piece or as an object; ``stop`` in spite of tool calls;
``reasoning_content`` and its kin; no ``[DONE]``; comment lines; usage in every chunk or in none; an
answer that is not streamed although a stream was asked for.
"""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import attrs
import orjson

from beamclaw.contracts.conversation import ROLES, packed, unpack
from beamclaw.contracts.messages import (
    AnswerFormat,
    File,
    Image,
    Media,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from beamclaw.contracts.providers import (
    EmbeddingRequest,
    End,
    ModelRequest,
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
from beamclaw.providers._manners import in_some_manner
from beamclaw.providers._wire import Wire, traced
from beamclaw.providers.embeddings import EmbeddingParser, embedding_body
from beamclaw.providers.errors import Failures
from beamclaw.providers.sse import ServerSentEvent
from beamclaw.values import frozen

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
# Where reasoning comes as text, and where as what only its author reads: that one goes
# before the text, which says the same again.
_REASONING = ("reasoning_content", "reasoning")
_DETAILS = "reasoning_details"
_EXTRA = "extra_content"
# What of a detail comes in pieces.
_GROWING = frozenset({"text", "summary", "data"})
# What DeepSeek says, now and in the version before; and what it is told of what is not
# known: what is empty is missing.
_DEMANDS = re.compile(
    r"`(?P<field>reasoning_content|reasoning)` in the thinking mode must be passed back"
    r"|Missing `(?P<missing>reasoning_content)` field"
)
_NOT_KNOWN = "-"
# What Gemini says where the first of a message's tool calls came from another model, and
# what it has to be told in the place of its own signature.
_UNSIGNED = re.compile(r"missing a `?thought_signature`?")
_SIGNED = {
    _EXTRA: {"google": {"thought_signature": "skip_thought_signature_validator"}}
}
# Bytes of events with details: they are collected, and a reader cannot tell how many.
_MOST_DETAILS = 4 * 1024 * 1024


@frozen
class Manner:
    """What servers differ in: the name of the output limit, and what they take back.

    *author* is who is asked, ``provider/model``: what it has thought is sent back to it
    if it *returns*. *demanded* is the field that it wants in every turn with tools, also
    in one that was another model's, of which it is told nothing; a *signed* one wants a
    signature with every message with tool calls.
    """

    limit: str
    author: str
    returns: bool = True
    demanded: str = ""
    signed: bool = False


class OpenAI:
    """A provider that speaks ``POST /chat/completions``, and ``/embeddings`` (*vectors*).

    The limit of output tokens is called ``max_completion_tokens`` at OpenAI itself and
    ``max_tokens`` elsewhere, where servers silently ignore the newer name. A server
    that refuses the name is asked again with the other one, which is then kept.

    What a model has thought is sent back (*returns*) to the model that has thought it,
    in all its messages: DeepSeek refuses a conversation in which that of any turn with
    tools is missing, others say that they want all of it, and those that need none pass
    over it. A model that refuses the field is asked again without; one that wants it
    where another model has worked is asked again with nearly nothing in it, and one that
    wants its signature there with one that says that there is none. So it is from then on.
    """

    def __init__(
        self,
        name: str,
        wire: Wire,
        failures: Failures,
        *,
        vectors: Wire,
        official: bool,
        returns: bool = True,
    ) -> None:
        self._name = name
        self._wire = wire
        self._vectors = vectors
        self._failures = failures
        self._limit = "max_completion_tokens" if official else "max_tokens"
        self._returns = returns
        # How models were asked, after a refusal, that then answered.
        self._found: dict[str, Manner] = {}

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
        author = f"{self._name}/{request.model}"
        manner = self._found.get(author) or Manner(self._limit, author, self._returns)
        return in_some_manner(
            attrs.evolve(manner, limit=self._limit),
            partial(self._ask, request),
            partial(_otherwise, request),
            self._remember,
        )

    def _remember(self, manner: Manner) -> None:
        self._limit = manner.limit
        if manner != Manner(self._limit, manner.author, self._returns):
            self._found[manner.author] = manner

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

    def _ask(
        self, request: ModelRequest, manner: Manner
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]:
        body = chat_body(request, manner)
        if not body["messages"]:
            raise self._failures.nothing_to_say()
        parser = ChatParser(self._failures, request, returns=manner.returns)
        return self._wire.ask(dumps(body), request.model, parser, traced(request))


def _otherwise(request: ModelRequest, manner: Manner, refusal: str) -> Manner:
    """How to ask after a *refusal*; as before, if that is about something else."""
    if manner.limit in refusal:
        return attrs.evolve(manner, limit=_OTHER_LIMIT[manner.limit])
    demanded = _DEMANDS.search(refusal)
    if demanded is not None and manner.returns:
        return attrs.evolve(manner, demanded=demanded["field"] or demanded["missing"])
    if _UNSIGNED.search(refusal):
        return attrs.evolve(manner, signed=True)
    parts = [part for message in request.messages for part in message.parts]
    back = {
        part.field
        for part in parts
        if isinstance(part, Thinking) and _is_own(part, manner)
    }
    if any(re.search(rf"\b{re.escape(name)}\b", refusal) for name in back):
        return attrs.evolve(manner, returns=False, demanded="")
    return manner


# --- the request


def chat_body(request: ModelRequest, manner: Manner) -> dict[str, Any]:
    """The body of the request, in the manner of who is asked."""
    params = request.params
    body: dict[str, Any] = {
        "model": request.model,
        "messages": _messages(request.messages, manner),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    optional = {
        manner.limit: params.max_tokens,
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


def _messages(messages: Iterable[Message], manner: Manner) -> list[dict[str, Any]]:
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
        said += _message(message, manner)
        for part in message.parts:
            if isinstance(part, ToolResult) and part.media:
                words = f"What the tool call {part.id} has shown:"
                shown += [{"type": "text", "text": words}, *map(_shown, part.media)]
    if shown:
        said.append({"role": "user", "content": shown})
    if manner.demanded:
        _fill(said, manner.demanded)
    return said


def _fill(said: Sequence[dict[str, Any]], field: str) -> None:
    """Put something into *field* in each turn with tools, where nothing is."""
    turn: list[dict[str, Any]] = []
    for message in (*said, {"role": "user"}):
        if message["role"] == "user":
            if any("tool_calls" in each for each in turn):
                for each in turn:
                    each.setdefault(field, _NOT_KNOWN)
            turn = []
        elif message["role"] == "assistant":
            turn.append(message)


def _message(message: Message, manner: Manner) -> Iterable[dict[str, Any]]:
    """One of ours as theirs: none if it says nothing, one per tool result."""
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": part.id, "content": part.text}
    match message.role:
        case "assistant":
            yield from _assistant(message, manner)
        case "user":
            yield from _user(message)
        case "system" if message.text:
            yield {"role": "system", "content": message.text}
        case _:
            pass


def _assistant(message: Message, manner: Manner) -> Iterable[dict[str, Any]]:
    thought: list[Thinking] = []
    calls: list[dict[str, Any]] = []
    extra: dict[str, Any] = {}
    for part in message.parts:
        if isinstance(part, ToolCall):
            calls.append({**_asked(part), **extra})
            extra = {}
        elif isinstance(part, Thinking) and _is_own(part, manner):
            if part.field == _EXTRA:
                extra = {_EXTRA: orjson.loads(part.redacted or "null")}
            else:
                thought.append(part)
    content = message.text
    if calls:
        if manner.signed and _EXTRA not in calls[0]:
            calls[0] |= _SIGNED
        said = {"role": "assistant", "content": content or None, "tool_calls": calls}
        yield {**said, **_thought(thought)}
    elif content:
        yield {"role": "assistant", "content": content, **_thought(thought)}


def _asked(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}


def _is_own(part: Thinking, manner: Manner) -> bool:
    """Whether it was thought by who is asked, and is to be sent back."""
    return manner.returns and bool(part.field) and part.model == manner.author


def _thought(parts: Sequence[Thinking]) -> dict[str, Any]:
    """What the model has thought, in the field in which it came."""
    details = [orjson.loads(part.redacted) for part in parts if part.redacted]
    if details:
        return {_DETAILS: [each for some in details for each in some]}
    # One message has one such field; a server that changes it in the middle has two.
    words: dict[str, str] = {}
    for part in parts:
        words[part.field] = words.get(part.field, "") + part.text
    return words


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

    def __init__(
        self, failures: Failures, request: ModelRequest, *, returns: bool = True
    ) -> None:
        self._failures = failures
        self._model = request.model
        # What is not sent back now never is: it was not in the prompts that are billed.
        self._returns = returns
        self._details: list[dict[str, Any]] = []
        self._detailed = 0
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
        events.extend(self._think(delta))
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._stop = "refusal"
            events.append(TextDelta(refusal))
        calls = delta.get("tool_calls")
        if calls:
            for call in objects(calls):
                events.extend(self._call(call))
        elif call := fields(delta.get("function_call")):
            events.extend(self._call({"index": 0, "function": call}))
        reason = text(choice.get("finish_reason"))
        if reason and self._stop is None:
            self._stop = _STOP_REASONS.get(reason, "stop")

    def _think(self, delta: dict[str, Any]) -> Iterable[ThinkingDelta]:
        field = next((name for name in _REASONING if delta.get(name)), "")
        details = objects(delta.get(_DETAILS))
        if details and self._returns:
            self._detail(details)
        if thought := text(delta.get(field)):
            yield ThinkingDelta(thought, field=field if self._returns else "")
        elif thought := _texts(details):
            yield ThinkingDelta(thought)

    def _detail(self, pieces: Sequence[dict[str, Any]]) -> None:
        """Put the pieces of a stream together: texts grow, all else comes once."""
        self._detailed += len(orjson.dumps(pieces))
        if self._detailed > _MOST_DETAILS:
            raise self._failures.garbled("reasoning without an end")
        for piece in pieces:
            last = self._details[-1] if self._details else {}
            if not last or any(
                last.get(name) != piece.get(name) for name in ("type", "index")
            ):
                self._details.append(dict(piece))
                continue
            for name, value in piece.items():
                grows = name in _GROWING and isinstance(value, str)
                if grows and isinstance(last.get(name), str):
                    last[name] += value
                elif value is not None:
                    last[name] = value

    def _call(self, piece: dict[str, Any]) -> Iterable[ProviderEvent]:
        function = fields(piece.get("function"))
        name, own = text(function.get("name")), text(piece.get("id"))
        place, fresh = self._place(piece.get("index"), own, named=bool(name))
        arguments: object = function.get("arguments")
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):
            arguments = orjson.dumps(arguments).decode()
        if not fresh:
            yield ToolCallDelta(place, None, None, arguments)
            return
        if self._returns and (extra := piece.get(_EXTRA)):
            given = orjson.dumps(extra).decode()
            yield ThinkingDelta("", redacted=given, field=_EXTRA)
        own = own or f"call_{self._turn}_{place}"
        yield ToolCallDelta(place, own, name, arguments)

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
        if not self._details:
            return (End(stop),)
        details = orjson.dumps(self._details).decode()
        return ThinkingDelta("", redacted=details, field=_DETAILS), End(stop)


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
