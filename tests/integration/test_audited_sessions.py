"""What is proved: who deletes, resets, rewinds or hands over a conversation, or copies the
databases, stands in the audit log, once for each deed.
"""

import json
import os
from pathlib import Path

import pytest

from tests.support.node import Node, open_node

pytestmark = pytest.mark.slow

KEY = "agent:main:main"


async def audited(node: Node, event: str) -> list[dict[str, object]]:
    done = await node.command("audit", "--event", event, "--json")
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


async def test_what_is_done_with_conversations_at_the_terminal_is_audited(
    tmp_path: Path,
):
    data = tmp_path / "data"
    data.mkdir()
    (data / "beamclaw.yaml").write_text("agents: {writer: {}}\n")
    async with open_node(data) as node:
        assert (await node.command("chat", "hello")).code == 0
        refused = await node.command("sessions", "rewind", "main", "1000")
        assert refused.code == 1
        for line in (
            "rewind main 0",
            "hand-over main writer",
            "reset main",
            "archive main",
            "delete main",
            "delete main",
        ):
            done = await node.command("sessions", *line.split())
            assert done.code == 0, (line, done.err)
        await node.stop()
    rows = await audited(node, "beamclaw.session.changed")
    assert [(row["action"], row["what"]) for row in rows] == [
        ("rewind", "0"),
        ("hand-over", "writer"),
        ("reset", ""),
        ("delete", ""),
    ]
    who = [(row["session"], row["by"], row["uid"], row["outcome"]) for row in rows]
    assert who == [(KEY, "terminal", os.getuid(), "done")] * 4
    assert all(row["pid"] and row["time"] for row in rows)


async def test_each_database_that_is_copied_for_a_backup_is_audited(tmp_path: Path):
    file = tmp_path / "a.backup"
    async with open_node(tmp_path / "data") as node:
        made = await node.command("backup", str(file))
        assert made.code == 0, made.err
        again = await node.command("backup", str(file))
        assert again.code == 1
        await node.stop()
    rows = await audited(node, "beamclaw.backup.copied")
    names = [row["name"] for row in rows]
    assert sorted(map(str, names)) == ["node.db", "tenants/default/ledger.db"]
    assert {(row["by"], row["uid"]) for row in rows} == {("terminal", os.getuid())}
