"""Tools that are done with sessions, one for each thing an agent may ask of another.

Their arguments are the fields of what they ask for, see
:mod:`beamclaw.contracts.subagents`: ``{"task": "look it up", "mode": "wait"}``. Those of
a node, which are called as OpenClaw's, are in :mod:`beamclaw.tools.session_acts`.
"""

from collections.abc import Mapping
from typing import Any

import cattrs

from beamclaw.contracts.codec import converter
from beamclaw.contracts.subagents import (
    Deed,
    HandOver,
    Request,
    Send,
    SessionTool,
    Spawn,
    Yield,
)
from beamclaw.contracts.tools import Order, ToolFailed, ToolSpec
from beamclaw.values import frozen

_SCHEMA: Mapping[str, Any] = {"type": "object", "additionalProperties": True}


@frozen
class _Asks:
    """A tool that asks for *request*, as it stands in the arguments."""

    name: str
    does: Deed
    request_type: type[Request]
    asks: bool = False

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name=self.name,
            description=f"{self.name}: see {self.request_type.__name__}",
            parameters=_SCHEMA,
            effect="idempotent",
            asks="always" if self.asks else "never",
            kind="session",
        )

    def request(self, order: Order) -> Request:
        try:
            return converter.structure(dict(order.arguments), self.request_type)
        except (cattrs.BaseValidationError, TypeError, ValueError) as error:
            raise ToolFailed(f"{self.name} does not understand that: {error}") from None


def session_tools(*, asks: bool = False) -> dict[str, SessionTool]:
    """``spawn``, ``tell``, ``hand_over`` and ``wait``, which ends the turn.

    With *asks* a person has to agree before any of them is done.
    """
    tools = (
        _Asks("spawn", "spawn", Spawn, asks),
        _Asks("tell", "send", Send, asks),
        _Asks("hand_over", "hand-over", HandOver, asks),
        _Asks("wait", "yield", Yield, asks),
    )
    return {tool.name: tool for tool in tools}
