"""The definitions that runs go on with, each read from the ledger once for all of them."""

from collections.abc import Awaitable, Callable

import attrs
import trio

from beamclaw.agents.definition import AgentDefinition

# As many as agents are at work at once, with what each had been before it was changed.
KEPT = 32


@attrs.define
class Definitions:
    """Definitions by their hash, which never change.

    A node that goes on with a thousand turns would read the same one a thousand times.
    """

    _known: dict[str, AgentDefinition] = attrs.field(
        init=False, factory=dict[str, AgentDefinition]
    )
    # Those that somebody is reading.
    _coming: dict[str, trio.Event] = attrs.field(
        init=False, factory=dict[str, trio.Event]
    )

    async def of(
        self, hash_: str, read: Callable[[], Awaitable[bytes]]
    ) -> AgentDefinition:
        """The one with this hash; *read* gets it where nobody has, or is about to.

        Whatever *read* raises is raised here, and the next one who waits reads. So it
        is when the one who reads is cancelled.
        """
        while (known := self._known.get(hash_)) is None:
            coming = self._coming.get(hash_)
            if coming is not None:
                await coming.wait()
                continue
            self._coming[hash_] = trio.Event()
            try:
                self._keep(hash_, AgentDefinition.load(await read()))
            finally:
                self._coming.pop(hash_).set()
        return known

    def _keep(self, hash_: str, definition: AgentDefinition) -> None:
        self._known[hash_] = definition
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
