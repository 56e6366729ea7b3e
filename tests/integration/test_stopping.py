"""SIGTERM: what is open ends in order, nothing new begins; a second one ends at once."""
# ruff: noqa: ASYNC110 -- another process, and what a file says, is looked at

import signal
from pathlib import Path

import pytest
import trio

from tests.support.model import Model, open_model
from tests.support.node import Node, open_node, uses
from tests.support.wire import Response, once

pytestmark = pytest.mark.slow

PLAN = "t5-w0-g0-hold2"


async def until_draining(node: Node) -> None:
    """Until the node says that it takes no more."""
    with trio.fail_after(20):
        while (await once(f"{node.base_url}/readyz")).status == 200:
            await trio.sleep(0.01)


async def one_open(node: Node, model: Model, got: list[Response]) -> None:
    got.append(await node.complete("say <<open>>"))


async def test_an_open_turn_is_finished_before_the_node_ends(tmp_path: Path):
    got: list[Response] = []
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url, PLAN)) as node,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(one_open, node, model, got)
        await model.wait_answered("open", 2)
        node.terminate()
        await until_draining(node)
        refused = await node.complete("too late")
        alive = await once(f"{node.base_url}/healthz")
        model.release.set()
        with trio.fail_after(20):
            code = await node.wait()

    assert refused.status == 503
    assert alive.status == 200
    assert [response.status for response in got] == [200]
    assert got[0].json()["choices"][0]["message"]["content"].endswith(" 4")
    assert code == 0
    assert "Traceback" not in node.stderr()


@pytest.mark.parametrize(
    "number, expected", [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
async def test_a_second_signal_ends_it_at_once(
    tmp_path: Path, number: signal.Signals, expected: int
):
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url, PLAN)) as node,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_until_it_breaks, node)
        await model.wait_answered("open", 2)
        node.signal(number)
        await until_draining(node)
        node.signal(number)
        with trio.fail_after(20):
            code = await node.wait()
        nursery.cancel_scope.cancel()
        model.release.set()
        await node.start()  # and the turn is finished by the next one
        with trio.fail_after(20):
            await model.wait_calls(2)
            while model.statistics.open:
                await model.called.park()

    assert code in (expected, -number)


async def _until_it_breaks(node: Node) -> None:
    try:
        await node.complete("say <<open>>", {"x-openclaw-session-key": "kept"})
    except Exception as error:  # noqa: BLE001 -- the node ends in the middle
        assert error.args  # noqa: PT017


async def test_an_idle_node_ends_at_once_and_starts_again(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        with trio.fail_after(20):
            assert await node.stop() == 0
        await node.start()
        assert (await once(f"{node.base_url}/readyz")).json()["ready"] is True


async def test_a_turn_that_outlasts_the_drain_goes_on_after_the_next_start(
    tmp_path: Path,
):
    config = tmp_path / "beamclaw.yaml"
    config.write_text("shutdown: {drain_seconds: 0.3}\n")
    async with (
        open_model() as model,
        open_node(
            tmp_path / "data",
            env=uses(model.url, PLAN, BEAMCLAW_CONFIG=str(config)),
        ) as node,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_until_it_breaks, node)
        await model.wait_answered("open", 2)
        with trio.fail_after(20):
            code = await node.stop()
        model.release.set()
        await node.start()
        again = {"x-openclaw-session-key": "kept"}
        after = await node.complete("say <<after>>", again)

    assert code == 0
    assert after.status == 200, after.body
    turns = [text for role, text in model.calls[-1].messages if role == "user"]
    assert turns == ["say <<open>>", "say <<after>>"]
