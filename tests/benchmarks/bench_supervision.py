"""Processes against bare Trio: one line of JSON per row, the baseline from the same run.

    python -m tests.benchmarks.bench_supervision [--quick] [--alone] [row ...]

Each number is the best of several rounds, ours and Trio's in turn, so that whatever else
the machine does hits both. Spliced scopes unless ``SUPERVISION_EAGER_SCOPES=1``. Where
more is better the ratio is baseline / value ("so many times faster"), else value /
baseline. Before that the programs in ``peers`` do the same, unless ``--alone``.
"""

import argparse
import gc
import logging
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any

import attrs
import trio

import supervision
from supervision import ChildSpec, DynamicSupervisor
from supervision.testing import settle
from tests.benchmarks.peers import Beside
from tests.benchmarks.report import Row, emit

Round = Callable[[int], Awaitable[float]]


@attrs.frozen
class Pair:
    """Ours and Trio's way to do the same thing *count* times; both return seconds."""

    name: str
    ours: Round
    theirs: Round
    against: str
    count: int
    must: str = ""
    aim: str = ""


others = Beside()


async def compare(pair: Pair, part: int, rounds: int = 7) -> None:
    """Print microseconds per operation, the best of *rounds* each."""
    ours = theirs = float("inf")
    count = pair.count // part
    for _ in range(rounds):
        gc.collect()
        theirs = min(theirs, await pair.theirs(count))
        gc.collect()
        ours = min(ours, await pair.ours(count))
    emit(
        Row(
            name=pair.name,
            value=round(ours / count * 1e6, 3),
            unit="us",
            baseline=round(theirs / count * 1e6, 3),
            against=pair.against,
            ratio=round(theirs / ours, 2),
            must=pair.must,
            aim=pair.aim,
            peers=others.of(pair.name),
        ),
    )


# --- one-way messages


async def messages(count: int) -> float:
    done = trio.Event()
    elapsed = 0.0

    async def receiver() -> None:
        nonlocal elapsed
        receive = supervision.receive
        for _ in range(count):
            await receive()
        elapsed = perf_counter() - begin
        done.set()

    async with supervision.open_supervisor():
        pid = supervision.spawn(receiver)
        begin = perf_counter()
        send = supervision.send
        for number in range(count):
            send(pid, number)
        await done.wait()
    return elapsed


async def channel_messages(count: int) -> float:
    send, receive = trio.open_memory_channel[int](float("inf"))
    done = trio.Event()
    elapsed = 0.0

    async def receiver() -> None:
        nonlocal elapsed
        for _ in range(count):
            await receive.receive()
        elapsed = perf_counter() - begin
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receiver)
        begin = perf_counter()
        for number in range(count):
            send.send_nowait(number)
        await done.wait()
    return elapsed


async def casts(count: int) -> float:
    class Sink(supervision.Server):
        seen = 0

        async def handle_cast(self, message: object) -> None:
            self.seen += 1

        async def handle_call(self, request: Any, sender: Any) -> int:
            return self.seen

    spec = ChildSpec("sink", Sink, name="sink")
    async with supervision.open_supervisor([spec]):
        pid = supervision.whereis("sink")
        assert pid is not None
        begin = perf_counter()
        cast = supervision.cast
        for number in range(count):
            cast(pid, number)
        await supervision.call(pid, Ask())
        return perf_counter() - begin


# --- calls


@attrs.frozen
class Ask(supervision.Call[int]):
    pass


class Answers(supervision.Server):
    async def handle_call(self, request: Any, sender: Any) -> int:
        return 1


async def calls(count: int) -> float:
    async with supervision.open_supervisor([ChildSpec("a", Answers, name="a")]):
        pid = supervision.whereis("a")
        assert pid is not None
        request = Ask()
        begin = perf_counter()
        for _ in range(count):
            await supervision.call(pid, request)
        return perf_counter() - begin


async def ping_pong(count: int) -> float:
    to_server, from_client = trio.open_memory_channel[int](0)
    to_client, from_server = trio.open_memory_channel[int](0)

    async def server() -> None:
        async for value in from_client:
            await to_client.send(value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(server)
        begin = perf_counter()
        for _ in range(count):
            await to_server.send(1)
            await from_server.receive()
        elapsed = perf_counter() - begin
        nursery.cancel_scope.cancel()
    return elapsed


# --- births and deaths


async def nothing() -> None:
    pass


async def spawn_one_by_one(count: int) -> float:
    dynamic = ChildSpec("d", DynamicSupervisor, name="d", type="supervisor")
    async with supervision.open_supervisor([dynamic]), supervision.adopt("d", "bench"):
        begin = perf_counter()
        for _ in range(count):
            supervision.spawn_monitor(nothing)
            await supervision.receive()
        return perf_counter() - begin


async def spawn_in_batches(count: int) -> float:
    dynamic = ChildSpec("d", DynamicSupervisor, name="d", type="supervisor")
    async with supervision.open_supervisor([dynamic]), supervision.adopt("d", "bench"):
        begin = perf_counter()
        for _ in range(count // 1000):
            for _ in range(1000):
                supervision.spawn_monitor(nothing)
            for _ in range(1000):
                await supervision.receive()
        return perf_counter() - begin


async def start_soon_one_by_one(count: int) -> float:
    async def returns() -> None:
        done.set()

    async with trio.open_nursery() as nursery:
        begin = perf_counter()
        for _ in range(count):
            done = trio.Event()
            nursery.start_soon(returns)
            await done.wait()
        return perf_counter() - begin


async def start_soon_in_batches(count: int) -> float:
    begin = perf_counter()
    for _ in range(count // 1000):
        async with trio.open_nursery() as nursery:
            for _ in range(1000):
                nursery.start_soon(nothing)
    return perf_counter() - begin


async def restarts(count: int, before: int = 0) -> float:
    """Crash a server *count* times, after it has crashed *before* times already."""
    ready = trio.Event()

    class Fragile(supervision.Server):
        async def init(self) -> None:
            ready.set()

        async def handle_cast(self, message: object) -> None:
            raise RuntimeError("on purpose")

    spec = ChildSpec("f", Fragile, name="f")
    async with supervision.open_supervisor([spec], max_restarts=10**9):
        begin = perf_counter()
        for number in range(before + count):
            if number == before:
                begin = perf_counter()
            ready = trio.Event()
            supervision.cast("f", "crash")
            await ready.wait()
        return perf_counter() - begin


async def restarts_later(count: int) -> float:
    return await restarts(count, 20 * count)


async def restarts_soon(count: int) -> float:
    return await restarts(count, count // 5)


# --- memory


def memory(count: int) -> None:
    async def servers() -> float:
        class Idle(supervision.Server):
            async def init(self) -> None:
                self.value = 1

        dynamic = ChildSpec("d", DynamicSupervisor, name="d", type="supervisor")
        async with supervision.open_supervisor([dynamic]):
            for _ in range(100):
                await supervision.start_child("d", ChildSpec("warm", Idle))
            gc.collect()
            tracemalloc.start()
            for number in range(count):
                await supervision.start_child("d", ChildSpec(f"{number}", Idle))
            await settle()
            gc.collect()
            used = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
        return used / count

    async def tasks() -> float:
        async def idle(receive: trio.MemoryReceiveChannel[int]) -> None:
            async for _ in receive:
                pass

        kept = []
        async with trio.open_nursery() as nursery:
            gc.collect()
            tracemalloc.start()
            for _ in range(count):
                send, receive = trio.open_memory_channel[int](float("inf"))
                kept.append(send)
                nursery.start_soon(idle, receive)
            await settle()
            gc.collect()
            used = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            nursery.cancel_scope.cancel()
        return used / count

    theirs = trio.run(tasks) / 1024
    ours = trio.run(servers) / 1024
    emit(
        Row(
            name="memory of an idle server",
            value=round(ours, 2),
            unit="KiB",
            baseline=round(theirs, 2),
            against="a Trio task with its memory channel",
            ratio=round(ours / theirs, 2),
            must="≤ 1x",
            aim="≤ 0.5x",
            peers=others.of("memory of an idle server"),
        ),
    )


# --- many children


def many(count: int) -> None:
    class Idle(supervision.Server):
        pass

    async def ours(in_flight: int) -> tuple[float, float]:
        dynamic = ChildSpec("d", DynamicSupervisor, name="d", type="supervisor")
        async with supervision.open_supervisor([dynamic], grace=600) as root:
            numbers = iter(range(count))

            async def starter() -> None:
                for number in numbers:
                    await supervision.start_child("d", ChildSpec(f"{number}", Idle))

            gc.collect()
            begin = perf_counter()
            async with trio.open_nursery() as nursery:
                for _ in range(in_flight):
                    nursery.start_soon(starter)
            started = perf_counter() - begin
            begin = perf_counter()
            await supervision.terminate_child(root, "d")
            return started, perf_counter() - begin

    async def theirs() -> tuple[float, float]:
        gc.collect()
        begin = perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(trio.sleep_forever)
            await settle()
            started = perf_counter() - begin
            begin = perf_counter()
            nursery.cancel_scope.cancel()
        return started, perf_counter() - begin

    base_start, base_stop = trio.run(theirs)
    musts = {
        "start, 100 in flight": "≤ 3.5x",
        "orderly stop": "≤ 2x",
        "start, one caller after the other": "≤ 6x",
    }
    rows = {}
    rows["start, 100 in flight"], rows["orderly stop"] = trio.run(ours, 100)
    rows["start, one caller after the other"], _ = trio.run(ours, 1)
    for name, seconds in rows.items():
        base = base_stop if name == "orderly stop" else base_start
        emit(
            Row(
                name=f"{count:,} children: {name}",
                value=round(seconds, 3),
                unit="s",
                baseline=round(base, 3),
                against="Trio's start_soon and cancel",
                ratio=round(seconds / base, 2),
                must=musts[name],
                peers=others.of(f"{count:,} children: {name}"),
            ),
        )


CHANNEL = "an unbounded memory channel"
PING_PONG = "a ping-pong over memory channels"
START_SOON = "start_soon and return"
PAIRS = [
    Pair(
        "one-way message", messages, channel_messages, CHANNEL, 50_000, "≥ 10x", "≥ 15x"
    ),
    Pair("cast to a server", casts, channel_messages, CHANNEL, 50_000),
    Pair("call with time-out", calls, ping_pong, PING_PONG, 20_000, "≥ 1.2x", "≥ 5x"),
    Pair(
        "spawn, exit, down",
        spawn_one_by_one,
        start_soon_one_by_one,
        START_SOON,
        10_000,
        must="≥ 0.7x",
        aim="≥ 2.5x",
    ),
    Pair(
        "spawn, exit, down in batches of 1,000",
        spawn_in_batches,
        start_soon_in_batches,
        START_SOON,
        20_000,
        must="≥ 0.4x",
    ),
    Pair(
        "crash to restarted child",
        restarts,
        start_soon_one_by_one,
        START_SOON,
        5_000,
        must="≥ 0.25x",
        aim="≥ 1x",
    ),
    Pair(
        "the same after 10,000 restarts",
        restarts_later,
        restarts_soon,
        "after 100 restarts",
        500,
        must="≥ 0.8x",
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="parts of names of rows; default all")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--alone", action="store_true", help="without the peers")
    options = parser.parse_args()
    part = 10 if options.quick else 1
    if not options.alone:
        others.measure(part, options.rows)
    # The default sink is part of what is measured; its output is not.
    logging.getLogger("supervision").addHandler(logging.NullHandler())
    logging.getLogger("supervision").propagate = False

    def run(pair: Pair) -> None:
        trio.run(compare, pair, part)

    jobs: list[tuple[str, Callable[[], object]]] = []
    jobs.extend((pair.name, partial(run, pair)) for pair in PAIRS)
    jobs.append(("memory", partial(memory, 2_000)))
    jobs.append(("children", partial(many, 100_000 // part)))
    for name, job in jobs:
        if not options.rows or any(
            wanted in name or name in wanted for wanted in options.rows
        ):
            job()


if __name__ == "__main__":
    main()
