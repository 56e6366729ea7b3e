"""The rows of ``bench_supervision`` in triotp, as far as it has what they are about.

    python in_triotp.py PART [row ...]

It runs in an environment of its own, because triotp pins an old Trio, and prints a line
of JSON per row, in the unit of that row.
"""

# That environment is not the one in which types are checked.
# pyright: reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportAttributeAccessIssue=false

import gc
import json
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import logbook
import trio
import trio.testing
from triotp import dynamic_supervisor, gen_server, mailbox, supervisor

# A server of triotp is a module with these functions.
HERE = sys.modules[__name__]


async def init(_):
    return 0


async def handle_call(request, caller, state):
    return gen_server.Reply(payload=1), state


async def handle_cast(message, state):
    return gen_server.NoReply(), state


async def messages(count: int) -> float:
    mid = mailbox.create()

    async def receiver() -> None:
        for _ in range(count):
            await mailbox.receive(mid)

    begin = perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receiver)
        for number in range(count):
            await mailbox.send(mid, number)
    return perf_counter() - begin


async def casts(count: int) -> float:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gen_server.start, HERE, None, "sink")
        await trio.testing.wait_all_tasks_blocked()
        begin = perf_counter()
        for number in range(count):
            await gen_server.cast("sink", number)
        await gen_server.call("sink", "ask")
        elapsed = perf_counter() - begin
        nursery.cancel_scope.cancel()
    return elapsed


async def calls(count: int) -> float:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gen_server.start, HERE, None, "server")
        await trio.testing.wait_all_tasks_blocked()
        begin = perf_counter()
        for _ in range(count):
            await gen_server.call("server", "ask", timeout=5)
        elapsed = perf_counter() - begin
        nursery.cancel_scope.cancel()
    return elapsed


async def restarts(count: int, before: int = 0) -> float:
    ready = trio.Event()
    crash = trio.Event()

    async def fragile() -> None:
        ready.set()
        await crash.wait()
        raise RuntimeError("on purpose")

    spec = supervisor.child_spec(id="f", task=fragile, args=[])
    # It takes the oldest of the failures out one by one, so it may have so many.
    options = supervisor.options(max_restarts=10**9, max_seconds=5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.start, [spec], options)
        await ready.wait()
        begin = perf_counter()
        for number in range(before + count):
            if number == before:
                begin = perf_counter()
            ready = trio.Event()
            old, crash = crash, trio.Event()
            old.set()
            await ready.wait()
        elapsed = perf_counter() - begin
        nursery.cancel_scope.cancel()
    return elapsed


def run(function: Callable[..., Awaitable[Any]], *args: object) -> Any:
    async def within() -> Any:
        mailbox._init()
        return await function(*args)

    return trio.run(within)


def micro(
    function: Callable[..., Awaitable[float]], count: int, *more: int, rounds: int = 5
) -> float:
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        best = min(best, run(function, count, *more))
    return best / count * 1e6


async def _with_supervisor(nursery: trio.Nursery) -> str:
    options = supervisor.options()
    return await nursery.start(dynamic_supervisor.start, options, "d")


async def memory(count: int) -> float:
    async with trio.open_nursery() as nursery:
        mid = await _with_supervisor(nursery)
        gc.collect()
        tracemalloc.start()
        for number in range(count):
            spec = supervisor.child_spec(
                id=str(number), task=gen_server.start, args=[HERE]
            )
            await dynamic_supervisor.start_child(mid, spec)
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        nursery.cancel_scope.cancel()
    return used / count / 1024


async def many(count: int, in_flight: int) -> tuple[float, float]:
    numbers = iter(range(count))

    async def starter(mid: str) -> None:
        for number in numbers:
            spec = supervisor.child_spec(
                id=str(number), task=gen_server.start, args=[HERE]
            )
            await dynamic_supervisor.start_child(mid, spec)

    async with trio.open_nursery() as nursery:
        mid = await _with_supervisor(nursery)
        gc.collect()
        begin = perf_counter()
        async with trio.open_nursery() as starters:
            for _ in range(in_flight):
                starters.start_soon(starter, mid)
        await trio.testing.wait_all_tasks_blocked()
        started = perf_counter() - begin
        begin = perf_counter()
        nursery.cancel_scope.cancel()
    return started, perf_counter() - begin


def main() -> None:
    part, wanted = int(sys.argv[1]), sys.argv[2:]
    rows: dict[str, Callable[[], float]] = {
        "one-way message": lambda: micro(messages, 20_000 // part),
        "cast to a server": lambda: micro(casts, 20_000 // part),
        "call with time-out": lambda: micro(calls, 10_000 // part),
        "crash to restarted child": lambda: micro(restarts, 2_000 // part),
        "the same after 10,000 restarts": lambda: micro(
            restarts, 500, 10_000 // part, rounds=3
        ),
        "memory of an idle server": lambda: run(memory, 2_000),
    }
    for name, row in rows.items():
        if not wanted or any(part_of in name for part_of in wanted):
            print(json.dumps({"name": name, "value": row()}), flush=True)
    children = f"{100_000 // part:,} children"
    if not wanted or any(part_of in children for part_of in wanted):
        # A tenth of them, times ten: all of them would take minutes.
        started, stopped = run(many, 10_000 // part, 100)
        one_by_one, _ = run(many, 10_000 // part, 1)
        for name, value in (
            ("start, 100 in flight", started),
            ("orderly stop", stopped),
            ("start, one caller after the other", one_by_one),
        ):
            print(json.dumps({"name": f"{children}: {name}", "value": value * 10}))


with logbook.NullHandler().applicationbound():
    main()
