"""Persons who speak HTTP to the node's gateway, on the network in memory.

A message has one key for ever. Whoever does not get to the end of its answer (cut off,
refused, waiting in silence) asks again under that key, and is given the same turn.
"""

import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

import attrs
import h11
import orjson
import trio

from tests.simulation.model import marked
from tests.simulation.network import NODE, Network, Socket
from tests.simulation.plan import Say
from tests.simulation.trace import Trace
from tests.simulation.turns import Turn

# Seconds between the comments of a stream on which nothing happens.
HEARTBEAT = 120.0
# Seconds of silence after which somebody asks again: for a stream, for a whole answer.
_PATIENCE = {"stream": 2.5 * HEARTBEAT, "whole": 3_000.0}
# What is no end of the turn: the same will be answered when it is asked again.
_AGAIN = frozenset(
    {
        "answer_restarted",
        "draining",
        "insufficient_storage",
        "overloaded",  # here; a model's is "provider_overloaded", and ends the turn
        "unavailable",
    }
)
# What such a request may be told of its turn; anything else is a surprise.
_ENDS = frozenset(
    {
        *("aborted", "auth", "context_length", "context_length_exceeded", "gone"),
        *("invalid", "model_not_found", "network", "quarantined", "quota"),
        *("provider_overloaded", "rate_limit_exceeded", "refused", "server"),
        *("limit", "error"),
    }
)
BROKEN = (OSError, h11.RemoteProtocolError, trio.TooSlowError)
_SIZE = 64 * 1024


@attrs.define(eq=False)
class Web:
    """Everybody's connections.

    Attributes:
        surprises: What no client should ever see.
        answers: How many came, in pieces or whole.
    """

    network: Network
    trace: Trace
    random: random.Random
    token: str
    surprises: list[str] = attrs.field(factory=list[str])
    answers: int = 0
    # Connections with nothing on them, one for each person at most.
    _idle: dict[str, "Line"] = attrs.field(factory=dict[str, "Line"])

    async def ask(self, turn: Turn, going: trio.Event) -> None:
        """One try; *going* is set when the next message may be sent."""
        name, marker = turn.person.name, turn.say.marker
        line = self._idle.pop(name, None) or Line(Socket(self.network))
        self.trace.note(name, f"ask {marker}")
        try:
            await line.connect()
            await self._ask(line, turn, going)
        except BROKEN as error:
            self.trace.note(name, f"cut {marker}: {type(error).__name__}")
            await trio.sleep(self.random.choice((0.02, 0.5, 10.0)))
        finally:
            if line.is_idle and name not in self._idle and self.random.random() < 0.5:
                self._idle[name] = line
            else:
                line.close()

    async def _ask(self, line: "Line", turn: Turn, going: trio.Event) -> None:
        say = turn.say
        await line.send("/v1/chat/completions", self._headers(turn), _body(say))
        if say.wire == "whole":
            going.set()
        line.patience = _PATIENCE[say.wire]
        head = await line.head()
        run_id = dict(head.headers).get(b"x-request-id", b"").decode()
        if head.status_code != 200:
            await self._refused(turn, await line.body(), going)
            return
        self._acknowledged(turn, run_id, going)
        if say.wire == "whole":
            answer = orjson.loads(await line.body())
            self._answered(turn, answer["choices"][0]["message"]["content"])
        else:
            await self._listen(line, turn, going)

    def _headers(self, turn: Turn) -> list[tuple[str, str]]:
        say = turn.say
        return [
            ("host", f"127.0.0.1:{NODE[1]}"),
            ("authorization", f"Bearer {self.token}"),
            ("content-type", "application/json"),
            ("idempotency-key", say.marker),
            ("x-openclaw-session-key", turn.person.key),
            *([("x-openclaw-queue-mode", say.queue)] if say.queue else []),
        ]

    def _acknowledged(self, turn: Turn, run_id: str, going: trio.Event) -> None:
        marker = turn.say.marker
        self.trace.note(turn.person.name, f"ack {marker} {run_id}")
        turn.runs.append(run_id)
        if run_id != turn.runs[0]:
            self.surprises.append(f"{marker}: acknowledged as {turn.runs}")
        if turn.acked is None:
            turn.acked = trio.current_time()
        going.set()

    async def _listen(self, line: "Line", turn: Turn, going: trio.Event) -> None:
        """To the end of the stream, which is a word of its own."""
        text, over = "", False
        async with aclosing(line.events()) as events:
            async for event in events:
                if over:
                    self.surprises.append(f"{turn.say.marker}: {event!r} after the end")
                elif event == b"[DONE]":
                    over = True
                elif "error" in (said := orjson.loads(event)):
                    await self._refused(turn, event, going)
                    return
                else:
                    text += said["choices"][0]["delta"].get("content", "")
        if not over:
            self.surprises.append(f"{turn.say.marker}: a stream without an end")
        self._answered(turn, text)

    def _answered(self, turn: Turn, text: str) -> None:
        self.trace.note(turn.person.name, f"answer {turn.say.marker}")
        self.answers += 1
        turn.texts.append(text)
        self._over(turn)

    async def _refused(self, turn: Turn, body: bytes, going: trio.Event) -> None:
        error = orjson.loads(body)["error"]
        marker, code = turn.say.marker, error["code"]
        self.trace.note(turn.person.name, f"refused {marker}: {code}")
        if code in _AGAIN:
            await trio.sleep(self.random.choice((0.02, 0.5, 10.0)))
            return
        if code not in _ENDS:
            self.surprises.append(f"{marker}: told {error}")
        turn.errors.append(code)
        self._over(turn)
        going.set()

    def _over(self, turn: Turn) -> None:
        if turn.finished is None:
            turn.finished = trio.current_time()


def _body(say: Say) -> bytes:
    said = {"role": "user", "content": "/new " * say.fresh + marked(say.marker)}
    stream = say.wire == "stream"
    return orjson.dumps({"model": "openclaw", "messages": [said], "stream": stream})


@attrs.define(eq=False)
class Line:
    """A connection to the gateway; *patience* are seconds of silence that are borne."""

    socket: Socket
    patience: float = 0.0
    _http: h11.Connection = attrs.field(factory=lambda: h11.Connection(h11.CLIENT))
    _connected: bool = False

    @property
    def is_idle(self) -> bool:
        """Whether another request may be sent on it."""
        return self._http.our_state is h11.IDLE and self._connected

    async def connect(self) -> None:
        """To the node; if it is not yet.

        Raises:
            OSError: It cannot be reached.
        """
        if not self._connected:
            await self.socket.connect(NODE)
            self._connected = True

    def close(self) -> None:
        """Whatever is on it."""
        self.socket.close()

    async def send(
        self, path: str, headers: list[tuple[str, str]], body: bytes
    ) -> None:
        """A whole request."""
        http = self._http
        size = ("content-length", str(len(body)))
        asked = h11.Request(method="POST", target=path, headers=[*headers, size])
        pieces = (asked, h11.Data(data=body), h11.EndOfMessage())
        await self.socket.send(b"".join(http.send(piece) or b"" for piece in pieces))

    async def head(self) -> h11.Response:
        """The head of the answer."""
        while not isinstance(event := await self._next(), h11.Response):
            pass
        return event

    async def body(self) -> bytes:
        """All of what follows."""
        return b"".join([piece async for piece in self._pieces()])

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The data of server-sent events; comments are passed over."""
        rest = b""
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                *events, rest = (rest + piece).split(b"\n\n")
                for event in events:
                    if event.startswith(b"data: "):
                        yield event.removeprefix(b"data: ")

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        while not isinstance(event := await self._next(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)
        if self._http.our_state is self._http.their_state is h11.DONE:
            self._http.start_next_cycle()

    async def _next(self) -> h11.Event:
        http = self._http
        while (event := http.next_event()) is h11.NEED_DATA:
            with trio.fail_after(self.patience):
                data = await self.socket.recv(_SIZE)
            http.receive_data(data)
        if not isinstance(event, h11.Event):
            raise h11.RemoteProtocolError("it was closed before the answer")
        return event
