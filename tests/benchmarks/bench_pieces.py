"""What the pieces cost that the rows of ``bench_supervision`` are made of: Trio's and ours.

    python -m tests.benchmarks.bench_pieces

These have no limits: they say where the microseconds go, and what cannot be had for less.
"""

# Private parts, one by one: that is what it is for.
# pyright: reportPrivateUsage=false

import contextvars
import gc
import logging
import timeit
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any

import trio
from outcome import Value

import supervision
from supervision import Crash, _life, _telemetry, _trio_parts
from tests.benchmarks.report import Row, emit

TIMES = 20_000


def best(function: Callable[[], object]) -> float:
    """Microseconds, the best of some rounds."""
    gc.collect()
    return min(timeit.repeat(function, number=TIMES, repeat=5)) / TIMES * 1e6


def row(name: str, microseconds: float, note: str = "") -> None:
    emit(Row(name=f"piece: {name}", value=round(microseconds, 3), unit="us", note=note))


async def best_awaited(function: Callable[[], Any]) -> float:
    """Microseconds per await of what *function* returns, the loop included."""
    found = float("inf")
    for _ in range(5):
        begin = perf_counter()
        for _ in range(TIMES):
            await function()
        found = min(found, perf_counter() - begin)
    return found / TIMES * 1e6


async def nothing(match: object = None, *, timeout: float | None = None) -> None:
    pass


async def of_trio() -> None:
    async with trio.open_nursery() as nursery:
        context = contextvars.copy_context()
        runner = _trio_parts.GLOBAL_RUN_CONTEXT.runner
        home: Any = nursery

        def made_and_ended() -> None:
            coroutine = nothing()
            task = _trio_parts._make(home, context, "task", coroutine)
            coroutine.close()
            runner.task_exited(task, Value(None))

        passes = await best_awaited(trio.lowlevel.cancel_shielded_checkpoint)
        row("Trio: a pass of its loop", passes, "each wait of one task after another's")
        row("Trio: a task is made, and ends", best(made_and_ended))


async def of_messages() -> None:
    queue: deque[int] = deque([1])

    def through() -> None:
        queue.append(1)
        queue.popleft()

    async def who() -> None:
        _life.by_task[_trio_parts.running.task]

    async with supervision.open_supervisor():
        pid = supervision.spawn(trio.sleep_forever)

        def sends() -> None:
            supervision.send(pid, 1)

        row("into a deque and out again", best(through))
        row("a coroutine that does nothing, awaited", await best_awaited(nothing))
        row("send", best(sends))
        looks_up = supervision.spawn(_measure, "one that looks up which it is", who)
        while supervision.is_alive(looks_up):
            await trio.lowlevel.checkpoint()


async def _measure(name: str, function: Callable[[], Any]) -> None:
    row(name, await best_awaited(function))


async def of_processes() -> None:
    async with supervision.open_supervisor() as root:
        process = root.process
        assert process is not None
        home = process.home

        def made() -> None:
            _life.Process(home, home, home.pid, "label", 5.0)

        def made_and_ended() -> None:
            made = _life.Process(home, home, home.pid, "label", 5.0)
            home.processes.add(made)
            made.finish(supervision.NORMAL)

        row("a process: its values", best(made))
        row("a process: its values, and its exit step", best(made_and_ended))


def of_crashes() -> None:
    error = RuntimeError("on purpose")

    def raised() -> None:
        try:
            _raises()
        except RuntimeError:
            return

    def told() -> None:
        crash = Crash(error)
        _telemetry.emit(
            _telemetry.CRASH,
            {"messages": 1},
            {"pid": 1, "name": None, "id": "id", "reason": crash},
        )

    row("an exception, raised and caught two functions up", best(raised))
    row("the event of a crash, with the default sink", best(told))


def _raises() -> None:
    _raises_at_once()


def _raises_at_once() -> None:
    raise RuntimeError("on purpose")


def main() -> None:
    logging.getLogger("supervision").addHandler(logging.NullHandler())
    logging.getLogger("supervision").propagate = False
    trio.run(of_trio)
    trio.run(of_messages)
    trio.run(of_processes)
    of_crashes()


if __name__ == "__main__":
    main()
