"""Pages that a reader types from top to bottom: what they show is what there is."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from tests.support.documents import ROOT, blocks, is_shown, steps
from tests.support.node import Node

pytestmark = pytest.mark.slow

TUTORIAL = ROOT / "docs" / "tutorial"
HOW_TO = ROOT / "docs" / "how-to"
PROGRAM = ".venv/bin/beamclaw"


@attrs.define(eq=False)
class Reader:
    """Somebody who types what a page says, in a home of his own.

    Attributes:
        home: Where `~` is.
        site: A folder of packages that count as installed.
        node: What `beamclaw run` has started.
        typed: How many commands there were.
    """

    home: Path
    site: Path | None = None
    node: Node | None = None
    typed: int = 0
    _variables: dict[str, str] = attrs.field(factory=dict[str, str], init=False)

    async def read(self, page: Path) -> None:
        """Type each command of *page*, and compare what it prints."""
        for line, shown in steps(page, ""):
            self.typed += 1
            if found := re.fullmatch(r"export (\w+)=~/(\w+)", line):
                self._variables[found[1]] = str(self.home / found[2])
            elif line.startswith(f"{PROGRAM} run"):
                await self._run(line.split()[2:])
            elif not line.startswith(".venv/bin/pip"):  # see `installed`
                await self._compare(line, shown)

    async def _compare(self, line: str, shown: list[str]) -> None:
        """What is looked at (a log) may be there a moment later; the rest is done once."""
        printed = await self._type(line)
        if line.startswith(f"{PROGRAM} logs"):
            with trio.move_on_after(30):
                while not is_shown(shown, printed):
                    printed = await self._type(line)
        assert not shown or is_shown(shown, printed), (line, printed)

    async def _run(self, options: list[str]) -> None:
        data = Path(self._variables["BEAMCLAW_DATA"])
        self.node = Node(data=data, options=options, env=self._paths())
        await self.node.start()

    def _paths(self) -> dict[str, str]:
        folders = [str(self.site)] if self.site else []
        return {"PYTHONPATH": os.pathsep.join([*folders, str(ROOT)])}

    async def _type(self, line: str) -> list[str]:
        program = f"{sys.executable} -m beamclaw"
        environment = {name: os.environ[name] for name in ("PATH",)}
        environment |= {"HOME": str(self.home), **self._paths(), **self._variables}
        done = await trio.run_process(
            ["sh", "-c", line.replace(PROGRAM, program)],
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=ROOT,
            env=environment,
        )
        printed = done.stdout.decode()
        assert done.returncode == 0, (line, printed)
        return [text for text in printed.splitlines() if text]


@asynccontextmanager
async def reader(home: Path, site: Path | None = None) -> AsyncIterator[Reader]:
    """One whose node is gone at the end."""
    await trio.Path(home).mkdir()
    found = Reader(home, site)
    try:
        yield found
    finally:
        if found.node is not None and found.node.running:
            found.node.kill9()
            with trio.move_on_after(5, shield=True):
                await found.node.wait()


def installed(project: Path, site: Path) -> Path:
    """What pip makes of the project of one module: it, and what it says of itself."""
    about = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    (only,) = project.glob("*.py")
    name = f"{only.stem}-{about['version']}.dist-info"
    (site / name).mkdir(parents=True)
    shutil.copy(only, site)
    metadata = ("Metadata-Version: 2.1", f"Name: {about['name']}", "Version: 1.0.0", "")
    (site / name / "METADATA").write_text("\n".join(metadata))
    points = [
        line
        for group, entries in about["entry-points"].items()
        for line in (f"[{group}]", *(f"{key} = {entries[key]}" for key in entries))
    ]
    (site / name / "entry_points.txt").write_text("\n".join(points) + "\n")
    return site


async def test_an_agent_of_your_own(tmp_path: Path):
    async with reader(tmp_path / "home") as somebody:
        await somebody.read(TUTORIAL / "first-agent.md")
        assert somebody.typed > 20


async def test_a_tool_of_your_own(tmp_path: Path):
    site = installed(TUTORIAL / "first-tool", tmp_path / "site")
    async with reader(tmp_path / "home", site) as somebody:
        await somebody.read(TUTORIAL / "first-tool.md")
        assert somebody.typed > 8


async def test_a_change_while_it_runs(tmp_path: Path):
    async with reader(tmp_path / "home") as somebody:
        await somebody.read(HOW_TO / "change-while-it-runs.md")
        assert somebody.typed > 15


def test_the_function_on_the_page_is_the_one_that_is_installed():
    (shown,) = blocks(TUTORIAL / "first-tool.md", "python")
    module = (TUTORIAL / "first-tool" / "kitchen_scales.py").read_text()
    plain = module.replace("Annotated[float, Range(0, 50)]", "float")
    body = plain[plain.index("@tool") :]
    assert body in shown
