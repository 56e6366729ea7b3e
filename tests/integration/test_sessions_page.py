"""What the page on sessions shows is what a node prints."""

import shlex
from pathlib import Path

import pytest

from beamclaw.config.loader import load
from tests.support.documents import blocks, is_shown, steps
from tests.support.node import ROOT, open_node

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs/how-to/sessions.md"


async def test_the_commands_print_what_the_page_shows(tmp_path: Path):
    assert len(steps(PAGE)) > 10
    async with open_node(tmp_path / "data") as node:
        for line, lines in steps(PAGE):
            done = await node.command(*shlex.split(line))
            assert (done.code, done.err) == (0, ""), (line, done.err)
            printed = [text for text in done.out.splitlines() if text]
            assert is_shown(lines, printed), (line, done.out)


@pytest.mark.parametrize("number", range(len(blocks(PAGE, "yaml"))))
def test_the_configurations_are_right(tmp_path: Path, number: int):
    file = tmp_path / "beamclaw.yaml"
    file.write_text(blocks(PAGE, "yaml")[number])
    assert load({}, file=file, data=tmp_path / "data", strict=True).file == file
