"""A request for a chat completion, from JSON and headers to a checked :class:`Ask`.

``model`` selects an agent; the model behind it is the header ``x-openclaw-model``.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

import attrs

from beamclaw.contracts import keys
from beamclaw.contracts.messages import Message, ModelParams
from beamclaw.contracts.sessions import Inbound, QueueMode
from beamclaw.gateway.openai.fields import Wrong, header, number, value_of
from beamclaw.gateway.openai.messages import read_messages
from beamclaw.gateway.openai.models import MAX_NAME, Agents
from beamclaw.gateway.problem import Problem, invalid

MAX_STOP: Final = 4
_CHANNEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_QUEUE: Final = "x-openclaw-queue-mode"
_VISIBLE: Final = re.compile(r"[!-~]{1,255}")


@attrs.frozen(kw_only=True)
class Ask:
    """A request for one answer, checked.

    Attributes:
        model: As the client wrote it; answers repeat it.
        backend: ``provider/model`` in place of the agent's.
        session: The lasting conversation it belongs to; None: a new one for itself.
        idempotency_key: Under which a repeat joins the first one's run.
        queue: What is done with it while a turn of its conversation is in progress.
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
    queue: QueueMode = "followup"

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
            queue=self.queue,
        )


def read(
    body: object, headers: Mapping[str, str], agents: Agents, *, max_messages: int
) -> Ask | Problem:
    """What *body* and *headers* (lower case names) ask for."""
    if not isinstance(body, dict):
        return invalid("the body must be a JSON object")
    try:
        return _read(cast("dict[str, Any]", body), headers, agents, max_messages)
    except Wrong as wrong:
        return wrong.problem


def _read(
    body: dict[str, Any], headers: Mapping[str, str], agents: Agents, max_messages: int
) -> Ask:
    _refuse_what_is_not_here(body)
    model = value_of(body, "model", str) or "openclaw"
    user = value_of(body, "user", str)
    stream = value_of(body, "stream", bool) or False
    options = cast("dict[str, Any]", value_of(body, "stream_options", dict) or {})
    agent = _agent(model, headers, agents)
    session = _session(headers, agent, user)
    if session is not None and session.agent is not None:
        agent = _agent_of(session.agent, agent, headers, agents)
    return Ask(
        agent=agent,
        model=model,
        backend=header(headers, "x-openclaw-model", _VISIBLE),
        session=session,
        messages=read_messages(body.get("messages"), max_messages),
        params=_params(body),
        stream=stream,
        include_usage=stream and options.get("include_usage") is True,
        user=user,
        idempotency_key=header(headers, "idempotency-key", _VISIBLE),
        queue=_queue(headers),
    )


def _refuse_what_is_not_here(body: dict[str, Any]) -> None:
    for field in ("tools", "functions"):
        if body.get(field):
            raise Wrong(
                f"{field} of a client are not supported in this release; "
                "leave the field out",
                field,
            )
    if body.get("n") not in (None, 1):
        raise Wrong("one answer is given per request: n must be 1", "n")


def _agent(model: str, headers: Mapping[str, str], agents: Agents) -> str:
    named = headers.get("x-openclaw-agent-id")
    if named is not None:
        if named in agents.ids:
            return named
        raise _unknown_agent(named, agents, "x-openclaw-agent-id")
    if len(model) > MAX_NAME:
        raise Wrong(f"model has more than {MAX_NAME} characters", "model")
    agent = agents.select(model)
    if agent is None:
        raise Wrong(
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
        raise Wrong(
            f"the session key belongs to agent {owner!r}, the request names {chosen!r}",
            "x-openclaw-session-key",
        )
    if owner not in agents.ids:
        raise _unknown_agent(owner, agents, "x-openclaw-session-key")
    return owner


def _unknown_agent(named: str, agents: Agents, param: str) -> Wrong:
    return Wrong(
        f"there is no agent {named[:MAX_NAME]!r}; agents: {', '.join(agents.ids)}",
        param,
        "unknown_agent",
    )


def _session(
    headers: Mapping[str, str], agent: str, user: str | None
) -> keys.SessionKey | None:
    named = headers.get("x-openclaw-session-key")
    # The channel decides nothing yet; a malformed one is refused from the start.
    header(headers, "x-openclaw-message-channel", _CHANNEL)
    try:
        if named is not None:
            return keys.resolve_outside(named, agent)
        return None if not user else keys.http_user(agent, user)
    except keys.BadKey as bad:
        param = "user" if named is None else "x-openclaw-session-key"
        raise Wrong(f"{param}: {bad}", param) from None


def _queue(headers: Mapping[str, str]) -> QueueMode:
    named = headers.get(_QUEUE)
    if named is None:
        return "followup"
    if named not in get_args(QueueMode):
        modes = ", ".join(get_args(QueueMode))
        raise Wrong(f"{_QUEUE} is one of {modes}, not {named[:MAX_NAME]!r}", _QUEUE)
    return cast("QueueMode", named)


def _params(body: dict[str, Any]) -> ModelParams:
    limit = number(body, "max_completion_tokens", 1, 10**9, whole=True)
    if limit is None:
        limit = number(body, "max_tokens", 1, 10**9, whole=True)
    seed = number(body, "seed", -(2**63), 2**63 - 1, whole=True)
    return ModelParams(
        max_tokens=None if limit is None else int(limit),
        temperature=number(body, "temperature", 0, 2),
        top_p=number(body, "top_p", 0, 1),
        presence_penalty=number(body, "presence_penalty", -2, 2),
        frequency_penalty=number(body, "frequency_penalty", -2, 2),
        seed=None if seed is None else int(seed),
        stop=_stop(body.get("stop")),
    )


def _stop(raw: object) -> tuple[str, ...]:
    if raw is None:
        return ()
    given = cast("list[object]", raw) if isinstance(raw, list) else [raw]
    texts = tuple(text for text in given if isinstance(text, str) and text)
    if len(texts) != len(given) or len(texts) > MAX_STOP:
        raise Wrong(f"stop must be text or a list of at most {MAX_STOP} texts", "stop")
    return texts
