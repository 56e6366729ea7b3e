"""What a person knows of one message of theirs."""

import attrs

from beamclaw.contracts.sessions import RunEnded
from tests.simulation.plan import Person, Say


@attrs.define(eq=False)
class Turn:
    """One message, and what its sender saw.

    Attributes:
        acked: When the first acknowledgement came.
        runs: The run ids of the acknowledgements.
        ends: The ends that were told on the bus.
        texts: The answers that came over HTTP.
        errors: And what it was told instead of one.
        shown: The text that had been shown when each of them came.
        finished: When the first of them came.
        stopped: Its sender has asked to stop it.
        was_stopped: And was told that it is; None: nothing was told.
    """

    say: Say
    person: Person
    sent: float
    acked: float | None = None
    runs: list[str] = attrs.field(factory=list[str])
    ends: list[RunEnded] = attrs.field(factory=list[RunEnded])
    texts: list[str] = attrs.field(factory=list[str])
    errors: list[str] = attrs.field(factory=list[str])
    shown: list[str] = attrs.field(factory=list[str])
    finished: float | None = None
    stopped: bool = False
    was_stopped: bool | None = None

    @property
    def heard(self) -> int:
        """How often its sender was told how it ended."""
        return len(self.ends) + len(self.texts) + len(self.errors)
