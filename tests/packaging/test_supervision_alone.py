"""`supervision` needs trio and attrs only; its tests and its pages need pytest besides.

The environment is made of the distributions that are installed here, one by one, so
nothing is downloaded, and nothing is there that was not asked for.
"""

import importlib.metadata
import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
NEEDED = ("trio", "attrs")
TESTED_WITH = ("pytest", "pytest-trio", "pytest-timeout", "hypothesis", "sybil")
# What the package, its tests and its pages are made of; nothing of beamclaw.
PARTS = (
    "supervision",
    "tests/__init__.py",
    "tests/peers",
    "tests/supervision",
    "docs/tutorial/tcp-server.md",
    "docs/tutorial/supervisors.md",
    "docs/how-to/supervision",
    "docs/reference/supervision.md",
    "docs/explanation/otp-on-trio.md",
    "docs/explanation/objections.md",
    "docs/explanation/process-anti-patterns.md",
    "docs/explanation/exit-reasons.md",
    "conftest.py",
    "pyproject.toml",
)
FOREIGN = "import importlib.util as i; print([n for n in {!r} if i.find_spec(n)])"


def distributions(*names: str) -> dict[str, importlib.metadata.Distribution]:
    """The distributions of these names and what they need, without any extra."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found[name] = importlib.metadata.distribution(name)
        for text in found[name].requires or ():
            deeper = Requirement(text)
            if deeper.marker is None or deeper.marker.evaluate({"extra": ""}):
                waiting.append(deeper.name)
    return found


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pinned}


def bring(distribution: importlib.metadata.Distribution, site: Path) -> None:
    """Make a distribution that is installed here appear in *site*."""
    tops = {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
    for top in tops:
        there = Path(str(distribution.locate_file(top)))
        if there.exists() and not (site / top).exists():
            (site / top).symlink_to(there)


def copy(part: str, into: Path) -> None:
    target = into / part
    target.parent.mkdir(parents=True, exist_ok=True)
    if (ROOT / part).is_dir():
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, target, ignore=ignore)
    else:
        shutil.copy(ROOT / part, target)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command, which has to succeed; returns what it says."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PYTEST", "COV", "BEAMCLAW"))
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> tuple[Path, Path]:
    """A Python with nothing but that, and a folder with the parts in it."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", where, cwd=folder).strip())
    for distribution in distributions(*NEEDED, *TESTED_WITH).values():
        bring(distribution, site)
    for part in PARTS:
        copy(part, folder / "checkout")
    return python, folder / "checkout"


def test_what_it_runs_with_has_the_pinned_versions():
    found = distributions(*NEEDED, *TESTED_WITH)
    assert {name: each.version for name, each in found.items()} == {
        name: version for name, version in pins().items() if name in found
    }


@pytest.mark.slow
def test_nothing_of_beamclaw_and_its_libraries_is_there(alone):
    python, checkout = alone
    names = ["beamclaw", "cattrs", "httpx2", "quart", "hypercorn", "yaml", "orjson"]
    assert run(python, "-c", FOREIGN.format(names), cwd=checkout).strip() == "[]"
    assert run(python, "-c", FOREIGN.format(["supervision"]), cwd=checkout).strip() == (
        "['supervision']"
    )


@pytest.mark.slow
def test_its_tests_and_pages_run_with_trio_attrs_and_the_test_tools_only(alone):
    python, checkout = alone
    said = run(
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        "tests/supervision",
        "docs",
        cwd=checkout,
    )
    assert " passed" in said
