"""The tutorial "A report from a folder of files", played with its own files."""

import shutil
from pathlib import Path

import orjson
import pytest
import trio

from tests.support.node import ROOT, Node, open_node

pytestmark = pytest.mark.slow

FILES = ROOT / "docs" / "tutorial" / "csv-report"
WISH = "look at the folder sales and write me a report"
REPORT = """\
# Sales
| month | sum |
| --- | ---: |
| january | 5,865.40 |
| february | 6,955.40 |
| march | 8,682.00 |

| shop | sum |
| --- | ---: |
| Leipzig | 10,649.20 |
| Oslo | 10,853.60 |

Sold most: lamp, 178 pieces.
"""


async def question(node: Node) -> dict[str, str]:
    """The one question, when there is one."""
    while True:
        finished = await node.command("approvals", "list", "--json")
        assert finished.code == 0, finished.err
        if found := orjson.loads(finished.out):
            (only,) = found
            return only
        await trio.sleep(0.1)


async def test_the_report_is_written_when_a_person_has_agreed(tmp_path: Path):
    workspace = tmp_path / "data" / "workspace"
    shutil.copytree(FILES / "sales", workspace / "sales")
    options = ("--config", str(FILES / "beamclaw.yaml"))
    async with open_node(tmp_path / "data", options=options) as node:
        said: list[str] = []

        async def chat() -> None:
            finished = await node.command("chat", WISH)
            assert finished.code == 0, finished.err
            said.append(finished.out)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(chat)
            asked = await question(node)
            assert asked["question"] == "run: python3 report.py sales report.md"
            assert not (workspace / "report.md").exists()
            allowed = await node.command("approvals", "allow", asked["wait_id"])
            assert allowed.code == 0, allowed.err
        assert (workspace / "report.md").read_text() == REPORT
        assert all(line in said[0] for line in REPORT.splitlines())


async def test_what_was_changed_after_the_question_is_not_run(tmp_path: Path):
    workspace = tmp_path / "data" / "workspace"
    shutil.copytree(FILES / "sales", workspace / "sales")
    options = ("--config", str(FILES / "beamclaw.yaml"))
    async with open_node(tmp_path / "data", options=options) as node:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.command, "chat", WISH)
            asked = await question(node)
            with (workspace / "report.py").open("a") as script:
                script.write("Path('canary').touch()\n")
            node.kill9()
            await node.wait()
            await node.start()
            assert (await question(node))["wait_id"] == asked["wait_id"]
            await node.command("approvals", "allow", asked["wait_id"])
        history = await node.command("sessions", "history", "agent:main:main")
    assert "what was agreed to has changed since" in history.out
    assert not (workspace / "canary").exists()
    assert not (workspace / "report.md").exists()
