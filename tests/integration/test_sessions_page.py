"""What the page on sessions shows is what a node prints."""

import re
import shlex
from pathlib import Path

import pytest

from beamclaw.config.loader import load
from tests.support.node import ROOT, open_node

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/how-to/sessions.md").read_text()
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
PROGRAM = "$ .venv/bin/beamclaw "


def steps() -> list[tuple[str, list[str]]]:
    """Each command, and the lines that are shown below it."""
    found: list[tuple[str, list[str]]] = []
    for line in "\n".join(BLOCK.findall(PAGE)).splitlines():
        if line.startswith(PROGRAM):
            found.append((line.removeprefix(PROGRAM), []))
        elif line:
            found[-1][1].append(line)
    return found


def is_shown(lines: list[str], printed: list[str]) -> bool:
    """Whether *lines* show what was printed; an ellipsis stands for anything."""
    escaped = [re.escape(line).replace("…", ".*") for line in lines]
    pattern = "\n".join(escaped)
    return re.fullmatch(pattern, "\n".join(printed), re.DOTALL) is not None


async def test_the_commands_print_what_the_page_shows(tmp_path: Path):
    assert len(steps()) > 10
    async with open_node(tmp_path / "data") as node:
        for line, lines in steps():
            done = await node.command(*shlex.split(line))
            assert (done.code, done.err) == (0, ""), (line, done.err)
            printed = [text for text in done.out.splitlines() if text]
            assert is_shown(lines, printed), (line, done.out)


@pytest.mark.parametrize("number", range(len(YAML.findall(PAGE))))
def test_the_configurations_are_right(tmp_path: Path, number: int):
    file = tmp_path / "beamclaw.yaml"
    file.write_text(YAML.findall(PAGE)[number])
    assert load({}, file=file, data=tmp_path / "data", strict=True).file == file
