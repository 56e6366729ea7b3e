"""Tools that a client brings for one turn, as the model is told of them."""

from collections.abc import Mapping

import orjson

from beamclaw.contracts import tokens
from beamclaw.contracts.messages import ClientTool, ModelParams
from beamclaw.contracts.tools import ToolSpec


def offered(params: ModelParams, own: Mapping[str, ToolSpec]) -> tuple[ToolSpec, ...]:
    """The agent's *own* tools and the client's, which go before those of their name.

    Where the model has to ask for one of the client's, it is told of no others: it would
    ask for those as well, and for ever.
    """
    brought = {tool.name for tool in params.tools}
    kept = () if params.choice is not None else own.values()
    return (
        *(spec for spec in kept if spec.name not in brought),
        *map(_spec, params.tools),
    )


def _spec(tool: ClientTool) -> ToolSpec:
    return ToolSpec(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        effect="unsafe",
        strict=tool.strict,
    )


def size(params: ModelParams) -> int:
    """Tokens that it takes to tell a model of what the client has brought, estimated."""
    spoken = [text for tool in _spoken(params) for text in tool]
    return sum(map(tokens.of_text, (*spoken, _format(params))))


def most(params: ModelParams) -> int:
    """The bound for the same."""
    format_ = tokens.most_of_text(_format(params))
    return tokens.most_of_tools(_spoken(params)) + format_


def _spoken(params: ModelParams) -> list[tuple[str, str, str]]:
    return [
        (tool.name, tool.description, orjson.dumps(tool.parameters).decode())
        for tool in params.tools
    ]


def _format(params: ModelParams) -> str:
    if params.format is None or params.format.schema is None:
        return ""
    return orjson.dumps(params.format.schema).decode()
