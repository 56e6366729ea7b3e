"""A fake model provider for load: cheap to run, told what to do by the model's name.

It speaks OpenAI's chat completions just well enough for a client that is known to be
right; the strict fakes, which prove that it is, are in ``beamclaw.testing``. Every call
is on record before its answer begins, so that an auditor can ask who was called twice.

``t20-w100-g10`` answers with 20 tokens, the first after 100 ms, then one every 10 ms.
``t3-w0-g0-stamp``: each token is the time it was sent at. ``t4-w0-g0-hold2``: after two
tokens it waits for :attr:`Model.release` (in the same program only). ``t5-w0-g0-tools2``:
the first two calls of a turn ask for the first tool that they were told of.

As a program: ``python -m tests.support.model --calls FILE`` prints its address.
"""

import argparse
import heapq
import itertools
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio

from tests.support.wire import END, Closed, Stream

_PLAN = re.compile(r"t(\d+)-w(\d+)-g(\d+)(-stamp)?(?:-hold(\d+))?(?:-tools(\d+))?")
_OK = b"HTTP/1.1 200 OK\r\n"
_SSE = _OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_MARKER = re.compile(r"<<([^<>]+)>>")
DONE, LAST = b"data: [DONE]\n\n", b"0\r\n\r\n"


@attrs.frozen
class Plan:
    """How a call is answered; *wait* and *gap* in seconds."""

    tokens: int = 1
    wait: float = 0.0
    gap: float = 0.0
    stamp: bool = False
    hold: int | None = None
    tools: int = 0

    @classmethod
    def of(cls, model: str) -> "Plan":
        found = _PLAN.fullmatch(model)
        if found is None:
            return cls()
        tokens, wait, gap, stamp, hold, tools = found.groups()
        return cls(
            int(tokens),
            int(wait) / 1000,
            int(gap) / 1000,
            stamp is not None,
            None if hold is None else int(hold),
            int(tools or 0),
        )


def marker(text: str) -> str:
    """What stands between ``<<`` and ``>>``: which turn a message belongs to."""
    found = _MARKER.search(text)
    return found[1] if found else ""


def used(asked: dict[str, Any]) -> int:
    """How many results of tools came since the last message of a person."""
    roles = [message["role"] for message in asked["messages"]]
    since = len(roles) - roles[::-1].index("user") if "user" in roles else 0
    return roles[since:].count("tool")


def answer(marked: str, tokens: int) -> list[str]:
    """The tokens of the answer to the turn *marked*: the same for every attempt."""
    head = f"answer to <<{marked}>>" if marked else "answer"
    return [head, *(f" {number}" for number in range(1, tokens))]


@attrs.define
class Call:
    """One call as it came in, and what became of it."""

    number: int
    at: float
    model: str
    marker: str
    messages: list[tuple[str, str]]
    key: str
    sent: int = 0
    state: str = "open"


@attrs.define
class Statistics:
    """How many calls there were, are open now, and were open at once."""

    calls: int = 0
    open: int = 0
    peak: int = 0


@attrs.define(eq=False)
class Model:
    """The provider. *calls_file* gets one JSON line per call, and one at its end.

    Attributes:
        calls: All calls so far, in the order they came.
        release: What ``-hold`` waits for; replaceable.
        called: Parked here: whoever waits for the next call.
    """

    calls_file: Path | None = None
    url: str = ""
    statistics: Statistics = attrs.field(factory=Statistics)
    calls: list[Call] = attrs.field(factory=list[Call])
    release: trio.Event = attrs.field(factory=trio.Event)
    called: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    pacer: "Pacer" = attrs.field(factory=lambda: Pacer())  # noqa: PLW0108 -- defined below
    _file: int = -1

    async def serve(
        self,
        port: int = 0,
        task_status: Any = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Take connections until cancelled; started with the address."""
        if self.calls_file is not None:
            flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
            self._file = os.open(self.calls_file, flags, 0o600)
        with socket.create_server(("127.0.0.1", port), backlog=2048) as listening:
            listening.setblocking(False)
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.pacer.run)
                task_status.started(self.url)
                while True:
                    await trio.lowlevel.wait_readable(listening)
                    try:
                        while True:
                            sock, _ = listening.accept()
                            nursery.start_soon(self._connection, sock)
                    except BlockingIOError:
                        pass

    async def wait_calls(self, count: int) -> None:
        """Until there have been *count* calls."""
        while len(self.calls) < count:
            await self.called.park()

    async def wait_answered(self, marked: str, tokens: int) -> None:
        """Until *tokens* tokens of the answer to *marked* have been sent."""
        while not any(
            call.marker == marked and call.sent >= tokens for call in self.calls
        ):
            await self.called.park()

    async def _connection(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with Stream(sock) as stream:
            try:
                while True:
                    await self._exchange(stream)
            except Closed:
                pass

    async def _exchange(self, stream: Stream) -> None:
        head = (await stream.until(END)).decode("latin-1")
        request, *lines = head.split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await stream.exactly(int(headers.get("content-length", "0")))
        if request.startswith("GET /stats"):
            await stream.send(_whole(orjson.dumps(attrs.asdict(self.statistics))))
            return
        asked = orjson.loads(body)
        call = self._record(asked, headers.get("authorization", ""))
        statistics = self.statistics
        statistics.calls += 1
        statistics.open += 1
        statistics.peak = max(statistics.peak, statistics.open)
        try:
            await self._answer(stream, asked, call)
            call.state = "whole"
        except BaseException:
            call.state = "cut"
            raise
        finally:
            statistics.open -= 1
            self._write({"end": call.number, "state": call.state, "sent": call.sent})
            self.called.unpark_all()

    def _record(self, asked: dict[str, Any], key: str) -> Call:
        messages = [
            (message["role"], _text(message["content"]))
            for message in asked["messages"]
        ]
        said = [text for role, text in messages if role == "user"]
        call = Call(
            number=len(self.calls) + 1,
            at=time.monotonic(),
            model=asked["model"],
            marker=marker(said[-1]) if said else "",
            messages=messages,
            key=key,
        )
        self.calls.append(call)
        if self._file >= 0:
            turns = [(role, marker(text)) for role, text in messages]
            self._write(
                {"call": call.number, "at": call.at, "marker": call.marker}
                | {"turns": turns}
            )
        self.called.unpark_all()
        return call

    def _write(self, line: dict[str, Any]) -> None:
        if self._file >= 0:
            os.write(self._file, orjson.dumps(line) + b"\n")

    async def _answer(self, stream: Stream, asked: dict[str, Any], call: Call) -> None:
        plan = Plan.of(call.model)
        if plan.wait:
            await trio.sleep(plan.wait)
        tokens = answer(call.marker, plan.tokens)
        usage = {"prompt_tokens": 10, "completion_tokens": plan.tokens}
        usage["total_tokens"] = 10 + plan.tokens
        if used(asked) < plan.tools:
            frame = Frame(call)
            end = frame.usage(usage) + _chunk(DONE) + LAST
            await stream.send(_SSE + frame.tool(asked) + end)
            return
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "".join(tokens)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            reply = _reply(call, "chat.completion", [choice]) | {"usage": usage}
            await stream.send(_whole(orjson.dumps(reply)))
            call.sent = plan.tokens
            return
        frame = Frame(call)
        tail = frame.end()
        options = asked.get("stream_options") or {}
        if options.get("include_usage"):
            tail += frame.usage(usage)
        tail += _chunk(DONE) + LAST
        if plan.gap:
            first = _stamp() if plan.stamp else tokens[0]
            await stream.send(_SSE + frame.role() + frame.token(first))
            call.sent = 1
            if plan.tokens > 1:
                await self.pacer.send(stream, frame, tokens, plan)
            await stream.send(tail)
            return
        if plan.hold is not None:
            before = b"".join(map(frame.token, tokens[: plan.hold]))
            await stream.send(_SSE + frame.role() + before)
            call.sent, tokens = plan.hold, tokens[plan.hold :]
            self.called.unpark_all()
            await self._held(stream)
            await stream.send(b"".join(map(frame.token, tokens)) + tail)
        else:
            texts = (_stamp() for _ in tokens) if plan.stamp else tokens
            whole = b"".join(map(frame.token, texts))
            await stream.send(_SSE + frame.role() + whole + tail)
        call.sent = plan.tokens

    async def _held(self, stream: Stream) -> None:
        """Until the release, or until the caller is gone."""

        left = False

        async def watch(scope: trio.CancelScope) -> None:
            nonlocal left
            try:
                await stream.fill()
            except Closed:
                left = True
                scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, nursery.cancel_scope)
            await self.release.wait()
            nursery.cancel_scope.cancel()
        if left:
            raise Closed("the caller left")


@attrs.define
class Frame:
    """The server-sent events of one call."""

    call: Call
    _head: bytes = b""

    def __attrs_post_init__(self) -> None:
        empty = _reply(self.call, "chat.completion.chunk", [])
        self._head = orjson.dumps(empty).removesuffix(b"[]}")

    def role(self) -> bytes:
        return self._event(b'[{"index":0,"delta":{"role":"assistant","content":""}}]')

    def token(self, text: str) -> bytes:
        body = orjson.dumps(text)
        return self._event(b'[{"index":0,"delta":{"content":' + body + b"}}]")

    def end(self) -> bytes:
        return self._event(b'[{"index":0,"delta":{},"finish_reason":"stop"}]')

    def tool(self, asked: dict[str, Any]) -> bytes:
        """One call of the first tool of *asked*, and the end of the answer."""
        name = asked["tools"][0]["function"]["name"]
        id_ = f"call_{self.call.number}"
        function = {"name": name, "arguments": orjson.dumps({"text": id_}).decode()}
        call = {"index": 0, "id": id_, "type": "function", "function": function}
        begun = {"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}}
        ended = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
        return b"".join(self._event(orjson.dumps([each])) for each in (begun, ended))

    def usage(self, usage: dict[str, int]) -> bytes:
        return self._event(b'[],"usage":' + orjson.dumps(usage))

    def _event(self, choices: bytes) -> bytes:
        return _chunk(b"data: " + self._head + choices + b"}\n\n")


@attrs.define(eq=False)
class _Paced:
    stream: Stream
    frame: Frame
    tokens: list[str]
    plan: Plan
    done: trio.Event = attrs.field(factory=trio.Event)
    waiting: bytes = b""
    broken: bool = False

    def next(self) -> bool:
        """Send the next token if the socket takes it; whether more are to come."""
        call = self.frame.call
        text = _stamp() if self.plan.stamp else self.tokens[call.sent]
        data = self.waiting + self.frame.token(text)
        call.sent += 1
        try:
            taken = self.stream.socket.send(data)
        except BlockingIOError:
            taken = 0
        except OSError:
            self.broken = True
            return False
        self.waiting = data[taken:]
        return call.sent < len(self.tokens)


@attrs.define(eq=False)
class Pacer:
    """Sends the tokens of all paced streams from one task: a wake-up is the dear part.

    Streams are put on a grid of two milliseconds, so that many are due at once.
    """

    grid: float = 0.002
    _due: list[tuple[float, int, _Paced]] = attrs.field(factory=list)
    _numbers: "itertools.count[int]" = attrs.field(factory=itertools.count)
    _wake: trio.Event = attrs.field(factory=trio.Event)

    async def send(
        self, stream: Stream, frame: Frame, tokens: list[str], plan: Plan
    ) -> None:
        paced = _Paced(stream, frame, tokens, plan)
        self._put(trio.current_time() + plan.gap, paced)
        await paced.done.wait()
        if paced.broken:
            raise Closed("the caller left")
        await stream.send(paced.waiting)

    def _put(self, due: float, paced: _Paced) -> None:
        heapq.heappush(self._due, (due, next(self._numbers), paced))
        self._wake.set()

    async def run(self) -> None:
        while True:
            if not self._due:
                self._wake = trio.Event()
                await self._wake.wait()
            now = trio.current_time()
            while self._due and self._due[0][0] <= now:
                due, _, paced = heapq.heappop(self._due)
                if paced.next():
                    self._put(due + paced.plan.gap, paced)
                else:
                    paced.done.set()
            await trio.sleep_until((now // self.grid + 1) * self.grid)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])


def _stamp() -> str:
    return f"{time.monotonic():.4f} "


def _reply(call: Call, kind: str, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{call.number}",
        "object": kind,
        "created": 1_700_000_000,
        "model": call.model,
        "choices": choices,
    }


def _whole(body: bytes) -> bytes:
    length = f"Content-Length: {len(body)}\r\n".encode()
    return _OK + b"Content-Type: application/json\r\n" + length + b"\r\n" + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


@asynccontextmanager
async def open_model(calls_file: Path | None = None) -> AsyncIterator[Model]:
    """A model in this program."""
    model = Model(calls_file)
    async with trio.open_nursery() as nursery:
        await nursery.start(model.serve)
        yield model
        nursery.cancel_scope.cancel()


async def _main(calls: Path | None, port: int) -> None:
    model = Model(calls)
    async with trio.open_nursery() as nursery:
        url = await nursery.start(model.serve, port)
        print(url, flush=True)  # noqa: T201 -- the program's result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=Path)
    parser.add_argument("--port", type=int, default=0)
    chosen = parser.parse_args()
    try:
        trio.run(_main, chosen.calls, chosen.port)
    except KeyboardInterrupt:
        sys.exit(130)
