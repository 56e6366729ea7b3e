"""A strict fake of Anthropic's Messages API, on a real socket.

As :mod:`beamclaw.testing.fake_openai`: ``async with fake_anthropic() as fake``, or
``python -m beamclaw.testing.fake_anthropic``.
"""

import hashlib
import re
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import orjson

from beamclaw.contracts.messages import Usage
from beamclaw.testing._command import main
from beamclaw.testing._http import HTTPRequest
from beamclaw.testing._provider import Entry, Event, FakeProvider, Refused, opened
from beamclaw.testing._replies import Body, Fault, Reply, Tool, counted, last_words

__all__ = [
    "Entry",
    "FakeAnthropic",
    "Fault",
    "Reply",
    "Tool",
    "fake_anthropic",
    "last_words",
]

_KNOWN = frozenset(
    {
        "model",
        "max_tokens",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "metadata",
        "service_tier",
        "stream",
        "output_config",
        "container",
        "inference_geo",
        "cache_control",
    }
)
_TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
_TOOL_ID = re.compile(r"^[a-zA-Z0-9_-]+$")
_LEAST_THINKING = 1024
# Blocks that may say that they are to be kept; tokens before one, at least, for it to be
# kept; and blocks before it among which one is looked for that was kept.
_MOST_MARKS = 4
_LEAST_KEPT = 1024
_LOOKED_BACK = 20
_UNMARKED = frozenset({"thinking", "redacted_thinking"})
_SIGNATURE = "signed"
_BOUND = (
    "messages.{}.content.0: Invalid `signature` in `thinking` block. The block is bound to a "
    "different conversation. Remove the block, or set "
    '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
)
# How models are told to think, by their names; the first that fits.
_THINKS = tuple(
    (kind, re.compile(names))
    for kind, names in (
        ("always", r"claude-((opus|sonnet)-5-5|fable-)"),
        ("default", r"claude-(opus|sonnet)-[5-9]"),
        ("adaptive", r"claude-opus-4-[78]"),
        ("either", r"claude-(opus|sonnet)-4-6"),
        ("budget", r"claude-(opus|sonnet|haiku)-4"),
    )
)
_REFUSED_WAYS = {
    "always": frozenset({"enabled", "disabled"}),
    "default": frozenset({"enabled"}),
    "adaptive": frozenset({"enabled"}),
    "budget": frozenset({"adaptive"}),
}
_EFFORTS = {
    "any": frozenset({"low", "medium", "high", "xhigh", "max"}),
    "either": frozenset({"low", "medium", "high", "max"}),
    "budget": frozenset[str](),
}
_WITHOUT_SAMPLING = frozenset({"always", "default", "adaptive"})
# Which blocks a message of each role may have.
_BLOCKS = {
    "user": frozenset({"text", "image", "document", "tool_result"}),
    "assistant": frozenset({"text", "thinking", "redacted_thinking", "tool_use"}),
}
_IN_RESULTS = frozenset({"text", "image", "document"})
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_REFUSALS = {
    400: ("invalid_request_error", "The request is invalid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the API."),
    403: ("permission_error", "Your API key does not have permission."),
    404: ("not_found_error", "model: x"),
    409: ("api_error", "Conflict"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}


class FakeAnthropic(FakeProvider):
    """A fake of Anthropic's Messages API.

    What a model accepts goes by its name, as it does there: how it is told to think, and
    whether it takes a temperature. A name that is none of theirs accepts everything.

    What is marked with ``cache_control`` is kept, as long as the fake lives, and billed
    as the platform does it; how many tokens a part of a prompt has goes by its bytes.

    Attributes:
        billed: What calls that were answered took, one after the other.

    Args:
        bound: Whether thoughts are taken back only behind what they were thought about.
        options: Those of every fake provider.
    """

    path = "/v1/messages"

    def __init__(self, *, bound: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.bound = bound
        # What was said before each thought, by the thought's signature.
        self._before: dict[str, bytes] = {}
        # Digests of beginnings that were kept.
        self._kept: set[bytes] = set()
        self.billed: list[Usage] = []

    @property
    def base_url(self) -> str:
        """For ``providers.anthropic.base_url`` or ``ANTHROPIC_BASE_URL``."""
        return f"http://127.0.0.1:{self.port}"

    def key_of(self, headers: Mapping[str, str]) -> str:
        """``x-api-key``, or a bearer token."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return headers.get("x-api-key", "") or (key if scheme == "Bearer" else "")

    def check(self, request: HTTPRequest, body: Body) -> Iterable[Refused]:
        """The rules of the Messages API."""
        if request.headers.get("anthropic-version") != "2023-06-01":
            yield _invalid("anthropic-version: header is required")
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind != "application/json":
            yield _invalid("content-type: must be application/json")
        for name in body.keys() - _KNOWN:
            yield _invalid(f"{name}: Extra inputs are not permitted")
        model = body.get("model")
        if not isinstance(model, str) or not model:
            yield _invalid("model: Field required")
        elif self.models is not None and model not in self.models:
            yield Refused(404, "not_found_error", f"model: {model}")
        yield from _check_settings(body)
        yield from _check_manner(body)
        yield from _check_messages(body)
        yield from _check_marks(body)
        if self.bound:
            yield from self._check_bonds(body)
        yield from self._check_window(request, body)

    def _check_bonds(self, body: Body) -> Iterable[Refused]:
        messages = cast("list[Body]", body.get("messages") or [])
        for n, message in enumerate(messages):
            content = message.get("content")
            for block in cast("list[Body]", content if type(content) is list else []):
                before = self._before.get(str(block.get("signature")))
                if before not in (None, _prefix(body, n)):
                    yield _invalid(_BOUND.format(n))

    def _check_window(self, request: HTTPRequest, body: Body) -> Iterable[Refused]:
        asked = len(request.body) // 4
        if self.window is not None and asked > self.window:
            yield _invalid(
                f"prompt is too long: {asked} tokens > {self.window} maximum"
            )

    def events(self, body: Body, reply: Reply, sent: int) -> Sequence[Event]:
        """The events of a streamed message."""
        fault = reply.fault or Fault()
        if reply.thinking:
            messages = cast("list[Body]", body.get("messages") or [])
            signature = reply.signature or _SIGNATURE
            self._before[signature] = _prefix(body, len(messages))
        read, written = counted(reply, sent)
        used = self._bill(body, reply, read, written)
        start = _message(body, [], None, {**used, "output_tokens": 1})
        events = [(_event("message_start", message=start), 0)]
        index = 0
        if reply.thinking:
            events += _thinking(index, reply)
            index += 1
        if reply.words:
            block = {"type": "text", "text": ""}
            events.append((_start(index, block), 0))
            head = b"event: content_block_delta\ndata: "
            head += b'{"type":"content_block_delta","index":%d,' % index
            head += b'"delta":{"type":"text_delta","text":%b}}\n\n'
            events += [(head % orjson.dumps(word), 1) for word in reply.words]
            events.append((_event("content_block_stop", index=index), 0))
            index += 1
        for tool in reply.tools:
            events += _tool(index, tool)
            index += 1
        if not fault.no_finish:
            delta = {"stop_reason": _stop(reply), "stop_sequence": None}
            usage = {} if fault.no_usage else {"usage": {"output_tokens": written}}
            events.append((_event("message_delta", delta=delta, **usage), 0))
        if not fault.no_end:
            events.append((_event("message_stop"), 0))
        return events

    def whole(self, body: Body, reply: Reply, sent: int) -> bytes:
        """A message in one piece."""
        read, written = counted(reply, sent)
        content: list[Body] = []
        if reply.words:
            content.append({"type": "text", "text": "".join(reply.words)})
        for tool in reply.tools:
            given = orjson.loads("".join(tool.arguments) or "{}")
            content.append(
                {"type": "tool_use", "id": tool.id, "name": tool.name, "input": given}
            )
        usage = self._bill(body, reply, read, written)
        return orjson.dumps(_message(body, content, _stop(reply), usage))

    def _bill(self, body: Body, reply: Reply, read: int, written: int) -> Body:
        cached, stored = self._keep(body, reply, read)
        self.billed.append(Usage(read, written, cached, stored=stored))
        return {
            "input_tokens": self.billed[-1].plain,
            "cache_creation_input_tokens": stored,
            "cache_read_input_tokens": cached,
            "output_tokens": written,
            "service_tier": "standard",
        }

    def _keep(self, body: Body, reply: Reply, read: int) -> tuple[int, int]:
        """Tokens that are read from what was kept, and those that are kept now."""
        if reply.cached:
            return reply.cached, 0
        ends: list[tuple[bytes, int, bool]] = []
        digest, length = hashlib.sha256(), 0
        for block in _blocks(body):
            said = orjson.dumps(_unmarked(block))
            digest.update(said)
            length += len(said)
            ends.append((digest.digest(), length, "cache_control" in block))
        tokens = [read * size // max(1, length) for _, size, _ in ends]
        marks = [n for n, (_, _, marked) in enumerate(ends) if marked]
        known = [
            n
            for mark in marks
            for n in range(max(0, mark - _LOOKED_BACK + 1), mark + 1)
            if ends[n][0] in self._kept
        ]
        cached = tokens[max(known)] if known else 0
        worth = [n for n in marks if tokens[n] >= _LEAST_KEPT]
        self._kept.update(ends[n][0] for n in worth)
        return cached, max(0, tokens[worth[-1]] - cached) if worth else 0

    def error(self, refused: Refused) -> bytes:
        """An error in Anthropic's shape."""
        error = {"type": refused.code, "message": refused.message}
        return orjson.dumps({"type": "error", "error": error, "request_id": "req_fake"})

    def error_event(self, fault: Fault) -> bytes:
        """An error inside the stream."""
        code, message = self.refusal(529)
        error = {"type": fault.code or code, "message": fault.message or message}
        return _event("error", error=error)

    def ping(self) -> bytes:
        """A ping."""
        return _event("ping")

    def model_list(self) -> bytes:
        """The models."""
        data = [
            {"id": name, "type": "model", "display_name": name, "created_at": "2026"}
            for name in self.models or ("fake",)
        ]
        return orjson.dumps({"data": data, "has_more": False})

    def refusal(self, status: int) -> tuple[str, str]:
        """Type and sentence as the platform has them."""
        return _REFUSALS.get(status, ("api_error", f"Error {status}"))


def _invalid(message: str) -> Refused:
    return Refused(400, "invalid_request_error", message)


def _prefix(body: Body, upto: int) -> bytes:
    """What stands before message number *upto*."""
    messages = cast("list[Body]", body.get("messages") or [])[:upto]
    before = {**body, "messages": messages}
    return orjson.dumps([_unmarked(block) for block in _blocks(before)])


def _unmarked(block: Body) -> Body:
    return {name: each for name, each in block.items() if name != "cache_control"}


def _blocks(body: Body) -> Iterable[Body]:
    """All that a prompt is made of, in the order in which it is kept."""
    yield from cast("list[Body]", body.get("tools") or [])
    yield from _texts(body.get("system"))
    for message in cast("list[Body]", body.get("messages") or []):
        for block in _texts(message.get("content")):
            yield {"role": message.get("role"), **block}


def _texts(content: object) -> list[Body]:
    """Blocks, which may be given as one text."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return cast("list[Body]", content or [])


def _check_marks(body: Body) -> Iterable[Refused]:
    """What is said about keeping: where it may be said, how often and how."""
    marked = [block for block in _blocks(body) if "cache_control" in block]
    if len(marked) > _MOST_MARKS:
        yield _invalid(
            f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided. "
            f"Found {len(marked)}."
        )
    short = False
    for block in marked:
        if block.get("type") in _UNMARKED:
            yield _invalid("thinking.cache_control: Extra inputs are not permitted")
        if block.get("type") == "text" and not block.get("text"):
            yield _invalid("cache_control cannot be set for empty text blocks")
        mark = cast("Body", block["cache_control"])
        ttl = mark.get("ttl", "5m")
        if mark.get("type") != "ephemeral" or mark.keys() - {"type", "ttl"}:
            yield _invalid("cache_control.type: Input should be 'ephemeral'")
        if ttl not in ("5m", "1h"):
            yield _invalid("cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
        if ttl == "1h" and short:
            yield _invalid(
                "a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block"
            )
        short = short or ttl == "5m"


def _kind(body: Body) -> str:
    """How the model is told to think."""
    model = str(body.get("model"))
    return next((kind for kind, names in _THINKS if names.match(model)), "any")


def _check_manner(body: Body) -> Iterable[Refused]:
    """What a model of this name accepts of thinking, effort and temperature."""
    kind = _kind(body)
    thinking = cast("Body", body.get("thinking") or {})
    way = thinking.get("type")
    refused = _REFUSED_WAYS.get(kind, frozenset())
    if way in refused and kind == "budget":
        yield _invalid("adaptive thinking is not supported on this model")
    elif way in refused:
        yield _invalid(
            f'"thinking.type.{way}" is not supported for this model. Use '
            '"thinking.type.adaptive" and "output_config.effort" to control thinking '
            "behavior."
        )
    if way == "adaptive" and "budget_tokens" in thinking:
        yield _invalid(
            "thinking.adaptive.budget_tokens: Extra inputs are not permitted"
        )
    effort = cast("Body", body.get("output_config") or {}).get("effort")
    if effort is not None and effort not in _EFFORTS.get(kind, _EFFORTS["any"]):
        yield _invalid(f"output_config.effort: {effort!r} is not supported")
    sampling = [n for n in ("temperature", "top_p", "top_k") if body.get(n) is not None]
    if kind in _WITHOUT_SAMPLING:
        yield from (_invalid(f"`{n}` is deprecated for this model.") for n in sampling)
    elif way in ("enabled", "adaptive"):
        yield from (_invalid(f"`{n}` may not be set with thinking") for n in sampling)
    choice = cast("Body", body.get("tool_choice") or {}).get("type")
    if kind == "always" and choice in ("any", "tool"):
        yield _invalid("tool_choice: forced tool use is not supported for this model")


def _check_settings(body: Body) -> Iterable[Refused]:
    limit = body.get("max_tokens")
    if not isinstance(limit, int):
        yield _invalid("max_tokens: Field required")
    elif limit < 1:
        yield _invalid("max_tokens: must be greater than or equal to 1")
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is not None and not 0 <= value <= 1:
            yield _invalid(f"{name}: range: 0..1")
    for stop in body.get("stop_sequences") or ():
        if not stop.strip():
            yield _invalid("stop_sequences: each must contain non-whitespace")
    system = body.get("system")
    if system is not None and not isinstance(system, list) and not system:
        yield _invalid("system: text content blocks must be non-empty")
    yield from _check_tools(body)


def _check_tools(body: Body) -> Iterable[Refused]:
    for n, tool in enumerate(body.get("tools") or ()):
        if not _TOOL_NAME.match(str(tool.get("name"))):
            yield _invalid(
                f"tools.{n}.name: String should match '{_TOOL_NAME.pattern}'"
            )
        if cast("Body", tool.get("input_schema") or {}).get("type") != "object":
            yield _invalid(f"tools.{n}.input_schema.type: Field required")
    thinking = cast("Body", body.get("thinking") or {})
    if thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens") or 0
        if not _LEAST_THINKING <= budget < (body.get("max_tokens") or 0):
            yield _invalid("thinking.budget_tokens: from 1024 to below max_tokens")
        choice = cast("Body", body.get("tool_choice") or {})
        if choice.get("type") in ("any", "tool"):
            yield _invalid("Thinking may not be enabled when tool_choice forces tools.")


def _check_messages(body: Body) -> Iterable[Refused]:
    messages = cast("list[Any]", body.get("messages") or [])
    if not messages:
        yield _invalid("messages: at least one message is required")
        return
    turns = _merged(messages)
    if turns[0][0] != "user":
        yield _invalid('messages: first message must use the "user" role')
    asked: list[str] = []
    seen: set[str] = set()
    for n, (role, blocks) in enumerate(turns):
        if role not in ("user", "assistant"):
            yield _invalid(f"messages.{n}.role: Input should be 'user' or 'assistant'")
        yield from _check_kinds(n, role, blocks)
        yield from _check_blocks(n, blocks)
        yield from _check_results(n, blocks, asked)
        asked = [block["id"] for block in blocks if block.get("type") == "tool_use"]
        if len(set(asked)) != len(asked) or seen & set(asked):
            yield _invalid(f"messages.{n}: `tool_use` ids must be unique")
        seen.update(asked)
    if asked:
        yield _unanswered(len(turns) - 1, asked)
    role, blocks = turns[-1]
    last = blocks[-1] if blocks else {}
    text = str(last.get("text", ""))
    if role == "assistant" and last.get("type") == "text" and text != text.rstrip():
        yield _invalid(
            "messages: final assistant content cannot end with trailing whitespace"
        )
    if cast("Body", body.get("thinking") or {}).get("type") == "enabled":
        yield from _check_thinking(turns)


def _check_thinking(turns: list[tuple[str, list[Body]]]) -> Iterable[Refused]:
    """In a tool loop the reasoning comes back first, with its signature."""
    for role, blocks in reversed(turns):
        if role != "assistant":
            continue
        kinds = [block.get("type") for block in blocks]
        if "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking"):
            yield _invalid(
                "messages: a final `assistant` message must start with a thinking block"
            )
        return


def _merged(messages: list[Any]) -> list[tuple[str, list[Body]]]:
    turns: list[tuple[str, list[Body]]] = []
    for message in messages:
        content = message.get("content")
        blocks = (
            [{"type": "text", "text": content}] if isinstance(content, str) else content
        )
        if turns and turns[-1][0] == message.get("role"):
            turns[-1][1].extend(blocks or [])
        else:
            turns.append((str(message.get("role")), list(blocks or [])))
    return turns


def _check_kinds(n: int, role: str, blocks: list[Body]) -> Iterable[Refused]:
    last = str(blocks[-1].get("type")) if blocks else ""
    if role == "assistant" and "thinking" in last:
        yield _invalid(
            f"messages.{n}: The final block in an assistant message cannot be `{last}`."
        )
    for block in blocks:
        kind = block.get("type")
        if kind not in _BLOCKS.get(role, ()):
            yield _invalid(
                f"messages.{n}.content: `{kind}` blocks are not allowed in `{role}` "
                "messages"
            )
        elif kind == "tool_result":
            yield from _check_result(n, block)
        else:
            yield from _check_shown(n, block)


def _check_result(n: int, block: Body) -> Iterable[Refused]:
    content = block.get("content")
    if not isinstance(content, list):
        return
    for inner in cast("list[Body]", content):
        kind = inner.get("type")
        if kind not in _IN_RESULTS:
            yield _invalid(
                f"messages.{n}.tool_result.content: Input tag '{kind}' is not expected"
            )
        elif block.get("is_error") and kind != "text":
            yield _invalid(
                f"messages.{n}: all content must be type `text` if `is_error` is true"
            )
        elif kind == "text" and not str(inner.get("text", "")).strip():
            yield _invalid("messages: text content blocks must be non-empty")
        yield from _check_shown(n, inner)


def _check_shown(n: int, block: Body) -> Iterable[Refused]:
    """Pictures and documents."""
    kind, source = block.get("type"), cast("Body", block.get("source") or {})
    media, data, url = (source.get(name) for name in ("media_type", "data", "url"))
    on_the_web = source.get("type") == "url" and str(url).startswith("http")
    embedded = source.get("type") == "base64" and bool(data)
    plain = source.get("type") == "text" and media == "text/plain" and bool(data)
    if kind == "image" and not on_the_web and not (embedded and media in _IMAGES):
        yield _invalid(f"messages.{n}.image.source: not a picture that is supported")
    elif kind == "document" and not (
        on_the_web or plain or (embedded and media == "application/pdf")
    ):
        yield _invalid(f"messages.{n}.document.source: not a supported document")
    elif kind == "document" and block.get("title") == "":
        yield _invalid(f"messages.{n}.document.title: should have at least 1 character")


def _check_blocks(n: int, blocks: list[Body]) -> Iterable[Refused]:
    if not blocks:
        yield _invalid(f"messages.{n}: all messages must have non-empty content")
    for block in blocks:
        kind = block.get("type")
        if kind == "text" and not str(block.get("text", "")).strip():
            yield _invalid("messages: text content blocks must be non-empty")
        elif kind == "thinking" and not block.get("signature"):
            yield _invalid(f"messages.{n}: Invalid `signature` in `thinking` block")
        elif kind == "redacted_thinking" and not block.get("data"):
            yield _invalid(f"messages.{n}.redacted_thinking.data: Field required")
        elif kind == "tool_use":
            yield from _check_use(n, block)


def _check_use(n: int, block: Body) -> Iterable[Refused]:
    if not isinstance(block.get("input"), dict):
        yield _invalid(f"messages.{n}.tool_use.input: should be a valid dictionary")
    for name, rule in (("id", _TOOL_ID), ("name", _TOOL_NAME)):
        if not rule.match(str(block.get(name))):
            yield _invalid(
                f"messages.{n}.tool_use.{name}: String should match pattern "
                f"'{rule.pattern}'"
            )


def _check_results(n: int, blocks: list[Body], asked: list[str]) -> Iterable[Refused]:
    answered: list[str] = []
    others = False
    for block in blocks:
        if block.get("type") != "tool_result":
            others = True
            continue
        own = str(block.get("tool_use_id"))
        if own not in asked:
            yield _invalid(
                f"messages.{n}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{own}. Each `tool_result` block must have a corresponding `tool_use` "
                "block in the previous message."
            )
        if others:
            yield _invalid(f"messages.{n}: `tool_result` blocks must come first")
        answered.append(own)
    missing = [own for own in asked if own not in answered]
    if missing:
        yield _unanswered(n - 1, missing)


def _unanswered(n: int, missing: list[str]) -> Refused:
    return _invalid(
        f"messages.{n}: `tool_use` ids were found without `tool_result` blocks "
        f"immediately after: {', '.join(missing)}."
    )


def _event(kind: str, **fields: Any) -> bytes:
    data = orjson.dumps({"type": kind, **fields})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def _start(index: int, block: Body) -> bytes:
    return _event("content_block_start", index=index, content_block=block)


def _delta(index: int, **delta: Any) -> bytes:
    return _event("content_block_delta", index=index, delta=delta)


def _thinking(index: int, reply: Reply) -> Sequence[Event]:
    block = {"type": "thinking", "thinking": "", "signature": ""}
    events = [(_start(index, block), 0)]
    events += [
        (_delta(index, type="thinking_delta", thinking=piece), 1)
        for piece in reply.thinking
    ]
    signature = reply.signature or _SIGNATURE
    events.append((_delta(index, type="signature_delta", signature=signature), 0))
    events.append((_event("content_block_stop", index=index), 0))
    return events


def _tool(index: int, tool: Tool) -> Sequence[Event]:
    block: Body = {"type": "tool_use", "id": tool.id, "name": tool.name, "input": {}}
    events = [(_start(index, block), 1)]
    events += [
        (_delta(index, type="input_json_delta", partial_json=piece), 1)
        for piece in tool.arguments
    ]
    events.append((_event("content_block_stop", index=index), 0))
    return events


def _stop(reply: Reply) -> str:
    return reply.stop or ("tool_use" if reply.tools else "end_turn")


def _message(body: Body, content: list[Body], stop: str | None, usage: Body) -> Body:
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


@asynccontextmanager
async def fake_anthropic(
    *, host: str = "127.0.0.1", port: int = 0, **options: Any
) -> AsyncGenerator[FakeAnthropic, None]:
    """Serve a fake while the block lasts; *options* are those of the class."""
    fake = FakeAnthropic(**options)
    async with opened(fake, host=host, port=port):
        yield fake


if __name__ == "__main__":
    sys.exit(main(FakeAnthropic, sys.argv[1:]))
