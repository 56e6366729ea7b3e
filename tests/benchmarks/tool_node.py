"""``beamclaw run`` whose agents have one tool, ``nothing``, which does nothing at once.

What a turn with tool calls costs beside one without is then the node's.
"""

import sys
from collections.abc import Mapping

import attrs

from beamclaw.cli.parser import parse
from beamclaw.cli.run import run
from beamclaw.contracts.approvals import Clear, Clearance
from beamclaw.contracts.tools import Order, Output, Tool, ToolSpec

SPEC = ToolSpec(
    name="nothing",
    description="Does nothing.",
    parameters={"type": "object", "properties": {"text": {"type": "string"}}},
    effect="unsafe",
)


@attrs.frozen
class Nothing:
    """A tool."""

    spec: ToolSpec = SPEC

    async def run(self, order: Order) -> Output:
        return Output(f"done {order.arguments.get('text', '')}")

    async def check(self, order: Order) -> Output | None:
        del order
        return None

    async def clear(self, order: Order) -> Clearance:
        del order
        return Clear()


def toolbox(agent: str) -> Mapping[str, Tool]:
    """The tools of every agent."""
    del agent
    return {"nothing": Nothing()}


if __name__ == "__main__":
    options = parse(sys.argv[1:])
    assert options is not None
    sys.exit(run(options, toolbox))
