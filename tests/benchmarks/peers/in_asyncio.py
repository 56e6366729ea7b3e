"""The rows of ``bench_supervision`` in asyncio, as far as it has what they are about.

    python in_asyncio.py PART [row ...]

does a part of the work and prints a line of JSON per row, in the unit of that row.
"""

import asyncio
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any


async def nothing() -> None:
    pass


async def messages(count: int) -> float:
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def receiver() -> None:
        for _ in range(count):
            await queue.get()

    task = asyncio.create_task(receiver())
    begin = perf_counter()
    for number in range(count):
        queue.put_nowait(number)
    await task
    return perf_counter() - begin


async def calls(count: int) -> float:
    queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue()

    async def server() -> None:
        while True:
            request, reply = await queue.get()
            reply.set_result(request)

    task = asyncio.create_task(server())
    loop = asyncio.get_running_loop()
    begin = perf_counter()
    for _ in range(count):
        reply = loop.create_future()
        queue.put_nowait((1, reply))
        async with asyncio.timeout(5):
            await reply
    elapsed = perf_counter() - begin
    task.cancel()
    return elapsed


async def one_by_one(count: int) -> float:
    begin = perf_counter()
    for _ in range(count):
        await asyncio.create_task(nothing())
    return perf_counter() - begin


async def in_batches(count: int) -> float:
    begin = perf_counter()
    for _ in range(count // 1000):
        async with asyncio.TaskGroup() as group:
            for _ in range(1000):
                group.create_task(nothing())
    return perf_counter() - begin


def micro(function: Callable[[int], Coroutine[Any, Any, float]], count: int) -> float:
    best = float("inf")
    for _ in range(7):
        gc.collect()
        best = min(best, asyncio.run(function(count)))
    return best / count * 1e6


async def memory(count: int) -> float:
    async def idle(queue: asyncio.Queue[int]) -> None:
        while True:
            await queue.get()

    gc.collect()
    tracemalloc.start()
    kept = []
    for _ in range(count):
        queue: asyncio.Queue[int] = asyncio.Queue()
        kept.append((queue, asyncio.create_task(idle(queue))))
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for _, task in kept:
        task.cancel()
    return used / count / 1024


async def many(count: int) -> tuple[float, float]:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    gc.collect()
    begin = perf_counter()
    tasks = [asyncio.create_task(forever()) for _ in range(count)]
    await asyncio.sleep(0)
    started = perf_counter() - begin
    begin = perf_counter()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return started, perf_counter() - begin


def main() -> None:
    part, wanted = int(sys.argv[1]), sys.argv[2:]
    rows: dict[str, Callable[[], float]] = {
        "one-way message": lambda: micro(messages, 50_000 // part),
        "call with time-out": lambda: micro(calls, 20_000 // part),
        "spawn, exit, down": lambda: micro(one_by_one, 10_000 // part),
        "spawn, exit, down in batches of 1,000": lambda: micro(
            in_batches, 20_000 // part
        ),
        "memory of an idle server": lambda: asyncio.run(memory(2_000)),
    }
    for name, row in rows.items():
        if not wanted or any(part_of in name for part_of in wanted):
            print(json.dumps({"name": name, "value": row()}), flush=True)
    children = f"{100_000 // part:,} children"
    if not wanted or any(part_of in children for part_of in wanted):
        started, stopped = asyncio.run(many(100_000 // part))
        names = ("start, 100 in flight", "orderly stop")
        for name, value in zip(names, (started, stopped), strict=True):
            print(json.dumps({"name": f"{children}: {name}", "value": value}))


main()
