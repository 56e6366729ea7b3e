"""A wheel is complete: it runs in an empty folder, far from the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from beamclaw.gateway.admission import PAGE_FILES

ROOT = Path(__file__).parents[2]

FIND = """
import importlib.metadata, json, beamclaw, supervision
from beamclaw.contracts.resources import resource
kinds = ["config", "skills", "web"]
print(json.dumps({
    "found": {
        kind: sorted(p.relative_to(resource(kind)).as_posix()
                     for p in resource(kind).rglob("*") if p.is_file())
        for kind in kinds
    },
    "places": [str(resource(kind)) for kind in kinds],
    "version": [beamclaw.__version__, importlib.metadata.version("beamclaw")],
    "modules": [beamclaw.__file__, supervision.__file__],
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The scripts of an environment with the wheel in it, and an empty folder around.

    Its dependencies are borrowed from the environment of the tests, so that nothing is
    downloaded; a path in a .pth file does not bring along the checkout that an editable
    install has put there.
    """
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    run(*build, cwd=ROOT)
    (wheel,) = folder.glob("beamclaw-*.whl")
    home = folder / "venv"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    ours = run(
        python,
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        cwd=folder,
    )
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(ours.strip(), "borrowed.pth").write_text("\n".join(borrowed))
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "--disable-pip-version-check",
    )
    run(*pip, "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    (folder / "empty").mkdir()
    return home / "bin"


@pytest.mark.slow
def test_it_finds_its_configuration_skills_and_web_files(installed):
    empty = installed.parents[1] / "empty"
    said = json.loads(run(installed / "python", "-I", "-c", FIND, cwd=empty))
    assert set(said["found"]["config"]) == {"beamclaw.yaml", "beamclaw.schema.json"}
    assert "host-health/SKILL.md" in said["found"]["skills"]
    assert {"index.html", *PAGE_FILES} == set(said["found"]["web"])
    home = str(installed.parent)
    assert all(path.startswith(home) for path in said["places"] + said["modules"])
    assert said["version"][0] == said["version"][1]


@pytest.mark.slow
def test_its_script_runs(installed):
    empty = installed.parents[1] / "empty"
    assert "usage: beamclaw" in run(installed / "beamclaw", "--help", cwd=empty)


@pytest.mark.slow
def test_it_has_every_module_and_type_marker_of_the_checkout(installed):
    site = next(installed.parent.glob("lib/python*/site-packages"))
    for package in ("supervision", "beamclaw"):
        there = {
            path.relative_to(ROOT)
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert Path(package, "py.typed") in there
        assert not {path for path in there if not (site / path).is_file()}


def test_in_a_checkout_the_same_files_are_found_where_people_edit_them():
    program = (
        "from beamclaw.contracts.resources import resource; "
        "print(*map(resource, ['config', 'skills', 'web']), sep='\\n')"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert said[:3] == [
        str(ROOT / "config"),
        str(ROOT / "skills"),
        str(ROOT / "beamclaw" / "gateway" / "static"),
    ]
