"""The process ``telemetry/traces``: while it lives, spans are made, and sent at times.

Nobody waits for it: an event is taken by a function call, spans wait in a queue with an
end, and what does not fit or is not taken is counted and told. Only this process waits
for the collector.
"""

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs
import trio

import supervision
from beamclaw.config.redactor import Redactor
from beamclaw.config.schema import Config
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.tracing import Peer, Tracing
from beamclaw.telemetry.traces import otlp
from beamclaw.telemetry.traces.spans import Spans
from beamclaw.telemetry.traces.steps import Span, Value
from beamclaw.telemetry.undoing import Undo
from beamclaw.values import frozen

if TYPE_CHECKING:
    import httpx2

NAME: Final = "telemetry/traces"
SENT: Final = "beamclaw.traces.sent"
LOST: Final = "beamclaw.traces.lost"
# Spans of one request to the collector.
BATCH: Final = 512
# Times that a batch is sent; then it is lost. The waits between them are doubled.
ATTEMPTS: Final = 5
MOST_WAIT: Final = 60.0
# Seconds for the last ones, when the node stops.
LAST: Final = 1.0
_MOST_ANSWER: Final = 64 * 1024
_OK: Final = 200
_LATER: Final = frozenset({429, 502, 503, 504})

_undo = Undo()


@frozen(kw_only=True)
class TraceSettings:
    """Where spans go, and how.

    Attributes:
        endpoint: Where they are posted, with *headers*.
        tracing: See :class:`~.spans.Spans`; *peers*, too.
        queue: Spans that wait, at most.
        interval: Seconds between two times that they are sent, *timeout* those that
            the collector may take.
        resource: What they all have in common.
        hides: Takes secrets out of what is told of a failure.
    """

    endpoint: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    tracing: Tracing
    peers: Mapping[str, Peer]
    queue: int
    interval: float
    timeout: float
    resource: Mapping[str, Value]
    version: str
    hides: Redactor


def settings_of(
    config: Config, hides: Redactor, version: str, peers: Mapping[str, Peer]
) -> TraceSettings:
    """By the configuration, which names a collector."""
    wanted = config.telemetry.otlp
    return TraceSettings(
        endpoint=wanted.endpoint or "",
        headers=wanted.headers,
        tracing=Tracing(wanted.sample),
        peers=peers,
        queue=wanted.queue,
        interval=wanted.interval,
        timeout=wanted.timeout,
        resource={"service.name": wanted.service, "service.version": version},
        version=version,
        hides=hides,
    )


@frozen
class _Tick:
    """It is time to send."""


@frozen
class _Failed:
    """What became of sending: whether it is worth another time, and when."""

    why: str
    again: bool
    after: float = 0.0


class TraceServer(supervision.Server):
    """See the module."""

    trap_exit: ClassVar[bool] = True

    def __init__(self, settings: TraceSettings, outside: Outside) -> None:
        self._settings = settings
        self._wall = outside.wall
        self._worker = outside.worker()
        self._spans = Spans(settings.tracing, settings.peers)
        self._queue: deque[Span] = deque()
        self._batch: list[Span] = []
        self._attempts = 0
        self._full = 0
        self._sent = 0
        self._lost = 0
        self._transport: httpx2.AsyncHTTPTransport | None = None

    async def init(self) -> None:
        """Begin to listen, in the place of a predecessor."""
        _undo.run()
        _undo.by(supervision.telemetry.attach(self._take))
        self._next(self._settings.interval)

    def _take(self, event: supervision.Event) -> None:
        for span in self._spans.take(event, self._wall()):
            if len(self._queue) < self._settings.queue:
                self._queue.append(span)
            else:
                self._full += 1

    async def handle_info(self, message: object) -> None:
        """Send what waits."""
        if isinstance(message, _Tick):
            self._next(await self._send())
        else:
            await super().handle_info(message)

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Stop listening; send what is there, if that is quickly done."""
        _undo.run()
        with trio.move_on_after(LAST):
            await self._send()
        if self._transport is not None:
            with trio.move_on_after(LAST):
                await self._transport.aclose()

    def describe(self) -> Mapping[str, object]:
        """Figures of the spans."""
        return {
            "waiting": len(self._queue) + len(self._batch),
            "sent": self._sent,
            "lost": self._lost + self._full + self._spans.lost,
        }

    def _next(self, seconds: float) -> None:
        supervision.send_after(seconds, supervision.self_pid(), _Tick())

    async def _send(self) -> float:
        """Send all that waits; in how many seconds there is something to do again."""
        while self._batch or self._queue:
            while self._queue and len(self._batch) < BATCH:
                self._batch.append(self._queue.popleft())
            failed = await self._post(self._batch)
            if failed is not None and failed.again:
                self._attempts += 1
                if self._attempts < ATTEMPTS:
                    wait = self._settings.interval * 2 ** (self._attempts - 1)
                    return min(MOST_WAIT, max(failed.after, wait))
            if failed is not None:
                self._lose(len(self._batch), failed.why)
            self._batch, self._attempts = [], 0
        if self._full or self._spans.lost:
            full, self._full, self._spans.lost = self._full + self._spans.lost, 0, 0
            self._lose(full, "more than telemetry.otlp.queue were waiting")
        return self._settings.interval

    async def _post(self, spans: list[Span]) -> _Failed | None:
        settings = self._settings
        made = otlp.request(spans, settings.resource, settings.version)
        # A name in it may come from a model, or from whoever asks.
        body = settings.hides.scrub(made.decode()).encode()
        begun = trio.current_time()
        failed: _Failed | None = _Failed(f"no answer in {settings.timeout:g} s", True)  # noqa: FBT003 -- a field
        with trio.move_on_after(settings.timeout):
            failed = await self._posted(body)
        if failed is None:
            self._sent += len(spans)
            seconds = trio.current_time() - begun
            supervision.emit(SENT, {"spans": len(spans), "seconds": seconds}, {})
        return failed

    async def _posted(self, body: bytes) -> _Failed | None:
        client: Any = await self._worker.run(lambda: import_module("httpx2"))
        try:
            if self._transport is None:
                self._transport = await self._worker.run(lambda: self._open(client))
            request = client.Request(
                "POST",
                self._settings.endpoint,
                headers={**self._settings.headers, "content-type": "application/json"},
                content=body,
                extensions={"timeout": {"connect": self._settings.timeout}},
            )
            response = await self._transport.handle_async_request(request)
            try:
                return await self._answer(response)
            finally:
                with trio.move_on_after(LAST, shield=True):
                    await response.aclose()
        except (client.HTTPError, client.InvalidURL, client.StreamError) as error:
            again = not isinstance(
                error, client.InvalidURL | client.UnsupportedProtocol
            )
            return _Failed(f"{type(error).__name__}: {error}", again)

    async def _answer(self, response: "httpx2.Response") -> _Failed | None:
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > _MOST_ANSWER:
                break
        status = response.status_code
        if status != _OK:
            after = 0.0
            with suppress(ValueError):
                after = float(response.headers.get("retry-after", "0"))
            return _Failed(f"the collector answers {status}", status in _LATER, after)
        if missing := otlp.rejected(bytes(body)):
            self._lose(missing, "the collector has not taken them")
        return None

    def _open(self, client: Any) -> "httpx2.AsyncHTTPTransport":
        tls = self._settings.endpoint.startswith("https:")
        return client.AsyncHTTPTransport(
            verify=client.create_ssl_context() if tls else False, trust_env=False
        )

    def _lose(self, spans: int, why: str) -> None:
        self._lost += spans
        told = self._settings.hides.scrub(why)
        supervision.emit(LOST, {"spans": spans}, {"why": told})
