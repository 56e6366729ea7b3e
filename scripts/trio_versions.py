"""Run the tests of what touches private parts of Trio with other versions of Trio.

    python -m scripts.trio_versions [version ...]

Each version gets an environment of its own, beside the other peers and outside the clone
(``BEAMCLAW_PEERS_DIR``, else ``~/.cache/beamclaw-peers``), made on first use. Without
versions it is those that ``pyproject.toml`` allows and the package index has.
"""

import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

from tests.peers.plugin import folder

ROOT = Path(__file__).parents[1]
TOOLS = (
    "attrs",
    "hypothesis",
    "openai",
    "pytest",
    "pytest-timeout",
    "pytest-trio",
    "sybil",
)
TESTS = (
    "tests/supervision/test_trio_parts.py",
    "tests/supervision/test_steps.py",
    "tests/supervision/test_signals.py",
    "tests/supervision/test_on_trio.py",
    "tests/supervision/test_hostile_children.py",
)
PROBES = """
import trio
from supervision import _trio_parts as parts
known = parts.splicing_is_possible(), parts.starting_is_known(), parts.stepping_is_known()
print(trio.__version__, "is known" if all(known) else f"is not known: {known}", end=": ")
"""


def allowed() -> list[str]:
    """The versions that one who installs us may get, newest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (least,) = [
        _numbers(wanted) for wanted in project["dependencies"] if "trio>=" in wanted[:6]
    ]
    index = [sys.executable, "-m", "pip", "index", "versions", "trio"]
    listed = subprocess.run(index, check=True, capture_output=True, text=True).stdout
    (line,) = re.findall(r"Available versions: (.*)", listed)
    return [version for version in line.split(", ") if _numbers(version) >= least]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def python_with(version: str) -> str:
    """The Python of the environment with that Trio; made if it is not there."""
    place = folder() / f"trio-{version}"
    python = place / "bin" / "python"
    if not (place / "made").exists():
        venv.create(place, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, f"trio=={version}", *TOOLS], check=True)
        (place / "made").touch()
    return str(python)


def run(versions: list[str]) -> Iterator[bool]:
    """Test one version after the other, and say of each whether all passed."""
    for version in versions:
        python = python_with(version)
        subprocess.run([python, "-c", PROBES], cwd=ROOT, check=True)
        tests = [python, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*tests, *TESTS], cwd=ROOT, capture_output=True, text=True, check=False
        )
        print(done.stdout.strip().splitlines()[-1], flush=True)
        yield done.returncode == 0


if __name__ == "__main__":
    sys.exit(not all(list(run(sys.argv[1:] or allowed()))))
