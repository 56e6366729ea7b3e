"""A server of pages for agents: redirects, pages that come slowly, none at all.

``/page/x`` is a page, ``/far/x`` leads to it, ``/slow/x`` is one in pieces; everything
else is not there.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs

from beamclaw.testing._http import Channel, HTTPRequest, serving

HTML = "text/html; charset=utf-8"


@attrs.define(eq=False)
class Pages:
    """What is served, and was.

    Attributes:
        gap: Seconds between the pieces of a slow page.
        served: The pages that have left as a whole, by their last part.
        asked: How often each path was asked for.
    """

    gap: float = 0.05
    served: set[str] = attrs.field(factory=set[str])
    asked: list[str] = attrs.field(factory=list[str])

    async def handle(self, request: HTTPRequest, channel: Channel) -> None:
        """Answer one request."""
        self.asked.append(request.path)
        _, kind, name = (*request.path.split("/", 2), "", "")[:3]
        whole = page(name).encode()
        match kind:
            case "far":
                headers = {"location": f"/page/{name}"}
                await channel.respond(302, b"", content_type=HTML, headers=headers)
            case "page":
                self.served.add(name)
                await channel.respond(200, whole, content_type=HTML)
            case "slow":
                await channel.begin(HTML)
                for place in range(0, len(whole), 40):
                    await channel.chunk(whole[place : place + 40])
                    await channel.sleep(self.gap)
                self.served.add(name)
                await channel.end()
            case _:
                await channel.respond(404, b"there is none", content_type="text/plain")


def page(name: str) -> str:
    """The page of this name."""
    return (
        f"<html><head><title>Of {name}</title></head><body><p>{words(name)}</p>"
        f"{'<p>More of it.</p>' * 5}</body></html>"
    )


def words(name: str) -> str:
    """What stands in it and in no other."""
    return f"This is what is said of {name}, and nowhere else."


@asynccontextmanager
async def serving_pages(pages: Pages) -> AsyncGenerator[int]:
    """Serve them while the block lasts, on the port that is given."""
    async with serving(pages.handle) as port:
        yield port
