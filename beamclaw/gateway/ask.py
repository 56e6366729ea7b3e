"""What a client asks for over HTTP, whatever API it speaks: checked, and as we say it.

``model`` selects an agent; the model behind it is the header ``x-openclaw-model``.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

import attrs

from beamclaw.contracts import keys
from beamclaw.contracts.messages import Message, ModelParams
from beamclaw.contracts.sessions import Inbound, QueueMode
from beamclaw.contracts.tracing import UNTRACED, Given
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.fields import MAX_NAME, Wrong, header
from beamclaw.values import frozen

_CHANNEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_QUEUE: Final = "x-openclaw-queue-mode"
_VISIBLE: Final = re.compile(r"[!-~]{1,255}")


@frozen(kw_only=True)
class Ask:
    """A request for one answer, checked.

    Attributes:
        model: As the client wrote it; answers repeat it.
        backend: ``provider/model`` in place of the agent's.
        session: The lasting conversation it belongs to; None: a new one for itself.
        idempotency_key: Under which a repeat joins the first one's run.
        queue: What is done with it while a turn of its conversation is in progress.
        stored: Its new conversation stays, so that others may follow it.
        previous: The response that it follows; looked for before anything is begun.
        follows: See :class:`~beamclaw.contracts.sessions.Inbound`.
        background: The client wants to hear at once that it is kept, and nothing more.
        about: What an answer repeats of the request, as JSON that is kept with the run.
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
    stored: bool = False
    previous: str | None = None
    follows: str | None = None
    background: bool = False
    about: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def ephemeral(self) -> bool:
        """Whether its conversation is of this one request."""
        return self.session is None and not self.stored

    def inbound(
        self,
        *,
        tenant: str,
        run_id: str,
        unique: str,
        about: str = "",
        account: str = "gateway",
        trace: Given = UNTRACED,
    ) -> Inbound:
        """The message as it is handed in; *unique* names a session of its own.

        *account* keeps apart the idempotency keys of who came by different credentials.
        """
        own = keys.http_response if self.stored else keys.http
        session = self.session or own(self.agent, unique)
        return Inbound(
            tenant=tenant,
            source="http",
            account=account,
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
            ephemeral=self.ephemeral,
            queue=self.queue,
            follows=self.follows,
            about=about,
            traceparent=trace.traceparent,
            tracestate=trace.tracestate,
        )


@frozen(kw_only=True)
class Whom:
    """Who is asked, where, and how: what headers and a few fields say in all APIs."""

    agent: str
    backend: str | None
    session: keys.SessionKey | None
    idempotency_key: str | None
    queue: QueueMode


def whom(
    headers: Mapping[str, str], agents: Agents, *, model: str, user: str | None
) -> Whom:
    """Read it from *headers* (lower case names), *model* and *user*.

    Raises:
        Wrong: There is no such agent, or something is malformed.
    """
    agent = _agent(model, headers, agents)
    session = _session(headers, agent, user)
    if session is not None and session.agent is not None:
        agent = _agent_of(session.agent, agent, headers, agents)
    return Whom(
        agent=agent,
        backend=header(headers, "x-openclaw-model", _VISIBLE),
        session=session,
        idempotency_key=header(headers, "idempotency-key", _VISIBLE),
        queue=_queue(headers),
    )


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
