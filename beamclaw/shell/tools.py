"""What a command can ask about tools: which an agent has, and why not the others."""
# ruff: noqa: ARG001 -- all methods have one signature

from collections.abc import Mapping
from typing import Any, Final

import trio

from beamclaw.agents import UnknownAgent, UnknownModel, resolve
from beamclaw.contracts.toolbox import Caller
from beamclaw.contracts.tools import ToolSpec
from beamclaw.shell.request import Failed, Method, Node, Params, Send, text

_MOST_LEVELS: Final = 5


async def tools(node: Node, params: Params, send: Send) -> object:
    """The tools of ``agent``, as ``model`` gets them ``depth`` levels below a person."""
    await trio.lowlevel.checkpoint()
    agent, model = text(params, "agent", "main"), text(params, "model", "")
    depth = params.get("depth", 0)
    if not isinstance(depth, int) or not 0 <= depth <= _MOST_LEVELS:
        raise Failed(
            "params", f"depth has to be a whole number from 0 to {_MOST_LEVELS}"
        )
    try:
        found = resolve(node.config, agent, model or None)
    except (UnknownAgent, UnknownModel) as error:
        raise Failed("params", str(error)) from None
    caller = Caller(
        agent=agent, provider=found.provider, model=found.model, depth=depth
    )
    await node.loading.wait()
    box = node.toolbox(caller)
    return {
        "agent": agent,
        "model": f"{found.provider}/{found.model}",
        "depth": depth,
        "tokens": box.tokens,
        "tools": [_shown(spec) for spec in box.specs.values()],
        "denied": [{"name": name, "why": why} for name, why in box.denied.items()],
        "faults": [
            {"package": fault.package, "name": fault.name, "why": fault.words}
            for fault in node.faults
        ],
    }


def _shown(spec: ToolSpec) -> Mapping[str, Any]:
    return {
        "name": spec.name,
        "group": spec.group,
        "source": spec.source or "built in",
        "effect": spec.effect,
        "asks": spec.asks,
        "untrusted": spec.untrusted,
        "deadline": None if spec.deadline == float("inf") else spec.deadline,
        "description": spec.description,
        "parameters": spec.parameters,
    }


TOOL_METHODS: Final[Mapping[str, Method]] = {"tools": tools}
