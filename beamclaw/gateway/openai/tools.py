"""Tools of a client, and how it wants them used, in both of OpenAI's APIs.

They differ in one thing: chat completions put what a function is into a member of its
own, responses do not.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, cast

import attrs

from beamclaw.contracts.messages import (
    AnswerFormat,
    ClientTool,
    ModelParams,
    ThinkingLevel,
    ToolChoice,
)
from beamclaw.gateway.fields import (
    MAX_TOOLS,
    Wrong,
    distinct,
    members,
    one_of,
    tool_name,
    value_of,
)

Style = Literal["chat", "responses"]
MAX_STOP: Final = 4
_EFFORTS: Final[dict[str, ThinkingLevel]] = {
    "none": "off",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
}
_FORM: Final = {
    "chat": "{type: function, function: {name, description, parameters}}",
    "responses": "{type: function, name, description, parameters}",
}


def read_tools(body: Mapping[str, Any], style: Style) -> ModelParams:
    """What *body* says of tools, as parameters that say nothing else.

    Raises:
        Wrong: Something that is not so, or not possible here.
    """
    given = cast("list[object]", value_of(body, "tools", list) or [])
    if len(given) > MAX_TOOLS:
        raise Wrong(f"{len(given)} tools are more than {MAX_TOOLS}", "tools")
    tools = tuple(_tool(raw, style, f"tools[{i}]") for i, raw in enumerate(given))
    distinct((tool.name for tool in tools), "tools")
    tools, choice = _chosen(body.get("tool_choice"), tools, style)
    return ModelParams(
        tools=tools,
        choice=choice,
        parallel=value_of(body, "parallel_tool_calls", bool) if tools else None,
    )


def _tool(raw: object, style: Style, where: str) -> ClientTool:
    tool = members(raw)
    if tool.get("type") != "function":
        raise Wrong(
            f"{where} must be {_FORM[style]}; tools of other types are the agent's own "
            "matter here",
            where,
        )
    function = members(tool.get("function")) if style == "chat" else tool
    where = f"{where}.function" if style == "chat" else where
    name = tool_name(function.get("name"), f"{where}.name")
    schema = function.get("parameters")
    if schema is not None and not isinstance(schema, dict):
        raise Wrong(f"{where}.parameters must be a JSON Schema", f"{where}.parameters")
    return ClientTool(
        name=name,
        description=_text(function, "description", where),
        parameters=cast("dict[str, Any]", schema) or {"type": "object"},
        strict=_flag(function, "strict", where),
    )


def _text(given: Mapping[str, Any], field: str, where: str) -> str:
    value = given.get(field)
    if value is None or isinstance(value, str):
        return value or ""
    raise Wrong(f"{where}.{field} must be text", f"{where}.{field}")


def _flag(given: Mapping[str, Any], field: str, where: str) -> bool | None:
    value = given.get(field)
    if value is None or isinstance(value, bool):
        return value
    raise Wrong(f"{where}.{field} must be true or false", f"{where}.{field}")


def _chosen(
    raw: object, tools: tuple[ClientTool, ...], style: Style
) -> tuple[tuple[ClientTool, ...], ToolChoice | None]:
    """The tools that the model is told of, and which it has to ask for."""
    if raw is None or raw == "auto":
        return tools, None
    if raw == "none":
        return (), None
    if raw == "required":
        if not tools:
            raise Wrong(
                "tool_choice is required, but there are no tools", "tool_choice"
            )
        return tools, ToolChoice()
    choice = members(raw)
    if choice.get("type") == "allowed_tools":
        allowed = (
            choice
            if style == "responses"
            else members(choice["allowed_tools"])
            if "allowed_tools" in choice
            else {}
        )
        kept = _named(allowed.get("tools"), tools, style)
        mode = one_of(allowed, "mode", ("auto", "required")) or "auto"
        return kept, ToolChoice() if mode == "required" else None
    if choice.get("type") == "function":
        (tool,) = _named([choice], tools, style)
        return tools, ToolChoice(tool.name)
    raise Wrong(
        "tool_choice must be auto, none, required, one function or allowed_tools",
        "tool_choice",
    )


def _named(
    raw: object, tools: tuple[ClientTool, ...], style: Style
) -> tuple[ClientTool, ...]:
    listed = cast("list[object]", raw) if isinstance(raw, list) else []
    wanted: list[object] = []
    for each in listed:
        choice = members(each)
        function = members(choice.get("function")) if style == "chat" else choice
        wanted.append(function.get("name"))
    known = {tool.name: tool for tool in tools}
    found = tuple(known[n] for n in wanted if isinstance(n, str) and n in known)
    if not found or len(found) < len(wanted):
        raise Wrong("tool_choice names a function that is not in tools", "tool_choice")
    return found


# --- other parameters


def read_format(raw: object, where: str, style: Style) -> AnswerFormat | None:
    """``response_format``, or ``text.format``: None for plain text.

    Raises:
        Wrong: It is none of those there are.
    """
    if raw is None:
        return None
    given = members(raw)
    match given.get("type"):
        case "text":
            return None
        case "json_object":
            return AnswerFormat()
        case "json_schema":
            return _schema(given, where, style)
        case _:
            raise Wrong(f"{where}.type must be text, json_object or json_schema", where)


def _schema(given: Mapping[str, Any], where: str, style: Style) -> AnswerFormat:
    if style == "chat":
        given, where = members(given.get("json_schema")), f"{where}.json_schema"
    schema = given.get("schema")
    if not isinstance(schema, dict):
        raise Wrong(f"{where}.schema must be a JSON Schema", f"{where}.schema")
    return AnswerFormat(
        schema=cast("dict[str, Any]", schema),
        name=tool_name(given.get("name"), f"{where}.name"),
        description=_text(given, "description", where),
        strict=_flag(given, "strict", where),
    )


def read_effort(body: Mapping[str, Any], field: str) -> ThinkingLevel | None:
    """How long the model may think.

    Raises:
        Wrong: No such effort is known.
    """
    effort = one_of(body, field, tuple(_EFFORTS))
    return None if effort is None else _EFFORTS[effort]


def read_stop(raw: object) -> tuple[str, ...]:
    """``stop``: one text, or up to four.

    Raises:
        Wrong: It is something else.
    """
    if raw is None:
        return ()
    given = cast("list[object]", raw) if isinstance(raw, list) else [raw]
    texts = tuple(text for text in given if isinstance(text, str) and text)
    if len(texts) != len(given) or len(texts) > MAX_STOP:
        raise Wrong(f"stop must be text or a list of at most {MAX_STOP} texts", "stop")
    return texts


def with_tools(params: ModelParams, tools: ModelParams) -> ModelParams:
    """*params* and what *tools* says of tools."""
    return attrs.evolve(
        params, tools=tools.tools, choice=tools.choice, parallel=tools.parallel
    )
