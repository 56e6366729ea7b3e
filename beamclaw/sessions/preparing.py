"""The turn that a session is about to begin, while what its agent is told is on its way.

Nothing of it is durable: its messages wait in the inbox until it begins. So whoever dies
meanwhile loses nothing but the time, and a stop takes a message that waits like any other.
"""

from collections.abc import Container

import attrs

from beamclaw.agents import AgentDefinition, Heard, Preparation
from beamclaw.sessions.lane import Begin
from beamclaw.sessions.wiring import Wiring


@attrs.define
class _Turn:
    begin: Begin
    # The agent, and the model in place of its own.
    asked: tuple[str, str | None]
    preparation: Preparation
    told: bool = False


class Preparing:
    """See the module. Belongs to one session."""

    def __init__(self, wiring: Wiring, key: str) -> None:
        self._wiring = wiring
        self._key = key
        self._turn: _Turn | None = None

    @property
    def turn(self) -> Begin | None:
        """The turn that is about to begin."""
        return None if self._turn is None else self._turn.begin

    @property
    def ready(self) -> bool:
        """Whether it may."""
        return self._turn is not None and self._turn.preparation.ready

    @property
    def waits_for(self) -> str | None:
        """What it waits for, in words."""
        return None if self._turn is None else self._turn.preparation.waits_for

    def definition(
        self, begin: Begin, agent: str, model: str | None
    ) -> AgentDefinition | None:
        """What the turn begins with; None: it has been asked for.

        Raises:
            beamclaw.agents.UnknownAgent: There is none.
            beamclaw.agents.UnknownModel: The same.
            beamclaw.agents.Unready: What it is told cannot be had.
        """
        asked, turn = (agent, model), self._turn
        if turn is not None and turn.preparation.ready and turn.asked == asked:
            self._turn = None
            return turn.preparation.definition()
        # None was asked for; or for another agent or model than it has by now.
        self.give_up()
        found = self._wiring.define(agent, model, self._key)
        if isinstance(found, AgentDefinition):
            return found
        self._turn = _Turn(begin, asked, found)
        found.begin()
        return None

    def hear(self, message: Heard) -> str | None:
        """Something has come for it; the run whose sender is to be told that it waits."""
        turn = self._turn
        if turn is None:
            return None
        turn.preparation.hear(message)
        if turn.told or not turn.preparation.late:
            return None
        turn.told = True
        return turn.begin.pending.inbound.run_id

    def keep_to(self, waiting: Container[int]) -> None:
        """Only these messages (inbox ids) still wait: others were taken back."""
        if self._turn is None:
            return
        first, more = self._turn.begin.pending, self._turn.begin.more
        if first.inbox_id not in waiting:
            self.give_up()
            return
        kept = tuple(each for each in more if each.inbox_id in waiting)
        self._turn.begin = Begin(first, kept)

    def give_up(self) -> None:
        """It does not begin, or not so."""
        if self._turn is not None:
            self._turn.preparation.give_up()
            self._turn = None
