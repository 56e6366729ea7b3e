"""The platform behind both fakes: keys, rules, faults, streams, and what it did."""

import itertools
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, cast

import attrs
import orjson
import trio

from beamclaw.contracts.outside import Outside
from beamclaw.testing._http import Channel, ClientLeft, Cut, HTTPRequest, serving
from beamclaw.testing._replies import (
    FAULTS,
    Answer,
    Body,
    Fault,
    Reply,
    echo,
    scripted,
)

_FINE = Fault()
_MODELS = "/v1/models"
# An event to send: its bytes, and how many tokens it holds.
Event = tuple[bytes, int]


@attrs.define(kw_only=True)
class Entry:
    """One request as the fake saw it: an effect that the platform bills.

    Attributes:
        at: Seconds since the epoch when the request was there.
        key: The key that came with it, in clear: the key of a fake is no secret.
        headers: As they came, their names in small letters.
        outcome: ``open``, ``complete``, ``left`` (by the client), ``cut`` (by a fault)
            or ``refused``, which is also an error that comes in a stream before its
            first word: no provider bills that.
        tokens: Tokens of output that were sent, and so are billed.
        breaches: Which of the platform's rules it broke.
    """

    id: int
    at: float
    method: str
    path: str
    key: str
    body: Body | None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    status: int = 200
    outcome: str = "open"
    tokens: int = 0
    input_tokens: int = 0
    ended_at: float | None = None
    breaches: list[str] = attrs.field(factory=list[str])

    def line(self) -> bytes:
        """As a line of JSON."""
        return orjson.dumps(attrs.asdict(self)) + b"\n"


@attrs.define
class Refused(Exception):  # noqa: N818 - a situation
    """The platform refuses the request."""

    status: int
    code: str
    message: str
    param: str | None = None

    def __attrs_post_init__(self) -> None:
        super().__init__(self.message)


class _Told(Cut):
    """Cut off behind an error event that says so."""


class FakeProvider(ABC):
    """A strict fake of a model provider.

    Args:
        answer: Makes the reply to a request's body; :func:`echo` by default.
        keys: The keys it accepts; none: every key, but there has to be one.
        models: The models it has; none: every model.
        window: Tokens that a request and its answer may have, four bytes each.
        journal: A file to which each entry of the ledger is appended twice, when the
            request is there and when it is over: what survives this process.
        outside: The clock.
    """

    path: ClassVar[str]
    # Where it does something else than to answer a conversation.
    beside: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        *,
        answer: Answer = echo,
        keys: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        window: int | None = None,
        journal: Path | None = None,
        outside: Outside | None = None,
    ) -> None:
        self.answer = answer
        self.keys = None if keys is None else frozenset(keys)
        self.models = None if models is None else tuple(models)
        self.window = window
        self.ledger: list[Entry] = []
        self.port = 0
        self._faults: deque[Fault] = deque()
        self._wall = (outside or Outside()).wall
        self._ids = itertools.count(1)
        self._waiting: list[tuple[Callable[[], bool], trio.Event]] = []
        self._file: int | None = None
        if journal is not None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = os.open(journal, flags, 0o600)

    # --- for the test

    @property
    @abstractmethod
    def base_url(self) -> str:
        """What to put into the provider's ``base_url``."""

    @property
    def breaches(self) -> list[str]:
        """Every rule that was broken, in order."""
        return [breach for entry in self.ledger for breach in entry.breaches]

    @property
    def requests(self) -> list[Entry]:
        """Those that were accepted as model calls."""
        return [entry for entry in self.ledger if entry.path == self.path]

    @property
    def faults_left(self) -> int:
        """How many requests will still go wrong."""
        return len(self._faults)

    def fail(self, *faults: Fault) -> None:
        """Let the next requests go wrong, one fault each; those after them are fine."""
        self._faults.extend(faults)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds; looked at whenever the ledger changes."""
        while not condition():
            event = trio.Event()
            self._waiting.append((condition, event))
            await event.wait()

    def forget(self) -> None:
        """Begin a new ledger."""
        self.ledger.clear()

    def close(self) -> None:
        """Close the journal."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # --- what a platform adds

    @abstractmethod
    def key_of(self, headers: Mapping[str, str]) -> str:
        """The key in the headers, or nothing."""

    @abstractmethod
    def check(self, request: HTTPRequest, body: Body) -> Iterable[Refused]:
        """The rules that the request breaks, the first one first."""

    @abstractmethod
    def events(self, body: Body, reply: Reply, sent: int) -> Sequence[Event]:
        """The stream of *reply*; ``fault`` of the reply says what to leave out."""

    @abstractmethod
    def whole(self, body: Body, reply: Reply, sent: int) -> bytes:
        """The answer to a request that wants no stream."""

    @abstractmethod
    def error(self, refused: Refused) -> bytes:
        """The body of an HTTP error."""

    @abstractmethod
    def error_event(self, fault: Fault) -> bytes:
        """An error inside a stream."""

    @abstractmethod
    def ping(self) -> bytes:
        """What keeps a stream alive."""

    @abstractmethod
    def model_list(self) -> bytes:
        """The answer to ``GET /v1/models``."""

    @abstractmethod
    def refusal(self, status: int) -> tuple[str, str]:
        """Code and sentence that come with *status*."""

    # --- serving

    async def handle(self, request: HTTPRequest, channel: Channel) -> None:
        """Answer one request."""
        if request.path.startswith("/__"):
            await self._control(request, channel)
            return
        entry = Entry(
            id=next(self._ids),
            at=self._wall(),
            method=request.method,
            path=request.path,
            key=self.key_of(request.headers),
            body=None,
            headers=dict(request.headers),
        )
        self.ledger.append(entry)
        try:
            await self._answer(request, channel, entry)
            entry.outcome = "refused" if entry.status != 200 else "complete"  # noqa: PLR2004 - HTTP
        except Cut as cut:
            told = isinstance(cut, _Told) and not entry.tokens
            entry.outcome = "refused" if told else "cut"
            raise
        except (ClientLeft, trio.Cancelled):
            entry.outcome = "left"
            raise
        finally:
            entry.ended_at = self._wall()
            self._write(entry)

    async def _answer(
        self, request: HTTPRequest, channel: Channel, entry: Entry
    ) -> None:
        fault = self._faults.popleft() if self._faults else None
        try:
            entry.body = self._checked(request, entry)
        except Refused as refused:
            self._write(entry)
            entry.status = refused.status
            await channel.respond(refused.status, self.error(refused))
            return
        self._write(entry)
        if entry.body is None:
            await channel.respond(200, self.model_list())
            return
        reply = Reply() if entry.path in self.beside else self.answer(entry.body)
        if fault is not None:
            reply = attrs.evolve(reply, fault=fault)
        await self._reply(channel, entry, entry.body, reply)

    def _checked(self, request: HTTPRequest, entry: Entry) -> Body | None:
        """The body if all rules are kept; none for the list of models."""
        if not entry.key or (self.keys is not None and entry.key not in self.keys):
            entry.breaches.append("key")
            code, message = self.refusal(401)
            raise Refused(401, code, message)
        if request.method == "GET" and request.path.partition("?")[0] == _MODELS:
            return None
        if request.method != "POST" or request.path not in {self.path, *self.beside}:
            entry.breaches.append(f"{request.method} {request.path}")
            raise Refused(404, "not_found", f"Unknown request URL: {request.path}")
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            entry.breaches.append("body is no JSON object")
            code, _ = self.refusal(400)
            raise Refused(
                400, code, "We could not parse the JSON body of your request."
            )
        known = cast("Body", body)
        broken = list(self.check(request, known))
        entry.breaches.extend(refused.message for refused in broken)
        entry.input_tokens = len(request.body) // 4
        if broken:
            raise broken[0]
        return known

    async def _reply(
        self, channel: Channel, entry: Entry, body: Body, reply: Reply
    ) -> None:
        fault = reply.fault or _FINE
        if fault.hang:
            await channel.sleep(float("inf"))
        if reply.delay:
            await channel.sleep(reply.delay)
        if fault.redirect is not None:
            entry.status = 307
            await channel.respond(307, b"", headers={"location": fault.redirect})
        elif fault.html:
            entry.status = fault.status or 200
            page = b"<html><body><h1>Bad gateway</h1></body></html>"
            await channel.respond(entry.status, page, content_type="text/html")
        elif fault.status is not None:
            entry.status = fault.status
            await self._fail(channel, fault, fault.status)
        elif not body.get("stream"):
            whole = self.whole(body, reply, entry.input_tokens)
            entry.tokens = reply.tokens
            await channel.respond(200, whole)
        else:
            await self._stream(channel, entry, reply, fault, body)

    async def _fail(self, channel: Channel, fault: Fault, status: int) -> None:
        code, message = self.refusal(status)
        headers = dict(fault.headers)
        if fault.retry_after is not None:
            headers["retry-after"] = f"{fault.retry_after:g}"
        refused = Refused(status, fault.code or code, fault.message or message)
        await channel.respond(status, self.error(refused), headers=headers)

    async def _stream(
        self,
        channel: Channel,
        entry: Entry,
        reply: Reply,
        fault: Fault,
        body: Body,
    ) -> None:
        events = self.events(body, reply, entry.input_tokens)
        if not reply.gap and fault is _FINE:
            entry.tokens = sum(tokens for _, tokens in events)
            data = b"".join(data for data, _ in events)
            await channel.whole("text/event-stream; charset=utf-8", data)
            return
        await channel.begin("text/event-stream; charset=utf-8")
        before = False
        for number, (data, tokens) in enumerate(events):
            if before and tokens and reply.gap:
                await channel.sleep(reply.gap)
            before = before or bool(tokens)
            await self._wrong(channel, fault, number, data)
            await self._send(channel, fault, data)
            entry.tokens += tokens
        if fault.error_after is not None or fault.cut_after is not None:
            await self._wrong(channel, fault, None, b"")
        await channel.end()

    async def _wrong(
        self, channel: Channel, fault: Fault, number: int | None, data: bytes
    ) -> None:
        """What *fault* does before event *number* (none: at the end)."""

        def now(after: int | None) -> bool:
            return after is not None and (number is None or number == after)

        for _ in range(fault.pings):
            await channel.chunk(self.ping())
        if now(fault.error_after):
            await self._send(channel, fault, self.error_event(fault))
            await channel.end()
            raise _Told
        if now(fault.cut_inside):
            await channel.chunk(data[: len(data) // 2])
            raise Cut
        if now(fault.cut_after):
            raise Cut
        if now(fault.silence_after):
            await channel.sleep(float("inf"))

    async def _send(self, channel: Channel, fault: Fault, data: bytes) -> None:
        if fault.newline != "lf":
            data = data.replace(b"\n", b"\r\n" if fault.newline == "crlf" else b"\r")
        if fault.split is None:
            await channel.chunk(data)
            return
        for start in range(0, len(data), fault.split):
            await channel.chunk(data[start : start + fault.split])

    def _write(self, entry: Entry) -> None:
        if self._file is not None:
            os.write(self._file, entry.line())
        if self._waiting:
            still: list[tuple[Callable[[], bool], trio.Event]] = []
            for condition, event in self._waiting:
                if condition():
                    event.set()
                else:
                    still.append((condition, event))
            self._waiting = still

    # --- as a process

    async def _control(self, request: HTTPRequest, channel: Channel) -> None:
        match request.method, request.path:
            case "GET", "/__ledger":
                lines = b"".join(entry.line() for entry in self.ledger)
                await channel.respond(200, lines, content_type="application/jsonl")
            case "POST", "/__forget":
                self.forget()
                await channel.respond(200, b"{}")
            case "POST", "/__fail":
                self.fail(*(FAULTS[name] for name in orjson.loads(request.body)))
                await channel.respond(200, b"{}")
            case "POST", "/__reply":
                self.answer = scripted(orjson.loads(request.body))
                await channel.respond(200, b"{}")
            case _:
                await channel.respond(404, b"{}")


@asynccontextmanager
async def opened(
    fake: FakeProvider, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[None, None]:
    """Let *fake* serve while the block lasts."""
    try:
        async with serving(fake.handle, host=host, port=port) as bound:
            fake.port = bound
            yield
    finally:
        fake.close()
