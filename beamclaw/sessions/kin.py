"""A session's turns for others, and others' turns for it: who has to be told of what.

All of it stands in the ledger. A bell may be lost: whoever reads again after a death
rings once more for what is still open.
"""

from collections.abc import Iterable

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.ledger_reads import SessionRead
from beamclaw.contracts.ledger_rows import ChildRow
from beamclaw.contracts.points import point
from beamclaw.contracts.runs import ChildOver
from beamclaw.contracts.sessions import Rouse
from beamclaw.sessions.wiring import Wiring


class Kin:
    """See the module. Belongs to one session.

    Attributes:
        results: What turns have come to that work for this session, by their runs;
            of those that have ended and are waited for.
        cancelled: Runs of this session that may not go on.
    """

    def __init__(self, wiring: Wiring) -> None:
        self.results: dict[str, ChildRow] = {}
        self.cancelled: frozenset[str] = frozenset()
        self._wiring = wiring

    def see(self, found: SessionRead) -> None:
        """Take up what was read."""
        self.results = {
            row.run_id: row for row in found.children if row.state == "ended"
        }
        self.cancelled = frozenset(found.cancelled)

    def ring(self, found: SessionRead) -> None:
        """Tell those who may not have heard: a bell may have died with who rang it."""
        stopped = [
            row.session_key for row in found.children if row.state == "cancelled"
        ]
        self.rouse((*found.owed, *stopped))

    def rouse(self, keys: Iterable[str]) -> None:
        """Have these sessions look at what was committed."""
        door = names.of_tenant(self._wiring.tenant, "sessions")
        for key in dict.fromkeys(keys):
            with point("session.rouse"):
                self._wiring.bus.cast(door, Rouse(key))

    def tell(self, run: supervision.Pid) -> None:
        """Give a run what it may wait for; it knows what it has heard before."""
        for row in self.results.values():
            with point("session.tell-result"):
                supervision.send(run, ChildOver(row))
