"""The turn that a session is in the middle of, for a client that comes to it.

Words that a model is saying stand in no journal; whoever comes back asks here, and goes
on with the events that follow.
"""

from typing import Any

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_reads import ReadSessionRow
from beamclaw.contracts.ledger_rows import SessionRow
from beamclaw.contracts.sessions import peek
from beamclaw.gateway.methods._method import Context
from beamclaw.values import frozen


@frozen
class InFlight:
    """A turn in progress, and what it has said so far.

    Attributes:
        open: Whether it still is; if not, it has ended since the session was read.
    """

    run_id: str
    text: str = ""
    open: bool = True

    @property
    def shape(self) -> dict[str, Any]:
        """As ``chat.history`` has it (``inFlightRun``)."""
        return {"runId": self.run_id, "text": self.text}


async def in_flight(context: Context, row: SessionRow) -> InFlight | None:
    """The turn that the session, read as *row*, is in; None: it is in none."""
    run_id = row.open_run
    if run_id is None:
        return None
    try:
        view = await peek(context.bus, context.tenant, run_id)
    except (supervision.CallFailed, LedgerError):
        return InFlight(run_id)  # its door is being restarted, and the turn goes on
    if view.running:
        return InFlight(run_id, view.text)
    # It is over, or between two runs.
    ledger = names.of_tenant(context.tenant, "ledger")
    now = await context.bus.call(ledger, ReadSessionRow(row.key), timeout=None)
    return InFlight(run_id, open=now is not None and now.open_run == run_id)
