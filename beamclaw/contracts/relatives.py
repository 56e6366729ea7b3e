"""What an agent may see of other sessions: which there are, and what was said in them.

Both are asked from a tool's own process, see :func:`beamclaw.contracts.subagents.may_see`
for the policy.
"""

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.ledger_reads import (
    ReadAncestors,
    ReadSession,
    ReadSessionRow,
    ReadSessions,
)
from beamclaw.contracts.ledger_rows import Event, SessionRow
from beamclaw.contracts.messages import Message
from beamclaw.contracts.path import path
from beamclaw.contracts.steps import Steps, in_steps
from beamclaw.contracts.subagents import Asker, Rules, may_see
from beamclaw.contracts.transcript import Transcript, extend
from beamclaw.values import frozen


class CannotSee(Exception):  # noqa: N818 -- a situation
    """There is no such session, or not for who asks; in words for the model."""


@frozen
class History:
    """What was said in a session; *tainted*: words of strangers are in it somewhere."""

    messages: tuple[Message, ...]
    tainted: bool = False


@frozen
class Relatives:
    """The sessions of a tenant, as one of their turns may see them."""

    tenant: str
    rules: Rules
    asker: Asker

    async def sessions(self, *, limit: int = 50) -> tuple[SessionRow, ...]:
        """Those that it may see, latest activity first, of the latest thousand."""
        ledger_ = names.of_tenant(self.tenant, "ledger")
        rows = await supervision.call(
            ledger_, ReadSessions(limit=_LOOKED_AT, archived=False), timeout=None
        )
        parents = {row.key: row.parent for row in rows}
        seen: list[SessionRow] = []
        for row in rows:
            above = _above(row.key, parents)
            if may_see(self.rules, self.asker, row.agent, row.key, above) is None:
                seen.append(row)
        return tuple(seen[:limit])

    async def history(self, session_key: str, *, limit: int = 50) -> History:
        """The latest messages of a session, as its own model is told them.

        Raises:
            CannotSee: There is none of this key, or it may not be seen.
        """
        await self.row(session_key)
        ledger_ = names.of_tenant(self.tenant, "ledger")
        found = await supervision.call(ledger_, ReadSession(session_key), timeout=None)
        state = await in_steps(_replayed(found.events))
        return History(tuple(state.messages)[-limit:], state.tainted)

    async def row(self, session_key: str) -> SessionRow:
        """A session, as it is listed.

        Raises:
            CannotSee: There is none of this key, or it may not be seen.
        """
        ledger_ = names.of_tenant(self.tenant, "ledger")
        row = await supervision.call(ledger_, ReadSessionRow(session_key), timeout=None)
        if row is None or row.deleted_at is not None:
            raise CannotSee(f"there is no session {session_key}")
        above = await supervision.call(
            ledger_, ReadAncestors(session_key), timeout=None
        )
        refusal = may_see(self.rules, self.asker, row.agent, session_key, above)
        if refusal is not None:
            raise CannotSee(refusal)
        return row


_LOOKED_AT = 1_000
# Events that are read in one step: a few milliseconds.
_STEP = 100


def _above(key: str, parents: dict[str, str | None]) -> list[str]:
    above: list[str] = []
    while (parent := parents.get(key)) is not None and parent not in above:
        above.append(parent)
        key = parent
    return above


def _replayed(events: tuple[Event, ...]) -> Steps[Transcript]:
    state, way = Transcript(), path(events)
    for first in range(0, len(way), _STEP):
        state = extend(state, way[first : first + _STEP])
        yield
    return state
