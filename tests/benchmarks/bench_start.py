"""From start to ready on an empty data folder, and what an idle node holds in memory."""

import statistics
import subprocess
import tempfile
from pathlib import Path

import trio

from tests.benchmarks.report import Row, emit
from tests.benchmarks.stage import python, resident, took
from tests.support.node import open_node

ROUNDS = 7
IMPORTS = "import trio, quart_trio, hypercorn, httpx2"
IDLE = "import trio; trio.run(trio.sleep_forever)"


async def _start() -> tuple[float, float]:
    """Seconds to ready, and memory in MB two seconds later."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_node(Path(folder) / "data", anew=True) as node:
            await trio.sleep(2)
            return node.ready_after, resident(node.pid)


async def _bare() -> float:
    process = await trio.lowlevel.open_process(python(IDLE), stdout=subprocess.DEVNULL)
    await trio.sleep(1)
    held = resident(process.pid)
    process.kill()
    await process.wait()
    return held


async def main() -> None:
    imports: list[float] = []
    starts: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        imports.append(await took(python(IMPORTS)))
        starts.append(await _start())
    emit(
        Row(
            name="start to ready, empty data folder",
            value=statistics.median(ready for ready, _ in starts),
            unit="s",
            baseline=statistics.median(imports),
            against="importing trio, Quart-Trio, Hypercorn, httpx2",
            must="< 1",
            aim="< 0.5",
        ),
        Row(
            name="resident memory, idle node",
            value=statistics.median(held for _, held in starts),
            unit="MB",
            baseline=await _bare(),
            against="Python with Trio, idle",
            must="< 100",
            aim="< 60",
        ),
    )


if __name__ == "__main__":
    trio.run(main)
