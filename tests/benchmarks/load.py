"""The client of the whole-node benchmarks, in a process of its own and cheap.

    python -m tests.benchmarks.load '{"kind": "turns", ...}'

prints one JSON object. A *target* is where to send what: ``{"url", "headers", "body"}``;
the provider alone is a target like the node, which is what makes it the baseline.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import orjson
import trio

from tests.support.wire import DONE, Closed, Connection

PATH = "/v1/chat/completions"
Target = dict[str, Any]


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which *part* of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


async def _first(connection: Connection, target: Target, body: bytes) -> float:
    """Seconds from the request to the first piece of text; reads to the end."""
    began = time.perf_counter()
    came: float | None = None
    await connection.ask("POST", PATH, target["headers"], body)
    async for data in connection.events():
        if came is None and data != DONE:
            choices = orjson.loads(data)["choices"]
            if choices and choices[0]["delta"].get("content"):
                came = time.perf_counter() - began
    assert came is not None
    return came


async def first_token(targets: list[Target], samples: int) -> dict[str, Any]:
    """Time to the first token of each target, one after the other in turn."""
    connections = [await Connection.open(target["url"]) for target in targets]
    bodies = [orjson.dumps(target["body"]) for target in targets]
    times: list[list[float]] = [[] for _ in targets]
    for number in range(samples + 20):
        for index, target in enumerate(targets):
            took = await _first(connections[index], target, bodies[index])
            if number >= 20:  # the first ones warm up
                times[index].append(took)
    return {
        "p50": [statistics.median(taken) for taken in times],
        "p99": [quantile(taken, 0.99) for taken in times],
    }


async def turns(target: Target, at_once: int, seconds: float) -> dict[str, Any]:
    """Whole answers per second, with *at_once* connections that never pause."""
    body = orjson.dumps(target["body"])
    times: list[float] = []
    began = trio.current_time() + min(1.0, seconds / 4)
    ends = began + seconds

    async def worker() -> None:
        with await Connection.open(target["url"]) as connection:
            while (now := trio.current_time()) < ends:
                answer = await connection.request("POST", PATH, target["headers"], body)
                assert answer.status == 200, answer.body
                if now >= began:
                    times.append(trio.current_time() - now)

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(worker)
    return {
        "per_second": len(times) / seconds,
        "p50": statistics.median(times),
        "p99": quantile(times, 0.99),
    }


async def open_turns(target: Target, count: int) -> dict[str, Any]:
    """*count* turns begun at once; how many are answered, and when the last one is."""
    body = orjson.dumps(target["body"])
    answered: list[float] = []
    failed: list[str] = []
    began = time.perf_counter()

    async def one() -> None:
        try:
            with await Connection.open(target["url"]) as connection:
                answer = await connection.request("POST", PATH, target["headers"], body)
            whole = answer.status == 200
            if whole and answer.json()["choices"][0]["message"]["content"]:
                answered.append(time.perf_counter() - began)
            else:
                failed.append(f"{answer.status} {answer.body[:200]!r}")
        except (Closed, OSError) as error:
            failed.append(repr(error))

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
    return {
        "answered": len(answered),
        "last": max(answered, default=0.0),
        "failed": failed[:5],
    }


async def streams(target: Target, count: int, tokens: int) -> dict[str, Any]:
    """*count* streams begun within two seconds; the delay of each single token.

    Each token is the time at which the provider sent it, on the clock that all
    processes of a machine share.
    """
    body = orjson.dumps(target["body"])
    delays: list[float] = []
    whole = 0

    async def one(number: int) -> None:
        nonlocal whole
        await trio.sleep(2.0 * number / count)
        seen: list[float] = []
        with await Connection.open(target["url"]) as connection:
            await connection.ask("POST", PATH, target["headers"], body)
            rest = ""
            async for data in connection.events():
                now = time.monotonic()
                if data == DONE:
                    break
                choices = orjson.loads(data)["choices"]
                text = choices[0]["delta"].get("content") if choices else None
                if text:
                    *stamps, rest = (rest + text).split(" ")
                    for stamp in map(float, stamps):
                        seen.append(stamp)
                        delays.append(now - stamp)
        if len(seen) == tokens and seen == sorted(seen):
            whole += 1

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, number)
    return {
        "whole": whole,
        "p50": statistics.median(delays),
        "p99": quantile(delays, 0.99),
        "most": max(delays),
    }


KINDS = {
    "first_token": first_token,
    "turns": turns,
    "open_turns": open_turns,
    "streams": streams,
}


async def _main(order: dict[str, Any]) -> None:
    result = await KINDS[order.pop("kind")](**order)
    sys.stdout.buffer.write(orjson.dumps(result) + b"\n")


if __name__ == "__main__":
    trio.run(_main, orjson.loads(sys.argv[1]))
