"""One request and its answer: what the connection and the application share.

The application does not see Hypercorn, Hypercorn's stream does not see Quart: both see
an :class:`Exchange`.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import trio

import supervision
from beamclaw.contracts.points import point
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.problem import Problem, Style, styled

ANSWERED: Final = "beamclaw.gateway.answered"
CRASHED: Final = "beamclaw.gateway.crashed"

Headers = tuple[tuple[bytes, bytes], ...]
Message = dict[str, Any]
App = Callable[..., Awaitable[None]]

# On every answer, unless the answer has its own.
SECURITY_HEADERS: Final[Headers] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Exchange:
    """One request and its answer.

    Args:
        scope: The ASGI scope.
        send: Takes the answer's ASGI messages, and ``None`` when there are no more.
        invite: Tells a client that waits for it that its body is wanted now.
        discard: Closes the connection at once.
        floor: Where this exchange is entered, and leaves.

    Attributes:
        gone: The client left before the answer was complete.
        streaming: The answer is a stream in progress.
        finishing: The node stops, the answer should end.
        style: Whose shape errors have.
        headers: On this answer, unless it has its own of that name.
        on_finish: Called when ``finishing`` becomes true.
    """

    def __init__(
        self,
        scope: Message,
        send: Callable[[Any], Awaitable[None]],
        *,
        invite: Callable[[], Awaitable[None]],
        discard: Callable[[], None],
        floor: Floor,
    ) -> None:
        self.scope = scope
        self.gone = False
        self.streaming = False
        self.finishing = False
        self.status = 0
        self.style: Style = "openai"
        self.headers: Headers = SECURITY_HEADERS
        self.on_finish: Callable[[], None] | None = None
        self._send = send
        self._invite = invite
        self._discard = discard
        self._floor = floor
        self._ends = trio.CancelScope()
        self._began = trio.current_time()
        self._arriving, self._arrived = trio.open_memory_channel[Message](8)

    async def put(self, message: Message) -> None:
        """What arrives of the body. Waits while nobody asks for it."""
        with suppress(trio.BrokenResourceError):  # nobody will
            await self._arriving.send(message)

    async def receive(self) -> Message:
        """The next piece of the body, for the application."""
        await self._invite()
        return await self._arrived.receive()

    async def send(self, message: Message) -> None:
        """A piece of the answer, from the application."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = {name.lower() for name, _ in message["headers"]}
            more = [pair for pair in self.headers if pair[0] not in given]
            message = {**message, "headers": [*message["headers"], *more]}
        with point("http.send"):
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
        problem = styled(problem, self.style)
        await self.start(problem.status, problem.headers)
        await self.write(problem.body, more=False)

    def leave(self) -> None:
        """The client is gone: the application is cancelled."""
        self.gone = True
        self._ends.cancel()

    def cut(self, reason: str) -> None:
        """Whoever asks may not any more: the connection is closed at once."""
        del reason
        self._discard()
        self.leave()

    def finish(self) -> None:
        """The node stops: the application is told."""
        self.finishing = True
        if self.on_finish is not None:
            self.on_finish()

    async def run(self, app: App) -> None:
        """Have *app* answer; its errors end here."""
        try:
            with self._ends:
                await app(self.scope, self.receive, self.send)
        except trio.Cancelled:
            # The connection is killed. What ended in order now would look whole.
            self._discard()
            raise
        except Exception as error:  # noqa: BLE001 -- the edge of the application
            await self._crash(error)
        finally:
            self._floor.end(self)
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
