"""What people copy from the README is what works; its two lines first of all."""

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.support.node import Node, clean, open_node

ROOT = Path(__file__).parents[2]
RUN = (
    "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt . "
    "&& .venv/bin/beamclaw run"
)
TEST = (
    "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e '.[test]' "
    "&& .venv/bin/just test"
)


def lines(name: str) -> list[str]:
    return (ROOT / name).read_text().splitlines()


def test_the_readme_has_both_lines_and_then_what_debian_needs():
    readme = lines("README.md")
    after = readme[readme.index(TEST) :]
    assert RUN in readme
    assert any("apt-get install python3-venv" in line for line in after[:10])


def test_the_pipeline_runs_the_second_line_as_it_stands():
    assert TEST in lines(".ci/run")


def block(language: str, containing: str) -> str:
    """The code block of the README that contains a text."""
    readme = (ROOT / "README.md").read_text()
    found = re.findall(rf"```{language}\n(.*?)```", readme, re.DOTALL)
    (one,) = [text for text in found if containing in text]
    return one


@pytest.fixture
async def node(tmp_path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "data") as running:
        yield running


@pytest.mark.slow
async def test_the_first_steps_work_as_they_stand(node):
    for step in block("console", "chat hello").splitlines():
        arguments = step.removeprefix(".venv/bin/beamclaw ").split()
        done = await node.command(*arguments)
        assert done.code == 0, done.err
        assert done.out.strip()


@pytest.mark.slow
async def test_the_program_with_openai_s_client_works_as_it_stands(node):
    program = block("python", "OpenAI(").replace(
        "http://127.0.0.1:18789", node.base_url
    )
    done = await trio.run_process(
        [sys.executable, "-c", program],
        capture_stdout=True,
        cwd=node.data.parent,
        env=clean(node.data.parent, {"BEAMCLAW_TOKEN": node.token}),
    )
    assert done.stdout.strip()


@pytest.mark.slow
async def test_the_configuration_is_one_that_passes_the_strict_check(tmp_path):
    file = tmp_path / "beamclaw.yaml"
    file.write_text(block("yaml", "providers:"))
    check = [sys.executable, "-m", "beamclaw", "config", "check"]
    done = await trio.run_process(
        [*check, "--strict", "--config", str(file)],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        cwd=ROOT,
        env=clean(tmp_path, {"LOCAL_KEY": "k" * 20, "BEAMCLAW_TOKEN": "t" * 32}),
    )
    assert done.returncode == 0, done.stderr.decode()
