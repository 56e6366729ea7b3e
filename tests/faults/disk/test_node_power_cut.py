"""The power is cut under a whole node with turns in progress, again and again."""

import random
from pathlib import Path

import pytest
import trio

from tests.audit.book import read_book
from tests.faults.disk.model import Disk
from tests.faults.disk.powercut import SHARES
from tests.faults.disk.shim import environment, read_log
from tests.faults.disk.test_failing_disk import answered
from tests.support.model import Model, open_model
from tests.support.node import Node, completion, open_node, uses
from tests.support.wire import Closed

pytestmark = [pytest.mark.slow, pytest.mark.peer("cc"), pytest.mark.timeout(120)]

CLIENTS = 6


async def talk(node: Node, name: str, acknowledged: list[str]) -> None:
    """Message after message, until the node is gone; notes what was acknowledged."""
    for number in range(1000):
        marker = f"{name}.{number}"
        headers = {
            **node.bearer,
            "Content-Type": "application/json",
            "Idempotency-Key": marker,
            "x-openclaw-session-key": name,
        }
        body = completion(f"<<{marker}>> say", stream=True)
        try:
            with await node.connect() as connection:
                head = await connection.ask(
                    "POST", "/v1/chat/completions", headers, body
                )
                assert head.status == 200
                acknowledged.append(marker)
                async for _ in connection.events():
                    pass
        except (Closed, ConnectionRefusedError):
            return


async def storm(node: Node, rng: random.Random) -> list[str]:
    """Load, and a kill in the middle of it; what had been acknowledged."""
    acknowledged: list[str] = []
    async with trio.open_nursery() as nursery:
        for number in range(CLIENTS):
            nursery.start_soon(talk, node, f"c{number}", acknowledged)
        await trio.sleep(rng.uniform(0.3, 1.0))
        node.kill9()
        await node.wait()
    return acknowledged


async def after(folder: Path, acknowledged: list[str], model: Model) -> None:
    """A node on what is left has everything, and answers all of it."""
    path = folder / "tenants" / "default" / "ledger.db"
    there = {row["marker"] for row in read_book(path).inbox}
    assert set(acknowledged) <= there
    async with open_node(folder, env=uses(model.url, "t3-w0-g0")) as node:
        for marker in acknowledged[-CLIENTS:]:
            await answered(node, marker, marker.partition(".")[0])
        with trio.fail_after(60):
            await node.stop()
    book = read_book(path)
    assert book.waiting == []
    assert all(run["outcome"] == "ok" for run in book.runs)


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_was_acknowledged_is_answered_after_a_power_cut(
    tmp_path, library, seed
):
    rng, data, log = random.Random(seed), tmp_path / "data", tmp_path / "log"
    async with open_model() as model:
        env = {
            **uses(model.url, "t5-w0-g5"),
            **environment(library, tmp_path, log=log),
        }
        async with open_node(data, env=env) as node:
            acknowledged = await storm(node, rng)
        assert acknowledged
        disk = Disk(str(tmp_path), rng)
        for record in read_log(log):
            disk.play(record)
        for share in SHARES:
            disk.share = share
            left = tmp_path / f"left-{share}"
            disk.cut_power(left)
            await after(left / "data", acknowledged, model)
