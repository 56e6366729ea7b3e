"""A model provider that keeps to no rule, on a real socket.

The strict fakes say what a provider may do; this one does what none should: it stops in
the middle of a byte, never ends, or sends what cannot be. What it does with a request is
a *trick*; it does one per request, in order, then always the last one::

    async with rogue(refuse(529), send(head() + answer)) as provider:
        ...provider.port...
    assert provider.requests == 2
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Literal

import attrs
import trio

from beamclaw.testing._http import Channel, Cut, HTTPRequest, serving

# What is done with a request (its body) on its connection.
Trick = Callable[[Channel, bytes], Awaitable[None]]
Then = Literal["end", "cut", "stall"]

_MEGABYTE = 1024 * 1024


@attrs.define(eq=False)
class Rogue:
    """See the module.

    Attributes:
        tricks: What is done with the next requests; the last one stays.
        port: Where it listens.
        bodies: What it was asked, in order.
        keys: By which key, the same order.
    """

    tricks: list[Trick]
    port: int = 0
    bodies: list[bytes] = attrs.field(factory=list[bytes], init=False)

    keys: list[str] = attrs.field(factory=list[str], init=False)

    @property
    def requests(self) -> int:
        """How often it was asked."""
        return len(self.bodies)

    def play(self, *tricks: Trick) -> None:
        """Forget what was to come: do these."""
        self.tricks = list(tricks)
        self.bodies.clear()
        self.keys.clear()

    async def handle(self, request: HTTPRequest, channel: Channel) -> None:
        """Do the next trick."""
        self.bodies.append(request.body)
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.keys.append(request.headers.get("x-api-key", bearer))
        trick = self.tricks.pop(0) if len(self.tricks) > 1 else self.tricks[0]
        await trick(channel, request.body)


def head(
    content_type: str = "text/event-stream",
    headers: Mapping[str, str] | None = None,
    status: str = "200 OK",
) -> bytes:
    """The head of a response that lasts until the connection is closed."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {content_type}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunked(*pieces: bytes) -> bytes:
    """A whole response in chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    start = head().replace(b"connection: close", b"transfer-encoding: chunked")
    return start + body + b"0\r\n\r\n"


def refuse(
    status: int, body: bytes = b"{}", headers: Mapping[str, str] | None = None
) -> Trick:
    """Answer with this status."""

    async def trick(channel: Channel, _: bytes) -> None:
        await channel.respond(status, body, headers=headers)

    return trick


def send(data: bytes, *, then: Then = "cut", split: int | None = None) -> Trick:
    """Send *data*, in pieces of *split* bytes, and stop.

    *then*: ``cut``, the connection is closed; ``stall``, nothing more comes; ``end``:
    the next request may come.
    """

    async def trick(channel: Channel, _: bytes) -> None:
        step = split or max(1, len(data))
        for start in range(0, len(data), step):
            await channel.raw(data[start : start + step])
            if split is not None:  # so that each piece is read for itself
                await trio.lowlevel.checkpoint()
        if then == "stall":
            await channel.sleep(float("inf"))
        if then == "cut":
            raise Cut

    return trick


def flood(start: bytes, piece: bytes, *, gap: float = 0.0) -> Trick:
    """Send *start*, then *piece* again and again, until the client leaves."""
    many = piece if gap else piece * max(1, _MEGABYTE // 16 // len(piece))

    async def trick(channel: Channel, _: bytes) -> None:
        await channel.raw(start)
        while True:
            await channel.raw(many)
            if gap:
                await channel.sleep(gap)

    return trick


@asynccontextmanager
async def rogue(*tricks: Trick) -> AsyncGenerator[Rogue, None]:
    """Serve while the block lasts."""
    provider = Rogue(list(tricks))
    async with serving(provider.handle) as provider.port:
        yield provider


__all__ = [
    "Channel",
    "Rogue",
    "Then",
    "Trick",
    "chunked",
    "flood",
    "head",
    "refuse",
    "rogue",
    "send",
]
