"""What an agent may look at beside its own conversation: sessions, agents, what was spent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import attrs

import supervision
from beamclaw.config.schema import ENDLESS, Range
from beamclaw.contracts import keys, names
from beamclaw.contracts.budgets import MICRO, Purse
from beamclaw.contracts.ledger_rows import SessionRow
from beamclaw.contracts.ledger_usage import ReadPurses
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.relatives import CannotSee, Relatives
from beamclaw.contracts.subagents import ANY, Asker, Rules
from beamclaw.toolkit import Order, Output, ToolFailed, output_of, tool
from beamclaw.values import frozen

_MOST_LISTED = 200


@frozen(kw_only=True)
class Looks:
    """The tools of one agent.

    Attributes:
        tenant: Whose agent.
        agent: Its id.
        rules: What it may see.
        agents: All there are, with their names.
        models: The model of each.
        outside: The world.
    """

    tenant: str
    agent: str
    rules: Rules
    agents: Mapping[str, str | None]
    models: Mapping[str, str]
    outside: Outside

    def _relatives(self, order: Order) -> Relatives:
        asker = Asker(agent=self.agent, session_key=order.session_key)
        return Relatives(self.tenant, self.rules, asker)

    @tool(effect="pure", group="sessions")
    async def sessions_list(
        self,
        order: Order,
        *,
        limit: Annotated[int, Range(1, _MOST_LISTED)] = 50,
        active_minutes: Annotated[float, Range(0, ENDLESS, above=True)] | None = None,
    ) -> dict[str, Any]:
        """List the sessions that you may see, the latest active first.

        Args:
            limit: How many at most.
            active_minutes: Only those in which something happened since so long.
        """
        now = self.outside.wall()
        since = 0.0 if active_minutes is None else now - active_minutes * 60
        rows = await self._relatives(order).sessions(limit=_MOST_LISTED)
        active = [row for row in rows if row.updated_at >= since]
        shown = [self._row(row, order, now) for row in active[:limit]]
        return {"count": len(active), "sessions": shown}

    def _row(self, row: SessionRow, order: Order, now: float) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "sessionKey": row.key,
            "agentId": row.agent,
            "label": row.meta.label,
            "secondsAgo": round(max(0.0, now - row.updated_at)),
            "working": row.open_run is not None,
            "parent": row.parent,
            "you": row.key == order.session_key,
        }
        return {name: value for name, value in shown.items() if value}

    @tool(effect="pure", group="sessions")
    async def sessions_history(
        self,
        order: Order,
        *,
        session_key: str,
        limit: Annotated[int, Range(1, 200)] = 20,
        include_tools: bool = False,
    ) -> Output:
        """Read what was said last in a session that you may see.

        Args:
            session_key: Which one, see sessions_list.
            limit: How many messages at most.
            include_tools: Also what tools have said.
        """
        key = self._key(session_key)
        try:
            found = await self._relatives(order).history(key, limit=limit)
        except CannotSee as error:
            raise ToolFailed(str(error)) from None
        messages = [
            {"role": each.role, "text": each.text}
            for each in found.messages
            if include_tools or (each.role != "tool" and each.text)
        ]
        output = output_of({"sessionKey": key, "messages": messages})
        # What strangers have said there is said here by this.
        return attrs.evolve(output, untrusted=found.tainted)

    def _key(self, given: str) -> str:
        try:
            return str(keys.resolve(given, self.agent))
        except keys.BadKey as error:
            raise ToolFailed(str(error)) from None

    @tool(effect="pure", group="sessions")
    async def session_status(
        self, order: Order, *, session_key: str | None = None
    ) -> dict[str, Any]:
        """Say how a session stands: agent, model, tokens and dollars used, the time.

        Args:
            session_key: Which one; without one, this.
        """
        key = order.session_key if session_key is None else self._key(session_key)
        try:
            row = await self._relatives(order).row(key)
        except CannotSee as error:
            raise ToolFailed(str(error)) from None
        now = self.outside.wall()
        today = datetime.fromtimestamp(now, UTC)
        purse = Purse("session", key, "")
        (spent,) = await supervision.call(
            names.of_tenant(self.tenant, "ledger"), ReadPurses((purse,)), timeout=None
        )
        used = spent.spent
        return {
            "sessionKey": key,
            "agentId": row.agent,
            "model": row.meta.model or self.models.get(row.agent),
            "working": row.open_run is not None,
            "modelCalls": used.calls,
            "tokens": used.tokens,
            "dollars": used.cost / MICRO,
            "now": today.isoformat(timespec="seconds"),
        }

    @tool(effect="pure", group="sessions")
    async def agents_list(self) -> dict[str, Any]:
        """List the agents that you may have work for you, or hand this conversation to."""
        spawns = {self.agent, *self.rules.spawns.get(self.agent, ())}
        hands = {*self.rules.hands_over.get(self.agent, ())}
        shown: list[dict[str, Any]] = []
        for id_, name in self.agents.items():
            may_start = bool({id_, ANY} & spawns)
            may_take_over = id_ != self.agent and bool({id_, ANY} & hands)
            if may_start or may_take_over:
                shown.append(
                    {
                        "agentId": id_,
                        "name": name or id_,
                        "you": id_ == self.agent,
                        "sessions_spawn": may_start,
                        "sessions_hand_over": may_take_over,
                    }
                )
        return {"agents": shown}
