"""One request, and as much of its response as is wanted.

Straight on h11: one request needs no pool, and what is not there cannot send cookies, go
through a proxy, follow a redirect or unpack a gigabyte by itself.
"""

import zlib
from collections.abc import Mapping
from typing import Final

import attrs
import h11
import trio

from beamclaw.contracts.points import point
from beamclaw.values import frozen
from beamclaw.web.targets import Target

_PIECE: Final = 32 * 1024
# Lines of the response's head; more of it is refused.
_MOST_HEAD: Final = 64 * 1024
# How often a server may say that it is not ready yet.
_MOST_INTERIM: Final = 20
# Pieces of a body after which others get their turn: they may be a byte long each.
_TURN: Final = 64
# Bytes that a response may have beside its body: its head, and the sizes of its pieces.
_MOST_AROUND: Final = 512 * 1024


class Failed(Exception):  # noqa: N818 -- a situation
    """Raised where the server or the network has failed, in words for the model."""


@frozen(kw_only=True)
class Response:
    """What a server has said.

    Attributes:
        headers: By their names in lower case; of several with one name, the first.
        body: Unpacked; as much of it as was wanted.
        cut: There was more.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    cut: bool = False


class Exchange:
    """One request on a connection of its own, which is closed afterwards.

    Args:
        stream: The connection.
        most: Bytes of the body that are taken, packed or unpacked.
    """

    def __init__(self, stream: trio.abc.Stream, most: int) -> None:
        self._stream = stream
        self._most = most
        self._received = 0
        self._http = h11.Connection(
            our_role=h11.CLIENT, max_incomplete_event_size=_MOST_HEAD
        )

    async def ask(self, at: Target, headers: Mapping[str, str]) -> Response:
        """Send the request; the head of the response.

        Raises:
            Failed: There is none.
        """
        request = h11.Request(
            method="GET",
            target=at.path,
            headers=[("Host", at.authority), *headers.items(), ("Connection", "close")],
        )
        data = self._http.send(request) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        try:
            with point("web.request"):
                await self._stream.send_all(data)
        except trio.BrokenResourceError:
            raise Failed("the connection broke before there was an answer") from None
        for _ in range(_MOST_INTERIM):
            event = await self._next()
            if isinstance(event, h11.Response):
                break
            if not isinstance(event, h11.InformationalResponse):
                raise Failed("the server closed the connection without an answer")
        else:
            raise Failed("the server says all the time that it is not ready yet")
        found: dict[str, str] = {}
        for name, value in event.headers:
            found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        return Response(status=event.status_code, headers=found)

    async def body(self, head: Response) -> Response:
        """*head* with the body.

        Raises:
            Failed: It cannot be read.
        """
        unpack = _Unpacker(head.headers.get("content-encoding", ""), self._most)
        whole = False
        try:
            whole = await self._into(unpack)
        except Failed:
            if not unpack.found:
                raise
        body = bytes(unpack.found[: self._most])
        return attrs.evolve(head, body=body, cut=not whole)

    async def _into(self, unpack: "_Unpacker") -> bool:
        """Read on until there is no more, or enough; whether there is no more."""
        pieces = 0
        while not unpack.full and self._received <= self._most + _MOST_AROUND:
            event = await self._next()
            if not isinstance(event, h11.Data):
                return isinstance(event, h11.EndOfMessage)
            unpack.feed(bytes(event.data))
            pieces += 1
            if pieces % _TURN == 0:
                await trio.lowlevel.checkpoint()
        return False

    async def _next(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                data = await self._stream.receive_some(_PIECE)
                self._received += len(data)
                self._http.receive_data(bytes(data))
        except trio.BrokenResourceError:
            raise Failed("the connection broke in the middle of the answer") from None
        except h11.RemoteProtocolError as error:
            raise Failed(
                f"the server does not speak HTTP as it should: {error}"
            ) from None
        return event


class _Unpacker:
    """Undoes what a body was packed with, a little more than *most* bytes of it.

    Raises:
        Failed: It is packed in a way that nobody asked for, or not as it says.
    """

    def __init__(self, coding: str, most: int) -> None:
        self._most = most
        self.found = bytearray()
        match coding.strip().lower():
            case "" | "identity":
                self._zlib = None
            case "gzip" | "x-gzip":
                self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)
            case "deflate":
                self._zlib = zlib.decompressobj()
            case _:
                raise Failed(f"it is packed as {coding[:40]!r}, which nobody asked for")

    @property
    def full(self) -> bool:
        """Whether there is more than is wanted."""
        return len(self.found) > self._most

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._zlib is None:
            self.found += data
            return
        room = self._most + 1 - len(self.found)
        try:
            self.found += self._zlib.decompress(data, room)
        except zlib.error:
            raise Failed("the page is not packed as the server says") from None
