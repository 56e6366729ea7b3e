"""Hypercorn's connection with every barrier it lacks, as a process of ours.

One that asks for a WebSocket leaves Hypercorn's code with its first request and goes on
as a client of :mod:`beamclaw.gateway.socket`, in the same process.

Whatever goes wrong in it ends this connection and nothing else. What `connection`,
`protocol` and `stream` override is not a public interface of Hypercorn: they are written
against the versions in :data:`PROVEN` and tested with them, and no other module patches
anything. Each guard has a test that fails without it, see
``docs/explanation/gateway-guards.md``.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, cast

import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext

import supervision
from beamclaw.config.schema import GatewayConfig
from beamclaw.gateway import sockets
from beamclaw.gateway.admission import Asked
from beamclaw.gateway.exchange import App
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.problem import Problem
from beamclaw.gateway.protocol import Protocol
from beamclaw.gateway.socket.client import Reception, Socket
from beamclaw.gateway.stream import Requests
from beamclaw.gateway.turns import STOPPING

PROVEN: Final = {"hypercorn": "0.18.0", "h11": "0.16.0", "quart-trio": "0.12.0"}

# How long, and how much, is read and thrown away after a refusal, so that the other
# side gets to read the refusal instead of a reset.
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 1024 * 1024
WRITE_PIECE: Final = 64 * 1024
# Sends that succeed at once do not wait; every so many let others run.
SENDS_PER_CHECKPOINT: Final = 16

# RFC 6455's registry: there is no room now.
TRY_AGAIN_LATER: Final = 1013

STALLED: Final = "beamclaw.gateway.stalled"


def settings(gateway: GatewayConfig) -> HypercornConfig:
    """Hypercorn's configuration: no logs of its own, no ``Server`` header."""
    config = HypercornConfig()
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = gateway.max_header_bytes
    return config


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
        reception: Reception,
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
        self.reception = reception
        self.begun = self.over = False
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int] | None = None
        self._socket = connected
        self._linger = False
        self._broken = False
        self._phase = "head"
        self._sends = 0
        self._replayed = b""
        self._switched: tuple[Socket, bytes] | None = None
        self._tasks: Requests | None = None
        self._reading = trio.CancelScope()
        self._deadline = trio.current_time() + gateway.header_timeout
        floor.enter(self)

    async def run(self) -> None:
        """The life of the connection."""
        self.begun = True
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
        group = Requests(self, self.floor)
        async with group:
            self.protocol = Protocol(self, group)  # pyright: ignore[reportIncompatibleVariableOverride] -- narrower, see above
            try:
                while data:
                    await self.protocol.handle(RawData(data))
                    if self._switched is not None:
                        await self._converse(group)
                        return
                    data = await self._read()
            except BaseException:
                # A write that is in progress would hold us: it is shielded.
                self.discard()
                raise
            self.protocol.leave()

    async def _converse(self, group: Requests) -> None:
        assert self._switched is not None
        self._tasks = group
        socket, early = self._switched
        del self.protocol  # most clients say little for a long time
        await socket.run(early)
        self.stop(linger=True)

    # --- the carrier of a WebSocket, see `beamclaw.gateway.socket.client.Tube`

    def refuse_socket(self, asked: Asked) -> Problem | None:
        """See :class:`beamclaw.gateway.protocol.Link`."""
        reception = self.reception
        most = reception.config.socket.max_strangers
        if not self.floor.intake:
            return STOPPING
        if reception.node.hall.strangers(self._address) >= most:
            return Problem(
                status=503,
                message=f"{most} connections from this address have not said who they "
                "are (gateway.socket.max_strangers)",
                code="too_many_strangers",
                retry_after=1.0,
                close=True,
            )
        # Who is there is asked after that: credentials in the address or the headers
        # count for nothing.
        return reception.admission.refuse(asked)

    def become_socket(self, asked: Asked, early: bytes) -> None:
        """See :class:`beamclaw.gateway.protocol.Link`."""
        socket = Socket(self.reception, self, asked.headers, self._address)
        self._switched = socket, early

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def send_nowait(self, data: bytes) -> int:
        """See the Protocol."""
        return sockets.send_nowait(self._socket, data)

    async def send_all(self, data: bytes) -> None:
        """See the Protocol."""
        await self.stream.send_all(data)

    async def receive(self) -> bytes:
        """See the Protocol."""
        try:
            return await self.stream.receive_some(MAX_RECV)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    def spawn(self, fn: Callable[..., Awaitable[None]], *args: object) -> None:
        """See the Protocol."""
        assert self._tasks is not None
        cast("Any", self._tasks).spawn(fn, *args)

    def settle(self) -> None:
        """See the Protocol."""
        self.floor.settle(self)

    def abandon(self) -> None:
        """See the Protocol."""
        if not self._broken:
            with suppress(OSError):
                sockets.drop_unsent(self._socket)
            self.discard()

    # --- reading

    async def _read(self) -> bytes:
        while not self.over:
            if self._replayed:
                return self._replay()
            with trio.CancelScope(deadline=self._patience()) as self._reading:
                try:
                    data = await self.stream.receive_some(MAX_RECV)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return b""
                return self._replay() + data
            if trio.current_time() >= self._deadline:
                await self._expire()
        return b""

    def _patience(self) -> float:
        """Until when to wait. What is there already came in time: we are late to look."""
        if trio.current_time() >= self._deadline and sockets.readable(self.stream):
            return float("inf")
        return self._deadline

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
        if self._switched is not None:
            self._switched[0].close(TRY_AGAIN_LATER, "no room")
        self.stop()

    def retire(self) -> None:
        """Close if idle; see :class:`beamclaw.gateway.floor.Guest`."""
        if self._phase == "idle":
            self.stop()

    async def _take_leave(self) -> None:
        if not self._linger or self._broken:
            return
        gone = (trio.BrokenResourceError, trio.ClosedResourceError)
        with trio.move_on_after(LINGER_SECONDS), suppress(*gone):
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
