"""What the tree shows can be typed back, and what help shows does something."""

import json
import re
from pathlib import Path

import pytest

from beamclaw.cli.live_table import COMMANDS
from beamclaw.cli.parser import VERBS
from tests.support.node import Node, open_node

pytestmark = pytest.mark.slow

# Branches, id, number, and a name where there is one that is not simply the id.
LINE = re.compile(r"([ │├└─]*)(\S+) +(<\d+>)(?: +(\w\S*/\S+))?  ")


# Path, number and name.
Line = tuple[str, str, str | None]


def shown(drawn: str) -> list[Line]:
    """What stands in each line, and where."""
    found: list[Line] = []
    above: list[str] = []
    for line in drawn.splitlines():
        read = LINE.match(line)
        assert read is not None, line
        del above[len(read[1]) // 3 :]
        above.append(read[2])
        found.append(("/".join(above), read[3], read[4]))
    return found


async def lasting(node: Node) -> list[Line]:
    """The lines of a node; not of connections and commands, which have gone meanwhile."""
    brief = ("connection:", "sandbox-trial")
    lines = shown((await node.command("tree")).out)
    return [each for each in lines if not each[0].rpartition("/")[2].startswith(brief)]


async def looked_up(node: Node, words: list[str]) -> list[dict[str, object]]:
    """What the shell says of each of them, in order."""
    done = await node.command(
        "shell", "--json", "-c", "; ".join(f"info {word}" for word in words)
    )
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert len(answers) == len(words), done.err
    return answers


async def test_each_line_of_the_tree_finds_its_process(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        assert (await node.command("chat", "hello")).code == 0
        lines = await lasting(node)
        assert len(lines) > 45
        names = {name: number for _, number, name in lines if name}
        assert {"default/sessions", "default/runs", "default/skills"} <= set(names)
        numbers = [number for _, number, _ in lines]
        for words in ([path for path, *_ in lines], numbers):
            found = await looked_up(node, words)
            assert [each.get("pid") for each in found] == numbers
        found = await looked_up(node, list(names))
        assert [each.get("pid") for each in found] == list(names.values())


async def test_an_id_is_found_or_refused_with_its_place(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        lines = await lasting(node)
        ids = [path.rpartition("/")[2] for path, *_ in lines]
        refused = set[str]()
        answers = await looked_up(node, ids)
        for id, (path, number, _), found in zip(ids, lines, answers, strict=True):
            if "error" in found:
                refused.add(id)
                assert f"{path} {number}" in str(found["error"])
            else:
                assert found["pid"] == number
        assert {"gateway", "shell", "config", "listener"} <= refused
        assert not refused & {
            "door",
            "index",
            "running",
            "turns",
            "telemetry",
            "ledger",
        }
        for verb in ("kill", "restart", "suspend"):
            done = await node.command("shell", "-c", f"{verb} gateway")
            assert done.code == 1
            assert "beamclaw/gateway/listener <" in done.err
        assert (await lasting(node))[-1] == lines[-1]


async def test_every_example_of_the_shell_does_what_it_is_for(tmp_path: Path):
    config = tmp_path / "b.yaml"
    config.write_text("shell: {expressions: true}")
    options = ["--config", str(config)]
    async with open_node(tmp_path / "data", options=options) as node:
        before = ""
        for command in COMMANDS:
            if before != "suspend":  # it would say nothing
                assert (await node.command("chat", "hello")).code == 0
            before = command.name
            example = re.sub(r"--seconds \d+", "--seconds 0.5", command.example)
            done = await node.command("shell", "-c", example)
            assert (done.code, done.err) == (0, ""), example
            assert done.out.strip(), example
            if command.name == "tree":
                assert len(done.out.splitlines()) > 5


async def test_every_example_of_tree_and_top_prints_much(tmp_path: Path):
    verbs = {verb.name: verb for verb in VERBS}
    async with open_node(tmp_path / "data") as node:
        for line, _ in (*verbs["tree"].examples, *verbs["top"].examples):
            words = line.split()[1:]
            if words[0] == "top" and "--once" not in words:
                continue  # until somebody leaves
            done = await node.command(*words)
            assert (done.code, done.err) == (0, ""), line
            assert len(done.out) > 500, line
