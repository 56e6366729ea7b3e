"""One client after its upgrade: it is greeted or refused, asks, is answered and told.

This is the code of a connection's process (:mod:`beamclaw.gateway.connection`) once that
speaks WebSocket. Requests run in tasks of their own and answer when they are done; what
is sent goes through the client's outbox, so that nobody in the node waits for a reader.
When the client goes, what it has asked for is cancelled; a turn is not, for that is in
the ledger.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Protocol

import trio

import supervision
from beamclaw.config.schema import GatewayConfig
from beamclaw.contracts import tracing
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.hosts import is_loopback
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.gateway import frames, hall, strict_json
from beamclaw.gateway.admission import Admission
from beamclaw.gateway.auth.access import Access
from beamclaw.gateway.auth.attempt import Admitted, Gate
from beamclaw.gateway.errors import MethodError, unavailable
from beamclaw.gateway.frames import Request, Unread
from beamclaw.gateway.methods import _faults as faults
from beamclaw.gateway.methods import finding, health
from beamclaw.gateway.methods._method import Context, Method
from beamclaw.gateway.methods._node import Node
from beamclaw.gateway.socket import handshake, upgrade, wire
from beamclaw.gateway.socket.beat import Beat
from beamclaw.gateway.socket.handshake import Challenge, Connecting, Refusal
from beamclaw.gateway.socket.outbox import Full, Outbox
from beamclaw.values import frozen

CLIENT_GREETED: Final = "beamclaw.gateway.client"
CLIENT_REFUSED: Final = "beamclaw.gateway.client.refused"
CLIENT_GONE: Final = "beamclaw.gateway.client.gone"
CLIENT_SLOW: Final = "beamclaw.gateway.client.slow"
METHOD_CRASHED: Final = "beamclaw.gateway.method.crashed"
# What arrives is read on without a pause only so many times: a flood of tiny frames
# must not keep the others waiting.
FRAMES_PER_CHECKPOINT: Final = 16
# Seconds for the last words to leave.
LAST_WORDS: Final = 1.0
# Headers by which a proxy says that somebody else is behind it.
_FORWARDED: Final = frozenset(
    {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"}
)


class Tube(Protocol):
    """What carries the bytes: a connection, as its client knows it."""

    def send_nowait(self, data: bytes) -> int:
        """Send what the system takes at once; the number of bytes.

        Raises:
            OSError: It is broken.
        """
        ...

    async def send_all(self, data: bytes) -> None:
        """Send all of *data*; cancelled, nobody knows how much has left."""
        ...

    async def receive(self) -> bytes:
        """What has come; empty: nothing more will."""
        ...

    def spawn(self, fn: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run ``fn(*args)`` as a task that lives no longer than the connection."""
        ...

    def settle(self) -> None:
        """The client is let in: it is not shed to make room any more."""
        ...

    def abandon(self) -> None:
        """Close at once; what was not read is thrown away."""
        ...


@frozen(kw_only=True)
class Reception:
    """What all clients share.

    Attributes:
        admission: Decides which requests may become a WebSocket.
        gate: Decides who comes in.
        access: Cuts off whoever may not stay.
        loading: Loads *methods*: nobody is let in before.
        methods: What can be asked for.
        events: Names of what clients are told.
    """

    config: GatewayConfig
    node: Node
    bus: Bus
    outside: Outside
    admission: Admission
    gate: Gate
    access: Access
    loading: Loading
    methods: Callable[[], Mapping[str, Method]]
    events: tuple[str, ...]


class Socket:
    """See the module.

    Args:
        reception: What it shares with the others.
        tube: Its connection.
        headers: Of the request that was upgraded; lower case names.
        address: Where the other side is.
    """

    def __init__(
        self,
        reception: Reception,
        tube: Tube,
        headers: Mapping[str, str],
        address: str,
    ) -> None:
        numbers = reception.config.socket
        self.reception = reception
        self.tube = tube
        self.headers = headers
        self.address = address
        self.outbox = Outbox(numbers.max_buffered_bytes)
        self.beat = Beat(numbers.tick_seconds, numbers.ping_seconds)
        self.client: hall.Client | None = None
        self.cause = ""
        self._wire = wire.Wire(handshake.MAX_PRE_HANDSHAKE)
        self._arrived: Iterator[wire.Arrived | None] = iter(())
        self._seen = 0
        self._over = False
        self._writing = False
        self._flushed = trio.Event()
        self._reading = trio.CancelScope()
        self._requests: set[trio.CancelScope] = set()

    # --- its life

    async def run(self, early: bytes) -> None:
        """From the upgrade to the good-bye. *early*: what came behind the request."""
        place = self.reception.node.hall
        place.knock(self.address)
        try:
            self.outbox.raw(upgrade.answer(self.headers))
            self._wire.feed(early)
            self._arrived = self._wire.arrived()
            await self._converse()
        except wire.Broken as broken:
            self.cause = self.cause or "protocol"
            self.close(broken.code, broken.reason)
        finally:
            if self.client is None:
                place.admit_or_leave(self.address)
            else:
                place.leave(self.client)
            self._over = True
            for scope in self._requests:
                scope.cancel()
            supervision.emit(
                CLIENT_GONE, {"lost": self.outbox.lost}, {"cause": self.cause}
            )
        with trio.move_on_after(LAST_WORDS):
            await self.wait_flushed()

    async def _converse(self) -> None:
        await self.reception.loading.wait()
        given = Challenge(nonce=self.reception.outside.new_id(), ts=self._now_ms())
        self._frame(given.frame)
        seconds = self.reception.config.socket.handshake_timeout
        with trio.move_on_after(seconds) as limit:
            await self._greet(given)
        if limit.cancelled_caught:
            self._refuse(
                Refusal(
                    frame=None,
                    code=handshake.POLICY,
                    reason="handshake timeout",
                    cause="timeout",
                )
            )
        if self.client is None:
            return
        with self.reception.access.guest(self.client.principal, self._cut):
            while not self._over:
                data = await self._next()
                if data is not None:
                    await self._take(data)

    def close(self, code: int, reason: str) -> None:
        """See :class:`beamclaw.gateway.hall.Line`."""
        if self._over:
            return
        self.cause = self.cause or f"{code}"
        self.outbox.raw(self._wire.close(code, handshake.short(reason)))
        self._flush()
        self._over = True
        self._reading.cancel()

    def _cut(self, reason: str) -> None:
        """It may not stay: nothing more is taken from it, as of now."""
        self.close(handshake.POLICY, reason)

    def _lose(self, cause: str) -> None:
        """The other side is gone, or treated as if."""
        self.cause = self.cause or cause
        self._over = True
        self.outbox.clear()
        self.tube.abandon()
        self._reading.cancel()

    # --- what arrives

    async def _next(self) -> bytes | None:
        """The next message; None: none will come."""
        while not self._over:
            for arrived in self._arrived:
                self._seen += 1
                if self._seen % FRAMES_PER_CHECKPOINT == 0:
                    await trio.lowlevel.checkpoint()
                match arrived:
                    case wire.Message(data):
                        return data
                    case wire.Pinged(payload):
                        self._pong(payload)
                    case wire.Ponged():
                        self.beat.pong(trio.current_time())
                    case wire.Closed(code):
                        self.cause = self.cause or "client"
                        self.close(_answer_to(code), "")
                    case None:
                        pass
            data = await self._receive()
            if not data:
                self.cause = self.cause or "lost"
                self._over = True
            self._wire.feed(data)
            self._arrived = self._wire.arrived()
        return None

    async def _receive(self) -> bytes:
        while not self._over:
            with trio.CancelScope(deadline=self.beat.deadline) as self._reading:
                return await self.tube.receive()
            for due in self.beat.due(trio.current_time()):
                if due == "tick":
                    tick = frames.event("tick", {"ts": self._now_ms()})
                    self.deliver(tick, lossy=False)
                elif due == "ping":
                    self.outbox.raw(self._wire.ping())
                    self._flush()
                else:
                    self._lose("silent")
        return b""

    def _pong(self, payload: bytes) -> None:
        # One answer waits at most: a flood of pings is answered by its last one.
        if not self.outbox.size:
            self.outbox.raw(self._wire.pong(payload))
            self._flush()

    # --- the handshake

    async def _greet(self, given: Challenge) -> None:
        data = await self._next()
        if data is None:
            return
        connecting = handshake.first(
            data, max_depth=self.reception.config.max_json_depth
        )
        if isinstance(connecting, Refusal):
            self._refuse(connecting)
            return
        try:
            admitted = await self._admit(connecting, given)
        except MethodError as error:
            self._refuse(handshake.refusal(connecting.request_id, error))
        else:
            self._let_in(connecting, admitted)

    async def _admit(self, connecting: Connecting, given: Challenge) -> Admitted:
        place = self.reception.node.hall
        if place.closing is not None:
            raise unavailable(
                "this node is stopping; connect again when it is back",
                retry_after=1.0,
                reason="restarting",
            )
        if place.full:
            raise unavailable(
                "there is no place for another client (gateway.socket.max_clients)",
                retry_after=5.0,
                reason="too-many-clients",
            )
        attempt = handshake.attempt(
            connecting.params,
            given,
            now_ms=self._now_ms(),
            address=self.address,
            local=is_loopback(self.address) and _FORWARDED.isdisjoint(self.headers),
            headers=self.headers,
        )
        return await self.reception.gate.admit(attempt)

    def _refuse(self, refusal: Refusal) -> None:
        self.reception.node.hall.refused += 1
        self.cause = refusal.cause
        supervision.emit(
            CLIENT_REFUSED, {}, {"cause": refusal.cause, "client": self.address or None}
        )
        if refusal.frame is not None:
            self._frame(refusal.frame)
        self.close(refusal.code, refusal.reason)

    def _let_in(self, connecting: Connecting, admitted: Admitted) -> None:
        node, numbers = self.reception.node, self.reception.config.socket
        params = connecting.params
        self.client = hall.Client(
            conn_id=self.reception.outside.new_id(),
            principal=admitted.principal,
            line=self,
            caps=frozenset(params.caps),
            facts=handshake.facts(params.client),
            address=self.address,
            since_ms=self._now_ms(),
            process=supervision.self_pid(),
        )
        self._wire.limit = numbers.max_payload
        node.hall.admit_or_leave(self.address)
        node.hall.enter(self.client)
        self.tube.settle()
        self.beat.start(trio.current_time())
        hello = handshake.hello(
            handshake.Server(version=node.version(), boot_id=node.hall.boot_id),
            self.client.conn_id,
            admitted,
            methods=finding.advertised(self.reception.methods(), admitted.principal),
            events=self.reception.events,
            snapshot=self._snapshot(self.client),
            policy=handshake.Policy(
                max_payload=numbers.max_payload,
                max_buffered_bytes=numbers.max_buffered_bytes,
                tick_ms=round(numbers.tick_seconds * 1000),
            ),
        )
        self._frame(frames.response(connecting.request_id, hello))
        event = frames.event("health", node.hall.health, node.hall.version)
        self.deliver(event, lossy=False)
        supervision.emit(
            CLIENT_GREETED,
            {},
            {
                "client": params.client.id,
                "role": admitted.principal.role,
                "method": admitted.principal.method,
            },
        )

    def _snapshot(self, client: hall.Client) -> handshake.Snapshot:
        node = self.reception.node
        default = node.agents.default
        return handshake.Snapshot(
            presence=node.hall.presence(client.principal.tenant),
            health=node.hall.health,
            version=node.hall.version,
            uptime_ms=health.uptime_ms(node),
            session_defaults={
                "defaultAgentId": default,
                "mainKey": "main",
                "mainSessionKey": f"agent:{default}:main",
                "scope": "per-sender",
            },
        )

    # --- requests

    async def _take(self, data: bytes) -> None:
        parse = partial(
            frames.read, data, max_depth=self.reception.config.max_json_depth
        )
        if len(data) <= strict_json.SMALL:
            request = parse()
        else:
            request = await self.reception.node.reader.run(parse)
        if isinstance(request, Unread):
            # As OpenClaw's gateway does: what is no JSON at all is passed over.
            if request.json:
                self._frame(frames.failure(request.id, request.error))
            return
        try:
            self._begin(request)
        except MethodError as error:
            self._frame(frames.failure(request.id, error))

    def _begin(self, request: Request) -> None:
        assert self.client is not None
        principal = self.client.principal
        method = finding.find(self.reception.methods(), request.method, principal)
        params = method.read(request.params)
        method.check(principal, params)
        most = self.reception.config.socket.max_requests
        if len(self._requests) >= most:
            raise unavailable(
                f"{most} requests of this client are in progress "
                "(gateway.socket.max_requests)",
                retry_after=0.5,
                reason="too-many-requests",
            )
        context = Context(
            principal=principal,
            bus=self.reception.bus,
            outside=self.reception.outside,
            node=self.reception.node,
            client=self.client,
            request_id=request.id,
            given=frozenset(request.params or ()),
            trace=tracing.kept_both(request.traceparent),
            answer=partial(self._answer, request.id),
        )
        scope = trio.CancelScope()
        self._requests.add(scope)
        self.tube.spawn(self._perform, scope, method, context, params)

    async def _perform(
        self, scope: trio.CancelScope, method: Method, context: Context, params: Any
    ) -> None:
        try:
            with scope:
                answer = await self._outcome(method, context, params)
                with point("socket.answer"):
                    self._frame(answer)
        finally:
            self._requests.discard(scope)

    async def _outcome(self, method: Method, context: Context, params: Any) -> bytes:
        try:
            return frames.response(
                context.request_id, await method.run(context, params)
            )
        except Exception as error:  # noqa: BLE001 -- the edge of a request
            found = faults.told(error)
            if found is None:
                supervision.emit(
                    METHOD_CRASHED, {}, {"method": method.name, "error": error}
                )
                found = faults.BROKEN
            return frames.failure(context.request_id, found)

    def _answer(self, request_id: str, payload: object) -> None:
        with point("socket.accepted"):
            self._frame(frames.response(request_id, payload))

    # --- what is sent

    def deliver(self, event: bytes, *, lossy: bool) -> None:
        """See :class:`beamclaw.gateway.hall.Line`."""
        if self._over:
            return
        try:
            self.outbox.event(event, lossy=lossy)
        except Full:
            self._give_up()
        else:
            self._flush()

    def skip(self) -> None:
        """See :class:`beamclaw.gateway.hall.Line`."""
        self.outbox.number += 1

    def _frame(self, data: bytes) -> None:
        if self._over:
            return
        try:
            self.outbox.frame(data)
        except Full:
            self._give_up()
        else:
            self._flush()

    def _give_up(self) -> None:
        """It reads too slowly; what waits is dropped, and it is told why."""
        self.reception.node.hall.slow += 1
        supervision.emit(
            CLIENT_SLOW, {"waiting": self.outbox.size, "lost": self.outbox.lost}, {}
        )
        self.cause = "slow"
        self.outbox.clear()
        self.close(handshake.POLICY, "slow consumer")

    def _flush(self) -> None:
        """Send what the system takes; the rest is sent by a task of its own."""
        while not self._writing and (data := self.outbox.take()):
            try:
                sent = self.tube.send_nowait(data)
            except OSError:
                self._lose("lost")
                return
            self.outbox.sent(sent)
            if sent < len(data):
                self._writing = True
                self._flushed = trio.Event()
                self.tube.spawn(self._write, data[sent:])

    async def _write(self, data: bytes) -> None:
        seconds = self.reception.config.write_timeout
        try:
            while data:
                with trio.move_on_after(seconds) as limit:
                    await self.tube.send_all(data[: self.PIECE])
                if limit.cancelled_caught:
                    self._lose("stalled")
                    return
                self.outbox.sent(len(data[: self.PIECE]))
                data = data[self.PIECE :] or self.outbox.take()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._lose("lost")
        finally:
            self._writing = False
            self._flushed.set()

    # A reader that takes less than this in `gateway.write_timeout` has stalled.
    PIECE: Final = 64 * 1024

    async def wait_flushed(self) -> None:
        """See :class:`beamclaw.gateway.hall.Line`."""
        while self._writing:
            await self._flushed.wait()

    def _now_ms(self) -> int:
        return round(self.reception.outside.wall() * 1000)


def _answer_to(code: int) -> int:
    """With what a good-bye is answered; one without a code gets the ordinary one."""
    return handshake.NORMAL if code in (1005, 1006) else code
