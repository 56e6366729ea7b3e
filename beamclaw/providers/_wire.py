"""One call of a model over HTTP: connection, deadlines, and the stream's events.

What both protocols share. The protocol itself is a :class:`Parser`: it gets complete
server-sent events and gives ours, without I/O. Here is the only use of the HTTP client.
"""

import functools
import logging
import ssl
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Protocol, cast

import httpx2
import orjson
import trio

from beamclaw.contracts.points import point
from beamclaw.contracts.providers import (
    EmbeddingRequest,
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    Rates,
)
from beamclaw.providers._pools import SECONDS, Pools, Transport
from beamclaw.providers.errors import Failures
from beamclaw.providers.rates import rates
from beamclaw.providers.sse import EventSplitter, EventTooLong, ServerSentEvent
from beamclaw.values import frozen

# After the answer is complete in all but its formal end (usage, [DONE]).
_AFTER_COMPLETE = 5.0
# After the end: so long the connection may take to become free for the next call.
_TO_REUSE = 0.1
_OK = 200
_BAD_REQUEST = 400
_MOST_ERROR_BYTES = 64 * 1024
_MOST_BODY_BYTES = 16 * 1024 * 1024


def load(*, tls: bool) -> None:
    """Load what a first call needs: the client imports more when a pool is made.

    With *tls* also the system's certificates. Blocks for a tenth of a second.
    """
    httpx2.AsyncHTTPTransport(verify=_tls() if tls else _no_tls(), trust_env=False)


def traced(request: ModelRequest | EmbeddingRequest) -> Mapping[str, str]:
    """The headers by which *request* says to which trace it belongs."""
    given = {"traceparent": request.traceparent, "tracestate": request.tracestate}
    return {name: value for name, value in given.items() if value}


class Parser(Protocol):
    """Turns the events of one answer into ours; raises :class:`ProviderError`."""

    @property
    def complete(self) -> bool:
        """Whether the whole answer is known, though its formal end is missing."""
        ...

    def feed(self, event: ServerSentEvent) -> Iterable[ProviderEvent]:
        """Take the next event."""
        ...

    def finish(self) -> Iterable[ProviderEvent]:
        """Take the end of the stream, which comes before :class:`End` only if cut."""
        ...

    def whole(self, body: bytes) -> Iterable[ProviderEvent]:
        """Take an answer from a server that does not stream."""
        ...


@frozen(kw_only=True)
class Deadlines:
    """Seconds, as in the provider's configuration."""

    connect: float
    idle: float
    whole: float


class Wire:
    """The connections to one provider; a pool of their own, opened when first used.

    Args:
        url: Where to post.
        headers: To send with each request, the key among them.
        deadlines: See there.
        failures: Makes the errors.
        refuse: Makes the error of every call where the settings cannot work.
    """

    def __init__(
        self,
        *,
        url: str,
        headers: Mapping[str, str],
        deadlines: Deadlines,
        failures: Failures,
        refuse: Callable[[], ProviderError] | None = None,
    ) -> None:
        self._url = url
        self._refuse = refuse
        self._headers = dict(headers)
        self._deadlines = deadlines
        self._failures = failures
        self._timeout = httpx2.Timeout(
            connect=deadlines.connect,
            read=deadlines.idle,
            write=deadlines.idle,
            pool=None,  # there is no limit to wait for: permits are the limit
        ).as_dict()
        self._pools = Pools(self._open_pool)
        # Read once.
        self._address: httpx2.URL | None = None

    def __repr__(self) -> str:
        return f"<Wire to {self._failures.address}>"

    @asynccontextmanager
    async def ask(
        self,
        body: bytes,
        model: str,
        parser: Parser,
        more: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[AsyncIterator[ProviderEvent], None]:
        """Post *body*; the events of the answer as *parser* reads them.

        *more* are headers of this request alone.

        Leaving the block ends the call at once. A stream read to its end leaves the
        connection free for the next call.
        """
        if self._refuse is not None:
            raise self._refuse()
        deadline = trio.current_time() + self._deadlines.whole
        pool = self._pools.take()
        try:
            response = await self._open(pool, body, deadline, more)
            chunks = response.aiter_raw()
            try:
                answer = _Answer(
                    chunks, parser, self._deadlines, deadline, self._failures
                )
                # Each look into the client's own goes through all of them.
                headers = dict(response.headers.items())
                answer.note(rates(headers))
                await self._check(response, headers, answer, model)
                yield answer
                await answer.rest()
            finally:
                await _close(response, chunks)
        finally:
            await self._pools.give_back(pool)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pools.aclose()

    async def _open(
        self,
        pool: Transport,
        body: bytes,
        deadline: float,
        more: Mapping[str, str] | None,
    ) -> httpx2.Response:
        headers = {**self._headers, **more} if more else self._headers
        failure: ProviderError | None = None
        with trio.move_on_at(deadline):
            try:
                if self._address is None:
                    self._address = httpx2.URL(self._url)
                request = httpx2.Request(
                    "POST",
                    self._address,
                    headers=headers,
                    content=body,
                    extensions={"timeout": self._timeout},
                )
                with point("provider.request"):
                    response = await pool.handle_async_request(request)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                failure = self._why_not(error)
            else:
                return response
        # Outside of the except block: the client's exceptions hold the request with
        # its headers, and ours must not lead to them.
        raise failure or self._failures.too_long(self._deadlines.whole)

    def _open_pool(self) -> Transport:
        _hush()
        # Not a client around it: cookies, redirects and authentication of its own are
        # what no provider wants, and cost a fifth of a short call.
        return Transport(
            limits=httpx2.Limits(
                max_connections=None,
                max_keepalive_connections=1,
                keepalive_expiry=SECONDS,
            ),
            verify=_tls() if self._url.startswith("https:") else _no_tls(),
            trust_env=False,
            http1=True,
            http2=False,
        )

    def _why_not(self, error: Exception) -> ProviderError:
        match error:
            case httpx2.ConnectTimeout():
                seconds = f"no connection within {self._deadlines.connect:g} s"
                return self._failures.unreachable(seconds)
            case httpx2.TimeoutException():
                return self._failures.silent(self._deadlines.idle)
            case httpx2.InvalidURL() | httpx2.UnsupportedProtocol():
                return self._failures.unusable_url()
            case httpx2.LocalProtocolError():
                return self._failures.unusable_key()
            case _:
                failure = self._failures.unreachable(_reason(error))
                failure.unclear = not isinstance(error, httpx2.ConnectError)
                return failure

    async def _check(
        self,
        response: httpx2.Response,
        headers: Mapping[str, str],
        answer: "_Answer",
        model: str,
    ) -> None:
        status = response.status_code
        kind = headers.get("content-type", "").partition(";")[0].strip()
        if headers.get("content-encoding", "identity") != "identity":
            raise self._failures.garbled("a compressed stream that nobody asked for")
        if status == _OK:
            if kind == "application/json":
                answer.take_whole(await answer.all(_MOST_BODY_BYTES))
            elif kind == "text/html":
                raise self._failures.not_a_stream(status, kind)
            return
        if response.has_redirect_location:
            raise self._failures.moved(status, headers["location"])
        body = b""
        with suppress(ProviderError):  # without it, the status says enough
            body = await answer.all(_MOST_ERROR_BYTES)
        if status < _BAD_REQUEST:
            raise self._failures.not_a_stream(status, kind)
        raise self._failures.response(status, headers, body, model)


class _Answer:
    """The iterator over one answer's events."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        parser: Parser,
        deadlines: Deadlines,
        deadline: float,
        failures: Failures,
    ) -> None:
        self._chunks = chunks
        self._parser = parser
        self._deadlines = deadlines
        self._deadline = deadline
        self._failures = failures
        self._splitter = EventSplitter()
        self._ready: deque[ProviderEvent] = deque()
        self._failure: ProviderError | None = None
        self._ended = False

    def __aiter__(self) -> "_Answer":
        return self

    async def __anext__(self) -> ProviderEvent:
        while not self._ready:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                raise StopAsyncIteration
            await self._more()
        event = self._ready.popleft()
        if type(event) is End:
            self._ended = True
            self._ready.clear()
            self._failure = None
        return event

    async def _more(self) -> None:
        try:
            chunk = await self._read()
        except ProviderError:
            if not self._parser.complete:
                raise
            chunk = b""  # all is there but the formal end, and that will not come
        # What came before a failure is given before the failure is raised.
        try:
            if chunk:
                self._take(self._splitter.feed(chunk))
            else:
                # An event that was cut is no garbled event, it is a cut.
                self._take(e for e in self._splitter.finish() if _is_whole(e.data))
                if not any(type(event) is End for event in self._ready):
                    self._ready.extend(self._parser.finish())
        except ProviderError as failure:
            self._failure = failure
        except EventTooLong as error:
            self._failure = self._failures.garbled(str(error))

    def _take(self, events: Iterable[ServerSentEvent]) -> None:
        for event in events:
            self._ready.extend(self._parser.feed(event))

    async def _read(self) -> bytes:
        """The next bytes; none: the end.

        The HTTP client's own time-out watches the time between bytes; a second scope
        is opened only when the end of the whole call is nearer.
        """
        now = trio.current_time()
        limit = self._deadline
        if self._parser.complete:
            limit = min(limit, now + _AFTER_COMPLETE)
        if limit - now > self._deadlines.idle:
            return await self._receive()
        with trio.move_on_at(limit):
            return await self._receive()
        raise self._failures.too_long(self._deadlines.whole)

    async def _receive(self) -> bytes:
        try:
            return await anext(self._chunks, b"")
        except httpx2.TimeoutException:
            failure = self._failures.silent(self._deadlines.idle)
        except httpx2.HTTPError as error:
            failure = self._failures.cut(_reason(error))
        except httpx2.StreamError:
            return b""  # read to its end before
        raise failure

    def note(self, rates: Rates | None) -> None:
        """What the head of the response said, before all else."""
        if rates is not None:
            self._ready.append(rates)

    async def all(self, most: int) -> bytes:
        """The body as a whole, if it is no stream."""
        body = bytearray()
        while chunk := await self._read():
            body += chunk
            if len(body) > most:
                break
        return bytes(body[:most])

    def take_whole(self, body: bytes) -> None:
        """See :meth:`Parser.whole`."""
        self._ready.extend(self._parser.whole(body))

    async def rest(self) -> None:
        """After the end: read what closes the response, so the connection is free."""
        if not self._ended:
            return
        with trio.move_on_after(_TO_REUSE):
            try:
                while await anext(self._chunks, b""):
                    pass
            except (httpx2.HTTPError, httpx2.StreamError):
                pass


async def _close(response: httpx2.Response, chunks: AsyncGenerator[bytes]) -> None:
    """End the call; if its end has not been read, by closing the connection.

    Closing *chunks* would leave generators behind inside the HTTP client, for the
    garbage collector to complain of. Reading from the closed connection ends them all.
    """
    try:
        await response.aclose()
        async for _ in chunks:
            pass
    except (httpx2.HTTPError, httpx2.StreamError):
        pass


def _is_whole(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return data == b"[DONE]"
    return True


def _reason(error: BaseException) -> str:
    """The words nearest to the operating system: those deepest in the chain."""
    words = ""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, BaseExceptionGroup):  # one for each address of a host
            group = cast("BaseExceptionGroup[BaseException]", seen)
            return _reason(group.exceptions[0])
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        words = str(seen) or words
        seen = seen.__cause__ or seen.__context__
    return words or "connection lost"


@functools.cache
def _hush() -> None:
    """Keep the HTTP client's own log lines out: they hold addresses and headers.

    Once: it makes all loggers forget what they log.
    """
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)


@functools.cache
def _no_tls() -> ssl.SSLContext:
    """Never used; the HTTP client would make one for each connection, in 0.15 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _tls() -> ssl.SSLContext:
    """The machine's certificates (or ``SSL_CERT_FILE``'s): read once, for some 0.1 s."""
    return httpx2.create_ssl_context()
