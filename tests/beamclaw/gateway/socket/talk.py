"""A client of the gateway's protocol, on trio-websocket, as tests want one.

What goes over it is held against OpenClaw's published schema, where that is installed.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import trio
import trio_websocket

from tests.beamclaw.gateway.edge import TOKEN
from tests.support.protocol import answer_faults, frame_faults

CLIENT = {"id": "cli", "version": "2026.9.6", "platform": "linux", "mode": "cli"}
UI = CLIENT | {"id": "openclaw-linux", "mode": "ui"}


def params(**more: Any) -> dict[str, Any]:
    """What a client says first."""
    given = {
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": CLIENT,
        "role": "operator",
        "scopes": ["operator.admin"],
        "auth": {"token": TOKEN},
    }
    return {name: value for name, value in (given | more).items() if value is not ...}


class Talk:
    """One connection; frames as values."""

    def __init__(self, socket: trio_websocket.WebSocketConnection) -> None:
        self.socket = socket
        self.hello: Any = None
        self.events: list[Any] = []
        self._number = 0
        self._asked: dict[str, tuple[str, Any]] = {}

    async def send(self, data: str | bytes) -> None:
        await self.socket.send_message(data)

    async def receive(self) -> Any:
        """The next frame; fails after a minute."""
        with trio.fail_after(60):
            frame = orjson.loads(await self.socket.get_message())
        self._hold(frame)
        return frame

    def _hold(self, frame: Any) -> None:
        """Against the published schema; of two answers the first is no result."""
        found = frame_faults(frame)
        asked = self._asked.pop(frame["id"], None) if frame["type"] == "res" else None
        if asked is not None:
            found += answer_faults(*asked, frame)
        assert not found, (asked, frame, found)

    async def request(self, method: str, given: Any = None) -> str:
        """Ask; the request's id."""
        self._number += 1
        frame = {"type": "req", "id": f"r{self._number}", "method": method}
        if given is not None:
            frame["params"] = given
        sent = orjson.dumps(frame)
        self._asked[frame["id"]] = method, orjson.loads(sent).get("params")
        await self.send(sent.decode())
        return frame["id"]

    async def answer(self, id: str) -> Any:
        """The next response to the request *id*; events that come before are kept."""
        while True:
            frame = await self.receive()
            if frame["type"] == "res" and frame["id"] == id:
                return frame
            assert frame["type"] == "event", frame
            self.events.append(frame)

    async def call(self, method: str, given: Any = None) -> Any:
        """Ask, and the response."""
        return await self.answer(await self.request(method, given))

    async def event(
        self, name: str, fits: Callable[[Any], bool] = lambda _: True
    ) -> Any:
        """The next event *name* whose payload *fits*, kept or new."""
        for index, frame in enumerate(self.events):
            if frame["event"] == name and fits(frame["payload"]):
                del self.events[index]
                return frame
        while True:
            frame = await self.receive()
            assert frame["type"] == "event", frame
            if frame["event"] == name and fits(frame["payload"]):
                return frame
            self.events.append(frame)

    async def closed(self) -> tuple[int, str]:
        """Wait for the end; code and reason."""
        with trio.fail_after(60):
            with suppress(trio_websocket.ConnectionClosed):
                while True:
                    self.events.append(await self.receive())
        reason = self.socket.closed
        assert reason is not None
        return reason.code, reason.reason or ""


@asynccontextmanager
async def opened(port: int, path: str = "/", **options: Any) -> AsyncIterator[Talk]:
    """A connection that has said nothing yet."""
    url = f"ws://127.0.0.1:{port}{path}"
    async with trio_websocket.open_websocket_url(
        url,
        max_message_size=64 * 2**20,
        # What nobody reads must not keep it from leaving.
        message_queue_size=10_000,
        disconnect_timeout=1,
        **options,
    ) as socket:
        try:
            yield Talk(socket)
        finally:
            with trio.move_on_after(1):
                await socket.aclose()
            # It leaves the stream open when the other side has said good-bye first.
            await trio.aclose_forcefully(socket._stream)


@asynccontextmanager
async def connected(port: int, **more: Any) -> AsyncIterator[Talk]:
    """A client that has been let in."""
    async with opened(port) as talk:
        challenge = await talk.receive()
        assert challenge["event"] == "connect.challenge"
        answer = await talk.call("connect", params(**more))
        assert answer["ok"], answer
        talk.hello = answer["payload"]
        yield talk
