"""The internet of a world: sites that agents fetch pages from, and what is behind the node.

A path says what its site does and ends with which call asks for it. Names lead where
whoever owns them likes, also to addresses that only mean something on the node's own
network; somebody listens there, too, and writes down who comes.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import attrs

from beamclaw.testing._http import Channel, Cut, HTTPRequest, serving
from tests.audit.known import Served
from tests.simulation.server import sent_at
from tests.simulation.trace import Trace

_PAGE, _OTHER = "93.184.216.34", "93.184.216.35"
_INSIDE = "10.0.0.77"
ADDRESSES = (_PAGE, _OTHER, _INSIDE, "127.0.0.1", "169.254.169.254")
# What a name server says when it is asked first, second and so on, and then again.
SITES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "page.example": ((_PAGE,),),
    "other.example": ((_OTHER,),),
    "two.example": ((_PAGE, _OTHER),),
    "inside.example": ((_INSIDE,),),
    "both.example": ((_PAGE, _INSIDE),),
    # Harmless for who looks, and not for who looks again.
    "turns.example": ((_PAGE,), (_INSIDE,)),
}
# Bytes of a page that an agent takes; a long one has more.
MOST = 4_000
_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


@attrs.define(eq=False)
class Sites:
    """All of them.

    Attributes:
        served: The requests that came, and what was answered.
    """

    trace: Trace
    served: list[Served] = attrs.field(factory=list[Served])

    async def handle(
        self, address: str, request: HTTPRequest, channel: Channel
    ) -> None:
        """Answer one request, at *address*."""
        url = f"http://{request.headers['host']}{request.path}"
        _, kind, *rest = request.path.split("/")
        place = rest[-1]
        served = Served(
            place=place,
            url=url,
            address=address,
            at=sent_at(channel),
            status={"no": 404, "fails": 500, "to": 302, "round": 302}.get(kind, 200),
            words=_words(kind, place, len(self.served) + 1),
        )
        self.served.append(served)
        self.trace.note("site", f"{url} at {address}")
        match kind:
            case "to":
                await _lead(channel, f"http://{rest[0]}/{'/'.join(rest[1:])}")
            case "round":
                await _lead(channel, f"/round/{int(rest[0]) + 1}/{place}")
            case _:
                await _answer(channel, kind, served)


async def _lead(channel: Channel, to: str) -> None:
    await channel.respond(302, b"", content_type=_TEXT, headers={"location": to})


async def _answer(channel: Channel, kind: str, served: Served) -> None:
    said = served.words.encode()
    match kind:
        case "page":
            html = f"<html><body><p>{served.words}</p></body></html>".encode()
            await channel.respond(200, html, content_type=_HTML)
        case "stall":
            await channel.sleep(1_000.0)
        case "drip":
            await channel.begin(_TEXT)
            await channel.chunk(said[:20])
            await channel.sleep(1_000.0)
        case "cut":
            await channel.begin(_TEXT)
            await channel.chunk(said[:20])
            raise Cut
        case "odd":
            await channel.respond(200, said, content_type="image/png")
        case _:
            await channel.respond(served.status, said, content_type=_TEXT)


def _words(kind: str, place: str, number: int) -> str:
    """What stands there, and nowhere else: no two answers are the same."""
    said = f"This is what is said of {place}, and it is answer {number}."
    return "\n".join(
        [said, *(f"Line {n}." for n in range(MOST // 5) if kind == "long")]
    )


@asynccontextmanager
async def serving_sites(sites: Sites) -> AsyncGenerator[None]:
    """Have somebody listen at each address while the block lasts."""
    async with AsyncExitStack() as stack:
        for address in ADDRESSES:
            handle = partial(sites.handle, address)
            await stack.enter_async_context(serving(handle, host=address, port=80))
        yield
