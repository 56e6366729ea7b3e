"""What a call asks for: read, checked against the configuration, worded. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, cast

from beamclaw.arguments import Length, Null
from beamclaw.config.schema import HookConfig, HooksConfig
from beamclaw.contracts import keys
from beamclaw.contracts.messages import ThinkingLevel
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.methods._method import Text, Whole, read_params
from beamclaw.values import frozen

MOST_TEXT: Final = 200_000
_Said = Annotated[str, Length(1, MOST_TEXT)]
_PLACE: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_STEP: Final = re.compile(r"[^.\[\]]+")


@frozen(kw_only=True)
class WakeBody:
    """Something for an agent's main conversation."""

    text: _Said
    mode: Literal["now", "next-heartbeat"] = "now"
    agent_id: Text | None = None


@frozen(kw_only=True)
class AgentBody:
    """Something for an agent to do; what is not done here is refused."""

    message: _Said
    name: Annotated[str, Length(1, 64)] | None = None
    agent_id: Text | None = None
    session_key: Text | None = None
    session_mode: Literal["isolated", "persistent"] = "isolated"
    wake_mode: Literal["now", "next-heartbeat"] = "now"
    deliver: bool = False
    channel: Annotated[str | None, Null()] = None
    to: Annotated[str | None, Null()] = None
    account_id: Annotated[str | None, Null()] = None
    model: Text | None = None
    thinking: ThinkingLevel | None = None
    timeout_seconds: Whole | None = None
    wait_for_completion: bool = False


@frozen(kw_only=True)
class Said:
    """What is handed in.

    Attributes:
        session: A key that lasts; None: a conversation of this call alone.
        sender: Which hook.
        seconds: How long the turn may take; None: as configured.
    """

    agent: str
    text: str
    session: str | None
    sender: str
    model: str | None = None
    thinking: ThinkingLevel | None = None
    seconds: int | None = None


def read(name: str, body: object, hooks: HooksConfig, agents: Agents) -> Said | None:
    """What the call of the hook *name* asks for; None: there is no such hook.

    Raises:
        MethodError: It does not fit, or may not.
    """
    rules = _Rules(hooks, agents)
    mapping = hooks.mappings.get(name)
    if mapping is not None:
        return rules.mapped(name, mapping, body)
    if name == "wake":
        return rules.wake(read_params("/hooks/wake", body, WakeBody))
    if name == "agent":
        return rules.agent(read_params("/hooks/agent", body, AgentBody))
    return None


@frozen
class _Rules:
    hooks: HooksConfig
    agents: Agents

    def wake(self, body: WakeBody) -> Said:
        _refuse_heartbeat(body.mode)
        agent = self._agent(body.agent_id)
        return Said(
            agent=agent, text=body.text, session=str(keys.main(agent)), sender="wake"
        )

    def agent(self, body: AgentBody) -> Said:
        _refuse_heartbeat(body.wake_mode)
        _refuse_undone(body)
        agent = self._agent(body.agent_id)
        return Said(
            agent=agent,
            text=body.message,
            session=self._session(body, agent),
            sender=body.name or "agent",
            model=body.model,
            thinking=body.thinking,
            seconds=body.timeout_seconds or None,
        )

    def mapped(self, name: str, mapping: HookConfig, body: object) -> Said:
        agent = mapping.agent or self.agents.default
        text = filled(mapping.message, body)
        if not text.strip():
            raise invalid(f"hooks.mappings.{name}.message comes to nothing with this")
        session = None
        if mapping.action == "wake":
            session = str(keys.main(agent))
        elif mapping.session is not None:
            session = str(keys.resolve_outside(mapping.session, agent))
        return Said(agent=agent, text=text[:MOST_TEXT], session=session, sender=name)

    def _agent(self, named: str | None) -> str:
        allowed = self.hooks.agents or (self.agents.default,)
        if named is None:
            default = self.agents.default
            return default if default in allowed else allowed[0]
        if named in allowed:
            return named
        raise invalid(f"calls may not name the agent {named[:64]!r} (hooks.agents)")

    def _session(self, body: AgentBody, agent: str) -> str | None:
        if body.session_key is not None:
            if not self.hooks.allow_session_key:
                raise invalid(
                    "sessionKey is not taken from a call (hooks.allow_session_key)"
                )
            key = keys.resolve_outside(body.session_key, agent)
            if key.agent != agent:
                raise invalid("sessionKey belongs to another agent")
            return str(key)
        if body.session_mode == "isolated":
            return None
        name = keys.escape(body.name or "agent")
        return str(keys.resolve_outside(f"hook:{name}", agent))


def _refuse_heartbeat(mode: str) -> None:
    if mode != "now":
        raise invalid("there are no heartbeats here to wait for; send now")


def _refuse_undone(body: AgentBody) -> None:
    if body.deliver or body.channel or body.to or body.account_id:
        raise invalid("there are no channels here to deliver to; leave deliver out")
    if body.wait_for_completion:
        raise invalid(
            "a call is answered at once; follow the turn at /api/runs/{runId}/events"
        )


def filled(template: str, body: object) -> str:
    """*template* with what *body*, JSON, has at its places; nothing for what is not there.

    >>> filled("{{who}} did {{all[0].it}}", {"who": "Ann", "all": [{"it": "x"}]})
    'Ann did x'
    """
    return _PLACE.sub(lambda found: _text(_at(body, found[1])), template)


def _at(body: object, path: str) -> object:
    value = body
    for step in _STEP.findall(path):
        match value:
            case dict():
                value = cast("Mapping[str, Any]", value).get(step)
            case list() if step.isascii() and step.isdigit():
                items = cast("list[Any]", value)
                index = int(step[:9])
                value = items[index] if index < len(items) else None
            case _:
                return None
    return value


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
