"""A node that is killed while it deletes and erases goes on with it, and loses nothing."""

import sqlite3
from pathlib import Path

import pytest
import trio

from beamclaw.storage import integrity
from tests.support.node import Node, open_node

pytestmark = pytest.mark.slow

CONFIG = """
providers: {demo: {delay: 0}}
sessions:
  retention: {request_seconds: 0.2, every_seconds: 0.1, repeat_seconds: 3600}
"""
ROUNDS = 6
MESSAGES = 12


async def ask(node: Node, round_: int, number: int) -> int:
    key = f"{round_}-{number}"
    text = f"{key} " + "word " * 2_000
    return (await node.complete(text, {"Idempotency-Key": key})).status


def counted(data: Path, table: str, condition: str = "1") -> int:
    ledger = sqlite3.connect(data / "tenants/default/ledger.db")
    statement = f"SELECT count(*) FROM {table} WHERE {condition}"
    (count,) = ledger.execute(statement).fetchone()
    ledger.close()
    return count


async def until_erased(data: Path) -> None:
    while counted(data, "events") or counted(data, "runs", "error_kind IS NULL"):  # noqa: ASYNC110 -- a file
        await trio.sleep(0.1)


async def test_kills_while_sessions_are_deleted_and_erased(tmp_path: Path):
    config = tmp_path / "beamclaw.yaml"
    config.write_text(CONFIG)
    data = tmp_path / "data"
    options = ["--config", str(config)]
    async with open_node(data, options=options, token="t" * 16) as node:
        for round_ in range(ROUNDS):
            statuses: list[int] = []

            async def one(
                number: int, round_: int = round_, to: list[int] = statuses
            ) -> None:
                to.append(await ask(node, round_, number))

            async with trio.open_nursery() as nursery:
                for number in range(MESSAGES):
                    nursery.start_soon(one, number)
            assert statuses == [200] * MESSAGES
            # At another moment of deleting and erasing each time.
            await trio.sleep(0.25 + 0.12 * round_)
            node.kill9()
            await node.wait()
            await node.start()
        with trio.fail_after(60):
            await until_erased(data)
        # Erased, and known nevertheless: nothing is answered a second time.
        calls = counted(data, "usage_sums") and sum_of_calls(data)
        assert await ask(node, 0, 0) == 410
        assert sum_of_calls(data) == calls == ROUNDS * MESSAGES
        assert counted(data, "sessions", "deleted_at IS NULL") == 0
        assert await node.stop() == 0
    assert integrity(data / "tenants/default/ledger.db") == []
    assert " error " not in node.stderr()


def sum_of_calls(data: Path) -> int:
    ledger = sqlite3.connect(data / "tenants/default/ledger.db")
    (sums,) = ledger.execute("SELECT sum(calls) FROM usage_sums").fetchone()
    (rows,) = ledger.execute("SELECT count(*) FROM usage").fetchone()
    ledger.close()
    return (sums or 0) + rows
