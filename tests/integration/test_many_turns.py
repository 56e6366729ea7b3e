"""A thousand turns open at once."""
# ruff: noqa: ASYNC110 -- another process, and what a file says, is looked at

from pathlib import Path

import pytest
import trio

from tests.support.model import answer, open_model
from tests.support.node import open_node, uses
from tests.support.wire import Response

pytestmark = pytest.mark.slow

TURNS = 1000


async def test_a_thousand_turns_wait_for_a_slow_provider_and_all_are_answered(
    tmp_path: Path,
):
    answers: dict[str, Response] = {}
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url, "t5-w0-g0-hold0")) as node,
        trio.open_nursery() as nursery,
    ):

        async def one(name: str) -> None:
            answers[name] = await node.complete(f"say <<{name}>>")

        with trio.fail_after(120):
            for number in range(TURNS):
                nursery.start_soon(one, f"m{number}")
            await model.wait_calls(TURNS)
            peak = model.statistics.peak
            model.release.set()
            while len(answers) < TURNS:
                await trio.sleep(0.05)

    assert peak == TURNS
    for name, got in answers.items():
        assert got.status == 200, got.body
        content = got.json()["choices"][0]["message"]["content"]
        assert content == "".join(answer(name, 5))
    assert len(model.calls) == TURNS
