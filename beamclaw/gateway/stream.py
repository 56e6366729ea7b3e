"""Hypercorn's request stream, with the client's leaving made effective at once.

One of the three modules that override parts of Hypercorn which are not a public
interface, see :data:`beamclaw.gateway.connection.PROVEN`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import unquote

from hypercorn.protocol.events import Event, Request, StreamClosed
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.trio.task_group import TaskGroup

from beamclaw.gateway.exchange import App, Exchange, Message
from beamclaw.gateway.floor import Floor, Guest


class Requests(TaskGroup):
    """The tasks of a connection's requests."""

    # Set by the protocol, which wants this group first.
    invite: Callable[[], Awaitable[None]]

    def __init__(self, guest: Guest, floor: Floor) -> None:
        super().__init__()
        self._guest = guest
        self._floor = floor

    def begin(
        self, app: App, scope: Message, send: Callable[[Any], Awaitable[None]]
    ) -> Exchange:
        """Have *app* answer a request in a task of its own."""
        exchange = Exchange(
            scope,
            send,
            invite=self.invite,
            discard=self._guest.discard,
            floor=self._floor,
        )
        scope["extensions"]["beamclaw.exchange"] = exchange
        self._floor.begin(self._guest, exchange)
        cast("Any", self).spawn(exchange.run, app)
        return exchange


class Stream(HTTPStream):
    """Hypercorn's request: a client that leaves cancels it whatever it waits for."""

    exchange: Exchange

    async def handle(self, event: Event) -> None:
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
