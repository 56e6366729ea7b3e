"""What a command is agreed to with: the files whose words it carries out."""

from pathlib import Path

import pytest

from beamclaw.commands.resolving import Wanted, resolve
from beamclaw.paths import Roots


def scripts(folder: Path, command: str) -> set[str]:
    """The names of those files."""
    found = resolve(Wanted(command), Roots(folder), {"PATH": "/usr/bin:/bin"})
    return {Path(path).name for path in found.execution.contents}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("run.sh", "lib.sh", "data.csv"):
        (tmp_path / name).write_text("echo hello\n")
    (tmp_path / "run.sh").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "bound"),
    [
        ("./run.sh", {"run.sh"}),
        ("sh run.sh", {"run.sh"}),
        ("cat data.csv", set()),
        ("./run.sh | wc -l", {"run.sh"}),
        ("sh -e run.sh && true", {"run.sh"}),
        ("true; . lib.sh", {"lib.sh"}),
        ("x=$(sh 'run.sh')", {"run.sh"}),
        ("cat data.csv | wc -l", set()),
    ],
)
def test_scripts_are_bound_and_data_is_not(
    folder: Path, command: str, bound: set[str]
) -> None:
    assert scripts(folder, command) == bound


def test_a_script_behind_a_pipe_that_is_written_anew_is_another_command(
    folder: Path,
) -> None:
    roots = Roots(folder)
    wanted = Wanted("./run.sh | wc -l")
    before = resolve(wanted, roots, {"PATH": "/usr/bin:/bin"}).execution.digest
    (folder / "run.sh").write_text("rm -rf .\n")
    assert resolve(wanted, roots, {"PATH": "/usr/bin:/bin"}).execution.digest != before
