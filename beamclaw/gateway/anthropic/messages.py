"""``POST /v1/messages``: a request, from JSON and headers to a checked :class:`Ask`."""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from beamclaw.contracts import tokens
from beamclaw.contracts.messages import (
    AnswerFormat,
    ClientTool,
    ModelParams,
    ThinkingLevel,
    ToolChoice,
)
from beamclaw.contracts.sessions import RunEnded
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.anthropic import answer
from beamclaw.gateway.anthropic.answer import MessageEvents
from beamclaw.gateway.anthropic.blocks import read_messages
from beamclaw.gateway.ask import Ask, whom
from beamclaw.gateway.fields import (
    MAX_TOOLS,
    Wrong,
    count,
    distinct,
    members,
    number,
    one_of,
    read_object,
    refuse,
    tool_name,
    value_of,
)
from beamclaw.gateway.problem import Problem
from beamclaw.values import frozen

VERSION: Final = "2023-06-01"
MAX_STOP: Final = 16
# Later ones are spoken the same way, as far as what is here goes.
_VERSION: Final = re.compile(r"\d{4}-\d\d-\d\d")
_NOT_HERE: Final = {
    "container": "code runs where the agent's own tools run",
    "mcp_servers": "servers of tools are the agent's own matter",
}
# By the tokens that it may think at least.
_BUDGETS: Final[tuple[tuple[int, ThinkingLevel], ...]] = (
    (32_768, "xhigh"),
    (16_384, "high"),
    (8_192, "medium"),
    (2_048, "low"),
    (1_024, "minimal"),
)
_EFFORTS: Final[dict[str, ThinkingLevel]] = {
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "xhigh",
}


@frozen(kw_only=True)
class Messages:
    """See :class:`beamclaw.gateway.api.Api`.

    The system's words hold for the one request, as the tools do: whoever speaks this API
    sends all of it each time.
    """

    agents: Agents
    max_messages: int
    prefix: str = "msg_"

    def read(self, body: object, headers: Mapping[str, str]) -> Ask | Problem:
        """See the Protocol."""
        return read_object(body, lambda fields: self._read(fields, headers, whole=True))

    def _read(
        self, body: dict[str, Any], headers: Mapping[str, str], *, whole: bool
    ) -> Ask:
        version = headers.get("anthropic-version", VERSION)
        if _VERSION.fullmatch(version) is None or version < VERSION:
            raise Wrong(
                f"anthropic-version must be {VERSION} or later", "anthropic-version"
            )
        refuse(body, _NOT_HERE)
        model = value_of(body, "model", str) or "openclaw"
        limit = count(body, "max_tokens", 1, 10**9)
        if whole and limit is None:
            raise Wrong("max_tokens is missing", "max_tokens")
        # What `metadata.user_id` names is no conversation: all of it is in the messages.
        asked = whom(headers, self.agents, model=model, user=None)
        return Ask(
            agent=asked.agent,
            model=model,
            backend=asked.backend,
            session=asked.session,
            messages=read_messages(body.get("messages"), self.max_messages),
            params=_params(body, limit),
            stream=value_of(body, "stream", bool) or False,
            idempotency_key=asked.idempotency_key,
            queue=asked.queue,
        )

    def events(self, run_id: str, ask: Ask, created: int) -> MessageEvents:
        """See the Protocol."""
        return MessageEvents(run_id, ask)

    def whole(self, ask: Ask, end: RunEnded, created: int) -> bytes | Problem:
        """See the Protocol."""
        return answer.whole(ask, end)

    def kept(self, run_id: str, ask: Ask, created: int) -> bytes:
        """See the Protocol: nobody can ask for that here."""
        raise NotImplementedError

    def counted(self, body: object, headers: Mapping[str, str]) -> Ask | Problem:
        """What a request asks for whose tokens are to be counted only."""
        return read_object(
            body, lambda fields: self._read(fields, headers, whole=False)
        )


def size(ask: Ask, system: str | None) -> int:
    """Tokens of *ask* as it would be sent behind *system*, estimated, on the high side."""
    params = ask.params
    spoken = [system or "", params.instructions]
    for tool in params.tools:
        schema = orjson.dumps(tool.parameters).decode()
        spoken += (tool.name, tool.description, schema)
    return tokens.of_messages(ask.messages) + sum(map(tokens.of_text, spoken))


def _params(body: dict[str, Any], limit: int | None) -> ModelParams:
    tools = _tools(body)
    tools, choice, parallel = _choice(body, tools)
    output = cast("dict[str, Any]", value_of(body, "output_config", dict) or {})
    effort = one_of(output, "effort", tuple(_EFFORTS))
    thinking = _thinking(body)
    if thinking is None and effort is not None:
        thinking = _EFFORTS[effort]
    return ModelParams(
        max_tokens=limit,
        temperature=number(body, "temperature", 0, 1),
        top_p=number(body, "top_p", 0, 1),
        top_k=count(body, "top_k", 0, 10**6),
        stop=_stop(body),
        thinking=thinking,
        tools=tools,
        choice=choice,
        parallel=parallel,
        format=_format(output.get("format")),
        instructions=_system(body.get("system")),
    )


def _system(raw: object) -> str:
    if raw is None or isinstance(raw, str):
        return raw or ""
    blocks = cast("list[object]", raw) if isinstance(raw, list) else [None]
    texts: list[str] = []
    for i, block in enumerate(blocks):
        text = members(block).get("text")
        if members(block).get("type") != "text" or not isinstance(text, str):
            raise Wrong(f"system[{i}] must be {{type: text, text: ...}}", "system")
        texts.append(text)
    return "\n\n".join(texts)


def _stop(body: dict[str, Any]) -> tuple[str, ...]:
    given = cast("list[object]", value_of(body, "stop_sequences", list) or [])
    texts = tuple(text for text in given if isinstance(text, str) and text)
    if len(texts) != len(given) or len(texts) > MAX_STOP:
        raise Wrong(
            f"stop_sequences must be at most {MAX_STOP} texts, none of them empty",
            "stop_sequences",
        )
    return texts


def _thinking(body: dict[str, Any]) -> ThinkingLevel | None:
    given = cast("dict[str, Any]", value_of(body, "thinking", dict) or {})
    match given.get("type"):
        case None | "adaptive" | "between_tools":
            return None
        case "disabled":
            return "off"
        case "enabled":
            budget = count(given, "budget_tokens", 1_024, 10**9) or 1_024
            return next(level for least, level in _BUDGETS if budget >= least)
        case _:
            raise Wrong(
                "thinking.type must be enabled, adaptive, between_tools or disabled",
                "thinking.type",
            )


def _format(raw: object) -> AnswerFormat | None:
    if raw is None:
        return None
    schema = members(raw).get("schema")
    if members(raw).get("type") != "json_schema" or not isinstance(schema, dict):
        raise Wrong(
            "output_config.format must be {type: json_schema, schema: ...}",
            "output_config.format",
        )
    return AnswerFormat(schema=cast("dict[str, Any]", schema), name="answer")


# --- tools


def _tools(body: dict[str, Any]) -> tuple[ClientTool, ...]:
    given = cast("list[object]", value_of(body, "tools", list) or [])
    if len(given) > MAX_TOOLS:
        raise Wrong(f"{len(given)} tools are more than {MAX_TOOLS}", "tools")
    tools = tuple(_tool(members(raw), f"tools[{i}]") for i, raw in enumerate(given))
    distinct((tool.name for tool in tools), "tools")
    return tools


def _tool(tool: dict[str, Any], where: str) -> ClientTool:
    if tool.get("type") not in (None, "custom"):
        raise Wrong(
            f"{where} must be {{name, description, input_schema}}; tools of other types "
            "are the agent's own matter here",
            f"{where}.type",
        )
    description, schema = tool.get("description"), tool.get("input_schema")
    if description is not None and not isinstance(description, str):
        raise Wrong(f"{where}.description must be text", f"{where}.description")
    if not isinstance(schema, dict):
        raise Wrong(f"{where}.input_schema must be a JSON Schema", where)
    strict = tool.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise Wrong(f"{where}.strict must be true or false", f"{where}.strict")
    return ClientTool(
        name=tool_name(tool.get("name"), f"{where}.name"),
        description=description or "",
        parameters=cast("dict[str, Any]", schema),
        strict=strict,
    )


def _choice(
    body: dict[str, Any], tools: tuple[ClientTool, ...]
) -> tuple[tuple[ClientTool, ...], ToolChoice | None, bool | None]:
    given = cast("dict[str, Any]", value_of(body, "tool_choice", dict) or {})
    alone = value_of(given, "disable_parallel_tool_use", bool)
    parallel = False if alone else None
    match given.get("type", "auto"):
        case "auto":
            return tools, None, parallel
        case "none":
            return (), None, None
        case "any" if tools:
            return tools, ToolChoice(), parallel
        case "tool" if given.get("name") in [tool.name for tool in tools]:
            return tools, ToolChoice(given["name"]), parallel
        case "any" | "tool":
            raise Wrong("tool_choice names a tool that is not in tools", "tool_choice")
        case _:
            raise Wrong(
                "tool_choice.type must be auto, any, tool or none", "tool_choice"
            )
