"""The gateway, as the rest of the node knows it: where it listens, how it is drained.

The process registered as :data:`NAME` owns the listening sockets; its registry value is
the :class:`Address`. Draining has three steps, in this order: no new turns, wait for
the open requests, then a last event to those that are still open.
"""

from typing import Final

import trio

import supervision
from beamclaw.values import frozen

NAME: Final = "gateway"
# How long open requests get to take their last event.
LAST_EVENT_SECONDS: Final = 1.0


class CannotListen(Exception):  # noqa: N818 -- a situation
    """The gateway cannot listen as configured; the message says what to do."""


@frozen
class Address:
    """Where the gateway really listens (the port, if 0 was configured)."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """For people and clients on this machine: a wildcard becomes loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(  # noqa: S104 -- compared, not bound
            self.host, self.host
        )
        return (
            f"http://[{host}]:{self.port}"
            if ":" in host
            else f"http://{host}:{self.port}"
        )


def address() -> Address | None:
    """Where the gateway listens; None while it does not."""
    entry = supervision.lookup(NAME)
    value = None if entry is None else entry.value
    return value if isinstance(value, Address) else None


@frozen
class SetIntake(supervision.Call[None]):
    """Drain: refuse new requests with 503 (or take them again); open ones go on.

    Connections on which nothing is asked are closed at once.
    """

    open: bool


@frozen
class WaitIdle(supervision.Call[None]):
    """Answered when no request is in progress."""


@frozen
class FinishStreams(supervision.Call[int]):
    """Tell every open request that the node stops; the reply is how many there were.

    A stream gets a last event and ends in order, a whole answer becomes a 503. Clients
    that stay connected are told that the node restarts, and to come back. Their turns
    go on: they are in the ledger.
    """


@frozen
class GetGatewayStatus(supervision.Call["GatewayStatus"]):
    """How the gateway stands."""


@frozen(kw_only=True)
class GatewayStatus:
    """Figures since the gateway started.

    Attributes:
        control_ui: Where the Control UI is, if it has a listener of its own.
        connections: Open now; *waiting* of them have not asked anything (yet).
        requests: In progress now; *streams* of them are streams.
        shed: Connections closed to make room for others.
        refused: Requests turned away before they reached an agent.
    """

    address: Address
    intake: bool
    connections: int
    waiting: int
    requests: int
    streams: int
    limit: int
    accepted: int
    answered: int
    refused: int
    shed: int
    control_ui: Address | None = None


async def drain(seconds: float) -> bool:
    """Take no more, wait up to *seconds* for open requests, then end the rest.

    ``True``: all of them ended by themselves. A gateway that is down has nothing to
    drain.
    """
    try:
        await supervision.call(NAME, SetIntake(open=False))
        with trio.move_on_after(seconds) as limit:
            await supervision.call(NAME, WaitIdle(), timeout=None)
        # Also with no request in progress: clients that stay connected are told.
        await supervision.call(NAME, FinishStreams())
        with trio.move_on_after(LAST_EVENT_SECONDS):
            await supervision.call(NAME, WaitIdle(), timeout=None)
    except supervision.CallFailed:
        return True
    return not limit.cancelled_caught
