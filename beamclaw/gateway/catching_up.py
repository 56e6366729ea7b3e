"""Looks at runs whose words :mod:`beamclaw.gateway.broadcast` has missed.

A run is asked for all it has said, or its ledger whether it is over; both may be slow, or
on their way back. So this is a process of its own, linked to that one: words of other
turns never wait for it.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import trio

import supervision
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.ends import run_ended
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.sessions import RunEnded, RunView, peek, read_run
from beamclaw.values import frozen

# Seconds that a tenant may take for a look; the run's next words ask again.
PATIENCE: Final = 5.0

# What was found of a run; None: nothing, for its tenant is down or knows none.
Found = RunView | RunEnded | None


@frozen
class Missed:
    """A run of which something was missed."""

    tenant: str
    run_id: str


class CatchUp:
    """Runs to look at, each one once, in the order in which they were missed.

    Args:
        bus: The way to their tenants.
        found: Is called with what was found, in this process: it may not wait.
    """

    def __init__(self, bus: Bus, found: Callable[[Missed, Found], None]) -> None:
        self._bus = bus
        self._found = found
        self._waiting = deque[Missed]()
        # Missed again while it is looked at: what came behind that look is lost as well.
        self._looking: Missed | None = None
        self._again = False
        self._some = trio.Event()

    def look(self, missed: Missed) -> None:
        """Have the run looked at."""
        if missed == self._looking:
            self._again = True
        elif missed not in self._waiting:
            self._waiting.append(missed)
            self._some.set()

    def forget(self) -> None:
        """Nobody follows anything any more."""
        self._waiting.clear()
        self._again = False

    async def run(self) -> None:
        """The process."""
        while True:
            while self._waiting:
                self._looking = self._waiting.popleft()
                found = await self._look(self._looking)
                self._found(self._looking, found)
                if self._again and found is not None:
                    self._waiting.append(self._looking)
                self._looking, self._again = None, False
                await trio.lowlevel.checkpoint()
            self._some = trio.Event()
            await self._some.wait()

    async def _look(self, missed: Missed) -> Found:
        with trio.move_on_after(PATIENCE):
            try:
                view = await peek(self._bus, missed.tenant, missed.run_id)
                if view.running:
                    return view
                row = await read_run(self._bus, missed.tenant, missed.run_id)
            except (supervision.CallFailed, LedgerError):
                return None
            return None if row is None else run_ended(row)
        return None
