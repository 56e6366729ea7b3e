"""An import takes as long as it takes: none of our modules is imported on the loop."""

import sys
from pathlib import Path

import pytest
import trio
import yaml

from tests.support.model import open_model
from tests.support.node import Node, open_node, uses

pytestmark = pytest.mark.slow

# Each folder of tools once, and what a script is read by.
SCENES = [
    {
        "match": "^look around$",
        "calls": [
            {"tool": "ls", "arguments": {}},
            {"tool": "write", "arguments": {"path": "a.txt", "content": "one\n"}},
            {"tool": "grep", "arguments": {"pattern": "o.e"}},
            {"tool": "exec", "arguments": {"command": "echo one"}},
            {"tool": "process", "arguments": {"action": "list"}},
            {"tool": "web_fetch", "arguments": {"url": "http://127.0.0.1:1/"}},
            {"tool": "sessions_list", "arguments": {}},
            {"tool": "sessions_spawn", "arguments": {"task": "nothing"}},
        ],
        "reply": "{results}",
    },
    {"reply": "yes"},
]
CONFIG = """
providers: {demo: {script: SCRIPT, delay: 0}}
agents: {main: {}, other: {model: demo}}
sessions: {time_zone: Europe/Berlin}
tools: {exec: {mode: off}}
"""


def imported(file: Path) -> list[str]:
    """What was imported on the loop and is not Python's own."""
    names = file.read_text().split()
    assert "(ready)" in names, "the node was not watched"
    known = {"(ready)", *sys.stdlib_module_names}
    return [name for name in names if name.split(".")[0] not in known]


async def ask(node: Node, agent: str, text: str) -> None:
    answer = await node.complete(text, {"x-openclaw-agent-id": agent})
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
async def test_the_loop_of_a_node_imports_nothing_of_ours(
    tmp_path: Path, *, at_once: bool
):
    config, script = tmp_path / "beamclaw.yaml", tmp_path / "script.yaml"
    script.write_text(yaml.safe_dump(SCENES))
    config.write_text(CONFIG.replace("SCRIPT", str(script)))
    found = tmp_path / "imported"
    options = ("--config", str(config))
    async with open_model() as model:
        env = uses(model.url, "t5-w0-g0-tools1", IMPORTED=str(found))
        async with open_node(
            tmp_path / "data",
            env=env,
            options=options,
            program="tests.support.importing",
            anew=True,
        ) as node:
            if at_once:
                # The first turns begin while all that they need is being loaded.
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask, node, "main", "hello")
                    nursery.start_soon(ask, node, "other", "look around")
            else:
                for verb in (["tools"], ["status"], ["tree"], ["sessions", "list"]):
                    finished = await node.command(*verb)
                    assert finished.code == 0, finished.err
                await ask(node, "other", "look around")
                await ask(node, "main", "hello")
            assert await node.stop() == 0
    assert imported(found) == []
