"""Tools that are done with sessions, one for each thing an agent may ask of another.

Their arguments are the fields of what they ask for, see
:mod:`beamclaw.contracts.subagents`: ``{"task": "look it up", "mode": "wait"}``. Two more
look at other sessions, and are tools like any other.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import cattrs

from beamclaw.contracts.approvals import Clear, Clearance
from beamclaw.contracts.codec import converter
from beamclaw.contracts.relatives import CannotSee, Relatives
from beamclaw.contracts.subagents import (
    Asker,
    Deed,
    HandOver,
    Request,
    Rules,
    Send,
    SessionTool,
    Spawn,
    Yield,
)
from beamclaw.contracts.tools import Order, Output, Tool, ToolFailed, ToolSpec

_SCHEMA: Mapping[str, Any] = {"type": "object", "additionalProperties": True}


@attrs.frozen
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


@attrs.frozen
class _Looks:
    """A tool that looks at other sessions."""

    name: str
    agent: str
    rules: Rules

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name=self.name,
            description=f"{self.name}: what other sessions are about",
            parameters=_SCHEMA,
            effect="pure",
        )

    async def run(self, order: Order) -> Output:
        asker = Asker(agent=self.agent, session_key=order.session_key)
        relatives = Relatives(order.tenant, self.rules, asker)
        if self.name == "sessions":
            rows = await relatives.sessions()
            return Output("\n".join(row.key for row in rows))
        try:
            said = await relatives.history(str(order.arguments.get("session_key")))
        except CannotSee as error:
            raise ToolFailed(str(error)) from None
        return Output("\n".join(f"{each.role}: {each.text}" for each in said))

    async def check(self, order: Order) -> Output | None:
        return None

    async def clear(self, order: Order) -> Clearance:
        return Clear()


def looking_tools(agent: str, rules: Rules) -> dict[str, Tool]:
    """``sessions`` lists those that *agent* may see, ``history`` shows one of them."""
    return {name: _Looks(name, agent, rules) for name in ("sessions", "history")}
