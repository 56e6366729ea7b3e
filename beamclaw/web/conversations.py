"""What conversations know, kept from one call to the next."""

from typing import Final

import supervision
from beamclaw.contracts.ledger_reads import ReadJournal
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.steps import in_steps
from beamclaw.web.known import NOTHING, Known, Rules, goes_on, known

# Of one agent: conversations, and hosts and URLs of all of them. One of those takes about
# a hundred bytes. What does not fit is read from the whole journal again.
MOST_CONVERSATIONS: Final = 64
MOST_FACTS: Final = 10_000


class Conversations:
    """Those of one agent.

    Args:
        ledger: The name of the ledger with their journals.
        rules: What they are looked through for.
    """

    def __init__(self, ledger: str, rules: Rules) -> None:
        self._ledger = ledger
        self._rules = rules
        # The one that was asked for last is the last one. Values, so that two calls may
        # read at once: each of them comes to something that is so.
        self._known: dict[str, Known] = {}

    async def known(self, session_key: str) -> Known:
        """What a conversation knows now: only what is new in its journal is read.

        Raises:
            supervision.CallFailed: The ledger is not up.
        """
        before = self._known.get(session_key, NOTHING)
        events = await self._read(session_key, max(before.seq - 1, 0))
        if before is not NOTHING and not goes_on(before, events):
            before = NOTHING
            events = await self._read(session_key, 0)
        found = await in_steps(known(events, self._rules, before))
        self._keep(session_key, found)
        return found

    async def _read(self, session_key: str, after: int) -> tuple[Event, ...]:
        request = ReadJournal(session_key, after)
        return await supervision.call(self._ledger, request, timeout=None)

    def _keep(self, session_key: str, found: Known) -> None:
        kept = self._known
        kept.pop(session_key, None)
        if found is not NOTHING:
            kept[session_key] = found
        while (
            len(kept) > MOST_CONVERSATIONS
            or sum(each.size for each in kept.values()) > MOST_FACTS
        ):
            del kept[next(iter(kept))]
