"""Hypercorn's HTTP/1 with a checked head, no upgrades, and refusals of our own.

It turns bytes into requests and answers into bytes, and says to its connection what to
wait for. One of the three modules that override parts of Hypercorn which are not a
public interface, see :data:`beamclaw.gateway.connection.PROVEN`.
"""

import typing
from typing import Any, Final, cast

import attrs
import h11
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Event, RawData
from hypercorn.protocol.events import Body, EndBody, Request, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from beamclaw.config.schema import GatewayConfig
from beamclaw.gateway import head
from beamclaw.gateway.admission import Asked
from beamclaw.gateway.exchange import SECURITY_HEADERS
from beamclaw.gateway.floor import Floor, Guest
from beamclaw.gateway.problem import Problem
from beamclaw.gateway.socket import upgrade
from beamclaw.gateway.stream import Requests, Stream

# Bytes of further requests that are kept while an answer is in progress; a client that
# sends more of them is dropped.
MAX_EARLY: Final = 64 * 1024


class Link(Guest, typing.Protocol):
    """A connection, as its protocol knows it.

    Attributes:
        over: No more requests are read.
        client: The address at the other side.
        server: The address of ours.
    """

    app: Any
    config: HypercornConfig
    context: WorkerContext
    gateway: GatewayConfig
    floor: Floor
    over: bool
    client: tuple[str, int] | None
    server: tuple[str, int] | None

    async def protocol_send(self, event: Event) -> None:
        """Bytes for the client, or the end."""
        ...

    def expect_request(self) -> None:
        """An answer is complete: wait for a further request."""
        ...

    def expect_head(self) -> None:
        """A request has begun: wait for the rest of its head."""
        ...

    def expect_body(self) -> None:
        """A head is complete: wait for the body."""
        ...

    def expect_nothing(self) -> None:
        """A request is complete: only an end may come."""
        ...

    def replay(self, data: bytes) -> None:
        """Have *data*, which came early, read next."""
        ...

    def stop(self, *, linger: bool = False) -> None:
        """Read no more requests; close when the answer in progress is over."""
        ...

    def refuse_socket(self, asked: Asked) -> Problem | None:
        """Why the connection does not become a WebSocket; None: it may."""
        ...

    def become_socket(self, asked: Asked, early: bytes) -> None:
        """It is a WebSocket from here on; *early* has come behind the request."""
        ...


class Protocol(H11Protocol):
    """Hypercorn's HTTP/1 with a checked head, and no upgrade that Hypercorn makes.

    A WebSocket begins here and leaves this code at once (:meth:`Link.become_socket`).
    Any other ``Upgrade`` header is ignored, as the standard allows, and the request is
    answered as what it is.
    """

    # Narrower than in Hypercorn: neither WebSocket nor HTTP/2 ever takes over.
    stream: Stream | None
    connection: h11.Connection

    def __init__(self, link: Link, group: Requests) -> None:
        super().__init__(
            link.app,
            link.config,
            link.context,
            group,
            ConnectionState({}),
            ssl=False,
            client=link.client,
            server=link.server,
            send=link.protocol_send,
        )
        group.invite = self.invite_body
        self.link = link
        self._head = bytearray()
        # What came after a complete request, until that one is answered. Whether some
        # of it is in the parser's own buffer as well.
        self._early = bytearray()
        self._renew = False
        self._held: bytes = b""

    # --- what arrives

    async def handle(self, event: Event) -> None:
        """Bytes, or the end of the connection."""
        if not isinstance(event, RawData):
            self.leave()
            return
        data = event.data
        if self.connection.their_state is h11.IDLE:
            data = await self._complete_head(data)
        elif self.connection.their_state is not h11.SEND_BODY:
            self._keep_early(data)
            return
        if data:
            self.connection.receive_data(data)
            await self._handle_events()

    def leave(self) -> None:
        """The client is gone, or treated as if."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.close()

    async def _complete_head(self, data: bytes) -> bytes:
        """All that came so far, once it is a whole head that passes; else nothing."""
        seen = len(self._head) - 3
        self._head += data if self._head else data.lstrip(b"\r\n")
        end = head.end_of_head(self._head, seen)
        if (end or len(self._head)) > self.link.gateway.max_header_bytes:
            await self.refuse(_HEAD_TOO_LARGE)
        elif end is None:
            if self._head:
                self.link.expect_head()
        else:
            problem = head.check(bytes(self._head[:end]))
            if problem is None:
                whole = bytes(self._head)
                self._head.clear()
                return whole
            await self.refuse(problem)
        return b""

    def _keep_early(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > MAX_EARLY:
            self.link.stop()

    async def _handle_events(self) -> None:
        while not self.link.over:
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                self.leave()
                await self.refuse(_malformed(error))
                return
            if isinstance(event, h11.Request):
                if await self._switches(event):
                    return
                self.link.expect_body()
                await self._create_stream(event)
            elif self.stream is None:
                break
            elif isinstance(event, h11.Data):
                await self.stream.handle(Body(STREAM_ID, bytes(event.data)))
            elif isinstance(event, h11.EndOfMessage):
                self.link.expect_nothing()
                await self.stream.handle(EndBody(STREAM_ID))
            else:
                break
        if self.connection.their_state is not h11.SEND_BODY:
            trailing, _ = self.connection.trailing_data
            self._renew = bool(trailing)
            self._keep_early(trailing)

    async def _switches(self, request: h11.Request) -> bool:
        """Whether *request* asked for a WebSocket; it has got one, or a refusal."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in request.headers
        }
        method = request.method.decode("ascii").upper()
        if not upgrade.wanted(method, headers):
            return False
        path, _, query = request.target.decode("ascii").partition("?")
        asked = Asked(
            method=method,
            path=path,
            query=query,
            headers=headers,
            local=(self.link.server or ("", 0))[0],
        )
        version = request.http_version.decode("ascii")
        problem = upgrade.refuse(version, headers) or self.link.refuse_socket(asked)
        if problem is not None:
            await self.refuse(problem)
        else:
            early, _ = self.connection.trailing_data
            self.link.become_socket(asked, early)
        return True

    async def _create_stream(self, request: h11.Request) -> None:
        self.stream = Stream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )

    # --- what is sent

    async def invite_body(self) -> None:
        """Say 100 to a client that waits for it, now that its body is wanted."""
        if self.connection.they_are_waiting_for_100_continue:
            invitation = h11.InformationalResponse(status_code=100, headers=[])
            await self.send(RawData(self.connection.send(invitation) or b""))

    async def stream_send(self, event: StreamEvent) -> None:
        """A piece of the answer."""
        if isinstance(event, Response) and not self._stays():
            closing = [*event.headers, (b"connection", b"close")]
            event = Response(STREAM_ID, closing, event.status_code)
        await super().stream_send(event)

    def _stays(self) -> bool:
        return (
            self.link.floor.intake and self.connection.their_state is not h11.SEND_BODY
        )

    async def _send_h11_event(self, event: Any) -> None:
        # The head of an answer leaves together with the first piece of its body.
        try:
            sent = cast("bytes | None", cast("Any", self.connection).send(event))
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        data, self._held = self._held + (sent or b""), b""
        if isinstance(event, h11.Response):
            self._held = data
        elif data:
            await self.send(RawData(data))

    async def refuse(self, problem: Problem) -> None:
        """Answer what never became a request, and close."""
        if self.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [
                *attrs.evolve(problem, close=True).headers,
                *SECURITY_HEADERS,
                *self.config.response_headers("h11"),
            ]
            await self._send_h11_event(
                h11.Response(status_code=problem.status, headers=headers)
            )
            await self._send_h11_event(h11.Data(data=problem.body))
            await self._send_h11_event(h11.EndOfMessage())
        self.link.floor.refused += 1
        self.link.stop(linger=True)

    async def _maybe_recycle(self) -> None:
        stream, self.stream = self.stream, None  # pyright: ignore[reportIncompatibleVariableOverride] -- narrower, see above
        if stream is not None:
            stream.close()
        ours, theirs = self.connection.our_state, self.connection.their_state
        if self._stays() and ours is theirs is h11.DONE:
            self._next_cycle()
        else:
            self.link.stop(linger=theirs is h11.SEND_BODY)

    def _next_cycle(self) -> None:
        if self._renew:  # or the parser would read a head that nobody has checked
            self.connection = h11.Connection(  # pyright: ignore[reportIncompatibleVariableOverride] -- narrower, see above
                h11.SERVER,
                max_incomplete_event_size=self.config.h11_max_incomplete_size,
            )
            self._renew = False
        else:
            self.connection.start_next_cycle()
        self.link.expect_request()
        if self._early:
            self.link.replay(bytes(self._early))
            self._early.clear()


_HEAD_TOO_LARGE: Final = Problem(
    status=431,
    message="the head of the request is too large (gateway.max_header_bytes)",
)


def _malformed(error: h11.RemoteProtocolError) -> Problem:
    return Problem(
        status=error.error_status_hint,
        message=f"the request is malformed: {str(error)[:200]}",
    )
