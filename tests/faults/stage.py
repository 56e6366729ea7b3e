"""The stage of the crash tests: a testing node, a strict provider, clients that insist.

A :class:`Stage` keeps the node up: whenever it has killed itself, what lies on disk is
read, it is started again, and the clients send again what they had no acknowledgement
for, or ask for the answer of what they had. Everything anybody saw is in ``known``.
"""

import os
import secrets
import socket
import sqlite3
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio

from beamclaw.contracts.outside import Outside
from beamclaw.contracts.shell import nested
from beamclaw.testing.fake_openai import Entry, FakeOpenAI, fake_openai
from beamclaw.testing.node import FOLDER, Orders, reached
from tests.audit.book import Book, look_into, marker_of, read_book, work_left
from tests.audit.known import (
    Call,
    Cap,
    Kill,
    Known,
    Sent,
    Verdict,
    effects_of,
    programs_of,
)
from tests.audit.rules import violations
from tests.faults.plan import Plan, billed, is_summary, model, of_prompt
from tests.support.forks import forks_of
from tests.support.node import Node, NodeFailed, completion
from tests.support.pages import Pages, serving_pages
from tests.support.wire import DONE, Closed, Connection, Stream

# Seconds in which nothing at all happens, until work that is left is a failure: nobody
# is going to do it any more. Counted by looks at a node that sleeps; on a machine that
# has no time for it, it does not sleep, and the looks come later.
PATIENCE = float(os.environ.get("BEAMCLAW_PATIENCE", "20"))
# Seconds until this program gives up what goes on for ever: that proves nothing.
ENDLESS = 900.0
_LOOK = 0.1
_WORKING = 6  # times the patience with a node that works, and nothing comes of it
# With these a stream ends whose turn goes on, or was never taken; they say: ask again.
_ASK_AGAIN = ("draining", "unavailable", "answer_restarted")
PROGRAM = "beamclaw.testing.node"
CAP = 1.08  # dollars that a session may spend; only the model "dear" costs any
LEFT = (Closed, ConnectionRefusedError, FileNotFoundError, BrokenPipeError)

HOOK = "token-of-the-hooks"
LIFE = "x-life"  # a header by which the provider knows which of the nodes has called
CONFIG = """
providers:
  openai:
    base_url: {url}
    api_key: key-of-the-fake
    headers: {{x-life: "${{LIFE}}"}}
    retry_first: 0.01
    max_attempts: 2
    models:
      large: {{input_price: 0, output_price: 0}}
      broken: {{input_price: 0, output_price: 0}}
      small: {{context_window: 3600, max_output: 300, input_price: 0, output_price: 0}}
      dear: {{max_output: 100, input_price: 0, output_price: 10000}}
      nearly: {{max_output: 4, input_price: 0, output_price: 250000}}
  shaky:
    api: openai
    base_url: {url}
    api_key: key-of-the-fake
    headers: {{x-life: "${{LIFE}}"}}
    retry_first: 0.01
    max_attempts: 3
    breaker_failures: 1
    breaker_first: 0.02
    models: {{shaky: {{input_price: 0, output_price: 0}}}}
agents:
  main: {{model: openai/large}}
  careful: {{model: openai/large}}
  wary: {{model: openai/large, limits: {{day: {{seconds: 86400}}}}}}
  editor: {{model: openai/large}}
  chief: {{model: openai/large, hand_over: [main]}}
  small: {{model: openai/small}}
  dear: {{model: openai/dear}}
  spare: {{model: openai/broken, fallbacks: [openai/large]}}
  nearly: {{model: openai/nearly}}
  shaky: {{model: shaky/shaky}}
  guest: {{model: openai/large}}
  runner: {{model: openai/large}}
  reader: {{model: openai/large}}
tools:
  sessions: {{visibility: agent}}
  web:
    private_networks: [127.0.0.1/32]
    ports: [{pages}]
    after_untrusted: allow
hooks: {{enabled: true, token: {hook}}}
sessions: {{keep_tokens: 300, collect_ms: 60, revive_limit: 50{sessions}}}
limits:
  day: {{cost: 100000}}
  session: {{cost: {cap}}}
  turn: {{begins: 50, seconds: {seconds}, wait_seconds: {wait}}}
"""


class Unexpected(AssertionError):
    """The node ended by itself, without an order."""


class StandsStill(AssertionError):
    """Work is left, and nobody does anything."""


class Aborted(Exception):
    """It went on and on, for as long as this program looks at anything."""


def stood_still(before: float, *, changed: bool, works: bool) -> float:
    """Seconds of patience that are used up at a look, with those *before* it.

    A node that works gets longer, but not for ever: nothing may come of it.
    """
    if changed:
        return 0.0
    return before + _LOOK / (_WORKING if works else 1)


@attrs.define(eq=False)
class Meeting:
    """So many persons do something when all of them are there.

    Who has come once is counted, even if the node has died since.
    """

    size: int
    _there: set[str] = attrs.field(factory=set)
    _all: trio.Event = attrs.field(factory=trio.Event)

    def come(self, who: str) -> None:
        self._there.add(who)
        if len(self._there) == self.size:
            self._all.set()

    async def wait_for_all(self, who: str, down: trio.Event) -> None:
        """Until they are there.

        Raises:
            Closed: The node died first: whoever holds a line to it lets go.
        """
        self.come(who)
        async with trio.open_nursery() as nursery:

            async def give_up() -> None:
                await down.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(give_up)
            await self._all.wait()
            nursery.cancel_scope.cancel()
        if not self._all.is_set():
            raise Closed("the node died before all were there")


@attrs.define(eq=False)
class Stage:
    """See the module.

    Attributes:
        pages: What agents may fetch, on a port of its own.
        between: See :func:`open_stage`.
        since: When the node came up last, or was given orders.
        next_orders: What the node gets after its next deaths, one after the other; then
            only to write down what it reaches.
        complaints: What went wrong beside the rules.
        phases: The points that were reached, from one order to the next.
    """

    folder: Path
    fake: FakeOpenAI
    node: Node
    known: Known
    pages: Pages
    port_of_pages: int
    between: Callable[["Stage"], object] | None = None
    up: trio.Event = attrs.field(factory=trio.Event)
    down: trio.Event = attrs.field(factory=trio.Event)
    connected: int = 0
    since: float = 0.0
    next_orders: list[Orders] = attrs.field(factory=list)
    complaints: list[str] = attrs.field(factory=list)
    _markers: dict[int, str] = attrs.field(factory=dict, init=False)
    phases: list[list[str]] = attrs.field(factory=list)

    @property
    def ledger(self) -> Path:
        return self.node.data / "tenants" / "default" / "ledger.db"

    # --- the node

    async def keep_up(self, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        """Start the node, and again whenever it dies; until cancelled."""
        started = False
        while True:
            # Not a bare number: what may be a key is taken out of every log.
            life = f"life-{len(self.known.kills) + 1}"
            self.node.env = {**self.node.env, "LIFE": life}
            try:
                await self.node.start(wait=ENDLESS)  # what it takes, others measure
            except NodeFailed as error:
                process = self.node.process
                if process is None or process.poll() != -9:
                    raise Unexpected(str(error)) from None
                await self._died()
                continue
            if not self.node.token:  # it has made one for itself
                self.node.token = (self.node.data / "token").read_text().strip()
            self.down = trio.Event()
            self.since = time.monotonic()
            self.up.set()
            if not started:
                started = True
                task_status.started()
            code = await self.node.wait()
            if code != -9:
                raise Unexpected(f"ended with {code}:\n{self.node.stderr()}")
            await self._died()

    async def _died(self) -> None:
        """Let everybody notice, and look at what lies there."""
        if self.up.is_set():  # else there are some who wait for it
            self.up = trio.Event()
        self.down.set()
        while self.connected or self._asked():  # noqa: ASYNC110 -- counts tell nobody
            await trio.sleep(0.001)
        self.phases.append(reached(self.folder))
        book = read_book(self.ledger) if self.ledger.exists() else Book()
        self.known.kills.append(Kill(time.monotonic(), book, len(self._effects())))
        if self.next_orders and self.between is not None:
            self.between(self)
        orders = self.next_orders.pop(0) if self.next_orders else Orders()
        orders.give(self.folder)

    async def kill(self) -> None:
        """Kill it, whatever it does; it is started again by itself."""
        kills = len(self.known.kills)
        process = self.node.process
        if process is not None and process.poll() is None:
            process.kill()
            while len(self.known.kills) == kills:  # noqa: ASYNC110 -- tells nobody
                await trio.sleep(0.002)

    def _asked(self) -> bool:
        return any(entry.ended_at is None for entry in self.fake.ledger)

    def _effects(self) -> list[Any]:
        return effects_of(self._written())

    def _written(self) -> bytes:
        """What the tools have written down."""
        file = self.folder / "effects"
        return file.read_bytes() if file.exists() else b""

    # --- looking

    async def settled(self) -> None:
        """Until all work has ended, and nobody dies any more."""
        while True:
            await self.up.wait()
            if not work_left(self.ledger) and await self._has_caught_up():
                break
            await trio.sleep(0.01)
        self.phases.append(reached(self.folder))
        Orders(record=False).give(self.folder)
        await self.up.wait()

    async def _has_caught_up(self) -> bool:
        """Ask all of its parts: what stands in the ledger is known here before there."""
        try:
            await self.request("status")
            await self.request("status")
        except LEFT:
            return False
        return True

    async def ends(self, play: Callable[[], Awaitable[object]]) -> None:
        """Play it until all work has ended.

        Raises:
            StandsStill: Work is left, and nothing has happened for a while.
            Aborted: Things happened all the time, and it did not end.
        """
        verdicts = list[Exception]()
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                verdicts.append(await self._lose_patience())
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            await play()
            await self.settled()
            nursery.cancel_scope.cancel()
        for verdict in verdicts:
            raise verdict

    async def _lose_patience(self) -> Exception:
        still, signs = 0.0, self._signs()
        for _ in range(round(ENDLESS / _LOOK)):
            await trio.sleep(_LOOK)
            before, signs = signs, self._signs()
            changed = signs != before
            still = stood_still(still, changed=changed, works=self._is_busy())
            if still >= PATIENCE:
                places = await self._places()
                return StandsStill(
                    f"nothing for {PATIENCE} s: {self.left()}, standing {places}"
                )
        return Aborted(f"not over after {ENDLESS} s: {self.left()}")

    def _signs(self) -> tuple[object, ...]:
        """What is different when something has happened."""
        log = self.ledger.with_name(self.ledger.name + "-wal")
        files = (log, self.folder / "effects")
        times = [file.stat().st_mtime_ns for file in files if file.exists()]
        clients = sum(s.finished is not None for s in self.known.sent.values())
        return times, clients, len(self.fake.requests), len(self.known.kills)

    def _is_busy(self) -> bool:
        """Whether the node would do something at this moment, had it the machine."""
        process = self.node.process
        if process is None or process.poll() is not None:
            return True  # it is being started, or was
        try:
            stat = Path(f"/proc/{process.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        return stat.rpartition(") ")[2][0] in "RDZX"

    def left(self) -> str:
        """What is in progress, in words."""
        book = read_book(self.ledger) if self.ledger.exists() else Book()
        clients = [
            (m, "acknowledged" if sent.acked else "", book.run_of(m))
            for m, sent in self.known.sent.items()
            if sent.finished is None
        ]
        process = self.node.process
        code = None if process is None else process.poll()
        node = "up" if self.up.is_set() else f"down (exit code {code})"
        return (
            f"the node is {node}, waiting {book.waiting}, unanswered {clients}, "
            f"{self.connected} connected, provider busy: {self._asked()}, last points "
            f"{reached(self.folder)[-3:]}, last words {self.node.stderr()[-300:]!r}"
        )

    async def _places(self) -> list[str]:
        """Where each connection stands, and what is suspended; for who stands still."""
        found = list[str]()
        with trio.move_on_after(PATIENCE), suppress(*LEFT):
            # How many connections and requests it knows: the one that waits may be none.
            frame = await self.request("look.state", process="gateway/listener")
            found.append(str(frame.get("result", frame)))
            for _, row in flat(await self.processes()):
                name, pid = str(row["name"] or row["id"]), row["pid"]
                if pid and (row["suspended"] or "gateway/connection/" in name):
                    frame = await self.request("look.waiting", process=pid)
                    at = frame.get("result", {}).get("stack", ())
                    places = " ".join(f"{x['file']}:{x['line']}" for x in at)
                    what = "suspended" if row["suspended"] else row["status"]
                    found.append(f"{name} {what} {places}")
        return found

    def order(self, *orders: Orders) -> None:
        """Give orders: for this life of the node, for the one after its death, and so on."""
        first, *self.next_orders = orders
        self.phases.clear()
        self.since = time.monotonic()
        first.give(self.folder)

    def _marker(self, entry: Entry) -> str:
        """Of the message that the model was asked about; read once, and asked often."""
        found = self._markers.get(id(entry))
        if found is None:
            found = self._markers[id(entry)] = of_prompt(
                entry.body or {"messages": ()}
            )[0]
        return found

    async def called(
        self, sent: Sent, *, about: str | None = None, answered: bool = True
    ) -> None:
        """Until the model was asked about it (and has answered), or it is over.

        With *about* that message is meant: of a sub-agent that works for it.
        """
        marker = about or sent.marker

        def condition() -> bool:
            made = [
                entry
                for entry in self.fake.requests
                if entry.body and self._marker(entry) == marker
            ]
            if answered:
                made = [entry for entry in made if entry.ended_at is not None]
            return bool(made) or sent.finished is not None

        while not condition():  # noqa: ASYNC110 -- who finishes tells nobody
            await trio.sleep(0.002)

    async def begun(self, sent: Sent, says: str) -> None:
        """Until its tool has made the file *says*, or it is over."""
        while not (sent.finished or (self.folder / says).exists()):  # noqa: ASYNC110 -- another program's
            await trio.sleep(0.002)

    def look(self) -> list[str]:
        """What was broken so far; the node is idle."""
        known = self.known
        known.book = read_book(self.ledger)
        known.effects = self._effects()
        known.pages = self.pages.served
        known.programs = programs_of(self._written())
        known.calls = [_call(e) for e in self.fake.requests if e.body is not None]
        return [*self.complaints, *violations(known)]

    # --- clients

    def sent(self, marker: str, session: str, **more: Any) -> Sent:
        """Enter a message that is about to be sent."""
        sent = Sent(marker=marker, session=session, at=time.monotonic(), **more)
        return self.known.sent.setdefault(marker, sent)

    async def insist(self, sent: Sent, send: Any) -> None:
        """Call *send* with a live node until it says that the turn's end was told."""
        while True:
            await self.up.wait()
            down = self.down
            self.connected += 1
            try:
                done = await send(sent)
            except LEFT:
                done = False
                self.connected -= 1
                if await self._lives(down):
                    self.complaints.append(f"{sent.marker}: cut without a kill")
                    return
            else:
                self.connected -= 1
            if done:
                return

    async def _lives(self, down: trio.Event) -> bool:
        """Whether the node that has cut somebody off answers; False: it is down."""
        while not down.is_set():
            try:
                async with self._socket():
                    return True
            except LEFT:  # it is dying, or that part of it is
                with trio.move_on_after(_LOOK):
                    await down.wait()
        return False

    async def ask(
        self,
        plan: Plan,
        marker: str,
        session: str,
        *,
        mode: str | None = None,
        model: str | None = None,
        stream: bool = True,
        text: str | None = None,
        after: str | None = None,
        outcomes: tuple[str, ...] = ("ok",),
        task_status: Any = trio.TASK_STATUS_IGNORED,
    ) -> Sent:
        """Say it over HTTP, to the end; started when it is acknowledged."""
        sent = self.sent(marker, session, after=after, outcomes=outcomes)
        headers = {
            **self.node.bearer,
            "Content-Type": "application/json",
            "Idempotency-Key": marker,
            "x-openclaw-session-key": session,
            **({"x-openclaw-queue-mode": mode} if mode else {}),
            **({"x-openclaw-model": model} if model else {}),
        }
        body = completion(text or plan.message(marker), stream=stream)
        told = [task_status.started]

        def acknowledged() -> None:
            sent.acked = sent.acked or time.monotonic()
            if told:
                told.pop()(sent)

        async def send(sent: Sent) -> bool:
            with await self.node.connect() as connection:
                head = await connection.ask(
                    "POST", "/v1/chat/completions", headers, body
                )
                sent.run_id = head.headers.get("x-request-id", sent.run_id)
                if head.status == 401:  # another node has got the port of a dead one
                    raise Closed("a stranger")
                if head.status == 503:
                    return False
                acknowledged()
                if head.status != 200:
                    sent.errors.append((await connection.body()).decode())
                    return True
                if stream:
                    return await _read_stream(sent, connection)
                whole = orjson.loads(await connection.body())
                sent.texts.append(whole["choices"][0]["message"]["content"])
                return True

        await self.insist(sent, send)
        sent.finished = sent.finished or time.monotonic()
        return sent

    async def say(
        self,
        plan: Plan,
        marker: str,
        session: str,
        *,
        after: str | None = None,
        outcomes: tuple[str, ...] = ("ok",),
        task_status: Any = trio.TASK_STATUS_IGNORED,
    ) -> Sent:
        """Say it in the terminal, to the end; started when it is acknowledged."""
        sent = self.sent(marker, session, after=after, outcomes=outcomes)
        params = {"message": plan.message(marker), "id": marker, "session": session}
        told = [task_status.started]

        async def send(sent: Sent) -> bool:
            async with self._socket() as (stream, request):
                await request("chat", params)
                while "error" not in (frame := await _receive(stream)):
                    value = frame["event"]
                    if value["type"] == "Accepted":
                        sent.acked = sent.acked or time.monotonic()
                        sent.run_id = value["run_id"]
                        if told:
                            told.pop()(sent)
                    elif value["type"] == "RunEnded":
                        fine = value["outcome"] in ("ok", "limited")
                        (sent.texts if fine else sent.errors).append(value["text"])
                        return True
                return await self._refused(sent.marker, frame)

        await self.insist(sent, send)
        sent.finished = sent.finished or time.monotonic()
        return sent

    async def stop(self, sent: Sent) -> None:
        """Stop a turn that is acknowledged, until somebody says what became of it."""

        async def send(sent: Sent) -> bool:
            async with self._socket() as (stream, request):
                run = {"run_id": sent.run_id, "session_key": sent.session}
                await request("abort", run)
                frame = await _receive(stream)
                if "error" in frame:
                    return await self._refused(sent.marker, frame)
                sent.stopped = sent.stopped or bool(frame["result"])
                return True

        await self.insist(sent, send)

    async def asked(self, sent: Sent) -> None:
        """Until a question of the session is open, or the turn is over."""
        while sent.finished is None:
            with suppress(*LEFT):
                frame = await self.request("questions")
                rows = frame.get("result", ())
                if any(row["session_key"] == sent.session for row in rows):
                    return
            await trio.sleep(0.005)

    async def answer(
        self,
        sent: Sent,
        verdict: str,
        by: str = "owner",
        *,
        always: bool = False,
        meeting: Meeting | None = None,
    ) -> None:
        """Answer the next question of the session, when there is one.

        Those of a *meeting* answer when all of them have seen it.
        """

        async def send(sent: Sent) -> bool:
            async with self._socket() as (stream, request):
                await request("questions", {})
                frame = await _receive(stream)
                if "error" in frame:
                    return await self._refused(sent.marker, frame)
                rows = [r for r in frame["result"] if r["session_key"] == sent.session]
                if not rows:
                    await trio.sleep(0.005)
                    return sent.finished is not None
                if meeting is not None:
                    await meeting.wait_for_all(by, self.down)
                given = {"verdict": verdict, "by": by, "session_key": sent.session}
                given |= {"always": always} if always else {}
                wait_id = rows[0]["wait_id"]
                said = partial(Verdict, wait_id=wait_id, verdict=verdict, by=by)
                self.known.verdicts.append(said(counts=None))
                await request("answer", {**given, "wait_id": wait_id})
                frame = await _receive(stream)
                code = frame.get("error", {}).get("code")
                if code == "unavailable":
                    return await self._refused(sent.marker, frame)
                self.known.verdicts.append(said(counts=not code))
                return True

        await self.insist(sent, send)
        if meeting is not None:  # who finds nothing to answer any more keeps nobody
            meeting.come(by)

    async def order_session(self, session: str, method: str, **params: Any) -> None:
        """Have something done with a session; that it was done before is in order."""

        async def send(sent: Sent) -> bool:
            frame = await self.request(f"sessions.{method}", session=session, **params)
            code = frame.get("error", {}).get("code")
            # A command that was lost with the node has a turn of its own, which nobody
            # has stopped: whoever wants all of it gone asks again when that is over.
            if code == "unavailable" or (method == "delete" and code == "refused"):
                await trio.sleep(0.01)
                return False
            return True

        if method == "delete":
            self.known.unwanted.add(session)
        await self.insist(
            Sent(marker=f"{session} {method}", session=session, at=0), send
        )

    async def until(self, condition: Callable[[sqlite3.Connection], bool]) -> None:
        """Until the ledger is so, whoever has it open."""
        while True:
            await self.up.wait()
            if look_into(self.ledger, condition):
                return
            await trio.sleep(0.01)

    async def request(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask something of the node's socket once; the frame that answers."""
        async with self._socket() as (stream, request):
            await request(method, params)
            return await _receive(stream)

    async def processes(self) -> dict[str, Any]:
        """All of the node, as a tree; empty: it does not say at the moment."""
        rows: list[dict[str, Any]] = []
        async with self._socket() as (stream, request):
            await request("look.tree", {"most": 100_000, "limit": 1_000_000})
            while "event" in (frame := await _receive(stream)):
                rows += frame["event"]["rows"]
        return nested(rows) if rows else {}

    @asynccontextmanager
    async def _socket(self) -> AsyncIterator[Any]:
        path = self.node.data / "node.sock"
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with Stream(sock) as stream:
            sock.connect(str(path))
            numbers = iter(range(1000))

            async def request(method: str, params: dict[str, Any]) -> None:
                frame = {"id": next(numbers), "method": method, "params": params}
                await stream.send(orjson.dumps(frame) + b"\n")

            await request("hello", {"version": 1})
            await stream.until(b"\n")
            yield stream, request

    async def _refused(self, marker: str, frame: dict[str, Any]) -> bool:
        if frame["error"]["code"] == "unavailable":  # a part of the node is not up
            await trio.sleep(0.01)
            return False
        self.complaints.append(f"{marker}: {frame['error']}")
        return True


def flat(
    info: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """All processes of a tree but its root, by the ids on the way to them."""
    for child in info.get("children", ()):
        path = (*above, str(child["id"]))
        yield path, child
        yield from flat(child, path)


async def _receive(stream: Stream) -> dict[str, Any]:
    return orjson.loads(await stream.until(b"\n"))


async def _read_stream(sent: Sent, connection: Connection) -> bool:
    pieces: list[str] = []
    async for data in connection.events():
        if data == DONE:
            sent.texts.append("".join(pieces))
            return True
        value: dict[str, Any] = orjson.loads(data)
        if "error" in value:
            if value["error"].get("code") in _ASK_AGAIN:
                return False
            sent.errors.append(str(value["error"]))
            return True
        choices = value.get("choices", ())
        pieces += [choice["delta"].get("content") or "" for choice in choices]
    raise Closed("a stream without its end")


def _call(entry: Entry) -> Call:
    body = entry.body or {}
    summary = is_summary(body)
    fine = entry.status == 200 and entry.outcome != "refused"
    whole = entry.outcome == "complete"
    read, written = billed(body)
    return Call(
        marker=_about(body) if summary else of_prompt(body)[0],
        at=entry.at,
        model=body["model"],
        summary=summary,
        billed=(read, written if whole else entry.tokens) if fine else None,
        whole=whole,
        messages=tuple(body["messages"]),
        breaches=tuple(entry.breaches),
        life=int(entry.headers[LIFE].removeprefix("life-")),
    )


def _about(body: dict[str, Any]) -> str:
    """The marker of a summary's own turn is not in it: of the first one it sums up."""
    return marker_of(str(body["messages"][-1]["content"]))


@asynccontextmanager
async def open_stage(
    folder: Path,
    *orders: Orders,
    seconds: float = 600,
    wait: float = 600,
    token: str | None = None,
    sessions: str = "",
    between: Callable[["Stage"], object] | None = None,
    anew: bool = False,
    kind: "type[Stage] | None" = None,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> AsyncIterator[Any]:
    """A stage in *folder*, its node up; *orders* are its first ones.

    *seconds* that a turn may take, and *wait* that a person has to answer. With
    an empty *token* the node makes one for itself. *sessions* is more of that section
    of the configuration. *between* is called when the node has died of orders that have
    others behind them. With *anew* an interpreter of its own begins with each life of the
    node, else it is forked. *kind* is a stage of another sort, *env* more of the node's
    environment, *options* those of its command line.
    """
    first, *rest = orders or (Orders(record=False),)
    first.give(folder)
    pages = Pages()
    async with (
        fake_openai(answer=model(), outside=Outside(wall=time.monotonic)) as fake,
        serving_pages(pages) as port_of_pages,
    ):
        config = folder / "beamclaw.yaml"
        numbers = {
            "hook": HOOK,
            "cap": CAP,
            "seconds": seconds,
            "wait": wait,
            "sessions": sessions,
        }
        text = CONFIG.format(url=fake.base_url, pages=port_of_pages, **numbers)
        config.write_text(text)
        node = Node(
            data=folder / "data",
            env={FOLDER: str(folder), "BEAMCLAW_CONFIG": str(config), **(env or {})},
            options=options,
            program=PROGRAM,
            token=secrets.token_hex(16) if token is None else token,
            forks=None if anew else forks_of(PROGRAM),
        )
        caps = (Cap("session", "cost", round(CAP * 1_000_000)),)
        stage = (kind or Stage)(
            folder,
            fake,
            node,
            Known(caps=caps),
            pages,
            port_of_pages,
            between,
            next_orders=[*rest],
        )
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(stage.keep_up)
                yield stage
                nursery.cancel_scope.cancel()
        finally:
            if node.process is not None and node.running:
                node.kill9()
                with trio.CancelScope(shield=True):
                    await node.process.wait()
            if node.process is not None and node.process.stdout is not None:
                await node.process.stdout.aclose()
