"""The import contracts of `pyproject.toml` hold, also for who never runs `just check`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_imports_go_down_only():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_supervision_needs_trio_and_attrs_only():
    """Import it where everything else that BeamClaw depends on cannot be imported."""
    program = (
        "import sys; "
        "names = 'beamclaw cattrs httpx2 hypercorn orjson prompt_toolkit quart"
        " quart_trio rich yaml'; "
        "sys.modules.update(dict.fromkeys(names.split())); "
        "import supervision, supervision.testing"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_node_carries_neither_a_terminal_nor_the_fakes():
    """They would cost it start-up time and memory, and are the commands' and tests'."""
    program = (
        "import sys, beamclaw.tree; "
        "print(*{'rich', 'prompt_toolkit', 'beamclaw.testing'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""
