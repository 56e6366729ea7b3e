"""What tools say of calls before these are begun: go on, ask a person, or no.

It is asked in the run's own task, and nothing of it is written down: a person's answer
is, and a run that comes after a crash asks again. The process of the call asks once more,
right before it works.
"""

from collections.abc import Callable

import trio

import supervision
from beamclaw.contracts.approvals import UNCLEAR, Clearance, Deny
from beamclaw.contracts.points import point
from beamclaw.contracts.toolbox import Toolbox
from beamclaw.contracts.tools import Order, ToolFailed
from beamclaw.runs.orders import crashed


class Clearings:
    """See the module. Belongs to one run.

    Attributes:
        known: What was said, by the calls' ids.
    """

    def __init__(self, toolbox: Callable[[], Toolbox], seconds: float) -> None:
        self._toolbox = toolbox
        self._seconds = seconds
        self.known: dict[str, Clearance] = {}

    async def ask(self, order: Order) -> None:
        """Ask the tool of *order*; killed in the middle, nothing has happened."""
        with point("run.clear"):
            cleared = await self._said(order)
        self.known[order.call_id] = cleared

    async def _said(self, order: Order) -> Clearance:
        try:
            with trio.fail_after(self._seconds):
                return await self._toolbox().processes[order.tool].clear(order)
        except ToolFailed as failed:
            return Deny(str(failed))
        except supervision.CallFailed:
            return Deny(UNCLEAR)
        except trio.TooSlowError:
            return Deny(
                "whether it may be done could not be found out in "
                f"{self._seconds:g} seconds (limits.turn.clear_seconds)"
            )
        except Exception as error:  # noqa: BLE001 -- a tool's fault is not the turn's
            return Deny(crashed(order, error))
