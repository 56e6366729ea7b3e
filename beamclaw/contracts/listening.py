"""What the gateway asks of the system's sockets, for whoever brings others.

:class:`~beamclaw.contracts.outside.Outside` may bring a :data:`Listen`; a simulated
network does. Without one these are sockets of the operating system, as they are: no call
goes through anything in between.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

import trio

from beamclaw.contracts.gateway import Address


class Connected(Protocol):
    """An accepted connection. Nothing here waits; errors are the system's.

    All but the last are those of ``socket.socket``.
    """

    def send(self, data: bytes, /) -> int:
        """Send what is taken at once; the number of bytes."""
        ...

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Only ``SO_LINGER`` is set: let the next close throw away what is unread."""
        ...

    def shutdown(self, how: int, /) -> None:
        """Tell the other side that nothing follows."""
        ...

    def getpeername(self) -> Any:
        """Host and port of the other side."""
        ...

    def getsockname(self) -> Any:
        """Host and port of ours."""
        ...

    def close(self) -> None:
        """Close."""
        ...

    def stream(self) -> trio.SocketStream:
        """The same connection as a stream of Trio's."""
        ...


class Listening(Protocol):
    """Where connections come in."""

    @property
    def address(self) -> Address:
        """Where that is."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...

    async def wait_incoming(self) -> None:
        """Wait until somebody connects."""
        ...

    def accept_nowait(self) -> Iterator[Any]:
        """The connections that wait now: sockets, or :class:`Connected`."""
        ...


# Host, port and how many may wait; raises `beamclaw.contracts.gateway.CannotListen`.
Listen = Callable[[str, int, int], Awaitable[Listening]]
