"""A thousand turns open at once: all are answered; a killed node goes on with them.

What an open turn takes is what the node holds with all of them open, against a Trio task
with a connection to the provider of its own.
"""

import time
from typing import Any

import orjson
import trio

from tests.benchmarks.load import PATH
from tests.benchmarks.report import Row, emit
from tests.benchmarks.stage import Stage, load, open_stage, resident
from tests.support.wire import Closed, Connection

OPEN = 1000
MANY, MANY_WAIT = 5000, 40
ROUNDS = 3


async def answered(stage: Stage) -> None:
    """All of them answered, by a provider that takes its time."""
    idle = resident(stage.node.pid)
    target = stage.through("t5-w5000-g0", stream=False)
    ours = await load("open_turns", target=target, count=OPEN)
    alone = await load(
        "open_turns", target=stage.alone("t5-w5000-g0", stream=False), count=OPEN
    )
    assert not ours["failed"], ours["failed"]
    peak = (await stage.statistics())["peak"]
    emit(
        Row(
            name=f"{OPEN:,} turns open at once, provider waits 5 s: answered",
            value=ours["answered"],
            unit="",
            baseline=OPEN,
            against="asked for",
            must=f"≥ {OPEN:,}",
            note=f"{peak} at once at the provider",
        ),
        Row(
            name=f"{OPEN:,} turns open at once: the last answer",
            value=ours["last"],
            unit="s",
            baseline=alone["last"],
            against="the provider alone",
        ),
        Row(
            name=f"memory after {OPEN:,} open turns",
            value=resident(stage.node.pid),
            unit="MB",
            baseline=idle,
            against="the idle node",
        ),
    )


async def many(stage: Stage) -> None:
    """As many as we should like, over a provider with as many permits."""
    target = stage.through(f"t5-w{MANY_WAIT * 1000}-g0", stream=False)
    ours = await load("open_turns", target=target, count=MANY)
    assert not ours["failed"], ours["failed"]
    peak = (await stage.statistics())["peak"]
    emit(
        Row(
            name=f"turns open at once, provider waits {MANY_WAIT} s, all answered",
            value=peak if ours["answered"] == MANY else 0,
            unit="",
            baseline=MANY,
            against="asked for",
            must=f"≥ {OPEN:,}",
            aim=f"≥ {MANY:,}",
            note=f"{resident(stage.node.pid):.0f} MB held afterwards",
        )
    )


async def resumed(stage: Stage) -> None:
    """kill -9 with all of them open; the node goes on with all of them."""
    target = stage.through(f"t5-w{24 * 3600 * 1000}-g0", stream=True)
    times: list[float] = []
    ready: list[float] = []
    async with trio.open_nursery() as nursery:
        for _ in range(OPEN):
            nursery.start_soon(_ask, target)
        await _calls(stage, OPEN)
        for number in range(ROUNDS):
            stage.node.kill9()
            await stage.node.wait()
            await stage.node.start()
            ready.append(stage.node.ready_after)
            await _calls(stage, (number + 2) * OPEN)
            times.append(time.monotonic() - stage.node.spawned)
        nursery.cancel_scope.cancel()
    emit(
        Row(
            name=f"{OPEN:,} open turns, killed: from start to all asked again",
            value=min(times),
            unit="s",
            baseline=min(ready),
            against="from start to ready",
            must="< 3",
            note=f"rounds: {', '.join(f'{took:.2f} s' for took in times)}",
        )
    )


async def _calls(stage: Stage, count: int) -> None:
    """Until the provider has been asked *count* times."""
    while (await stage.statistics())["calls"] < count:  # noqa: ASYNC110 -- another process
        await trio.sleep(0.01)


async def _ask(target: dict[str, Any]) -> None:
    """A client that waits for the end of its answer, until it is cut off."""
    try:
        with await Connection.open(target["url"]) as connection:
            body = orjson.dumps(target["body"])
            await connection.request("POST", PATH, target["headers"], body)
    except (Closed, OSError):
        pass


async def main() -> None:
    for part in (answered, resumed):
        async with open_stage() as stage:
            await part(stage)
    # A provider has 1,000 permits, if nothing else is configured.
    async with open_stage(max_concurrent=MANY) as stage:
        await many(stage)


if __name__ == "__main__":
    trio.run(main)
