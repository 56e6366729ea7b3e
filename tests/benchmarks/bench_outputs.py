"""How late the event loop is while tools of one session say fifty megabytes.

The node runs in this program, with a fake provider that asks for a tool until it has said
so much, as one output or as several. Beside them sleeps a task for a millisecond, again
and again; how much longer it slept is the loop's lag. It is measured idle, too.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import attrs
import trio

from beamclaw.contracts.approvals import Clear, Clearance
from beamclaw.contracts.tools import Order, Output, Tool, ToolSpec
from tests.benchmarks.load import quantile
from tests.benchmarks.report import Row, emit
from tests.support.inside import Inside, configuration, open_inside
from tests.support.model import open_model

MB = 1_000_000
WHOLE = 50 * MB
IDLE_SECONDS = 2.0
SLEEP = 0.001
ROUNDS = 3
LINE = "the quick brown fox jumps over the lazy dog, and über alle anderen, again\n"


@attrs.frozen
class Talkative:
    """A tool with much to say."""

    text: str

    @property
    def spec(self) -> ToolSpec:
        schema = {"type": "object", "properties": {"text": {"type": "string"}}}
        return ToolSpec(
            name="say", description="says", parameters=schema, effect="pure"
        )

    async def run(self, order: Order) -> Output:
        del order
        return Output(self.text)

    async def check(self, order: Order) -> Output | None:
        del order
        return None

    async def clear(self, order: Order) -> Clearance:
        del order
        return Clear()


@attrs.define
class Lag:
    """Seconds by which each sleep was too long."""

    seconds: list[float] = attrs.field(factory=list[float])

    async def watch(self) -> None:
        while True:
            began = time.perf_counter()
            await trio.sleep(SLEEP)
            self.seconds.append(time.perf_counter() - began - SLEEP)

    def p99(self) -> float:
        return quantile(sorted(self.seconds), 0.99) * 1000

    def worst(self) -> float:
        return max(self.seconds) * 1000


async def idle() -> Lag:
    lag = Lag()
    with trio.move_on_after(IDLE_SECONDS):
        await lag.watch()
    return lag


async def busy(node: Inside, name: str, calls: int) -> tuple[Lag, float]:
    """One turn in which a tool is called so often, and what it took."""
    lag, plan = Lag(), f"t3-w0-g0-tools{calls}"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lag.watch)
        began = time.perf_counter()
        headers = node.headers(name, plan, session=f"agent:main:{name}")
        answer = await node.ask("say it", headers, wait=120)
        took = time.perf_counter() - began
        nursery.cancel_scope.cancel()
    assert answer.status == 200, answer.body
    return lag, took


async def measure(folder: Path, calls: int) -> Row:
    text = LINE * (WHOLE // calls // len(LINE.encode()))

    def toolbox(agent: str) -> Mapping[str, Tool]:
        del agent
        return {"say": Talkative(text)}

    async with (
        open_model() as model,
        open_inside(configuration(folder, model.url), toolbox=toolbox) as node,
    ):
        await node.url()
        await busy(node, "warm", calls)
        rounds = []
        for number in range(ROUNDS):
            alone = await idle()
            rounds.append((*await busy(node, f"r{number}", calls), alone))
    lag, took, _ = min(rounds, key=lambda measured: measured[0].p99())
    alone = min((alone for *_, alone in rounds), key=Lag.p99)
    return Row(
        name=f"lag of the loop, a turn with {WHOLE // MB} MB from tools in {calls}"
        f" {'call' if calls == 1 else 'calls'}, p99",
        value=lag.p99(),
        unit="ms",
        baseline=alone.p99(),
        against="the idle node",
        must="< 50",
        aim="< 10",
        note=f"worst {lag.worst():.1f} ms; idle worst {alone.worst():.1f} ms; the turn "
        f"took {took:.2f} s",
    )


async def main() -> None:
    for calls in (1, 10):
        with tempfile.TemporaryDirectory() as folder:
            emit(await measure(Path(folder) / "data", calls))


if __name__ == "__main__":
    trio.run(main)
