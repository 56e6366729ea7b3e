"""The doctor beside the real program: running, stopped by a signal, and killed."""

import signal
from pathlib import Path

import pytest

from tests.support.node import Finished, Node, open_node

pytestmark = pytest.mark.slow


def levels(finished: Finished, check: str) -> list[tuple[str, str]]:
    found = finished.json()["findings"]  # pyright: ignore[reportIndexIssue] -- JSON
    return [(e["level"], e["what"]) for e in found if e["check"] == check]


async def test_a_node_that_runs_is_looked_at_by_its_own_connections(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        assert (await node.complete("hello")).status == 200
        found = await node.command("doctor", "--json")
        said = await node.command("doctor")
    assert found.code == 0, found.out
    assert levels(found, "node") == [
        ("ok", f"it runs, with pid {node.pid}, and answers")
    ]
    assert [level for level, _ in levels(found, "database")] == ["ok", "ok"]
    assert levels(found, "modes")[0][0] == "ok"
    assert "0 errors" in said.err


async def test_one_that_stands_still_and_one_that_was_killed(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        assert (await node.complete("hello")).status == 200
        node.signal(signal.SIGSTOP)
        hangs = await node.command("doctor", "--json")
        node.signal(signal.SIGCONT)
        assert (await node.complete("hello")).status == 200
        node.kill9()
        assert node.process is not None
        await node.process.wait()
        left = await node.command("doctor", "--json")
        dead = await node.command("doctor", "--json", "--repair", "--yes")
    assert hangs.code == 1
    assert levels(hangs, "node")[0][0] == "error"
    assert str(node.pid) in levels(hangs, "node")[0][1]
    assert [words for _, words in levels(left, "leftovers") if "node.sock" in words]
    assert left.out.count("node.sock") == 1
    assert dead.code == 0, dead.out
    assert levels(dead, "node") == [("note", "none runs")]
    assert [level for level, _ in levels(dead, "database")][:2] == ["ok", "ok"]
    assert not levels(dead, "processes")
    assert not (tmp_path / "data/node.sock").exists()


async def test_a_folder_where_no_node_ever_was(tmp_path: Path):
    found = await Node(data=tmp_path / "data").command("doctor", "--json")
    assert found.code == 0
    assert levels(found, "folder")[0][0] == "note"
    assert not (tmp_path / "data").exists()
