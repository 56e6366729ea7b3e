"""A strict fake of OpenAI's chat completions, on a real socket.

Inside a test::

    async with fake_openai(answer=lambda body: Reply(text="hello")) as fake:
        fake.fail(Fault(status=429, retry_after=2))
        ...fake.base_url...
    assert fake.breaches == []

As a process, printing its base URL: ``python -m beamclaw.testing.fake_openai --delay 5``;
``GET /__ledger`` gives its ledger as JSON lines.
"""

import base64
import re
import struct
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import orjson

from beamclaw.testing._command import main
from beamclaw.testing._http import HTTPRequest
from beamclaw.testing._provider import Entry, Event, FakeProvider, Refused, opened
from beamclaw.testing._replies import Body, Fault, Reply, Tool, counted, last_words

__all__ = ["Entry", "FakeOpenAI", "Fault", "Reply", "Tool", "fake_openai", "last_words"]

_KNOWN = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_completion_tokens",
        "max_tokens",
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "stop",
        "response_format",
        "n",
        "seed",
        "user",
        "safety_identifier",
        "reasoning_effort",
        "metadata",
        "store",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "service_tier",
    }
)
EMBEDDINGS = "/v1/embeddings"
MOST_TEXTS = 2048
_EMBEDDINGS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
_TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
# Which parts a message of each role may have.
_PARTS = {
    "system": frozenset({"text"}),
    "developer": frozenset({"text"}),
    "user": frozenset({"text", "image_url", "input_audio", "file"}),
    "assistant": frozenset({"text", "refusal"}),
    "tool": frozenset({"text"}),
}
_IMAGE = re.compile(r"https?://.|data:image/(png|jpeg|gif|webp);base64,.")
_PDF = "data:application/pdf;base64,"
# Which fields a message and its tool calls may have, and where reasoning may stand.
_IN_MESSAGES = frozenset(
    {"role", "content", "name", "refusal", "tool_calls", "tool_call_id"}
    | {"id", "type", "function"}
)
_WITH_THINKING = _IN_MESSAGES | {
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "extra_content",
}
_SIGNED = {"signature": "signed"}
# What Google takes in the place of a signature of its own.
_UNSIGNED = {"google": {"thought_signature": "skip_thought_signature_validator"}}
_NO_SIGNATURE = (
    "Function call is missing a thought_signature in functionCall parts. This is required "
    "for tools to work correctly."
)
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
_REFUSALS = {
    400: ("invalid_request_error", "The request is invalid."),
    401: (
        "invalid_api_key",
        "Incorrect API key provided: fake***. You can find your API key at your account.",
    ),
    403: ("unsupported_country_region_territory", "Country not supported."),
    404: (
        "model_not_found",
        "The model `x` does not exist or you do not have access to it.",
    ),
    429: ("rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", "The server had an error while processing your request."),
    503: ("overloaded", "The engine is currently overloaded, please try again later."),
    529: ("overloaded", "The engine is currently overloaded, please try again later."),
}
_TYPES = {
    "rate_limit_exceeded": "requests",
    "insufficient_quota": "insufficient_quota",
    "server_error": "server_error",
    "overloaded": "server_error",
}


class FakeOpenAI(FakeProvider):
    """A fake of OpenAI's chat completions, and of its embeddings.

    A vector says which text it is of: its first number is how long that is. Quirks of compatible servers, for :attr:`Fault.quirks`: ``no_index`` and ``no_id``
    (tool calls), ``no_base64`` (vectors), ``whole_arguments``, ``object_arguments``, ``stop_with_tools``,
    ``usage_in_all``, ``not_streamed``, ``max_tokens_refused``.

    Args:
        thinking: What it does about reasoning that comes back. It is *taken*; or
            *demanded*, as DeepSeek does: in each turn with tool calls, just as it was
            given (and what came with the calls, as Gemini does); or *signed*, as Gemini
            does: the first call of each message has its signature or the word that says
            that there is none, and errors are Google's; or *refused*, as every other field that is not OpenAI's.
        field: Where reasoning stands: in ``reasoning_content``, ``reasoning`` or, as
            OpenRouter has it, in ``reasoning_details`` and ``reasoning``.
        options: Those of every fake provider.
    """

    path = "/v1/chat/completions"
    beside = frozenset({EMBEDDINGS})

    def __init__(
        self,
        *,
        thinking: Literal["taken", "demanded", "signed", "refused"] = "taken",
        field: str = "reasoning_content",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.thinking = thinking
        self.field = field
        # What it has thought, by what it then said; and what came with its tool calls.
        self._thought: dict[tuple[str, ...], object] = {}
        self._extra: dict[str, object] = {}

    @property
    def base_url(self) -> str:
        """For ``providers.openai.base_url`` or ``OPENAI_BASE_URL``."""
        return f"http://127.0.0.1:{self.port}/v1"

    def key_of(self, headers: Mapping[str, str]) -> str:
        """The bearer token."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return key if scheme == "Bearer" else ""

    def check(self, request: HTTPRequest, body: Body) -> Iterable[Refused]:
        """The rules, in the order in which the platform looks."""
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind != "application/json":
            yield _invalid(f"Unsupported content type: {kind!r}.")
        if request.path == EMBEDDINGS:
            yield from _check_embeddings(body)
            return
        for name in body.keys() - _KNOWN:
            yield _invalid(f"Unrecognized request argument supplied: {name}", name)
        model = body.get("model")
        if not isinstance(model, str) or not model:
            yield _invalid("you must provide a model parameter", "model")
        elif self.models is not None and model not in self.models:
            message = (
                f"The model `{model}` does not exist or you do not have access to it."
            )
            yield Refused(404, "model_not_found", message)
        yield from _check_settings(body)
        yield from _check_tools(body.get("tools"))
        yield from _check_messages(body.get("messages"))
        yield from self._check_thinking(_objects(body.get("messages")))
        yield from self._check_window(request, body)

    def _check_thinking(self, messages: list[Body]) -> Iterable[Refused]:
        known = _IN_MESSAGES if self.thinking == "refused" else _WITH_THINKING
        for n, message in enumerate(messages):
            calls = _objects(message.get("tool_calls"))
            names = {*message, *(name for call in calls for name in call)}
            for name in sorted(names - known):
                where = f"messages.{n}.{message.get('role')}.{name}"
                yield _invalid(f"{where}: property '{where}' is unsupported")
        if self.thinking == "demanded":
            for turn in _turns(messages):
                yield from self._check_turn(turn)
            yield from self._check_extra(messages)
        if self.thinking == "signed":
            yield from self._check_signed(messages)

    def _check_signed(self, messages: list[Body]) -> Iterable[Refused]:
        for message in messages:
            for call in _objects(message.get("tool_calls"))[:1]:
                given, own = call.get("extra_content"), self._extra.get(str(call["id"]))
                if given is None or given not in (own, _UNSIGNED):
                    yield _invalid(_NO_SIGNATURE)

    def _check_extra(self, messages: list[Body]) -> Iterable[Refused]:
        """What came with a tool call has to be there again, too."""
        for message in messages:
            for call in _objects(message.get("tool_calls")):
                extra = self._extra.get(str(call.get("id")))
                if extra is not None and call.get("extra_content") != extra:
                    yield _invalid(_NO_SIGNATURE)

    def _check_turn(self, turn: list[Body]) -> Iterable[Refused]:
        """What was thought in a turn with tools has to be there, just as it was given."""
        if not any(message.get("tool_calls") for message in turn):
            return
        for message in turn:
            given = message.get(self.field)
            if message.get("role") == "assistant" and (
                not given or self._thought.get(_said(message), given) != given
            ):
                yield _invalid(
                    f"The `{self.field}` in the thinking mode must be passed back to "
                    "the API."
                )

    def _remember(self, reply: Reply) -> None:
        """What was answered, to know it again."""
        calls = [{"id": tool.id} for tool in reply.tools]
        said = _said({"content": "".join(reply.words), "tool_calls": calls})
        if reply.thinking:
            thought = "".join(reply.thinking)
            detailed = self.field == "reasoning_details"
            details = [_detail(thought), {**_detail(), **_SIGNED}]
            self._thought[said] = _joined(details) if detailed else thought
        for tool in reply.tools:
            if tool.extra is not None:
                self._extra[tool.id] = tool.extra

    def _thinking(self, reply: Reply) -> Iterable[Body]:
        if self.field != "reasoning_details":
            return ({self.field: piece} for piece in reply.thinking)
        deltas: list[Body] = [
            {"reasoning": piece, "reasoning_details": [_detail(piece)]}
            for piece in reply.thinking
        ]
        if deltas:
            deltas.append({"reasoning_details": [{**_detail(), **_SIGNED}]})
        return deltas

    def _check_window(self, request: HTTPRequest, body: Body) -> Iterable[Refused]:
        wanted = body.get("max_completion_tokens") or body.get("max_tokens") or 0
        asked = len(request.body) // 4 + wanted
        if self.window is not None and asked > self.window:
            yield Refused(
                400,
                "context_length_exceeded",
                f"This model's maximum context length is {self.window} tokens. However, "
                f"you requested {asked} tokens. Please reduce the length of the "
                "messages or completion.",
                "messages",
            )

    def events(self, body: Body, reply: Reply, sent: int) -> Sequence[Event]:
        """The chunks of a streamed completion."""
        self._remember(reply)
        fault = reply.fault or Fault()
        options = cast("Body", body.get("stream_options") or {})
        wants_usage = bool(options.get("include_usage"))
        figures = _usage(reply, sent)
        head = orjson.dumps(_head(body, "chat.completion.chunk"))[:-1]
        rest = b',"usage":null' if wants_usage else b""
        if "usage_in_all" in fault.quirks:
            rest = b',"usage":' + orjson.dumps(figures)

        def chunk(delta: Body, finish: str | None = None) -> bytes:
            data = orjson.dumps(delta)
            reason = b"null" if finish is None else orjson.dumps(finish)
            return (
                b"data: %b,"
                b'"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]'
                b"%b}\n\n" % (head, data, reason, rest)
            )

        events = [(chunk({"role": "assistant", "content": ""}), 0)]
        events += [(chunk(delta), 1) for delta in self._thinking(reply)]
        events += [(chunk({"content": word}), 1) for word in reply.words]
        for delta in _tool_deltas(reply.tools, fault.quirks):
            events.append((chunk({"tool_calls": [delta]}), 1))
        if not fault.no_finish:
            events.append((chunk({}, _finish(reply, fault)), 0))
        if wants_usage and not fault.no_usage:
            usage = orjson.dumps(figures)
            events.append((b'data: %b,"choices":[],"usage":%b}\n\n' % (head, usage), 0))
        if not fault.no_end:
            events.append((b"data: [DONE]\n\n", 0))
        return events

    def whole(self, body: Body, reply: Reply, sent: int) -> bytes:
        """A completion in one piece, or the vectors."""
        if "input" in body:
            return _vectors(body, reply)
        self._remember(reply)
        message: Body = {
            "role": "assistant",
            "content": "".join(reply.words) or None,
            "refusal": None,
        }
        if reply.tools:
            message["tool_calls"] = [
                {
                    "id": tool.id,
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "arguments": "".join(tool.arguments),
                    },
                    **_extra(tool),
                }
                for tool in reply.tools
            ]
        if reply.thinking:
            message[self.field] = self._thought[_said(message)]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _finish(reply, reply.fault or Fault()),
        }
        head = _head(body, "chat.completion")
        return orjson.dumps({**head, "choices": [choice], "usage": _usage(reply, sent)})

    def error(self, refused: Refused) -> bytes:
        """An error in OpenAI's shape, or in Google's."""
        if self.thinking == "signed":
            told = {"code": refused.status, "message": refused.message}
            return orjson.dumps([{"error": {**told, "status": "INVALID_ARGUMENT"}}])
        kind = _TYPES.get(refused.code, "invalid_request_error")
        code = None if refused.code == "invalid_request_error" else refused.code
        return orjson.dumps(
            {
                "error": {
                    "message": refused.message,
                    "type": kind,
                    "param": refused.param,
                    "code": code,
                }
            }
        )

    def error_event(self, fault: Fault) -> bytes:
        """An error inside the stream."""
        code, message = self.refusal(500)
        refused = Refused(500, fault.code or code, fault.message or message)
        return b"data: " + self.error(refused) + b"\n\n"

    def ping(self) -> bytes:
        """A comment line."""
        return b": keep-alive\n\n"

    def model_list(self) -> bytes:
        """The models."""
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "fake"}
            for name in self.models or ("fake",)
        ]
        return orjson.dumps({"object": "list", "data": data})

    def refusal(self, status: int) -> tuple[str, str]:
        """Code and sentence as the platform has them."""
        return _REFUSALS.get(status, ("server_error", f"Error {status}."))


def _objects(value: object) -> list[Body]:
    given = cast("list[Any]", value) if isinstance(value, list) else []
    return [each for each in given if isinstance(each, dict)]


def _turns(messages: list[Body]) -> Iterable[list[Body]]:
    """What was said from one message of the user to the next."""
    turn: list[Body] = []
    for message in messages:
        if message.get("role") == "user":
            yield turn
            turn = []
        turn.append(message)
    yield turn


def _said(message: Body) -> tuple[str, ...]:
    ids = [str(call.get("id")) for call in _objects(message.get("tool_calls"))]
    return str(message.get("content") or ""), *ids


def _detail(text: str | None = None) -> Body:
    detail = {"type": "reasoning.text", "format": "fake-v1", "index": 0}
    return detail if text is None else {**detail, "text": text}


def _joined(details: list[Body]) -> list[Body]:
    return [{name: value for detail in details for name, value in detail.items()}]


def _invalid(message: str, param: str | None = None) -> Refused:
    return Refused(400, "invalid_request_error", message, param)


def _check_settings(body: Body) -> Iterable[Refused]:
    for name, (least, most) in _RANGES.items():
        value = body.get(name)
        if value is not None and (
            not isinstance(value, int | float) or not least <= value <= most
        ):
            message = f"Invalid '{name}': expected a number from {least} to {most}."
            yield _invalid(message, name)
    limits = [body.get("max_tokens"), body.get("max_completion_tokens")]
    if None not in limits:
        message = (
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is "
            "not supported."
        )
        yield _invalid(message, "max_tokens")
    for value in limits:
        if value is not None and (not isinstance(value, int) or value < 1):
            yield _invalid("Invalid 'max_tokens': integer below minimum value.")
    stop = body.get("stop")
    if isinstance(stop, list) and len(cast("list[Any]", stop)) > 4:  # noqa: PLR2004 - their limit
        yield _invalid("Invalid 'stop': array too long, at most 4.", "stop")
    if body.get("stream_options") is not None and not body.get("stream"):
        message = (
            "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        )
        yield _invalid(message, "stream_options")


def _check_tools(tools: object) -> Iterable[Refused]:
    if tools is None:
        return
    if not isinstance(tools, list) or not tools:
        yield _invalid("Invalid 'tools': empty array.", "tools")
        return
    for n, tool in enumerate(cast("list[Body]", tools)):
        function = cast("Body", tool.get("function") or {})
        if tool.get("type") != "function":
            yield _invalid(f"Missing required parameter: 'tools[{n}].type'.", "tools")
        elif not _TOOL_NAME.match(str(function.get("name"))):
            where = f"tools[{n}].function.name"
            yield _invalid(
                f"Invalid '{where}': string does not match pattern. Expected a string "
                f"that matches the pattern '{_TOOL_NAME.pattern}'.",
                where,
            )
        elif cast("Body", function.get("parameters") or {}).get("type") != "object":
            message = (
                f"Invalid schema for function '{function['name']}': schema must be a "
                "JSON Schema of 'type: \"object\"'."
            )
            yield _invalid(message, f"tools[{n}].function.parameters")


def _check_messages(messages: object) -> Iterable[Refused]:
    if not isinstance(messages, list) or not messages:
        yield _invalid("Invalid 'messages': empty array.", "messages")
        return
    open_calls: set[str] = set()
    for n, message in enumerate(cast("list[Any]", messages)):
        where = f"messages.[{n}]"
        if not isinstance(message, dict):
            yield _invalid(f"Invalid type for '{where}': expected an object.", where)
            continue
        given = cast("Body", message)
        role = given.get("role")
        if role not in _ROLES:
            yield _invalid(f"Invalid value: '{role}' for '{where}.role'.", where)
            continue
        if role == "tool":
            own = given.get("tool_call_id")
            if own not in open_calls:
                yield _invalid(
                    "Invalid parameter: messages with role 'tool' must be a response "
                    "to a preceding message with 'tool_calls'.",
                    where,
                )
            open_calls.discard(str(own))
        elif open_calls:
            yield _unanswered(open_calls, where)
            open_calls = set()
        if role == "assistant":
            open_calls = {call["id"] for call in given.get("tool_calls") or ()}
            yield from _check_calls(given, where)
        yield from _check_content(given, where)
    if open_calls:
        yield _unanswered(open_calls, "messages")


def _unanswered(open_calls: set[str], where: str) -> Refused:
    return _invalid(
        "An assistant message with 'tool_calls' must be followed by tool messages "
        "responding to each 'tool_call_id'. The following tool_call_ids did not have "
        f"response messages: {', '.join(sorted(open_calls))}",
        where,
    )


def _check_calls(message: Body, where: str) -> Iterable[Refused]:
    for call in message.get("tool_calls") or ():
        if not isinstance(call["function"].get("arguments"), str):
            yield _invalid(f"Invalid type for '{where}.tool_calls': not a string.")


def _check_content(message: Body, where: str) -> Iterable[Refused]:
    content = message.get("content")
    if content is None:
        if message["role"] != "assistant" or not message.get("tool_calls"):
            yield _invalid(
                f"Invalid value for 'content': expected a string, got null. ({where})"
            )
    elif isinstance(content, list):
        for n, part in enumerate(cast("list[Body]", content)):
            yield from _check_part(part, message["role"], f"{where}.content[{n}]")
    elif not isinstance(content, str):
        yield _invalid(f"Invalid type for '{where}.content'.", where)


def _check_part(part: Body, role: str, where: str) -> Iterable[Refused]:
    kind = part.get("type")
    if kind not in _PARTS[role]:
        supported = ", ".join(f"'{name}'" for name in sorted(_PARTS[role]))
        yield _invalid(
            f"Invalid value: '{kind}'. Supported values are: {supported}.", where
        )
    elif kind == "text" and not isinstance(part.get("text"), str):
        yield _invalid(f"Missing required parameter: '{where}.text'.", where)
    elif kind == "image_url":
        url = cast("Body", part.get("image_url") or {}).get("url")
        if not isinstance(url, str) or not _IMAGE.match(url):
            yield _invalid(f"Invalid '{where}.image_url'. Expected a valid URL.", where)
    elif kind == "file":
        file = cast("Body", part.get("file") or {})
        data = str(file.get("file_data") or "")
        whole = bool(file.get("filename")) and data.startswith(_PDF) and data != _PDF
        if not whole and not file.get("file_id"):
            yield _invalid(
                f"Invalid '{where}.file': expected a base64-encoded data URL with an "
                "application/pdf MIME type.",
                where,
            )


def _check_embeddings(body: Body) -> Iterable[Refused]:
    for name in body.keys() - _EMBEDDINGS:
        yield _invalid(f"Unrecognized request argument supplied: {name}", name)
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield _invalid("you must provide a model parameter", "model")
    given = body.get("input")
    texts = cast("list[Any]", given if isinstance(given, list) else [given])
    if not texts or not all(isinstance(text, str) and text for text in texts):
        yield _invalid("'$.input' is invalid.", "input")
    elif len(texts) > MOST_TEXTS:
        yield _invalid(f"'$.input' is too long, at most {MOST_TEXTS}.", "input")
    if body.get("encoding_format", "float") not in ("float", "base64"):
        yield _invalid("Invalid value for 'encoding_format'.", "encoding_format")
    dimensions = body.get("dimensions", 1)
    if not isinstance(dimensions, int) or dimensions < 1:
        yield _invalid("Invalid value for 'dimensions'.", "dimensions")


def _vectors(body: Body, reply: Reply) -> bytes:
    quirks = (reply.fault or Fault()).quirks
    given = body["input"]
    texts = cast("list[str]", given if isinstance(given, list) else [given])
    size = body.get("dimensions", 4)
    data: list[Body] = []
    for index, text in enumerate(texts):
        numbers = [float(len(text)), *(0.5,) * (size - 1)]
        vector: object = numbers
        if body.get("encoding_format") == "base64" and "no_base64" not in quirks:
            vector = base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    read = sum(len(text) // 4 + 1 for text in texts)
    whole: Body = {"object": "list", "data": data, "model": body["model"]}
    if not (reply.fault or Fault()).no_usage:
        whole["usage"] = {"prompt_tokens": read, "total_tokens": read}
    return orjson.dumps(whole)


def _head(body: Body, kind: str) -> Body:
    return {
        "id": "chatcmpl-fake",
        "object": kind,
        "created": 1795168800,
        "model": body["model"],
    }


def _finish(reply: Reply, fault: Fault) -> str:
    if reply.stop is not None:
        return reply.stop
    tools = reply.tools and "stop_with_tools" not in fault.quirks
    return "tool_calls" if tools else "stop"


def _usage(reply: Reply, sent: int) -> Body:
    read, written = counted(reply, sent)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": reply.cached, "audio_tokens": 0},
    }


def _tool_deltas(tools: Sequence[Tool], quirks: frozenset[str]) -> Iterable[Body]:
    whole = quirks & {"whole_arguments", "object_arguments"}
    for index, tool in enumerate(tools):
        arguments: object = "".join(tool.arguments) if whole else ""
        if "object_arguments" in quirks:
            arguments = orjson.loads("".join(tool.arguments))
        delta: Body = {
            "index": index,
            "id": tool.id,
            "type": "function",
            "function": {"name": tool.name, "arguments": arguments},
            **_extra(tool),
        }
        yield _without(delta, quirks)
        if whole:
            continue
        for piece in tool.arguments:
            more: Body = {"index": index, "function": {"arguments": piece}}
            yield _without(more, quirks)


def _extra(tool: Tool) -> Body:
    return {} if tool.extra is None else {"extra_content": tool.extra}


def _without(delta: Body, quirks: frozenset[str]) -> Body:
    if "no_index" in quirks:
        delta.pop("index", None)
    if "no_id" in quirks:
        delta.pop("id", None)
    return delta


@asynccontextmanager
async def fake_openai(
    *, host: str = "127.0.0.1", port: int = 0, **options: Any
) -> AsyncGenerator[FakeOpenAI, None]:
    """Serve a fake while the block lasts; *options* are those of the class."""
    fake = FakeOpenAI(**options)
    async with opened(fake, host=host, port=port):
        yield fake


if __name__ == "__main__":
    sys.exit(main(FakeOpenAI, sys.argv[1:]))
