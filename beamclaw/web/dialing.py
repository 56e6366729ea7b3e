"""The way out: names are looked up and connections made here, and nowhere else in web.

A test, and the simulation, have another one in its place.
"""

import functools
import socket
import ssl
from collections.abc import Sequence
from typing import Final, Protocol

import trio

from beamclaw.contracts.outside import Outside
from beamclaw.web.addresses import Address

# Of those that a name has; one that answers is enough.
_MOST_TRIED: Final = 4


class Dialer(Protocol):
    """How a fetch reaches the world."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name, best first.

        Raises:
            OSError: It has none.
        """
        ...

    async def connect(
        self, addresses: Sequence[Address], port: int, *, tls: str | None
    ) -> trio.abc.Stream:
        """A connection to the first of *addresses* that answers.

        Args:
            addresses: What was found to be allowed. No name is looked up again.
            port: Where.
            tls: The host whose certificate is asked for and checked; None: no TLS.

        Raises:
            OSError: None of them answers.
            trio.BrokenResourceError: The certificate is not the host's, for example.
        """
        ...


class Internet:
    """The real one.

    Args:
        outside: Where the thread comes from that reads the machine's certificates.
    """

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """See :meth:`Dialer.resolve`."""
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def connect(
        self, addresses: Sequence[Address], port: int, *, tls: str | None
    ) -> trio.abc.Stream:
        """See :meth:`Dialer.connect`."""
        context = None
        if tls is not None:
            context = await self._outside.worker().run(certificates)
        stream = await _first(addresses[:_MOST_TRIED], port)
        return stream if context is None else await secured(stream, context, tls)


async def _first(addresses: Sequence[Address], port: int) -> trio.abc.Stream:
    *others, last = addresses
    for address in others:
        try:
            return await trio.open_tcp_stream(str(address), port)
        except OSError:
            continue
    return await trio.open_tcp_stream(str(last), port)


async def secured(
    stream: trio.abc.Stream, context: ssl.SSLContext, host: str | None
) -> trio.abc.Stream:
    """*stream* with TLS on it, when the other side has proved that it is *host*.

    Raises:
        trio.BrokenResourceError: It has not; the connection is closed.
    """
    made = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await made.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return made


@functools.cache
def certificates() -> ssl.SSLContext:
    """Whom the machine trusts (or ``SSL_CERT_FILE``): read once, for some 0.1 s."""
    import httpx2  # noqa: PLC0415 -- a tenth of a second, in a thread

    return httpx2.create_ssl_context()
