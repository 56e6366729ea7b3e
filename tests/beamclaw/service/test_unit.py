"""The unit that is written, and systemd's own opinion of it."""

import json
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from beamclaw.cli import main
from beamclaw.service.unit import Unit, quoted


@pytest.mark.parametrize(
    "word, expected",
    [
        ("/usr/bin/python3", "/usr/bin/python3"),
        ("/a b/c", '"/a b/c"'),
        ("50%", '"50%%"'),
        ("$HOME", '"$$HOME"'),
        ('say "x"\\', '"say \\"x\\"\\\\"'),
        ("", '""'),
        ("a;b", '"a;b"'),
    ],
)
def test_words_arrive_as_they_are(word: str, expected: str):
    assert quoted(word) == expected


def units(folder: Path) -> dict[str, Unit]:
    strange = folder / 'a b%c"$d'
    return {
        "own": Unit(command=["/bin/true", "run"], data=folder),
        "system": Unit(command=["/bin/true", "run"], data=folder, user="daemon"),
        "strange": Unit(command=["/bin/true", str(strange)], data=strange),
    }


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here"
)
@pytest.mark.parametrize("kind", ["own", "system", "strange"])
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path, kind: str):
    unit = units(tmp_path)[kind]
    file = tmp_path / "beamclaw.service"
    file.write_text(unit.text())
    whose = [] if unit.user else ["--user"]
    verified = subprocess.run(
        ["systemd-analyze", "verify", *whose, "--man=no", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    about = [line for line in verified.stderr.splitlines() if "beamclaw" in line]
    assert about == []


def test_a_wrong_line_would_be_found(tmp_path: Path):
    """That the test above can fail."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    file = tmp_path / "beamclaw.service"
    file.write_text(
        units(tmp_path)["own"].text().replace("WatchdogSec=30", "WatchdogSec=x")
    )
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert "beamclaw" in verified.stderr


def test_it_is_installed_kept_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("BEAMCLAW_CONFIG", raising=False)
    data = ["--data", str(tmp_path / "data")]
    path = tmp_path / ".config/systemd/user/beamclaw.service"

    assert main(["service", "install", *data]) == 0
    assert "enable --now beamclaw" in capsys.readouterr().err
    assert f"--data {tmp_path}/data" in path.read_text()
    assert "\nTimeoutStopSec=50\n" in path.read_text()
    assert main(["service", "install", *data]) == 0  # the same again

    (tmp_path / "data").mkdir()
    (tmp_path / "data/beamclaw.yaml").write_text("shutdown: {drain_seconds: 100}\n")
    capsys.readouterr()
    assert main(["service", "install", *data]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["service", "install", "--force", "--json", *data]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(path), "changed": True}
    assert "\nTimeoutStopSec=120\n" in path.read_text()

    assert main(["service", "show", *data]) == 0
    assert capsys.readouterr().out == path.read_text()
    assert main(["service", "remove"]) == 0
    assert not path.exists()
    assert main(["service", "remove"]) == 1
    assert main(["service", "show", "--user", "x", *data]) == 2


def test_that_of_the_machine_is_on_the_folder_of_whom_it_runs_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BEAMCLAW_DATA", raising=False)
    daemon = Path(pwd.getpwnam("daemon").pw_dir) / ".beamclaw"

    assert main(["service", "show", "--system", "--user", "daemon"]) == 0
    unit = capsys.readouterr().out
    assert f"--data {daemon}\n" in unit
    assert f"WorkingDirectory=-{daemon}\nUser=daemon\n" in unit
    assert main(["service", "show", "--system", "--user", "nobody-of-that-name"]) == 2
    assert "there is no such user here" in capsys.readouterr().err
