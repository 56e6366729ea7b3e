"""The gateway's sockets: the one place in it that touches the operating system's.

Listening, accepting and sending without waiting, and the limit on open files.
"""

import errno
import resource
import selectors
import socket
from collections.abc import Iterator
from typing import Final, cast

import trio

from beamclaw.contracts.gateway import Address, CannotListen
from beamclaw.contracts.listening import Connected

# A reader that stalls holds this much of the system's memory and no more (Linux doubles
# it); without a limit it may be several megabytes for each.
SEND_BUFFER: Final = 128 * 1024
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class OutOfFilesError(OSError):
    """No connection can be accepted before another one is closed."""


class Listening:
    """Bound sockets, one per address of the host.

    They are closed by :meth:`close`, or with the last reference: whoever holds them may
    be killed.
    """

    def __init__(self, address: Address, sockets: list[socket.socket]) -> None:
        self.address = address
        self._sockets = sockets
        self._selector = selectors.DefaultSelector()
        for each in sockets:
            self._selector.register(each, selectors.EVENT_READ)

    def close(self) -> None:
        """Stop listening."""
        self._selector.close()
        for each in self._sockets:
            each.close()

    __del__ = close

    async def wait_incoming(self) -> None:
        """Wait until somebody connects."""
        await trio.lowlevel.wait_readable(self._selector.fileno())

    def accept_nowait(self) -> Iterator[socket.socket]:
        """The connections that wait now, one per socket and call.

        Raises:
            OutOfFilesError: The process may not open more files.
        """
        for key, _ in self._selector.select(0):
            listening = cast("socket.socket", key.fileobj)
            try:
                accepted, _ = listening.accept()
            except OSError as error:
                if error.errno in _FULL:
                    raise OutOfFilesError(*error.args) from None
                continue  # it left before it was accepted
            accepted.settimeout(0)
            yield accepted


async def listen(host: str, port: int, backlog: int) -> Listening:
    """Bind every address of *host*.

    Raises:
        CannotListen: The address is in use or not of this machine.
    """
    bound: list[socket.socket] = []
    try:
        for family, address in await _addresses(host, port):
            chosen = bound[0].getsockname()[1] if bound else port
            bound.append(_bind(family, (address, chosen, *_scope(family)), backlog))
    except OSError as error:
        for each in bound:
            each.close()
        raise CannotListen(_in_words(host, port, error)) from None
    return Listening(Address(host, bound[0].getsockname()[1]), bound)


def _scope(family: int) -> tuple[int, ...]:
    return (0, 0) if family == socket.AF_INET6 else ()


async def _addresses(host: str, port: int) -> list[tuple[int, str]]:
    found = await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(
        dict.fromkeys((int(family), str(at[0])) for family, _, _, _, at in found)
    )


def _bind(family: int, at: tuple[object, ...], backlog: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(at)
        made.listen(backlog)
    except BaseException:
        made.close()
        raise
    return made


def _in_words(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use by another program; stop that one, or "
            "choose another port with --port or gateway.port"
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs rights that this user has not; choose one above 1023"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{host} is no address of this machine; change --host or gateway.host"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"


def stream(connected: socket.socket | Connected) -> trio.SocketStream:
    """*connected* as a Trio stream. The socket may still be used to send at once."""
    if not isinstance(connected, socket.socket):
        return connected.stream()
    return trio.SocketStream(trio.socket.from_stdlib_socket(connected))


def readable(stream: trio.SocketStream) -> bool:
    """Whether a read would not have to wait: something is there, or its end."""
    return stream.socket.is_readable()


def send_nowait(connected: socket.socket | Connected, data: bytes) -> int:
    """Send what the system takes without waiting; the number of bytes.

    Raises:
        OSError: The connection is broken.
    """
    try:
        return connected.send(data)
    except (BlockingIOError, InterruptedError):
        return 0


def drop_unsent(connected: socket.socket | Connected) -> None:
    """Let the next close throw away what the reader has not taken."""
    connected.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
    )


def end_sending(connected: socket.socket | Connected) -> None:
    """Tell the other side that nothing follows; reading goes on."""
    connected.shutdown(socket.SHUT_WR)


def peer(connected: socket.socket | Connected) -> tuple[str, int]:
    """Who is at the other side.

    Raises:
        OSError: Nobody is.
    """
    return connected.getpeername()[:2]


def local(connected: socket.socket | Connected) -> tuple[str, int]:
    """The address of ours that was connected to."""
    return connected.getsockname()[:2]


def raise_file_limit(most: int = 1 << 20) -> int:
    """Raise the limit on open files as far as it goes; the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return most if soft == resource.RLIM_INFINITY else soft
