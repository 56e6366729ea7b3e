"""What a run tells of the limits that its turn is near to, when that is durable."""

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.limits import Warned
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.turns import TurnLimits
from beamclaw.runs.nearing import Near, Nearing
from beamclaw.runs.record import Record
from beamclaw.runs.wiring import Wiring


class Alerts:
    """See the module. Belongs to one run.

    Args:
        before: The turn as the run before had left it, which has told of that; None:
            there was none.
    """

    def __init__(
        self,
        wiring: Wiring,
        record: Record,
        limits: TurnLimits,
        before: OpenTurn | None,
    ) -> None:
        self._tenant = wiring.tenant
        self._record = record
        self._nearing = Nearing(limits, wiring.warn_at)
        self._due: tuple[Near, ...] = ()
        if before is not None:
            self._nearing.look(before, before.touched_at)

    def look(self) -> None:
        """See what the turn has come near to, as it is drafted."""
        record = self._record
        record.look_at_clock()
        self._due += self._nearing.look(record.turn, record.now())

    def seconds_left(self) -> float:
        """How long it is until it is near to its time."""
        return self._nearing.seconds_left(self._record.turn, self._record.now())

    def tell(self) -> None:
        """The draft is durable."""
        tenant, record = self._tenant, self._record
        for near in self._due:
            supervision.emit(
                "beamclaw.limits.turn_nearly_reached",
                {"used": near.used, "limit": near.limit},
                {
                    "tenant": tenant,
                    "session": record.key,
                    "run": record.id,
                    "agent": near.agent,
                    "cap": near.name,
                    "why": near.words,
                },
            )
            # It may be lost: only the list is shorter then.
            warned = Warned(f"{record.key}, {near.words}")
            supervision.cast(names.of_tenant(tenant, "limits"), warned)
        self._due = ()
