"""HTTP/1.1 by hand: the cheap client of load tests, and of tests about single bytes.

It looks at as little as it can, so that what is measured is the other side. Sockets are
the standard library's, non-blocking; Trio only waits for them.
"""

import socket
from collections import deque
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import attrs
import orjson
import trio

LINE = b"\r\n"
END = b"\r\n\r\n"
DONE = b"[DONE]"


class Closed(Exception):
    """The other side closed the connection, in the middle of something."""


@attrs.frozen
class Head:
    """Status and headers (lower case) of a response."""

    status: int
    headers: Mapping[str, str]


@attrs.frozen
class Response:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


class Stream:
    """Bytes in both directions over a non-blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.buffer = bytearray()

    async def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self.socket)
            except OSError as error:
                raise Closed(str(error)) from None

    async def fill(self) -> None:
        """Wait for more bytes in ``buffer``."""
        while True:
            try:
                data = self.socket.recv(65_536)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self.socket)
                continue
            except OSError as error:
                raise Closed(str(error)) from None
            if not data:
                raise Closed("end of file")
            self.buffer += data
            return

    async def until(self, mark: bytes) -> bytes:
        """The bytes before *mark*, which is taken out too."""
        start = 0
        while (at := self.buffer.find(mark, start)) < 0:
            start = max(0, len(self.buffer) - len(mark))
            await self.fill()
        taken = bytes(self.buffer[:at])
        del self.buffer[: at + len(mark)]
        return taken

    async def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            await self.fill()
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Connection(Stream):
    """A client's connection, kept alive from request to request."""

    host = "127.0.0.1"
    _length = 0
    _chunked = False

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to the address in *url*, without a look at names."""
        parts = urlsplit(url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self = cls(sock)
        self.host = parts.netloc
        try:
            sock.connect((host, port))
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self.close()
            raise ConnectionRefusedError(error, f"no connection to {url}")
        return self

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Head:
        """Send a request and read the head of its answer."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join(lines).encode() + END + body)
        return await self.head()

    async def head(self) -> Head:
        first, *rest = (await self.until(END)).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in rest)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        self._chunked = "chunked" in headers.get("transfer-encoding", "")
        self._length = int(headers.get("content-length", "0"))
        return Head(int(first.split(" ", 2)[1]), headers)

    async def piece(self) -> bytes:
        """The next bytes of the body, as they come; ``b""`` at its end."""
        if not self._chunked:
            if self._length == 0:
                return b""
            if not self.buffer:
                await self.fill()
            taken = bytes(self.buffer[: self._length])
            del self.buffer[: len(taken)]
            self._length -= len(taken)
            return taken
        size = int((await self.until(LINE)).partition(b";")[0], 16)
        data = await self.exactly(size)
        await self.exactly(len(LINE))
        return data

    async def body(self) -> bytes:
        pieces: list[bytes] = []
        while data := await self.piece():
            pieces.append(data)
        return b"".join(pieces)

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Response:
        """A request and its whole answer."""
        head = await self.ask(method, path, headers, body)
        return Response(head.status, head.headers, await self.body())

    def events(self) -> "Events":
        """The data of each server-sent event in the body, without comments."""
        return Events(self)


class Events:
    """Server-sent events of a response; no generator, so it may be left at any point."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rest = b""
        self._ready: deque[bytes] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._ready:
            data = await self._connection.piece()
            if not data:
                raise StopAsyncIteration
            *whole, self._rest = (self._rest + data).split(b"\n\n")
            self._ready.extend(
                line[5:].strip()
                for event in whole
                for line in event.split(b"\n")
                if line.startswith(b"data:")
            )
        return self._ready.popleft()


def spoken(body: bytes) -> str:
    """The text of a whole streamed chat completion."""
    lines = [line[6:] for line in body.splitlines() if line.startswith(b"data: ")]
    assert lines[-1] == DONE, body
    chunks = map(orjson.loads, lines[:-1])
    choices = [choice for chunk in chunks for choice in chunk.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def once(
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Response:
    """One request on a connection of its own."""
    parts = urlsplit(url)
    with await Connection.open(url) as connection:
        return await connection.request(
            method, parts.path or "/", {"Connection": "close", **(headers or {})}, body
        )
