"""The package of the documentation, built and installed: a node has what it brings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.node import open_node

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "beamclaw-dice"

pytestmark = pytest.mark.slow

CONFIG = """
providers:
  demo: {script: %s}
  polly: {api: parrot, default_model: grey}
"""
SCRIPT = """
- match: throw
  calls: [{tool: dice, arguments: {sides: 2, times: 3}}]
  reply: "It shows {results}"
"""


def run(*command: str | Path) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the package in it, and nothing that it depends on."""
    folder = tmp_path_factory.mktemp("dice")
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    done = subprocess.run(
        build, cwd=EXAMPLE, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install")
    run(*pip, "--quiet", "--no-deps", "--target", folder / "site", wheel)
    return folder / "site"


async def test_an_installed_package_has_its_tools_and_its_provider(
    installed: Path, tmp_path: Path
):
    script, config = tmp_path / "script.yaml", tmp_path / "b.yaml"
    script.write_text(SCRIPT)
    config.write_text(CONFIG % script)
    paths = os.pathsep.join([str(installed), str(ROOT)])
    options = ["--config", str(config)]
    env = {"PYTHONPATH": paths}
    async with open_node(tmp_path / "data", env=env, options=options) as node:
        answer = await node.command("chat", "throw")
        assert answer.out.startswith("It shows "), answer
        assert {*answer.out.removeprefix("It shows ").strip().split(", ")} <= {"1", "2"}
        answer = await node.command(
            "chat", "hello", "--session", "p", "--model", "polly"
        )
        assert answer.out.strip() == "Squawk! hello", answer
