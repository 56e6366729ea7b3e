"""Hypercorn's connection with every barrier it lacks; the only module that patches it.

Written against the versions in :data:`PROVEN` and tested with them: what is overridden
here is not a public interface. Each guard has a test that fails without it, see
``docs/explanation/gateway-guards.md``. A connection is a process of ours: whatever goes
wrong in it ends this connection and nothing else.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, cast
from urllib.parse import unquote

import h11
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import (
    Body,
    EndBody,
    Request,
    Response,
    StreamClosed,
)
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

import supervision
from beamclaw.config.schema import GatewayConfig
from beamclaw.gateway import head, sockets
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.problem import Problem

PROVEN: Final = {"hypercorn": "0.18.0", "h11": "0.16.0", "quart-trio": "0.12.0"}

# Bytes of further requests that are kept while an answer is in progress; a client that
# sends more of them is dropped.
MAX_EARLY: Final = 64 * 1024
# How long, and how much, is read and thrown away after a refusal, so that the other
# side gets to read the refusal instead of a reset.
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 1024 * 1024
WRITE_PIECE: Final = 64 * 1024
# Sends that succeed at once do not wait; every so many let others run.
SENDS_PER_CHECKPOINT: Final = 16

ANSWERED: Final = "beamclaw.gateway.answered"
CRASHED: Final = "beamclaw.gateway.crashed"
STALLED: Final = "beamclaw.gateway.stalled"

Headers = tuple[tuple[bytes, bytes], ...]

# On every answer, unless the answer has its own.
SECURITY_HEADERS: Final[Headers] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

Message = dict[str, Any]
App = Callable[..., Awaitable[None]]


def settings(gateway: GatewayConfig) -> HypercornConfig:
    """Hypercorn's configuration: no logs of its own, no ``Server`` header."""
    config = HypercornConfig()
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = gateway.max_header_bytes
    return config


class Exchange:
    """One request and its answer; what Hypercorn's stream and the application share.

    Attributes:
        scope: The ASGI scope.
        gone: The client left before the answer was complete.
        streaming: The answer is a stream in progress.
        finishing: The node stops, the answer should end.
        headers: On this answer, unless it has its own of that name.
        on_finish: Called when ``finishing`` becomes true.
    """

    def __init__(
        self,
        link: "Connection",
        scope: Message,
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        self.scope = scope
        self.gone = False
        self.streaming = False
        self.finishing = False
        self.status = 0
        self.headers: Headers = SECURITY_HEADERS
        self.on_finish: Callable[[], None] | None = None
        self._link = link
        self._send = send
        self._ends = trio.CancelScope()
        self._began = trio.current_time()
        self._arriving, self._arrived = trio.open_memory_channel[Message](8)

    async def put(self, message: Message) -> None:
        """What arrives of the body. Waits while nobody asks for it."""
        with suppress(trio.BrokenResourceError):  # nobody will
            await self._arriving.send(message)

    async def receive(self) -> Message:
        """The next piece of the body, for the application."""
        await self._link.protocol.invite_body()
        return await self._arrived.receive()

    async def send(self, message: Message) -> None:
        """A piece of the answer, from the application."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = {name.lower() for name, _ in message["headers"]}
            more = [pair for pair in self.headers if pair[0] not in given]
            message = {**message, "headers": [*message["headers"], *more]}
        await self._send(message)

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Begin the answer. It leaves together with the first piece of its body."""
        await self.send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )

    async def write(self, body: bytes, *, more: bool = True) -> None:
        """A piece of the body; the last one with ``more=False``."""
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    async def refuse(self, problem: Problem) -> None:
        """Answer with an error."""
        body = problem.body
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *problem.headers,
        ]
        await self.start(problem.status, headers)
        await self.write(body, more=False)

    def leave(self) -> None:
        """The client is gone: the application is cancelled."""
        self.gone = True
        self._ends.cancel()

    def finish(self) -> None:
        """The node stops: the application is told."""
        self.finishing = True
        if self.on_finish is not None:
            self.on_finish()

    async def run(self, app: App) -> None:
        """Have *app* answer; its errors end here."""
        floor = self._link.floor
        try:
            with self._ends:
                await app(self.scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 -- the edge of the application
            await self._crash(error)
        finally:
            floor.end(self)
            self._arrived.close()
            supervision.emit(
                ANSWERED,
                {"seconds": trio.current_time() - self._began},
                {"path": self.scope["path"], "status": self.status, "gone": self.gone},
            )
            await self._send(None)

    async def _crash(self, error: Exception) -> None:
        supervision.emit(CRASHED, {}, {"path": self.scope["path"], "error": error})
        if not self.status:
            await self.refuse(
                Problem(
                    status=500,
                    type="api_error",
                    message="something in this node broke; its log says what",
                    retry=False,
                    close=True,
                )
            )


class Stream(HTTPStream):
    """Hypercorn's request: a client that leaves cancels it whatever it waits for."""

    exchange: Exchange

    async def handle(self, event: StreamEvent) -> None:
        """See Hypercorn; ``StreamClosed`` never waits in the application's queue."""
        if isinstance(event, Request):
            await self._open(event)
        elif isinstance(event, StreamClosed):
            self.close()
        else:
            await super().handle(event)

    def close(self) -> None:
        """Nothing more is sent or received."""
        self.closed = True
        if self.state is not ASGIHTTPState.CLOSED:
            self.exchange.leave()

    async def _open(self, event: Request) -> None:
        path, _, query = event.raw_path.partition(b"?")
        self.start_time = 0.0
        self.scope = cast(
            "Any",
            {
                "type": "http",
                "http_version": event.http_version,
                "asgi": {"spec_version": "2.1", "version": "3.0"},
                "method": event.method,
                "scheme": self.scheme,
                "path": unquote(path.decode("ascii")),
                "raw_path": path,
                "query_string": query,
                "root_path": "",
                "headers": event.headers,
                "client": self.client,
                "server": self.server,
                "extensions": {},
            },
        )
        group = cast("Requests", self.task_group)
        self.exchange = group.begin(
            cast("App", self.app), cast("Message", self.scope), self.app_send
        )
        self.app_put = self.exchange.put


class Requests(TaskGroup):
    """The tasks of a connection's requests."""

    link: "Connection"

    def begin(
        self, app: App, scope: Message, send: Callable[[Any], Awaitable[None]]
    ) -> Exchange:
        """Have *app* answer a request in a task of its own."""
        exchange = Exchange(self.link, scope, send)
        scope["extensions"]["beamclaw.exchange"] = exchange
        self.link.floor.begin(self.link, exchange)
        cast("Any", self).spawn(exchange.run, app)
        return exchange


class Protocol(H11Protocol):
    """Hypercorn's HTTP/1 with a checked head and no upgrades.

    Neither WebSocket nor HTTP/2 begins here: an ``Upgrade`` header is ignored, as the
    standard allows, and the request is answered as what it is.
    """

    # Narrower than in Hypercorn: neither WebSocket nor HTTP/2 ever takes over.
    stream: Stream | None
    connection: h11.Connection

    def __init__(self, link: "Connection", group: Requests) -> None:
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
            body = problem.body
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"connection", b"close"),
                *SECURITY_HEADERS,
                *self.config.response_headers("h11"),
            ]
            await self._send_h11_event(
                h11.Response(status_code=problem.status, headers=headers)
            )
            await self._send_h11_event(h11.Data(data=body))
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


class Connection(TCPServer):
    """One connection, as a process: it reads; each request is answered in a task.

    Everything has a deadline: the head, the body, the pause between requests, and each
    write. Only an answer in progress may take as long as it takes.
    """

    # Not Hypercorn's wrapper around one, which would switch to HTTP/2.
    protocol: Protocol
    context: WorkerContext

    def __init__(  # the stock one wants a stream; there is none before `run`
        self,
        app: App,
        gateway: GatewayConfig,
        floor: Floor,
        connected: Any,
        *,
        config: HypercornConfig,
        context: WorkerContext,
    ) -> None:
        self.app = cast("Any", app)
        self.config = config
        self.context = context
        self.gateway = gateway
        self.floor = floor
        self.over = False
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int] | None = None
        self._socket = connected
        self._linger = False
        self._broken = False
        self._phase = "head"
        self._sends = 0
        self._replayed = b""
        self._reading = trio.CancelScope()
        self._deadline = trio.current_time() + gateway.header_timeout
        floor.enter(self)

    async def run(self) -> None:
        """The life of the connection."""
        try:
            self.stream = cast("Any", sockets.stream(self._socket))
            self.send_lock = trio.Lock()
            # Nothing else is made for a connection that never says a word.
            data = await self._read()
            if data:
                self.client = sockets.peer(self._socket)
                self.server = sockets.local(self._socket)
                await self._serve(data)
            await self._take_leave()
        except OSError:
            pass  # it is gone, at whatever point
        finally:
            self.discard()

    def discard(self) -> None:
        """Close at once. Whoever sends or reads on it is told so."""
        self.floor.leave(self)
        self.over = self._broken = True
        stream = getattr(self, "stream", None)
        if stream is None:
            self._socket.close()
        else:
            stream.socket.close()

    async def _serve(self, data: bytes) -> None:
        group = Requests()
        group.link = self
        async with group:
            self.protocol = Protocol(self, group)  # pyright: ignore[reportIncompatibleVariableOverride] -- narrower, see above
            try:
                while data:
                    await self.protocol.handle(RawData(data))
                    data = await self._read()
            except BaseException:
                # A write that is in progress would hold us: it is shielded.
                self.discard()
                raise
            self.protocol.leave()

    # --- reading

    async def _read(self) -> bytes:
        while not self.over:
            if self._replayed:
                return self._replay()
            with trio.CancelScope(deadline=self._deadline) as self._reading:
                try:
                    data = await self.stream.receive_some(MAX_RECV)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return b""
                return self._replay() + data
            if trio.current_time() >= self._deadline:
                await self._expire()
        return b""

    def replay(self, data: bytes) -> None:
        """Have *data*, which came early, read next."""
        self._replayed = data
        self._reading.cancel()

    def _replay(self) -> bytes:
        data, self._replayed = self._replayed, b""
        return data

    async def _expire(self) -> None:
        if self._phase == "idle" or not hasattr(self, "protocol"):
            self.stop()
            return
        seconds = (
            self.gateway.body_timeout
            if self._phase == "body"
            else self.gateway.header_timeout
        )
        self.protocol.leave()
        await self.protocol.refuse(
            Problem(
                status=408,
                message=f"the {self._phase} of the request did not come within "
                f"{seconds:g} s (gateway.{'body' if self._phase == 'body' else 'header'}"
                "_timeout)",
                retry=False,
            )
        )

    def _expect(self, phase: str, seconds: float) -> None:
        self._phase = phase
        self._deadline = trio.current_time() + seconds
        self._reading.deadline = self._deadline

    def expect_request(self) -> None:
        """An answer is complete: wait for a further request."""
        self.floor.wait(self)
        self._expect("idle", self.gateway.keep_alive_timeout)

    def expect_head(self) -> None:
        """A further request has begun. The deadline of the first began with us."""
        if self._phase != "head":
            self._expect("head", self.gateway.header_timeout)

    def expect_body(self) -> None:
        """A head is complete."""
        self._expect("body", self.gateway.body_timeout)

    def expect_nothing(self) -> None:
        """A request is complete: only an end may come."""
        self._expect("answer", float("inf"))

    # --- ending

    def stop(self, *, linger: bool = False) -> None:
        """Read no more requests; close when the answer in progress is over."""
        self.over = True
        self._linger = self._linger or linger
        self._reading.cancel()

    def shed(self) -> None:
        """Close; see :class:`beamclaw.gateway.floor.Guest`."""
        self.stop()

    async def _take_leave(self) -> None:
        if not self._linger or self._broken:
            return
        with trio.move_on_after(LINGER_SECONDS), suppress(trio.BrokenResourceError):
            sockets.end_sending(self._socket)
            thrown_away = 0
            while thrown_away < LINGER_BYTES:
                data = await self.stream.receive_some(MAX_RECV)
                if not data:
                    break
                thrown_away += len(data)

    # --- writing

    async def protocol_send(self, event: Event) -> None:
        """What the protocol sends."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            self.stop()
        else:
            assert isinstance(event, Updated)

    async def _write(self, data: bytes) -> None:
        if self._broken:
            return
        try:
            if not self.send_lock.locked():
                data = data[sockets.send_nowait(self._socket, data) :]
            if data:
                await self._write_slowly(data)
                return
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._lose()
        self._sends += 1
        if self._sends % SENDS_PER_CHECKPOINT == 0:
            await trio.lowlevel.checkpoint()

    async def _write_slowly(self, data: bytes) -> None:
        async with self.send_lock:
            for start in range(0, len(data), WRITE_PIECE):
                # Half a piece would garble the stream, so cancelling waits; not long.
                with trio.CancelScope(shield=True) as scope:
                    scope.deadline = trio.current_time() + self.gateway.write_timeout
                    await self.stream.send_all(data[start : start + WRITE_PIECE])
                if scope.cancelled_caught:
                    supervision.emit(STALLED, {}, {"client": self.client})
                    sockets.drop_unsent(self._socket)
                    self._lose()
                    return

    def _lose(self) -> None:
        self._broken = True
        self.protocol.leave()
        self.stop()


_HEAD_TOO_LARGE: Final = Problem(
    status=431,
    message="the head of the request is too large (gateway.max_header_bytes)",
)


def _malformed(error: h11.RemoteProtocolError) -> Problem:
    return Problem(
        status=error.error_status_hint,
        message=f"the request is malformed: {str(error)[:200]}",
    )
