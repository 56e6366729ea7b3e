"""From start to ready on an empty data folder, what an idle node holds in memory, status.

`beamclaw status` is a program of its own each time: from its start to its end, with the
node asked in between. What the system holds of Python's files in memory is there, as the
node was started by the same; an interpreter that does nothing is beside it.
"""

import statistics
import subprocess
import tempfile
from pathlib import Path

import trio

from tests.benchmarks.report import Row, emit
from tests.benchmarks.stage import python, resident, took
from tests.support.node import Node, open_node

ROUNDS = 7
STATUSES = 5
IMPORTS = "import trio, quart_trio, hypercorn, httpx2"
IDLE = "import trio; trio.run(trio.sleep_forever)"


async def _start() -> tuple[float, float, float]:
    """Seconds to ready, memory in MB two seconds later, and ms of a status then."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_node(Path(folder) / "data", anew=True) as node:
            await trio.sleep(2)
            held = resident(node.pid)
            statuses = [await _status(node) for _ in range(STATUSES)]
            return node.ready_after, held, statistics.median(statuses)


async def _status(node: Node) -> float:
    began = trio.current_time()
    done = await node.command("status")
    took = trio.current_time() - began
    assert (done.code, "processes" in done.out) == (0, True), done
    return took * 1000


async def _bare() -> float:
    process = await trio.lowlevel.open_process(python(IDLE), stdout=subprocess.DEVNULL)
    await trio.sleep(1)
    held = resident(process.pid)
    process.kill()
    await process.wait()
    return held


async def main() -> None:
    imports: list[float] = []
    nothing: list[float] = []
    starts: list[tuple[float, float, float]] = []
    for _ in range(ROUNDS):
        imports.append(await took(python(IMPORTS)))
        nothing.append(await took(python("")) * 1000)
        starts.append(await _start())
    emit(
        Row(
            name="start to ready, empty data folder",
            value=statistics.median(ready for ready, _, _ in starts),
            unit="s",
            baseline=statistics.median(imports),
            against="importing trio, Quart-Trio, Hypercorn, httpx2",
            must="< 1",
            aim="< 0.5",
        ),
        Row(
            name="resident memory, idle node",
            value=statistics.median(held for _, held, _ in starts),
            unit="MB",
            baseline=await _bare(),
            against="Python with Trio, idle",
            must="< 100",
            aim="< 60",
        ),
        Row(
            name="`beamclaw status`, from its start to its end",
            value=statistics.median(status for *_, status in starts),
            unit="ms",
            baseline=statistics.median(nothing),
            against="Python, doing nothing",
            must="< 300",
            aim="< 100",
            note="the files that it reads are in the system's memory",
        ),
    )


if __name__ == "__main__":
    trio.run(main)
