"""The Anthropic Messages API, as client."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import attrs
import orjson

from beamclaw.config.schema import CacheRetention, ThinkingForm
from beamclaw.contracts.conversation import packed, role, unpack
from beamclaw.contracts.messages import (
    AnswerFormat,
    File,
    Image,
    Media,
    Message,
    ModelParams,
    Part,
    Text,
    Thinking,
    ThinkingLevel,
    ToolCall,
    ToolResult,
    Usage,
)
from beamclaw.contracts.providers import (
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
    items,
    loads_object,
    text,
)
from beamclaw.providers._manners import in_some_manner
from beamclaw.providers._wire import Wire, traced
from beamclaw.providers.errors import Failures
from beamclaw.providers.sse import ServerSentEvent
from beamclaw.values import frozen

_STOP_REASONS: dict[object, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_length",
}


# What a model says that is not told to think by a budget, nor takes a temperature.
_ONLY_ADAPTIVE = (
    '"thinking.type.enabled" is not supported',
    "is deprecated for this model",
)
# What a model says that does not know its own thoughts again, because something before
# them is not as it was.
_UNKNOWN_THOUGHTS = "Invalid `signature`"


@frozen
class Manner:
    """What models differ in: how they are told to think, and what they take back.

    *author* is who is asked, ``provider/model``: it is sent what it has thought itself,
    unless it is known not to take that back (*returns*). *retention* is how long the
    provider is to keep a request that another one is likely to begin with.
    """

    author: str = ""
    form: ThinkingForm = "budget"
    returns: bool = True
    retention: CacheRetention = "none"


class Anthropic:
    """A provider that speaks ``POST /v1/messages``.

    A model of which nobody knows how it is told to think is told by a budget; if it
    refuses that, it is asked again with an effort, now and from then on.

    The newest models take back what they have thought only if nothing has changed before
    it, neither the system's words nor the tools nor a message that was summed up since.
    Where one has, they are asked again without any of it.

    Args:
        name: Its name in the configuration.
        wire: Its connections.
        failures: Its errors.
        max_output: The limit of output tokens per model, which this API insists on,
            where the request has none.
        thinking: How a model is told to think; None: nobody knows.
        retention: How long it is to keep what it may have to read again.
    """

    def __init__(
        self,
        name: str,
        wire: Wire,
        failures: Failures,
        *,
        max_output: Callable[[str], int],
        thinking: Callable[[str], ThinkingForm | None],
        retention: CacheRetention,
    ) -> None:
        self._name = name
        self._wire = wire
        self._failures = failures
        self._max_output = max_output
        self._thinking = thinking
        self._retention: CacheRetention = retention
        # Models that were told by an effort, and took it.
        self._adaptive: set[str] = set()

    def __repr__(self) -> str:
        return f"<Anthropic {self._name} at {self._failures.address}>"

    @property
    def name(self) -> str:
        """The provider's name in the configuration."""
        return self._name

    def stream(
        self, request: ModelRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]:
        """See :class:`beamclaw.contracts.providers.Provider`."""
        model = request.model
        form = self._thinking(model) or "budget"
        if model in self._adaptive:
            form = "adaptive"
        return in_some_manner(
            Manner(f"{self._name}/{model}", form, retention=self._retention),
            partial(self._ask, request),
            _otherwise,
            partial(self._found, model),
        )

    def _found(self, model: str, manner: Manner) -> None:
        if manner.form == "adaptive":
            self._adaptive.add(model)

    def _ask(
        self, request: ModelRequest, manner: Manner
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]:
        limit = request.params.max_tokens or self._max_output(request.model)
        body = messages_body(request, limit, manner)
        if not body["messages"]:
            raise self._failures.nothing_to_say()
        parser = MessagesParser(self._failures, request.model)
        return self._wire.ask(dumps(body), request.model, parser, traced(request))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._wire.aclose()


def _otherwise(manner: Manner, refusal: str) -> Manner:
    """How to ask after a *refusal*; as before, if that is about something else."""
    if manner.form in _BY_TEMPERATURE and any(w in refusal for w in _ONLY_ADAPTIVE):
        return attrs.evolve(manner, form="adaptive")
    if _UNKNOWN_THOUGHTS in refusal:
        return attrs.evolve(manner, returns=False)
    return manner


# --- the request


def messages_body(request: ModelRequest, limit: int, manner: Manner) -> dict[str, Any]:
    """The body of the request, in the manner of who is asked.

    All system messages together become ``system``. Neighbours of one role are merged.
    Messages of the assistant before the first of the user are left out, since the API
    refuses a conversation that does not begin with the user. Penalties and seed do not
    exist here and are left out too; so are temperature, top_p and top_k where the model
    thinks, which it is not told to where it has to ask for a certain tool, and for
    newer models always.
    """
    params, form = request.params, manner.form
    conversation = _conversation(request.messages, manner)
    level = params.thinking if params.choice is None else None
    if form == "budget":
        thinking = _budget(level, limit, conversation)
    else:
        thinking = _adaptive(level, form)
    sampled = thinking is None and form in _BY_TEMPERATURE
    system: str | list[dict[str, Any]] | None = _system(request.messages)
    mark = _MARKS[manner.retention] if request.goes_on else None
    if mark is not None:
        system = system and [{"type": "text", "text": system, **mark}]
        _keep(conversation, mark)
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": limit,
        "messages": conversation,
        "stream": True,
    }
    optional = {
        "system": system,
        "thinking": thinking,
        "temperature": params.temperature if sampled else None,
        "top_p": params.top_p if sampled else None,
        "top_k": params.top_k if sampled else None,
        # One of white space only is refused.
        "stop_sequences": [stop for stop in params.stop if stop.strip()] or None,
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _choice(params) if request.tools else None,
        "output_config": _output(params.format, _effort(level, form)),
    }
    body.update((key, value) for key, value in optional.items() if value is not None)
    return body


_MARKS: Mapping[CacheRetention, dict[str, Any] | None] = {
    "none": None,
    "short": {"cache_control": {"type": "ephemeral"}},
    "long": {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
}


def _keep(conversation: list[dict[str, Any]], mark: dict[str, Any]) -> None:
    """Say up to where it is to be kept: to its end, and to that of the request before.

    What was kept is looked for no further back than twenty blocks from such a place, and
    a step may have more results than that.
    """
    asked = [turn for turn in conversation if turn["role"] == "user"][-2:]
    for turn in (*conversation[-1:], *asked):
        last = turn["content"][-1]
        # What is only thought cannot be marked; it does not stand at an end.
        turn["content"][-1] = {**last, **mark}


# Those forms whose models take a temperature while they do not think.
_BY_TEMPERATURE: frozenset[ThinkingForm] = frozenset({"budget", "either"})
# Tokens to think; of a call's output at least as many are left for the answer.
_BUDGETS: Mapping[ThinkingLevel, int] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 32_768,
}
_LEAST = 1_024


def _budget(
    level: ThinkingLevel | None, limit: int, conversation: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """What is said about thinking; nothing where it cannot be.

    A model that has asked for a tool without having thought, another one perhaps, has
    to go on without until it has answered.
    """
    budget = min(_BUDGETS.get(level or "off", 0), limit - _LEAST)
    if budget < _LEAST:
        return None
    asked = next((t for t in reversed(conversation) if t["role"] == "assistant"), None)
    kinds = [] if asked is None else [block["type"] for block in asked["content"]]
    if "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking"):
        return None
    return {"type": "enabled", "budget_tokens": budget}


def _adaptive(level: ThinkingLevel | None, form: ThinkingForm) -> dict[str, Any] | None:
    """The same for models that find out themselves how long they think."""
    if level is None:
        return None
    if level == "off":
        # To say so is refused by those that always think.
        return {"type": "disabled"} if form == "default" else None
    # Newer models show nothing of it unless they are told to.
    return {"type": "adaptive", "display": "summarized"}


def _effort(level: ThinkingLevel | None, form: ThinkingForm) -> str | None:
    if level is None or form == "budget":
        return None
    if level == "off":
        return "low" if form == "always" else None
    if level == "xhigh" and form == "either":
        return "max"  # what they have in its place
    return "low" if level == "minimal" else level


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.parameters,
    }


def _choice(params: ModelParams) -> dict[str, Any] | None:
    """Which tools the model has to ask for, and whether for several at once."""
    choice, alone = params.choice, params.parallel is False
    if choice is None:
        chosen = {"type": "auto"} if alone else None
    elif choice.name is None:
        chosen = {"type": "any"}
    else:
        chosen = {"type": "tool", "name": choice.name}
    if chosen is None or not alone:
        return chosen
    return {**chosen, "disable_parallel_tool_use": True}


def _output(wanted: AnswerFormat | None, effort: str | None) -> dict[str, Any] | None:
    """What form the answer has to have: by a schema, other forms are not known here.

    And how much *effort* it is worth.
    """
    output: dict[str, Any] = {} if effort is None else {"effort": effort}
    if wanted is not None and wanted.schema is not None:
        output["format"] = {"type": "json_schema", "schema": wanted.schema}
    return output or None


def _system(messages: Sequence[Message]) -> str | None:
    texts = [unpack(item).text for item in packed(messages) if role(item) == "system"]
    return "\n\n".join(text for text in texts if text.strip()) or None


def _conversation(messages: Sequence[Message], manner: Manner) -> list[dict[str, Any]]:
    merged: list[dict[str, Any]] = []
    for item in packed(messages):
        speaker = role(item)
        if speaker == "system":
            continue
        side = "assistant" if speaker == "assistant" else "user"
        # Most are one plain text, and there may be thousands.
        if isinstance(item, str):
            text = item[1:]
            blocks = [] if _is_blank(text) else [{"type": "text", "text": text}]
        else:
            blocks = [
                block
                for part in item.parts
                if not (side == "assistant" and isinstance(part, Image | File))
                and not (isinstance(part, Thinking) and not _is_own(part, manner))
                and (block := _block(part))
            ]
        # What was only thought, up to a limit say, may not be the end of a message.
        while side == "assistant" and blocks and "thinking" in blocks[-1]["type"]:
            blocks.pop()
        # Nothing may stand before the first words of the user, so no result either:
        # the call that it answers is left out.
        if not blocks or (not merged and speaker in ("assistant", "tool")):
            continue
        if merged and merged[-1]["role"] == side:
            merged[-1]["content"].extend(blocks)
        else:
            merged.append({"role": side, "content": blocks})
    for turn in merged:
        if turn["role"] == "user" and len(turn["content"]) > 1:
            # Results answer the message before and have to come first.
            turn["content"].sort(key=_comes_first)
    if merged and merged[-1]["role"] == "assistant":
        _trim(merged)
    return merged


def _is_own(part: Thinking, manner: Manner) -> bool:
    """Whether it is sent back: another model could make nothing of it.

    What was written before anybody noted who thought it may be anybody's.
    """
    return manner.returns and part.model in ("", manner.author) and not part.field


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


def _comes_first(block: dict[str, Any]) -> int:
    return 0 if block["type"] == "tool_result" else 1


def _trim(merged: list[dict[str, Any]]) -> None:
    """What the model is to continue may not end in white space."""
    last = merged[-1]["content"][-1]
    if last["type"] == "text":
        last["text"] = last["text"].rstrip()


def _block(part: Part) -> dict[str, Any] | None:  # noqa: PLR0911 - one per part
    match part:
        case Text(text):
            # Empty ones, also those of white space only, are refused.
            return None if _is_blank(text) else {"type": "text", "text": text}
        case Image() | File():
            return _shown(part)
        case Thinking(redacted=str() as redacted) if redacted:
            return {"type": "redacted_thinking", "data": redacted}
        case Thinking(text, str() as signature) if signature:
            return {"type": "thinking", "thinking": text, "signature": signature}
        case Thinking():
            return None  # without its signature it is not accepted
        case ToolCall():
            arguments = loads_object(part.arguments.encode()) or {}
            return {
                "type": "tool_use",
                "id": part.id,
                "name": part.name,
                "input": arguments,
            }
        case ToolResult():
            return _result(part)


def _result(part: ToolResult) -> dict[str, Any]:
    content: str | list[dict[str, Any]] = part.text
    if part.media:
        # In a result that says that it failed there may be nothing but text.
        show = _told if part.is_error else _shown
        words = [] if _is_blank(part.text) else [{"type": "text", "text": part.text}]
        content = [*words, *map(show, part.media)]
    result: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": part.id,
        "content": content,
    }
    return {**result, "is_error": True} if part.is_error else result


def _shown(part: Media) -> dict[str, Any]:
    """A picture or a file; in words what this API does not take."""
    if isinstance(part, File):
        source = _document(part)
        if source is None:
            return _told(part)
        title = {"title": part.name} if part.name.strip() else {}
        return {"type": "document", "source": source, **title}
    if not media.can_be_shown(part):
        return _told(part)
    if part.url is not None:
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    source = {"type": "base64", "media_type": part.media_type, "data": part.data}
    return {"type": "image", "source": source}


def _document(file: File) -> dict[str, Any] | None:
    if media.is_pdf(file):
        return {"type": "base64", "media_type": media.PDF, "data": file.data}
    if media.is_web_pdf(file):
        return {"type": "url", "url": file.url}
    words = media.text_in(file)
    if words is None:
        return None
    return {"type": "text", "media_type": "text/plain", "data": words}


def _told(part: Media) -> dict[str, Any]:
    return {"type": "text", "text": media.in_words(part)}


# --- the answer


class MessagesParser:
    """Events of one message into ours. No I/O.

    Usage is reported once, with the stop reason: the figure for output in
    ``message_start`` says nothing of what comes later, and is not looked at.
    """

    def __init__(self, failures: Failures, model: str) -> None:
        self._failures = failures
        self._model = model
        self._usage: dict[str, int] = {}
        self._stop: StopReason | None = None
        self._ended = False
        # Index of a block with a tool call -> our index. Two blocks may have the same.
        self._calls: dict[int | None, int] = {}
        self._count_calls = 0

    @property
    def complete(self) -> bool:
        """Never before ``message_stop``: without it the turn has no known result."""
        return False

    def feed(  # noqa: C901 - one case per type
        self, event: ServerSentEvent
    ) -> Iterable[ProviderEvent]:
        """Take the next event."""
        data = loads_object(event.data)
        if data is None:
            if self._ended or not event.data.strip() or event.data == b"[DONE]":
                return ()
            raise self._failures.garbled("an event that is no JSON object")
        if self._ended:
            return ()
        match data.get("type"):
            case "content_block_delta":
                return self._delta(data)
            case "content_block_start":
                return self._block(data)
            case "message_start":
                self._count(fields(data.get("message")).get("usage"))
                self._usage.pop("output_tokens", None)
            case "message_delta":
                self._count(data.get("usage"))
                reason = text(fields(data.get("delta")).get("stop_reason"))
                if reason:
                    self._stop = _STOP_REASONS.get(reason, "stop")
            case "message_stop":
                return self._end()
            case "error":
                raise self._failures.event(data, self._model)
            case None if data.get("error"):
                raise self._failures.event(data, self._model)
            case _:
                pass  # ping, content_block_stop, and what is not known yet
        return ()

    def finish(self) -> Iterable[ProviderEvent]:
        """Take the end of the stream."""
        if not self._ended:
            raise self._failures.cut("the stream ended without message_stop")
        return ()

    def whole(self, body: bytes) -> Iterable[ProviderEvent]:
        """Take an answer that was not streamed."""
        answer = loads_object(body)
        if answer is None:
            raise self._failures.garbled("an answer that is no JSON object")
        if answer.get("type") != "message":
            raise self._failures.event(answer, self._model)
        events: list[ProviderEvent] = []
        for index, block in enumerate(items(answer.get("content"))):
            events.extend(self._block({"index": index, "content_block": block}))
        self._count(answer.get("usage"))
        self._stop = _STOP_REASONS.get(text(answer.get("stop_reason")), "stop")
        events.extend(self._end())
        return events

    def _delta(self, data: dict[str, Any]) -> Iterable[ProviderEvent]:
        delta = fields(data.get("delta"))
        match delta.get("type"):
            case "text_delta":
                words = text(delta.get("text"))
                return (TextDelta(words),) if words else ()
            case "input_json_delta":
                place = self._calls.get(_index(data))
                piece = text(delta.get("partial_json"))
                if place is None or not piece:
                    return ()
                return (ToolCallDelta(place, None, None, piece),)
            case "thinking_delta":
                thinking = text(delta.get("thinking"))
                return (ThinkingDelta(thinking),) if thinking else ()
            case "signature_delta":
                return (ThinkingDelta("", text(delta.get("signature")) or None),)
            case _:
                return ()

    def _block(self, data: dict[str, Any]) -> Iterable[ProviderEvent]:
        block = fields(data.get("content_block"))
        kind = block.get("type")
        words, hidden = text(block.get("text")), text(block.get("data"))
        thinking = text(block.get("thinking"))
        signature = text(block.get("signature")) or None
        match kind:
            case "text" if words:
                return (TextDelta(words),)
            case "thinking" if thinking or signature:
                return (ThinkingDelta(thinking, signature),)
            case "redacted_thinking" if hidden:
                return (ThinkingDelta("", redacted=hidden),)
            case "tool_use":
                self._count_calls += 1
                place = self._calls[_index(data)] = self._count_calls - 1
                given = block.get("input")
                arguments = orjson.dumps(given).decode() if given else ""
                own, name = text(block.get("id")), text(block.get("name"))
                return (ToolCallDelta(place, own, name, arguments),)
            case _:
                return ()

    def _count(self, usage: object) -> None:
        """Later figures replace earlier ones; those not repeated stay."""
        for key, value in fields(usage).items():
            if isinstance(value, int):
                self._usage[key] = value

    def _end(self) -> Iterable[ProviderEvent]:
        self._ended = True
        events: list[ProviderEvent] = []
        if self._usage:
            got = self._usage.get
            cached = count(got("cache_read_input_tokens"))
            sent = count(got("input_tokens")) + cached
            stored = count(got("cache_creation_input_tokens"))
            sent += stored
            written = count(got("output_tokens"))
            events.append(UsageReport(Usage(sent, written, cached, stored=stored)))
        return (*events, End(self._stop or "stop"))


def _index(data: dict[str, Any]) -> int | None:
    """Which block an event is about; None: it does not say."""
    index = data.get("index")
    return index if isinstance(index, int) else None
