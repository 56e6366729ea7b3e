"""``beamclaw keys`` and ``beamclaw devices`` against a node, as people type them."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import trio

from tests.support.node import Node, open_node
from tests.support.wire import once

pytestmark = pytest.mark.slow


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "data") as running:
        yield running


async def status(node: Node, key: str) -> int:
    """What a program with that key is told about the agents."""
    headers = {"Authorization": f"Bearer {key}"}
    return (await once(f"{node.base_url}/v1/models", headers=headers)).status


async def test_a_key_is_made_used_listed_and_revoked(node: Node) -> None:
    made = await node.command(
        "keys", "create", "backup", "--scope", "operator.read", "--expires", "90d"
    )
    assert made.code == 0, made.err
    key = made.out.strip()
    assert key.startswith("bck_")
    assert await status(node, key) == 200
    listed = await node.command("keys", "list")
    assert "backup  read, for 89 d 23 h, used" in listed.out
    assert key not in listed.out
    revoked = await node.command("keys", "revoke", key.split("_")[1])
    assert revoked.out.endswith("(backup) is void\n")
    assert await status(node, key) == 401
    assert "no API key" in (await node.command("keys", "list")).out
    rows = orjson.loads((await node.command("keys", "list", "--all", "--json")).out)
    assert [row["left"] for row in rows] == [0.0]
    files = await trio.to_thread.run_sync(
        lambda: b"".join(path.read_bytes() for path in node.data.glob("node.db*"))
    )
    assert key.split("_")[1].encode() in files
    assert key.encode() not in files
    assert key.rpartition("_")[2].encode() not in files
    assert key not in node.stderr()


async def test_a_key_outlives_its_node(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_node(data) as node:
        key = (await node.command("keys", "create", "bot")).out.strip()
        assert await node.stop() == 0
    async with open_node(data) as node:
        assert await status(node, key) == 200


REFUSED = [
    (("devices", "list"), 0, "no device is paired, and none waits"),
    (("devices", "approve", "6d3f"), 1, "there is no request '6d3f'"),
    (("devices", "remove", "9f2c"), 1, "there is no device '9f2c'"),
    (("keys", "revoke", "9f2c"), 1, "there is no key 9f2c"),
    (("keys", "create", "x", "--scope", "operator.reed"), 2, "there is no scope"),
    (("keys", "create", "x", "--expires", "soon"), 2, "--expires wants 12h"),
    (("keys", "create", ""), 2, "a key's name has"),
    (("keys", "lst"), 2, "did you mean list"),
    (("devices",), 2, ""),
]


async def test_what_cannot_be_done_is_said(node: Node) -> None:
    for words, code, says in REFUSED:
        done = await node.command(*words)
        assert done.code == code, (words, done.out, done.err)
        assert says in done.out + done.err
        assert "Traceback" not in done.err
