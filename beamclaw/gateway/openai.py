"""OpenAI's chat completions as values: requests taken apart, answers put together.

No I/O and no waiting here: :func:`read` turns a JSON object and headers into an
:class:`Ask` or a :class:`Problem`, :class:`Chunks` turns what is published of a run
into server-sent events, :func:`whole` an ended run into one answer. ``model`` selects
an agent; the model behind it is the header ``x-openclaw-model``.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import attrs
import orjson

from beamclaw.contracts import keys
from beamclaw.contracts.follow import Shown
from beamclaw.contracts.messages import (
    Image,
    Message,
    ModelParams,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from beamclaw.contracts.sessions import Delta, Inbound, Reset, RunEnded, TopicValue
from beamclaw.gateway.problem import Problem, invalid

T = TypeVar("T")

MAX_IMAGES: Final = 8
MAX_NAME: Final = 256
MAX_URL: Final = 8192
MAX_STOP: Final = 4
IMAGE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PREFIXES: Final = ("openclaw/", "openclaw:", "beamclaw/", "agent:")
_DATA_URL: Final = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)
_CHANNEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VISIBLE: Final = re.compile(r"[!-~]{1,255}")
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_FINISH: Final = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "refusal": "content_filter",
}
DONE: Final = b"data: [DONE]\n\n"
HEARTBEAT: Final = b": waiting\n\n"


class _Wrong(Exception):  # noqa: N818 -- carries a Problem out of nested readers
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


# --- requests


@attrs.frozen(kw_only=True)
class Agents:
    """Which agents answer here. *default* is one of *ids*."""

    ids: tuple[str, ...]
    default: str

    @classmethod
    def of(cls, configured: Iterable[str]) -> "Agents":
        """``main`` is the default, or else the first."""
        ids = tuple(configured)
        return cls(ids=ids, default="main" if "main" in ids or not ids else ids[0])

    @property
    def models(self) -> tuple[str, ...]:
        """The names they have as models, as they are listed."""
        return (
            "openclaw",
            "openclaw/default",
            *(f"openclaw/{agent}" for agent in self.ids if agent != "default"),
        )

    def select(self, model: str) -> str | None:
        """The agent that *model* names; None: none does."""
        if model in ("openclaw", "beamclaw"):
            return self.default
        for prefix in _PREFIXES:
            if model.startswith(prefix):
                agent = model.removeprefix(prefix)
                if agent in self.ids:
                    return agent
                return self.default if agent == "default" else None
        return None


@attrs.frozen(kw_only=True)
class Ask:
    """A request for one answer, checked.

    Attributes:
        model: As the client wrote it; answers repeat it.
        backend: ``provider/model`` in place of the agent's.
        session: The lasting conversation it belongs to; None: a new one for itself.
        idempotency_key: Under which a repeat joins the first one's run.
    """

    agent: str
    model: str
    backend: str | None
    session: keys.SessionKey | None
    messages: tuple[Message, ...]
    params: ModelParams
    stream: bool = False
    include_usage: bool = False
    user: str | None = None
    idempotency_key: str | None = None

    def inbound(self, *, tenant: str, run_id: str, unique: str) -> Inbound:
        """The message as it is handed in; *unique* names a session of its own."""
        session = self.session or keys.http(self.agent, unique)
        return Inbound(
            tenant=tenant,
            source="http",
            account="gateway",
            conversation="" if self.session is None else str(session),
            external_id=self.idempotency_key or run_id,
            session_key=str(session),
            agent=self.agent,
            messages=self.messages,
            run_id=run_id,
            model=self.backend,
            params=self.params,
            sender=self.user,
            retractable=not self.stream,
            ephemeral=self.session is None,
        )


def read(
    body: object, headers: Mapping[str, str], agents: Agents, *, max_messages: int
) -> Ask | Problem:
    """What *body* and *headers* (lower case names) ask for."""
    if not isinstance(body, dict):
        return invalid("the body must be a JSON object")
    try:
        return _read(cast("dict[str, Any]", body), headers, agents, max_messages)
    except _Wrong as wrong:
        return wrong.problem


def _read(
    body: dict[str, Any], headers: Mapping[str, str], agents: Agents, max_messages: int
) -> Ask:
    _refuse_what_is_not_here(body)
    model = _of(body, "model", str) or "openclaw"
    user = _of(body, "user", str)
    stream = _of(body, "stream", bool) or False
    options = cast("dict[str, Any]", _of(body, "stream_options", dict) or {})
    agent = _agent(model, headers, agents)
    session = _session(headers, agent, user)
    if session is not None and session.agent is not None:
        agent = _agent_of(session.agent, agent, headers, agents)
    return Ask(
        agent=agent,
        model=model,
        backend=_header(headers, "x-openclaw-model", _VISIBLE),
        session=session,
        messages=_messages(body.get("messages"), max_messages),
        params=_params(body),
        stream=stream,
        include_usage=stream and options.get("include_usage") is True,
        user=user,
        idempotency_key=_header(headers, "idempotency-key", _VISIBLE),
    )


def _refuse_what_is_not_here(body: dict[str, Any]) -> None:
    for field in ("tools", "functions"):
        if body.get(field):
            raise _wrong(
                f"{field} of a client are not supported in this release; "
                "leave the field out",
                field,
            )
    if body.get("n") not in (None, 1):
        raise _wrong("one answer is given per request: n must be 1", "n")


def _agent(model: str, headers: Mapping[str, str], agents: Agents) -> str:
    named = headers.get("x-openclaw-agent-id")
    if named is not None:
        if named in agents.ids:
            return named
        raise _unknown_agent(named, agents, "x-openclaw-agent-id")
    if len(model) > MAX_NAME:
        raise _wrong(f"model has more than {MAX_NAME} characters", "model")
    agent = agents.select(model)
    if agent is None:
        raise _wrong(
            f"there is no model {model!r} here; model names an agent: "
            f"{', '.join(agents.models)} (the model behind an agent is chosen by the "
            "header x-openclaw-model)",
            "model",
            "model_not_found",
        )
    return agent


def _agent_of(
    owner: str, chosen: str, headers: Mapping[str, str], agents: Agents
) -> str:
    # A full key says whose conversation it is; asking another agent by name as well
    # is a mistake that must not end up in the wrong conversation.
    if owner == chosen:
        return chosen
    if "x-openclaw-agent-id" in headers or chosen != agents.default:
        raise _wrong(
            f"the session key belongs to agent {owner!r}, the request names {chosen!r}",
            "x-openclaw-session-key",
        )
    if owner not in agents.ids:
        raise _unknown_agent(owner, agents, "x-openclaw-session-key")
    return owner


def _unknown_agent(named: str, agents: Agents, param: str) -> _Wrong:
    return _wrong(
        f"there is no agent {named[:MAX_NAME]!r}; agents: {', '.join(agents.ids)}",
        param,
        "unknown_agent",
    )


def _session(
    headers: Mapping[str, str], agent: str, user: str | None
) -> keys.SessionKey | None:
    named = headers.get("x-openclaw-session-key")
    # The channel decides nothing yet; a malformed one is refused from the start.
    _header(headers, "x-openclaw-message-channel", _CHANNEL)
    try:
        if named is not None:
            return keys.resolve_outside(named, agent)
        return None if not user else keys.http_user(agent, user)
    except keys.BadKey as bad:
        param = "user" if named is None else "x-openclaw-session-key"
        raise _wrong(f"{param}: {bad}", param) from None


def _header(headers: Mapping[str, str], name: str, form: re.Pattern[str]) -> str | None:
    value = headers.get(name)
    if value is not None and form.fullmatch(value) is None:
        raise _wrong(f"the header {name} is malformed", name)
    return value


# --- messages


def _messages(raw: object, most: int) -> tuple[Message, ...]:
    if not isinstance(raw, list) or not raw:
        raise _wrong("messages must be a list with at least one message", "messages")
    given = cast("list[object]", raw)
    if len(given) > most:
        raise _wrong(
            f"{len(given)} messages are more than {most} (gateway.max_messages)",
            "messages",
        )
    messages = tuple(_message(item, f"messages[{i}]") for i, item in enumerate(given))
    _check_said(messages)
    _check_calls(messages)
    return messages


def _message(raw: object, where: str) -> Message:
    if not isinstance(raw, dict):
        raise _wrong(f"{where} must be an object with role and content", where)
    item = cast("dict[str, Any]", raw)
    role = _ROLES.get(item["role"]) if isinstance(item.get("role"), str) else None
    if role is None:
        roles = ", ".join(_ROLES)
        raise _wrong(f"{where}.role must be one of {roles}", f"{where}.role")
    if role == "tool":
        return Message(role, (_tool_result(item, where),))
    parts = _content(item.get("content"), role, where)
    if role == "assistant":
        parts = (*parts, *_tool_calls(item.get("tool_calls"), where))
    return Message(role, parts)


def _content(raw: object, role: Role, where: str) -> tuple[Part, ...]:
    where = f"{where}.content"
    if isinstance(raw, str):
        return (Text(raw),) if raw else ()
    if raw is None and role == "assistant":
        return ()
    if not isinstance(raw, list):
        raise _wrong(f"{where} must be text or a list of parts", where)
    return tuple(
        _part(part, role, f"{where}[{i}]")
        for i, part in enumerate(cast("list[object]", raw))
    )


def _part(raw: object, role: Role, where: str) -> Part:
    part = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    kind = part.get("type")
    text = part.get("refusal" if kind == "refusal" else "text")
    if kind in ("text", "refusal") and isinstance(text, str):
        return Text(text)
    if kind == "image_url" and role == "user":
        image = part.get("image_url")
        url = (
            cast("dict[str, Any]", image).get("url")
            if isinstance(image, dict)
            else image
        )
        if isinstance(url, str):
            return _image(url, where)
    raise _wrong(
        f"{where} must be {{type: text, text: ...}}, or in a user's message "
        "{type: image_url, image_url: {url: ...}}",
        where,
    )


def _image(url: str, where: str) -> Image:
    data = _DATA_URL.match(url)
    if data is not None:
        return _embedded(data[1].lower(), url[data.end() :], where)
    if url.startswith(("https://", "http://")) and len(url) <= MAX_URL:
        return Image(url=url)
    raise _wrong(
        f"{where}: an image is an http(s) URL of at most {MAX_URL} characters or "
        "data:image/...;base64,...",
        where,
    )


def _embedded(media_type: str, data: str, where: str) -> Image:
    if media_type not in IMAGE_TYPES:
        raise _wrong(f"{where}: images are {', '.join(sorted(IMAGE_TYPES))}", where)
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw:
        raise _wrong(f"{where}: the image is not valid base64", where)
    return Image(data=data, media_type=media_type)


def _tool_result(item: dict[str, Any], where: str) -> ToolResult:
    call = item.get("tool_call_id")
    if not isinstance(call, str) or not call:
        raise _wrong(f"{where}.tool_call_id must be text", f"{where}.tool_call_id")
    parts = _content(item.get("content"), "tool", where)
    return ToolResult(call, Message("tool", parts).text)


def _tool_calls(raw: object, where: str) -> tuple[ToolCall, ...]:
    if raw is None:
        return ()
    where = f"{where}.tool_calls"
    calls = cast("list[Any]", raw) if isinstance(raw, list) else [None]
    found: list[ToolCall] = []
    for item in calls:
        call = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        inner = call.get("function")
        function = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
        texts = (call.get("id"), function.get("name"), function.get("arguments"))
        if not all(isinstance(text, str) for text in texts):
            raise _wrong(
                f"{where} must be a list of {{id, type, function: {{name, arguments}}}}",
                where,
            )
        found.append(ToolCall(*cast("tuple[str, str, str]", texts)))
    return tuple(found)


def _check_said(messages: Sequence[Message]) -> None:
    last = next((m for m in reversed(messages) if m.role == "user"), None)
    if last is None:
        raise _wrong("messages has no message with role user", "messages")
    if not last.text.strip() and not any(isinstance(p, Image) for p in last.parts):
        raise _wrong("the last message with role user is empty", "messages")
    images = sum(isinstance(part, Image) for m in messages for part in m.parts)
    if images > MAX_IMAGES:
        raise _wrong(f"{images} images are more than {MAX_IMAGES}", "messages")


def _check_calls(messages: Sequence[Message]) -> None:
    open_calls: set[str] = set()
    for message in messages:
        if message.role == "tool":
            call = cast("ToolResult", message.parts[0]).id
            if call not in open_calls:
                raise _wrong(
                    f"no tool call {call[:80]!r} waits for a result", "messages"
                )
            open_calls.remove(call)
        elif open_calls:
            break
        else:
            open_calls = {p.id for p in message.parts if isinstance(p, ToolCall)}
    if open_calls:
        raise _wrong(
            f"the tool call {min(open_calls)[:80]!r} has no result in the next messages",
            "messages",
        )


# --- parameters


def _params(body: dict[str, Any]) -> ModelParams:
    limit = _number(body, "max_completion_tokens", 1, 10**9, whole=True)
    if limit is None:
        limit = _number(body, "max_tokens", 1, 10**9, whole=True)
    seed = _number(body, "seed", -(2**63), 2**63 - 1, whole=True)
    return ModelParams(
        max_tokens=None if limit is None else int(limit),
        temperature=_number(body, "temperature", 0, 2),
        top_p=_number(body, "top_p", 0, 1),
        presence_penalty=_number(body, "presence_penalty", -2, 2),
        frequency_penalty=_number(body, "frequency_penalty", -2, 2),
        seed=None if seed is None else int(seed),
        stop=_stop(body.get("stop")),
    )


def _number(
    body: dict[str, Any], field: str, least: int, most: int, *, whole: bool = False
) -> float | None:
    value = body.get(field)
    if value is None:
        return None
    right = isinstance(value, int if whole else (int, float))
    if not right or isinstance(value, bool) or not least <= value <= most:
        kind = "a whole number" if whole else "a number"
        raise _wrong(f"{field} must be {kind} from {least} to {most}", field)
    return value if whole else float(value)


def _stop(raw: object) -> tuple[str, ...]:
    if raw is None:
        return ()
    given = cast("list[object]", raw) if isinstance(raw, list) else [raw]
    texts = tuple(text for text in given if isinstance(text, str) and text)
    if len(texts) != len(given) or len(texts) > MAX_STOP:
        raise _wrong(f"stop must be text or a list of at most {MAX_STOP} texts", "stop")
    return texts


def _of(body: dict[str, Any], field: str, kind: type[T]) -> T | None:
    value = body.get(field)
    if value is None or isinstance(value, kind):
        return value
    words = {"str": "text", "bool": "true or false", "dict": "an object"}
    raise _wrong(f"{field} must be {words[kind.__name__]}", field)


def _wrong(message: str, param: str, code: str | None = None) -> _Wrong:
    return _Wrong(invalid(message, param=param, code=code))


# --- answers


def failed(end: RunEnded, *, ephemeral: bool) -> Problem | None:
    """What an ended run is for a client, if it is no answer.

    OpenAI's clients ask again by themselves after most errors; for a turn that is in
    a conversation to stay this would say everything twice, so they are told not to.
    """
    if end.outcome == "ok":
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
        case kind:
            passing = kind in ("overloaded", "network", "server")
            return Problem(
                status=502,
                type="api_error",
                message=message,
                code=kind,
                retry=passing and ephemeral,
            )


def finish_reason(end: RunEnded) -> str:
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
    return orjson.dumps(
        {
            "id": end.run_id,
            "object": "chat.completion",
            "created": created,
            "model": ask.model,
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": end.text,
                        "refusal": None,
                    },
                    "logprobs": None,
                    "finish_reason": finish_reason(end),
                }
            ],
            "usage": _usage(end.usage),
        }
    )


def dumps(value: Mapping[str, object]) -> bytes:
    """*value* as JSON."""
    return orjson.dumps(value)


def error_event(problem: Problem) -> bytes:
    """The last event of a stream that fails: no ``[DONE]`` follows."""
    return b"data: " + problem.body + b"\n\n"


class Chunks:
    """One streamed answer as server-sent events.

    Give it what :func:`~beamclaw.contracts.follow.follow` gives, also from several
    tries one after the other: text that was shown is not shown again. What was shown
    cannot be taken back, so an attempt that begins anew ends the stream.
    """

    def __init__(self, run_id: str, ask: Ask, *, created: int) -> None:
        self.ended = False
        self._ask = ask
        self._shown = Shown(run_id)
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

    def feed(self, value: TopicValue) -> bytes:
        """The events for *value*, possibly none; sets ``ended`` after the last."""
        if self.ended:
            return b""
        match value:
            case Delta() | Reset():
                return b"".join(map(self._pass_on, self._shown.sees(value) or ()))
            case RunEnded():
                return self._end(value)
            case _:
                return b""

    def _pass_on(self, value: TopicValue) -> bytes:
        if self.ended:
            return b""
        if isinstance(value, Delta):
            return self._content(value.text)
        return self._lost_place()

    def _content(self, text: str) -> bytes:
        self._text.append(text)
        return self._before + orjson.dumps(text) + self._after

    def _end(self, end: RunEnded) -> bytes:
        problem = failed(end, ephemeral=self._ask.session is None)
        if problem is not None:
            return self.fail(problem)
        shown = "".join(self._text)
        if not end.text.startswith(shown):
            return self._lost_place()
        rest = end.text[len(shown) :]
        missing = self._content(rest) if rest else b""
        self.ended = True
        return missing + self._finish(end) + DONE

    def _finish(self, end: RunEnded) -> bytes:
        reason = orjson.dumps(finish_reason(end))
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
        return error_event(problem)

    def _lost_place(self) -> bytes:
        return self.fail(
            Problem(
                status=502,
                type="api_error",
                message="the answer was begun anew after a failure, and what was sent "
                "of it cannot be taken back; ask again",
                code="answer_restarted",
            )
        )


# --- lists of models


def model_list(agents: Agents, *, created: int) -> bytes:
    """The agents as models."""
    data = [_model(name, created) for name in agents.models]
    return orjson.dumps({"object": "list", "data": data})


def model(agents: Agents, name: str, *, created: int) -> bytes | Problem:
    """One agent as a model."""
    if agents.select(name) is None:
        return Problem(
            status=404,
            message=f"there is no model {name[:MAX_NAME]!r}; models: "
            f"{', '.join(agents.models)}",
            param="model",
            code="model_not_found",
        )
    return orjson.dumps(_model(name, created))


def _model(name: str, created: int) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created, "owned_by": "openclaw"}
