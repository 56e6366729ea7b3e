"""Fetch a page: from its URL over every redirect to the bytes of its body.

Each hop is judged from the beginning: its URL, then every address that its name has, once;
the connection goes to just these. What a hop says is no reason to trust the next one.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

import attrs
import trio

from beamclaw.values import frozen
from beamclaw.web.dialing import Dialer
from beamclaw.web.exchange import Exchange, Failed, Response
from beamclaw.web.kinds import Kind, kind_of
from beamclaw.web.targets import Policy, Refused, Target, checked, redirected

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
BAD: Final = 400
"""The first status that says that something is wrong."""
ACCEPT: Final = "text/markdown, text/html;q=0.9, text/plain;q=0.9, */*;q=0.1"


@frozen(kw_only=True)
class Bounds:
    """How much a fetch takes on.

    Attributes:
        seconds: For all of it, redirects included.
        connect_seconds: Until there is a connection.
        redirects: That are followed.
        bytes: Of the body, packed or unpacked; what comes after them is left out.
    """

    seconds: float = 30.0
    connect_seconds: float = 10.0
    redirects: int = 5
    bytes: int = 2 * 1024 * 1024


@frozen(kw_only=True)
class Page:
    """What was found.

    Attributes:
        at: Where, behind all redirects.
        hops: How many there were.
        kind: See :class:`beamclaw.web.kinds.Kind`.
    """

    at: Target
    hops: int
    status: int
    kind: Kind
    body: bytes
    cut: bool


Follows = Callable[[Target], Awaitable[None]]
"""Asked before a redirect is followed; raises `Refused` where it is not."""


@frozen(kw_only=True)
class Way:
    """How pages are fetched.

    Attributes:
        dialer: The way out.
        policy: What may be fetched.
        bounds: How much of it.
        agent: How we call ourselves.
    """

    dialer: Dialer
    policy: Policy = attrs.field(factory=Policy)
    bounds: Bounds = attrs.field(factory=Bounds)
    agent: str = "beamclaw"

    @property
    def headers(self) -> Mapping[str, str]:
        """What is said of ourselves: the same to everybody, and nothing about a person."""
        return {
            "User-Agent": self.agent,
            "Accept": ACCEPT,
            "Accept-Language": "en;q=0.9, *;q=0.5",
            "Accept-Encoding": "gzip",
        }


async def fetch(at: Target, way: Way, follows: Follows) -> Page:
    """The page at *at*; cancelled, its connection is closed at once.

    Args:
        at: Where to begin; it was judged before.
        way: How.
        follows: Asked of each redirect.

    Raises:
        Refused: It may not be fetched.
        Failed: It could not be.
    """
    bounds = way.bounds
    with trio.move_on_after(bounds.seconds):
        for hops in range(bounds.redirects + 1):
            found = await _hop(at, hops, way)
            if isinstance(found, Page):
                return found
            await follows(found)
            at = found
        raise Refused(
            f"it leads on and on: {bounds.redirects} redirects were followed, the last "
            f"one to {at.url} (tools.web.redirects)"
        )
    raise Failed(
        f"it was not there within {bounds.seconds:g} seconds (tools.web.seconds)"
    )


async def _hop(at: Target, hops: int, way: Way) -> Page | Target:
    """What is there, or where it leads."""
    stream = await _connected(at, way)
    try:
        exchange = Exchange(stream, way.bounds.bytes)
        head = await exchange.ask(at, way.headers)
        if head.status in _REDIRECTS and "location" in head.headers:
            return redirected(head.headers["location"], way.policy, at=at)
        kind = _kind(head)
        response = await exchange.body(head)
        return _page(at, hops, kind, response)
    finally:
        await trio.aclose_forcefully(stream)


def _kind(head: Response) -> Kind:
    try:
        return kind_of(head.headers.get("content-type", ""))
    except Refused:
        if head.status >= BAD:
            raise Failed(f"the server answers {head.status}") from None
        raise


def _page(at: Target, hops: int, kind: Kind, response: Response) -> Page:
    return Page(
        at=at,
        hops=hops,
        status=response.status,
        kind=kind.seen_in(response.body),
        body=response.body,
        cut=response.cut,
    )


async def _connected(at: Target, way: Way) -> trio.abc.Stream:
    bounds, dialer = way.bounds, way.dialer
    with trio.move_on_after(bounds.connect_seconds):
        try:
            names = [str(at.address)] if at.address else None
            names = names or await dialer.resolve(at.host, at.port)
        except (OSError, UnicodeError):
            raise Failed(f"there is no address for {at.host}") from None
        # Looked up once: what is judged here is what is connected to.
        addresses = checked(at, names, way.policy)
        tls = at.host if at.scheme == "https" else None
        try:
            return await dialer.connect(addresses, at.port, tls=tls)
        except (OSError, trio.BrokenResourceError) as error:
            raise Failed(f"{at.authority} cannot be reached: {_why(error)}") from None
    raise Failed(
        f"{at.authority} did not answer within {bounds.connect_seconds:g} seconds "
        "(tools.web.connect_seconds)"
    )


def _why(error: BaseException) -> str:
    """The words nearest to the operating system, or to TLS."""
    seen: BaseException | None = error
    words = "no connection"
    while seen is not None:
        verify = getattr(seen, "verify_message", "")
        if verify:
            return f"its certificate does not hold: {verify}"
        words = getattr(seen, "strerror", None) or words
        seen = seen.__cause__
        if isinstance(seen, BaseExceptionGroup):  # one for each address
            seen = cast("BaseExceptionGroup[BaseException]", seen).exceptions[0]
    return words
