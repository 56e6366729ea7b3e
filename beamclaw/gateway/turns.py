"""From a request of any API over HTTP to a turn and its answer.

This is an edge and nothing more: the message is handed in, its run is followed, what is
published of it is passed on. The turn is durable and needs nobody here; only a client
that leaves a conversation of one request takes its turn along, unless it gave the
message a key: then it may come back for the answer.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final

import attrs
import orjson
import trio

import supervision
from beamclaw.agents import AgentDefinition
from beamclaw.contracts import names, tracing
from beamclaw.contracts.bus import Bus, Kinds
from beamclaw.contracts.follow import follow
from beamclaw.contracts.ledger_errors import (
    IdempotencyConflict,
    LedgerError,
    Overloaded,
    StorageFull,
)
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.contracts.outside import Outside, Worker
from beamclaw.contracts.points import point
from beamclaw.contracts.sessions import (
    PIECES,
    Inbound,
    RunEnded,
    TopicValue,
    abort,
    read_run,
    submit,
)
from beamclaw.gateway import stored, strict_json
from beamclaw.gateway.anthropic import messages
from beamclaw.gateway.anthropic.messages import Messages
from beamclaw.gateway.api import Api, Events
from beamclaw.gateway.ask import Ask
from beamclaw.gateway.exchange import Exchange
from beamclaw.gateway.fields import Wrong
from beamclaw.gateway.honour import Check
from beamclaw.gateway.problem import Problem, invalid
from beamclaw.gateway.watch import Finish, Nothing, Watch
from beamclaw.values import frozen

# Waits between tries while the tenant is down; it is back in less than the first few.
PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0)
# How long a client that has left keeps its connection's process, at most.
ABORT_SECONDS: Final = 5.0
_SSE: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
)

STOPPING: Final = Problem(
    status=503,
    type="api_error",
    message="this node is stopping; the turn goes on when it is back, ask again with "
    "the same Idempotency-Key",
    code="draining",
    retry_after=5.0,
    close=True,
)
UNAVAILABLE: Final = Problem(
    status=503,
    type="api_error",
    message="this node cannot take turns at the moment; ask again",
    code="unavailable",
    retry_after=1.0,
)

# What to do with a value of the run; True: that was the last one wanted.
Take = Callable[[Any], Awaitable[bool]]


@frozen(kw_only=True)
class Limits:
    """Numbers of the configuration's ``gateway`` section that matter here."""

    max_json_depth: int
    stream_buffer: int
    heartbeat_seconds: float


@frozen(kw_only=True)
class Turns:
    """What all requests share that ask for an answer.

    Attributes:
        reader: Reads large bodies.
    """

    bus: Bus
    outside: Outside
    limits: Limits
    check: Check
    reader: Worker

    async def serve(
        self,
        exchange: Exchange,
        api: Api,
        headers: Mapping[str, str],
        body: bytes,
        *,
        account: str = "gateway",
    ) -> None:
        """Answer one request.

        *account* keeps apart the idempotency keys of who came by different credentials.
        """
        ask = await self._ask(api, headers, body)
        if isinstance(ask, Problem):
            await exchange.refuse(ask)
            return
        at = self.outside.wall()
        run_id = f"{api.prefix}{self.outside.new_id()}"
        about = {**ask.about, "created_at": int(at)} if ask.about else {}
        inbound = ask.inbound(
            tenant=names.DEFAULT_TENANT,
            run_id=run_id,
            unique=self.outside.new_id(),
            about=orjson.dumps(about).decode() if ask.stored else "",
            account=account,
            trace=tracing.given(headers),
        )
        try:
            await self._turn(exchange, api, ask, inbound, at)
        finally:
            if exchange.gone and _is_unwanted(ask):
                await self.abort(inbound.session_key, inbound.run_id)

    async def count(
        self, api: Messages, headers: Mapping[str, str], body: bytes
    ) -> int | Problem:
        """How many tokens a request would take, estimated; nothing is asked."""
        value = await self.read(body)
        ask = value if isinstance(value, Problem) else api.counted(value, headers)
        if isinstance(ask, Problem):
            return ask
        definition = self._definition(ask)
        if isinstance(definition, Problem):
            return definition
        return messages.size(ask, definition.system)

    async def _ask(
        self, api: Api, headers: Mapping[str, str], body: bytes
    ) -> Ask | Problem:
        value = await self.read(body)
        if isinstance(value, Problem):
            return value
        ask = api.read(value, headers)
        if isinstance(ask, Problem):
            return ask
        definition = self._definition(ask)
        if isinstance(definition, Problem):
            return definition
        return await self._behind(ask)

    def _definition(self, ask: Ask) -> AgentDefinition | Problem:
        """Who is asked, if what is asked can be done."""
        try:
            return self.check(ask.agent, ask.backend, ask.params)
        except Wrong as wrong:
            return wrong.problem
        except LookupError as unknown:
            return invalid(
                str(unknown), param="x-openclaw-model", code="model_not_found"
            )

    async def _behind(self, ask: Ask) -> Ask | Problem:
        """*ask* in the conversation of the response that it follows."""
        if ask.previous is None:
            return ask
        for pause in PAUSES:
            try:
                row = await read_run(self.bus, names.DEFAULT_TENANT, ask.previous)
            except supervision.CallFailed:
                await trio.sleep(pause)
                continue
            return stored.behind(ask, row)
        return UNAVAILABLE

    async def read(self, body: bytes) -> object:
        """The JSON in *body*, or a :class:`Problem`."""
        parse = partial(strict_json.read, body, max_depth=self.limits.max_json_depth)
        try:
            if len(body) <= strict_json.SMALL:
                value = parse()
            else:
                value = await self.reader.run(parse)
        except strict_json.BadJson as bad:
            return invalid(str(bad))
        return value

    async def _turn(
        self, exchange: Exchange, api: Api, ask: Ask, inbound: Inbound, at: float
    ) -> None:
        beat = self.limits.heartbeat_seconds if ask.stream else float("inf")
        without = () if ask.stream else PIECES
        with self._watch(exchange, inbound.session_key, beat, without) as watch:
            receipt = await self._submit(inbound, at, watch)
            if isinstance(receipt, Problem):
                await exchange.refuse(receipt)
            elif receipt.session_key == inbound.session_key:
                await self._answer(exchange, api, ask, receipt, watch)
        if isinstance(receipt, Problem) or receipt.session_key == inbound.session_key:
            return
        # A repeat: its run is in the conversation that the first one was given.
        with self._watch(exchange, receipt.session_key, beat, without) as watch:
            await self._answer(exchange, api, ask, receipt, watch)

    def _watch(
        self, exchange: Exchange, session_key: str, beat: float, without: Kinds = ()
    ) -> Watch:
        topic = names.topic(names.DEFAULT_TENANT, session_key)
        inner = self.bus.subscribe(
            topic, buffer=self.limits.stream_buffer, without=without
        )
        return Watch(inner, exchange, beat)

    async def _submit(
        self, inbound: Inbound, at: float, watch: Watch
    ) -> Receipt | Problem:
        for pause in PAUSES:
            try:
                return await submit(self.bus, inbound, at=at)
            except supervision.CallFailed:
                # Whether it was taken is unknown; the same id finds out.
                if not await watch.pause(pause):
                    return STOPPING
            except LedgerError as error:
                return refused(error)
        return UNAVAILABLE

    async def _answer(
        self, exchange: Exchange, api: Api, ask: Ask, receipt: Receipt, watch: Watch
    ) -> None:
        # A repeat says when the first one came, as does who reads the response later.
        created = int(receipt.at)
        if ask.background and not ask.stream:
            body = api.kept(receipt.run_id, ask, created)
            await _send(exchange, receipt.run_id, body)
            return
        run_id = receipt.run_id
        if ask.stream:
            events = api.events(run_id, ask, created)
            out: _Reply = _Streamed(exchange, run_id, watch, events)
        else:
            out = _Whole(exchange, run_id, watch, api, ask, created)
        await out.begin()
        await self._follow(run_id, watch, out.take, join=receipt.duplicate)

    async def rejoin(self, exchange: Exchange, events: Events, row: RunRow) -> None:
        """Answer with what is published of a run that is known, also one that is over."""
        beat = self.limits.heartbeat_seconds
        with self._watch(exchange, row.session_key, beat) as watch:
            out = _Streamed(exchange, row.run_id, watch, events)
            await out.begin()
            await self._follow(row.run_id, watch, out.take, join=True)

    async def _follow(
        self, run_id: str, watch: Watch, take: Take, *, join: bool
    ) -> None:
        run = follow(self.bus, names.DEFAULT_TENANT, run_id, watch, join=join)
        async with aclosing(run) as values:
            async for value in values:
                if await take(value):
                    return

    async def abort(self, session_key: str, run_id: str) -> None:
        """Stop a run that nobody wants any more; also for who is cancelled."""
        with trio.CancelScope(shield=True) as scope:
            scope.deadline = trio.current_time() + ABORT_SECONDS
            # A tenant that is down has nothing in progress.
            with suppress(supervision.CallFailed, LedgerError):
                await abort(self.bus, names.DEFAULT_TENANT, session_key, run_id)


@attrs.define(eq=False)
class _Reply(ABC):
    exchange: Exchange
    run_id: str
    watch: Watch

    @abstractmethod
    async def begin(self) -> None:
        """The message is kept."""

    @abstractmethod
    async def take(self, value: TopicValue | Nothing | Finish) -> bool:
        """Something of the run; True: that was the last one wanted."""


@attrs.define(eq=False, slots=False)
class _Streamed(_Reply):
    """Server-sent events; the first one is the acknowledgement."""

    chunks: Events

    async def begin(self) -> None:
        self.unsent: list[bytes] = []
        self.exchange.streaming = True
        with point("http.accepted"):
            await self.exchange.start(200, [*_SSE, *_named(self.run_id)])
            await self.exchange.write(self.chunks.first())

    async def take(self, value: TopicValue | Nothing | Finish) -> bool:
        match value:
            case Nothing():
                await self.exchange.write(self.chunks.beat())
                return False
            case Finish():
                events = self.chunks.fail(STOPPING)
            case _:
                events = self.chunks.feed(value)
        self.unsent.append(events)
        if self.chunks.ended:
            with point("http.end"):
                await self.exchange.write(b"".join(self.unsent), more=False)
        elif not self.watch.more:
            events = b"".join(self.unsent)
            self.unsent.clear()
            if events:
                with point("http.stream"):
                    await self.exchange.write(events)
        return self.chunks.ended


@attrs.define(eq=False)
class _Whole(_Reply):
    """One JSON object, when the outcome is known."""

    api: Api
    ask: Ask
    created: int

    async def begin(self) -> None:
        """Nothing is sent before the end."""

    async def take(self, value: TopicValue | Nothing | Finish) -> bool:
        match value:
            case RunEnded():
                with point("http.answer"):
                    await self._end(value)
            case Finish():
                await self.exchange.refuse(STOPPING)
            case _:
                return False
        return True

    async def _end(self, end: RunEnded) -> None:
        body = self.api.whole(self.ask, end, self.created)
        if isinstance(body, Problem):
            await self.exchange.refuse(body)
            return
        await _send(self.exchange, self.run_id, body)


async def _send(exchange: Exchange, run_id: str, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *_named(run_id),
    ]
    await exchange.start(200, headers)
    await exchange.write(body, more=False)


def _named(run_id: str) -> tuple[tuple[bytes, bytes], ...]:
    """Under the names that OpenAI's clients and Anthropic's look for."""
    return (b"x-request-id", run_id.encode()), (b"request-id", run_id.encode())


def _is_unwanted(ask: Ask) -> bool:
    """Whether nobody can ever read the answer when the client has left."""
    return ask.ephemeral and ask.idempotency_key is None


def refused(error: LedgerError) -> Problem:
    """What who hands something in is told that the ledger does not take."""
    match error:
        case Overloaded():
            return Problem(
                status=429,
                type="rate_limit_error",
                message=str(error),
                code="overloaded",
                retry_after=error.retry_after,
            )
        case StorageFull():
            return Problem(
                status=503,
                type="api_error",
                message="the disk of this node is full, and nothing was accepted; ask "
                "again when there is room on it",
                code="insufficient_storage",
                retry_after=error.retry_after,
            )
        case IdempotencyConflict():
            return Problem(
                status=409,
                message="this Idempotency-Key came before with another request",
                param="idempotency-key",
                code="idempotency_conflict",
                retry=False,
            )
        case _:
            return UNAVAILABLE
