"""What the fakes of model providers share: replies, faults, ledger, command line."""

import argparse
import itertools
import os
import re
import signal
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

import attrs
import orjson
import trio

from beamclaw.contracts.outside import Outside
from beamclaw.testing._http import Channel, ClientLeft, Cut, HTTPRequest, serving

Body = dict[str, Any]


@attrs.frozen(kw_only=True)
class Fault:
    """One thing that goes wrong with one request. Counts are of events sent before.

    Attributes:
        status: Answer with this HTTP error, in the platform's own words.
        retry_after: Seconds, sent as ``retry-after`` with *status*.
        headers: More headers to send along.
        code: The error's code (or type) in place of the usual one of *status*.
        message: Its sentence.
        html: Answer with a web page, as proxies do (with *status*, or 200).
        redirect: Answer with a redirect to this address.
        hang: Never answer; ``True`` before the head of the response.
        error_after: An error event inside the stream.
        cut_after: The connection is closed in the middle of the stream.
        cut_inside: As *cut_after*, but half of the next event is sent too.
        silence_after: Nothing more comes, the connection stays open.
        no_end: The formal end is left out (``[DONE]``, ``message_stop``).
        no_finish: The stop reason is left out too.
        no_usage: No figures.
        pings: Pings (comment lines, at OpenAI) before each event.
        split: Sent in pieces of so many bytes.
        newline: The line ending, ``crlf`` or ``cr`` in place of LF.
        quirks: Deviations of compatible servers, by name; see the fake.
    """

    status: int | None = None
    retry_after: float | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    code: str | None = None
    message: str | None = None
    html: bool = False
    redirect: str | None = None
    hang: bool = False
    error_after: int | None = None
    cut_after: int | None = None
    cut_inside: int | None = None
    silence_after: int | None = None
    no_end: bool = False
    no_finish: bool = False
    no_usage: bool = False
    pings: int = 0
    split: int | None = None
    newline: str = "lf"
    quirks: frozenset[str] = frozenset()


FAULTS: dict[str, Fault] = {
    "rate_limit": Fault(status=429, retry_after=1),
    "overloaded": Fault(status=529),
    "server": Fault(status=500),
    "auth": Fault(status=401),
    "model": Fault(status=404),
    "html": Fault(status=502, html=True),
    "hang": Fault(hang=True),
    "error_after": Fault(error_after=3),
    "cut": Fault(cut_after=3),
    "silence": Fault(silence_after=3),
    "no_end": Fault(no_end=True),
    "pings": Fault(pings=50),
    "split": Fault(split=1),
}
"""Those with a name on the command line."""


@attrs.frozen(kw_only=True)
class Tool:
    """A tool call in a reply; *arguments* is sent in the pieces given."""

    id: str
    name: str
    arguments: tuple[str, ...] = ("{}",)


@attrs.frozen(kw_only=True)
class Reply:
    """What to answer.

    Attributes:
        text: The answer; sent word by word, a word is a token.
        pieces: The answer in pieces of your own, in place of *text*.
        thinking: Reasoning before it, in pieces.
        signature: Of the reasoning (Anthropic).
        tools: Tool calls after it.
        stop: The stop reason in the platform's own word.
        delay: Seconds before the first token.
        gap: Seconds between tokens. With none, all is sent in one write.
        usage: Tokens in and out, in place of those counted.
        cached: Tokens of the input that came from a cache.
        fault: What goes wrong.
    """

    text: str = ""
    pieces: tuple[str, ...] | None = None
    thinking: tuple[str, ...] = ()
    signature: str | None = None
    tools: tuple[Tool, ...] = ()
    stop: str | None = None
    delay: float = 0.0
    gap: float = 0.0
    usage: tuple[int, int] | None = None
    cached: int = 0
    fault: Fault | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The text in the pieces in which it is sent."""
        if self.pieces is not None:
            return self.pieces
        return tuple(re.findall(r"\s*\S+|\s+$", self.text))


@attrs.define(kw_only=True)
class Entry:
    """One request as the fake saw it: an effect that the platform bills.

    Attributes:
        at: Seconds since the epoch when the request was there.
        key: The key that came with it, in clear: the key of a fake is no secret.
        outcome: ``open``, ``complete``, ``left`` (by the client), ``cut`` (by a fault)
            or ``refused``.
        tokens: Tokens of output that were sent, and so are billed.
        breaches: Which of the platform's rules it broke.
    """

    id: int
    at: float
    method: str
    path: str
    key: str
    body: Body | None
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


Answer = Callable[[Body], Reply]
# An event to send: its bytes, and how many tokens it holds.
Event = tuple[bytes, int]


def last_words(body: Body) -> str:
    """The text of the last message from the user."""
    for message in reversed(cast("list[Any]", body.get("messages") or [])):
        if message.get("role") == "user":
            return text_of(message.get("content"))
    return ""


def text_of(content: object) -> str:
    """The text of a message's content, plain or in blocks."""
    if isinstance(content, str):
        return content
    blocks = cast("list[Any]", content) if isinstance(content, list) else []
    return " ".join(str(block.get("text", "")) for block in blocks)


def echo(body: Body) -> Reply:
    """The reply of a fake that was told nothing: what was said, said back."""
    return Reply(text=f"You said: {last_words(body)}")


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
        )
        self.ledger.append(entry)
        try:
            await self._answer(request, channel, entry)
            entry.outcome = "refused" if entry.status != 200 else "complete"  # noqa: PLR2004 - HTTP
        except Cut:
            entry.outcome = "cut"
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
        reply = self.answer(entry.body)
        if fault is not None:
            reply = attrs.evolve(reply, fault=fault)
        await self._reply(channel, entry, entry.body, reply)

    def _checked(self, request: HTTPRequest, entry: Entry) -> Body | None:
        """The body if all rules are kept; none for the list of models."""
        if not entry.key or (self.keys is not None and entry.key not in self.keys):
            entry.breaches.append("key")
            code, message = self.refusal(401)
            raise Refused(401, code, message)
        if request.method == "GET" and request.path.endswith("/models"):
            return None
        if request.method != "POST" or request.path != self.path:
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
            entry.tokens = _written(reply)
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
            raise Cut
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


_FINE = Fault()


def _written(reply: Reply) -> int:
    return len(reply.words) + len(reply.thinking) + len(reply.tools)


def counted(reply: Reply, sent: int) -> tuple[int, int]:
    """Tokens in and out of *reply*, of *sent* tokens."""
    return reply.usage or (sent, _written(reply))


def scripted(options: Mapping[str, Any]) -> Answer:
    """An answer from settings: ``text``, ``tokens``, ``delay``, ``gap``.

    Without ``text`` the answer repeats what was said, followed by as many words as
    ``tokens`` wants.
    """
    tokens = int(options.get("tokens") or 0)
    delay, gap = float(options.get("delay") or 0), float(options.get("gap") or 0)
    text = options.get("text")
    filling = tuple(f" w{n}" for n in range(tokens))

    def answer(body: Body) -> Reply:
        said = text if isinstance(text, str) else echo(body).text
        pieces = Reply(text=said).words
        if tokens:
            pieces = (*pieces, *filling)[: max(tokens, len(pieces))]
        return Reply(pieces=pieces, delay=delay, gap=gap)

    return answer


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


def main(fake: Callable[..., FakeProvider], arguments: Sequence[str]) -> int:
    """The fake as a process: prints its base URL, serves until it is told to end."""
    parser = argparse.ArgumentParser(description=(fake.__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0, help="s before first token")
    parser.add_argument("--gap", type=float, default=0, help="s between two tokens")
    parser.add_argument("--tokens", type=int, default=0, help="tokens of an answer")
    parser.add_argument("--text", help="the answer; default: what was said")
    parser.add_argument("--key", action="append", help="a key to accept; default: all")
    parser.add_argument("--model", action="append", help="a model; default: all")
    parser.add_argument("--window", type=int, help="context window in tokens")
    parser.add_argument(
        "--ledger", type=Path, help="file to which entries are appended"
    )
    parser.add_argument(
        "--fault", action="append", default=[], choices=sorted(FAULTS),
        help="let one request go wrong, in this order",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    made = fake(
        answer=scripted(vars(options)),
        keys=options.key,
        models=options.model,
        window=options.window,
        journal=options.ledger,
    )
    made.fail(*(FAULTS[name] for name in options.fault))
    trio.run(_run, made, options.host, options.port)
    return 0


async def _run(fake: FakeProvider, host: str, port: int) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with opened(fake, host=host, port=port):
            sys.stdout.write(f"{fake.base_url}\n")
            sys.stdout.flush()
            async for _ in signals:
                return
