"""``beamclaw config get|set|…``, as a person types it, with no node and with one."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from beamclaw.cli import main
from beamclaw.cli.config_file import path_of
from beamclaw.cli.output import CommandError
from tests.support.node import open_node

CANARY = "sk-canary-77f0"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BEAMCLAW_DATA", str(tmp_path))
    monkeypatch.delenv("BEAMCLAW_CONFIG", raising=False)
    return tmp_path / "beamclaw.yaml"


def config(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["config", *words]) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_a_key_is_set_looked_at_and_taken_back(
    file: Path, capsys: pytest.CaptureFixture[str]
):
    said = config(capsys, "set", "gateway.port", "99", "--note", "a try")
    assert "gateway.port: 18789 -> 99" in said
    assert "next start" in said
    assert config(capsys, "get", "gateway.port") == "99\n"
    assert "the file" not in config(capsys, "set", "gateway.port", "98", "--dry-run")
    assert file.read_text() == "gateway:\n  port: 99\n"
    config(capsys, "set", "agents.main.system", "You are brief: no more")
    assert "a try" not in config(capsys, "history")  # there was no file before
    assert "patch by" in config(capsys, "history")
    assert "agents.main.system" in config(capsys, "diff", "1")
    config(capsys, "unset", "agents.main")
    config(capsys, "rollback", "1")
    assert file.read_text() == "gateway:\n  port: 99\n"
    assert "nothing is different" in config(capsys, "apply", str(file))
    rows = json.loads(config(capsys, "history", "--json"))
    assert [row["number"] for row in rows] == [3, 2, 1]
    assert "text" not in rows[0]


def test_a_key_that_is_put_back_to_what_holds_was_written(
    file: Path, capsys: pytest.CaptureFixture[str]
):
    file.write_text("gateway: {port: 18789}\n")
    assert "written; nothing is different" in config(capsys, "unset", "gateway.port")


def test_a_secret_comes_from_standard_input_and_is_never_shown(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{CANARY}\n"))
    said = config(capsys, "set", "providers.openai.api_key", "-")
    said += config(capsys, "get") + config(capsys, "get", "--json")
    said += config(capsys, "set", "providers.openai.api_key", "another-one")
    said += config(capsys, "history", "--json") + config(capsys, "diff", "1")
    assert CANARY not in said
    assert "another-one" not in said
    assert "providers.openai.api_key: another one" in said


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("set", "gateway.prot", "1"), "did you mean port?", 1),
        (("set", "gateway.port", "x"), "expected a whole number", 1),
        (("set", "gateway..port", "1"), "is no key", 2),
        (("get", "gateway.prot"), "there is no key gateway.prot", 2),
        (("apply", "nowhere.yaml"), "nowhere.yaml cannot be read", 2),
        (("rollback", "4"), "no entry 4", 1),
        (("sett", "a", "b"), "did you mean", 2),
    ],
)
def test_a_persons_mistake_is_told_in_a_sentence(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
    code: int,
):
    assert said in config(capsys, *words, code=code)
    assert not file.exists()


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("a", ["a"]),
        ("a.b-c.d_e", ["a", "b-c", "d_e"]),
        ('providers."a.b".models', ["providers", "a.b", "models"]),
    ],
)
def test_a_path_is_names(path: str, names: list[str]):
    assert path_of(path) == names


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", 'a."b', 'a."b"c', '""'])
def test_what_is_no_path_is_said(path: str):
    with pytest.raises(CommandError):
        path_of(path)


@pytest.mark.slow
async def test_with_a_node_it_is_the_node_that_writes(tmp_path: Path):
    data = tmp_path / "data"
    async with open_node(data) as node:

        async def run(*words: str) -> str:
            command = [sys.executable, "-m", "beamclaw", "config", *words]
            done = await trio.run_process(
                [*command, "--data", str(data)],
                env=node.environment,
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
            )
            return done.stdout.decode()

        assert "nothing waits" in await run("diff")
        await run("set", "sessions.max_awake", "77")
        assert "sessions.max_awake" in await run("diff")
        assert "77" in (data / "beamclaw.yaml").read_text()
    log = node.stderr()
    assert "beamclaw.config.written" in log
