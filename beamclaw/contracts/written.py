"""What a session has written down, as it is told to whoever follows all of it.

Published on :func:`beamclaw.contracts.names.journal` by the process that has committed,
after its commit. Whoever wants no word to be missed reads the journal again when the
subscription says that something was lost.
"""

from collections.abc import Iterable

from beamclaw.contracts import names
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.ledger import NewEvent
from beamclaw.values import frozen


@frozen
class Written:
    """Events that are durable now, in their order; they stand behind event *after*."""

    session_key: str
    after: int
    events: tuple[NewEvent, ...]


def tell_written(
    bus: Bus, tenant: str, session_key: str, events: Iterable[NewEvent], *, after: int
) -> None:
    """Publish *events*, which stand in the journal behind event *after*."""
    written = Written(session_key, after, tuple(events))
    bus.publish(names.journal(tenant, session_key), written)
