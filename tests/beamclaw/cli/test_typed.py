"""Commands are told the way they work where the person is."""

import sys
from pathlib import Path

import pytest

from beamclaw.cli.typed import command, program


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed script in a virtual environment that nobody activated."""
    path = tmp_path / "project" / ".venv" / "bin" / "beamclaw"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("PATH", "/nonexistent")
    return path


def test_a_script_that_is_not_on_path_is_told_from_here(script: Path) -> None:
    assert program(".venv/bin/beamclaw") == ".venv/bin/beamclaw"
    assert program(str(script)) == ".venv/bin/beamclaw"


def test_from_another_folder_it_is_told_in_full(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert program(str(script)) == str(script)


def test_on_path_its_name_is_enough(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    assert program(str(script)) == "beamclaw"


def test_another_program_of_the_name_on_path_is_not_meant(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "bin" / "beamclaw"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert program(str(script)) == ".venv/bin/beamclaw"


def test_the_module_is_told_with_its_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.chdir(tmp_path)
    assert program("/x/beamclaw/__main__.py") == f"{sys.executable} -m beamclaw"


def test_a_data_folder_that_is_not_the_usual_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BEAMCLAW_DATA", raising=False)
    assert command("chat hello", tmp_path) == f"beamclaw chat --data {tmp_path} hello"
    assert command("run", Path("~/.beamclaw").expanduser()) == "beamclaw run"
    monkeypatch.setenv("BEAMCLAW_DATA", str(tmp_path))
    assert command("status", tmp_path) == "beamclaw status"
