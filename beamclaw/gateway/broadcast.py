"""The process that tells clients what happens: each value once, to whoever may see it.

What clients follow stands in the :class:`~beamclaw.gateway.hall.Hall`, which outlives
this process: its successor goes on with the same clients.
"""

from typing import Final

import trio

import supervision
from beamclaw.gateway.events import devices
from beamclaw.gateway.hall import Hall

NAME: Final = "gateway/broadcast"
# What clients may be told of.
EVENTS: Final = ("tick", "presence", "health", "shutdown", *devices.EVENTS)
# Who comes and goes is told at most this often, and less often to many: a crowd that
# comes back after a restart is told of itself a few times, not once for each.
PRESENCE_SECONDS: Final = 0.1
PRESENCE_SECONDS_EACH: Final = 0.002


def presence_pause(clients: int) -> float:
    """Seconds between two lists of who is there, with so many *clients*.

    >>> presence_pause(1), presence_pause(10_000)
    (0.102, 20.1)
    """
    return round(PRESENCE_SECONDS + clients * PRESENCE_SECONDS_EACH, 3)


class _Presence:
    """Somebody has come or gone."""


class Broadcast(supervision.Server):
    """See the module."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._presence_due = False

    async def init(self) -> None:
        """Go on with the clients that are there."""
        self._hall.on_presence = lambda: supervision.cast(NAME, _Presence())
        self._note_presence()

    async def handle_cast(self, message: object) -> None:
        """What the table says."""
        if not isinstance(message, _Presence):
            await super().handle_cast(message)
        self._note_presence()

    async def handle_info(self, message: object) -> None:
        """It is time to say who is there."""
        if not isinstance(message, _Presence):
            await super().handle_info(message)
            return
        self._presence_due = False
        await self._tell_presence()

    def _note_presence(self) -> None:
        if not self._presence_due:
            self._presence_due = True
            pause = presence_pause(len(self._hall))
            supervision.send_after(pause, supervision.self_pid(), _Presence())

    async def _tell_presence(self) -> None:
        lists: dict[str, bytes] = {}
        for count, client in enumerate(self._hall, 1):
            tenant = client.principal.tenant
            if tenant not in lists:
                lists[tenant] = self._hall.presence_event(tenant)
            client.line.deliver(lists[tenant], lossy=True)
            if count % CLIENTS_PER_CHECKPOINT == 0:
                await trio.lowlevel.checkpoint()

    def describe(self) -> dict[str, object]:
        """Figures of the clients."""
        return dict(self._hall.statistics())


# So many clients are told something before others run.
CLIENTS_PER_CHECKPOINT: Final = 64
