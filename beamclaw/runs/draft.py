"""What a run is about to commit, and what the journal will add up to then."""

import attrs

from beamclaw.contracts.journal import Body, event
from beamclaw.contracts.ledger import NewEvent
from beamclaw.contracts.ledger_ops import Op
from beamclaw.contracts.sessions import Inbound
from beamclaw.contracts.transcript import Fact, Transcript, evolve


@attrs.define
class Draft:
    """Events and operations that become durable together or not at all.

    Attributes:
        state: The journal, added up, as if all of it had been written.
        events: To be written.
        ops: With them.
    """

    run_id: str
    state: Transcript
    events: list[NewEvent] = attrs.field(factory=list[NewEvent], init=False)
    ops: list[Op] = attrs.field(factory=list[Op], init=False)

    def copy(self) -> "Draft":
        """Another one with the same in it."""
        other = Draft(self.run_id, self.state)
        other.events += self.events
        other.ops += self.ops
        return other

    def add(
        self, body: Body, *ops: Op, at: float, inbound: Inbound | None = None
    ) -> None:
        """Add an event of this run, and the operations that belong to it.

        *inbound* is the message that brought it about, if one did.
        """
        fact = Fact(body, self.run_id, at)
        self.state = evolve(self.state, self.state.seq + 1, fact)
        new = event(body, at=at, run_id=self.run_id, inbound=inbound)
        self.events.append(new)
        self.ops += ops
