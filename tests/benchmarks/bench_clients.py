"""Clients that stay connected: how they come in, are answered, wait, and are told.

The clients are in this program, so on a small machine they take processor time from the
node; what they do with what they read is nothing at all.
"""

import resource
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter
from typing import Any

import attrs
import trio

from beamclaw.contracts.shell import Decoder, encode, hello
from tests.benchmarks.report import Row, emit
from tests.benchmarks.stage import Stage, open_stage, resident
from tests.faults.line import Line, open_line
from tests.support.wire import Closed, once

TIMES = 300
IDLE = 10_000
SUBSCRIBERS = 1000
AT_ONCE = 50
CUT_OFF = 200
TOKENS, GAP_MS = 150, 20


def p50(times: list[float]) -> float:
    """Milliseconds."""
    return round(statistics.median(times) * 1000, 2)


async def handshake(stage: Stage) -> None:
    """From nothing to ``hello-ok``, one after the other."""
    ours: list[float] = []
    alone: list[float] = []
    for _ in range(TIMES):
        begin = perf_counter()
        async with open_line(stage.node):
            ours.append(perf_counter() - begin)
        begin = perf_counter()
        await once(f"{stage.node.base_url}/healthz")
        alone.append(perf_counter() - begin)
    emit(
        Row(
            name="handshake of a client, p50",
            value=p50(ours),
            unit="ms",
            baseline=p50(alone),
            against="a connection and /healthz",
            must="< 3",
        )
    )


async def round_trip(stage: Stage) -> None:
    """A question of a client that is there."""
    ours: list[float] = []
    alone: list[float] = []
    async with open_line(stage.node) as line:
        with await stage.node.connect() as connection:
            for _ in range(TIMES):
                begin = perf_counter()
                await line.call("health", {})
                ours.append(perf_counter() - begin)
                begin = perf_counter()
                await connection.request("GET", "/healthz", {})
                alone.append(perf_counter() - begin)
    emit(
        Row(
            name="health, round trip of a client, p50",
            value=p50(ours),
            unit="ms",
            baseline=p50(alone),
            against="/healthz on an open connection",
            must="< 1.5",
        )
    )


async def _read(line: Line) -> None:
    """All that comes, thrown away."""
    try:
        while True:
            line.connection.buffer.clear()
            await line.connection.fill()
    except Closed:
        pass


@asynccontextmanager
async def _many(stage: Stage, count: int, *, follow: str = "") -> AsyncIterator[None]:
    """So many clients; with *follow* they want to hear of that session."""
    limit = trio.CapacityLimiter(AT_ONCE)
    async with AsyncExitStack() as stack, trio.open_nursery() as readers:

        async def enter() -> None:
            async with limit:
                line = await stack.enter_async_context(open_line(stage.node))
                if follow:
                    await line.call("sessions.messages.subscribe", {"key": follow})
            readers.start_soon(_read, line)

        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(enter)
        yield
        readers.cancel_scope.cancel()


async def _order(stage: Stage, method: str, **params: object) -> Any:
    """What the node's own socket answers."""
    asked = {"id": 1, "method": method, "params": params}
    decoder = Decoder()
    path = str(stage.node.data / "node.sock")
    async with await trio.open_unix_socket(path) as stream:
        await stream.send_all(encode(hello()) + encode(asked))
        while data := await stream.receive_some(65536):
            for frame in decoder.feed(data):
                if frame.get("id") == 1:
                    return frame["result"]
    raise AssertionError(f"no answer to {method}")


async def revoked(stage: Stage) -> None:
    """From the order that makes a key void to the last connection by it being closed."""
    made = await _order(stage, "keys.create", name="bench", scopes=["operator.read"])
    node = attrs.evolve(stage.node, token=made["secret"])
    async with AsyncExitStack() as stack, trio.open_nursery() as readers:
        for _ in range(CUT_OFF):
            line = await stack.enter_async_context(open_line(node))
            readers.start_soon(_read, line)
        begin = perf_counter()
        await _order(stage, "keys.revoke", id=made["key"]["id"])
        answered = perf_counter() - begin
        while readers.child_tasks:  # noqa: ASYNC110 -- who reads to the end tells nobody
            await trio.sleep(0.001)
        closed = perf_counter() - begin
    emit(
        Row(
            name=f"a key is revoked: {CUT_OFF} clients by it are closed",
            value=round(closed * 1000, 1),
            unit="ms",
            baseline=round(answered * 1000, 1),
            against="the order is answered",
            must="< 1000",
        )
    )


async def idle(stage: Stage) -> None:
    """Clients that say nothing."""
    before = resident(stage.node.pid)
    async with _many(stage, IDLE):
        held = resident(stage.node.pid)
    emit(
        Row(
            name=f"memory with {IDLE:,} idle clients",
            value=held,
            unit="MB",
            baseline=before,
            against="the idle node",
            must="< 500",
            note=f"{(held - before) * 1000 / IDLE:.1f} kB for each",
        )
    )


async def _turn(stage: Stage, session: str) -> float:
    """Seconds that a turn takes, as a client of its own sees it."""
    plan = f"t{TOKENS}-w0-g{GAP_MS}"
    async with open_line(stage.node) as line:
        begin = perf_counter()
        asked = {
            "message": "measure <<bench>>",
            "sessionKey": session,
            "idempotencyKey": f"{session.rpartition(':')[2]}-{begin:.6f}",
            "model": f"openai/{plan}",
        }
        id_ = await line.request("agent", asked)
        await line.answer(id_)
        end = await line.answer(id_)
        assert end["status"] == "ok", end
        return perf_counter() - begin


async def told(stage: Stage) -> None:
    """A turn that many follow, against one that one client follows."""
    one, many = "agent:main:one", "agent:main:many"
    await _turn(stage, "agent:main:first")  # what is loaded once is loaded by now
    async with _many(stage, 1, follow=one):
        alone = await _turn(stage, one)
    async with _many(stage, SUBSCRIBERS, follow=many):
        ours = await _turn(stage, many)
    emit(
        Row(
            name=f"a turn at {1000 // GAP_MS} tokens/s with {SUBSCRIBERS:,} followers",
            value=round(ours, 2),
            unit="s",
            baseline=round(alone, 2),
            against="with one",
            ratio=round(ours / alone, 3),
            must="≤ 1.1x",
        )
    )


async def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for measure in (handshake, round_trip, revoked, told, idle):
        async with open_stage() as stage:
            await measure(stage)


if __name__ == "__main__":
    trio.run(main)
