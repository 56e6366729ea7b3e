"""Which tools a turn has: one value, by which they are shown to the model and begun.

Whatever asks for a turn (a client, a person in a terminal, another session, a revival
after a death), its calls are looked up here and nowhere else, so that what a policy
denies is denied to all of them.
"""

import functools
from collections.abc import Mapping
from typing import cast

import attrs
import orjson

from beamclaw.contracts import tokens
from beamclaw.contracts.subagents import SessionTool
from beamclaw.contracts.tools import Tool, ToolSpec
from beamclaw.values import frozen

AnyTool = Tool | SessionTool


@frozen(kw_only=True)
class Caller:
    """Whose turn it is.

    Attributes:
        agent: By its id.
        provider: Which one is asked now, and *model*: by what name.
        depth: How far below a person's conversation.
    """

    agent: str
    provider: str = ""
    model: str = ""
    depth: int = 0


@frozen(slots=False)
class Toolbox:
    """The tools of a turn, by name; and of the others, in words, why it has not got them."""

    tools: Mapping[str, AnyTool]
    denied: Mapping[str, str] = attrs.field(factory=dict[str, str])

    @functools.cached_property
    def specs(self) -> Mapping[str, ToolSpec]:
        """As the model is told of them."""
        return {name: tool.spec for name, tool in self.tools.items()}

    @functools.cached_property
    def processes(self) -> Mapping[str, Tool]:
        """Those whose calls are processes."""
        return {
            name: cast("Tool", tool)
            for name, tool in self.tools.items()
            if tool.spec.kind == "process"
        }

    @functools.cached_property
    def acts(self) -> Mapping[str, SessionTool]:
        """Those that are done with sessions."""
        return {
            name: cast("SessionTool", tool)
            for name, tool in self.tools.items()
            if tool.spec.kind == "session"
        }

    @functools.cached_property
    def tokens(self) -> int:
        """What it takes to tell a model of them, estimated."""
        return sum(tokens.of_text(text) for spoken in self._spoken for text in spoken)

    @functools.cached_property
    def most(self) -> int:
        """The bound for the same."""
        return tokens.most_of_tools(self._spoken)

    @functools.cached_property
    def _spoken(self) -> list[tuple[str, str, str]]:
        return [
            (spec.name, spec.description, orjson.dumps(spec.parameters).decode())
            for spec in self.specs.values()
        ]
