"""A whole node between a client and a fake provider, against the provider alone.

What depends on how busy the machine is is measured in several rounds, ours and the
provider alone in turn, and the best round of each counts.
"""

from typing import Any

import trio

from tests.benchmarks.report import Row, emit
from tests.benchmarks.stage import Stage, load, open_stage

ROUNDS = 3
SAMPLES = 140
SECONDS = 3.0
STREAMS, TOKENS = 200, 300
# Of the model, in a turn with two tool calls.
CALLS = 3
ALONE = "the provider alone"
LIMITS = {1: ("> 80", "> 200"), 16: ("> 200", "> 500"), 64: ("> 200", "> 500")}


async def first_token(stage: Stage) -> None:
    plan = "t5-w0-g20"
    targets = [stage.through(plan, stream=True), stage.alone(plan, stream=True)]
    rounds = [
        await load("first_token", targets=targets, samples=SAMPLES)
        for _ in range(ROUNDS)
    ]
    measured = min(rounds, key=lambda measured: measured["p50"][0])
    (ours, alone), (worst, worst_alone) = measured["p50"], measured["p99"]
    emit(
        Row(
            name="added to the time to the first token, p50",
            value=(ours - alone) * 1000,
            unit="ms",
            baseline=alone * 1000,
            against=ALONE,
            ratio=alone / ours,
            must="< 10",
            aim="< 5",
        ),
        Row(
            name="added to the time to the first token, p99",
            value=(worst - worst_alone) * 1000,
            unit="ms",
            baseline=worst_alone * 1000,
            against=ALONE,
            ratio=worst_alone / worst,
        ),
    )


async def _best(at_once: int, *targets: dict[str, Any]) -> list[dict[str, Any]]:
    """Turns per second of each target, in turn; the best round of each."""
    order = {"at_once": at_once, "seconds": SECONDS}
    rounds = [
        [await load("turns", target=target, **order) for target in targets]
        for _ in range(ROUNDS)
    ]
    return [
        max(side, key=lambda measured: measured["per_second"])
        for side in zip(*rounds, strict=True)
    ]


async def turns(stage: Stage) -> None:
    plan = "t5-w0-g0"
    targets = stage.alone(plan, stream=False), stage.through(plan, stream=False)
    for at_once, (must, aim) in LIMITS.items():
        alone, ours = await _best(at_once, *targets)
        emit(
            Row(
                name=f"turns per second, {at_once} at once, provider without delay",
                value=ours["per_second"],
                unit="/s",
                baseline=alone["per_second"],
                against=ALONE,
                must=must,
                aim=aim,
                note=f"p99 of a turn: {ours['p99'] * 1000:.0f} ms",
            )
        )


async def tool_turns() -> None:
    """With two tool calls each, which is three calls of the model."""
    async with (
        open_stage() as plain,
        open_stage(program="tests.benchmarks.tool_node") as tools,
    ):
        targets = (
            plain.through("t5-w0-g0", stream=False),
            tools.through("t5-w0-g0-tools2", stream=False),
        )
        for at_once, (must, aim) in LIMITS.items():
            alone, ours = await _best(at_once, *targets)
            emit(
                Row(
                    name=f"model calls per second in turns with two tool calls, "
                    f"{at_once} at once",
                    value=ours["per_second"] * CALLS,
                    unit="/s",
                    baseline=alone["per_second"],
                    against="turns without tools",
                    must=must,
                    aim=aim,
                    note=f"{ours['per_second']:.0f} turns per second, p99 of a turn: "
                    f"{ours['p99'] * 1000:.0f} ms",
                )
            )


async def streams(stage: Stage) -> None:
    plan = f"t{TOKENS}-w0-g20-stamp"
    order = {"count": STREAMS, "tokens": TOKENS}
    targets = stage.alone(plan, stream=True), stage.through(plan, stream=True)
    rounds = [
        [await load("streams", target=target, **order) for target in targets]
        for _ in range(ROUNDS)
    ]
    alone, ours = [
        min(side, key=lambda measured: measured["p99"])
        for side in zip(*rounds, strict=True)
    ]
    # In full has to be every round, not the best.
    whole = min(measured["whole"] for _, measured in rounds)
    emit(
        Row(
            name=f"{STREAMS} streams at 50 tokens/s: delay of a token, p99",
            value=ours["p99"] * 1000,
            unit="ms",
            baseline=alone["p99"] * 1000,
            against=ALONE,
            must="< 250",
            note=f"p50 {ours['p50'] * 1000:.0f} ms, longest {ours['most'] * 1000:.0f} ms",
        ),
        Row(
            name=f"{STREAMS} streams at 50 tokens/s: delivered in full",
            value=whole,
            unit="",
            baseline=alone["whole"],
            against=ALONE,
            must=f"≥ {STREAMS}",
        ),
    )


async def main() -> None:
    for part in (first_token, turns, streams):
        async with open_stage() as stage:
            await part(stage)
    await tool_turns()


if __name__ == "__main__":
    trio.run(main)
