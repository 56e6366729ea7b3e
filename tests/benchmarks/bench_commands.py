"""How late the event loop is while fifty commands say a hundred megabytes each.

Beside them sleeps a task for a millisecond, again and again; how much longer it slept is
the loop's lag. It is measured idle, too. And how much memory the program took for it.
"""

import resource
import tempfile
import time
from functools import partial
from pathlib import Path

import trio

import supervision
from beamclaw import commands
from beamclaw.contracts.command_policy import CommandPolicy
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.tools import Order, Output
from beamclaw.paths import Roots
from tests.benchmarks.bench_outputs import Lag, idle
from tests.benchmarks.report import Row, emit

MB = 1_000_000
AT_ONCE = 50
EACH = 100 * MB
COMMAND = f"yes the quick brown fox, und über alle anderen | head -c {EACH}"
ROUNDS = 2


def peak() -> float:
    """The most memory that this program ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB


async def exec_(folder: Path, number: str, command: str, said: list[Output]) -> None:
    setting = commands.Setting(
        tenant="default",
        agent="main",
        roots=Roots(workspace=folder),
        policy=CommandPolicy(mode="off"),
        env={"PATH": "/usr/bin:/bin"},
        worker=Outside().worker(),
    )
    tool = commands.tools(setting)[0]
    order = Order(
        tenant="default",
        session_key="agent:main:main",
        run_id="r",
        call_id=number,
        tool="exec",
        arguments={"command": command, "yieldMs": 600_000},
        key=number,
    )
    said.append(await tool.run(order))


async def busy(folder: Path, name: str) -> tuple[Lag, float]:
    """All commands at once, and what they took."""
    lag, said = Lag(), list[Output]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lag.watch)
        began = time.perf_counter()
        for number in range(AT_ONCE):
            supervision.spawn(exec_, folder, f"{name}-{number}", COMMAND, said)
        while len(said) < AT_ONCE:  # noqa: ASYNC110 -- looked at seldom
            await trio.sleep(0.05)
        took = time.perf_counter() - began
        nursery.cancel_scope.cancel()
    assert all(len(output.text) > 200_000 for output in said)
    return lag, took


async def measure(folder: Path) -> None:
    up = partial(commands.supervisor, "default", commands.Settings(), Outside())
    spec = supervision.ChildSpec("c", up, type="supervisor", shutdown=None)
    async with supervision.open_supervisor([spec]):
        said = list[Output]()
        supervision.spawn(exec_, folder, "warm", "echo warm", said)
        while not said:  # noqa: ASYNC110 -- looked at seldom
            await trio.sleep(0.05)
        before = peak()
        rounds = [
            (await idle(), *await busy(folder, str(number))) for number in range(ROUNDS)
        ]
    alone, lag, took = min(rounds, key=lambda measured: measured[1].p99())
    whole = AT_ONCE * EACH / MB
    emit(
        Row(
            name=f"lag of the loop, {AT_ONCE} commands that say {EACH // MB} MB each, p99",
            value=lag.p99(),
            unit="ms",
            baseline=alone.p99(),
            against="the idle loop",
            must="< 50",
            aim="< 10",
            note=f"worst {lag.worst():.1f} ms; {whole / took:.0f} MB/s, {took:.1f} s",
        )
    )
    emit(
        Row(
            name=f"memory that {AT_ONCE} commands take which say {EACH // MB} MB each",
            value=peak() - before,
            unit="MB",
            baseline=AT_ONCE * 0.2 * 2,
            against="what is kept of their output, twice",
            must="< 200",
            aim="< 50",
        )
    )


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        await measure(Path(folder) / "workspace")


if __name__ == "__main__":
    trio.run(main)
