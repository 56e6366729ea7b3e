"""A definition that has to be waited for, as whoever begins turns knows it."""

from typing import Protocol

import supervision
from beamclaw.agents.definition import AgentDefinition
from beamclaw.values import frozen


@frozen
class Tick:
    """A moment that a `Preparation` has waited for; to the process that has begun it."""

    mark: object
    what: str


Heard = supervision.Response[object] | Tick
"""What comes for a preparation, as messages of its process; later ones find nobody."""


class Preparation(Protocol):
    """A definition on its way. It belongs to one process, which it never holds up."""

    @property
    def waits_for(self) -> str:
        """What is waited for, in words."""
        ...

    @property
    def late(self) -> bool:
        """Whether somebody who waits for an answer should be told."""
        ...

    @property
    def ready(self) -> bool:
        """Whether `definition` may be asked for."""
        ...

    def begin(self) -> None:
        """Ask; what comes of it are messages of the calling process, for `hear`."""
        ...

    def hear(self, message: Heard) -> None:
        """Such a message has come; one for another preparation means nothing."""
        ...

    def give_up(self) -> None:
        """Nobody wants it any more."""
        ...

    def definition(self) -> AgentDefinition:
        """What came of it, by the configuration that holds now.

        Raises:
            beamclaw.agents.UnknownAgent: It is not configured any more.
            beamclaw.agents.UnknownModel: The same.
            beamclaw.agents.Unready: What the agent is told was never read, and cannot be.
        """
        ...
