"""A small HTTP/1.1 server for fakes: fast, and able to break every rule on purpose.

Requests are read by h11; responses are written by hand, because a fake has to be able
to stop in the middle of anything.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import h11
import trio

from beamclaw.values import frozen

_MOST_BYTES = 64 * 1024
_REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found"}


class ClientLeft(Exception):  # noqa: N818 - a situation
    """The client has closed the connection."""


class Cut(Exception):  # noqa: N818 - a situation
    """The handler wants the connection closed as it is, now."""


@frozen
class HTTPRequest:
    """One request, read completely."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Channel:
    """Where a handler writes its response."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        # What came while nobody read: the beginning of the next request.
        self.early = b""

    async def respond(
        self,
        status: int,
        body: bytes,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """A whole response."""
        head = _head(status, content_type, headers or {})
        await self._send(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))

    async def begin(
        self, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """The head of a response in chunks."""
        head = _head(200, content_type, headers or {})
        await self._send(head + b"transfer-encoding: chunked\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        """One chunk."""
        await self._send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        """The last chunk."""
        await self._send(b"0\r\n\r\n")

    async def whole(
        self, content_type: str, data: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Head, one chunk and end in one write: what a fast server looks like."""
        head = _head(200, content_type, headers or {})
        frame = b"%btransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        await self._send(frame % (head, len(data), data))

    async def raw(self, data: bytes) -> None:
        """Bytes as they are: whoever breaks rules begins here."""
        await self._send(data)

    async def sleep(self, seconds: float) -> None:
        """Wait, and notice at once if the client leaves meanwhile."""
        if self.early:
            await trio.sleep(seconds)
            return
        with trio.move_on_after(seconds):
            try:
                self.early = bytes(await self._stream.receive_some(_MOST_BYTES))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise ClientLeft from None
            if not self.early:
                raise ClientLeft
            await trio.sleep_forever()

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ClientLeft from None


Handler = Callable[[HTTPRequest, Channel], Awaitable[None]]


@asynccontextmanager
async def serving(
    handler: Handler, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[int, None]:
    """Serve *handler* on a port, which is given; leaving the block ends everything."""
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=2048)
    # A fake stands outside of the node and has no tree.
    async with trio.open_nursery() as nursery:  # noqa: TID251
        nursery.start_soon(trio.serve_listeners, partial(_serve, handler), listeners)
        socket = listeners[0].socket
        yield socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def _serve(handler: Handler, stream: trio.SocketStream) -> None:
    channel = Channel(stream)
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)
    async with stream:
        try:
            while True:
                request = await _read(connection, channel, stream)
                if request is None:
                    return
                await handler(request, channel)
                if request.headers.get("connection", "").lower() == "close":
                    return
                # The response did not go through h11: a fresh state for the next one.
                trailing, _ = connection.trailing_data
                connection = h11.Connection(
                    h11.SERVER, max_incomplete_event_size=64 * 1024
                )
                channel.early = bytes(trailing) + channel.early
        except (Cut, ClientLeft, trio.BrokenResourceError, h11.RemoteProtocolError):
            return


async def _read(
    connection: h11.Connection, channel: Channel, stream: trio.SocketStream
) -> HTTPRequest | None:
    head: h11.Request | None = None
    body: list[bytes] = []
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            early, channel.early = channel.early, b""
            data = early or await stream.receive_some(_MOST_BYTES)
            if not data and head is None:
                return None
            connection.receive_data(data)
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return HTTPRequest(
                head.method.decode(),
                head.target.decode(),
                {
                    name.decode(): value.decode("latin-1")
                    for name, value in head.headers
                },
                b"".join(body),
            )
        else:
            return None


def _head(status: int, content_type: str, headers: Mapping[str, str]) -> bytes:
    lines = [
        b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b"Status")),
        b"content-type: " + content_type.encode(),
        *(f"{name}: {value}".encode("latin-1") for name, value in headers.items()),
    ]
    return b"\r\n".join(lines) + b"\r\n"
