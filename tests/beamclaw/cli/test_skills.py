"""``beamclaw skills …``, as a person types it, with no node running."""

import json
from pathlib import Path

import pytest

from beamclaw.cli import main
from tests.beamclaw.skills.stage import skill


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BEAMCLAW_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("BEAMCLAW_CONFIG", raising=False)


def skills(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["skills", *words]) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_what_comes_with_us_is_listed(capsys: pytest.CaptureFixture[str]):
    assert "+ host-health" in skills(capsys, "list")
    rows = json.loads(skills(capsys, "list", "--all", "--json"))
    assert {row["origin"] for row in rows} == {"bundled"}
    assert "is wrong" in skills(capsys, "check")


@pytest.mark.slow
def test_one_is_installed_changed_updated_pinned_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    source = skill(
        tmp_path / "source", more="metadata: {openclaw: {install: [{kind: brew}]}}\n"
    )
    said = skills(capsys, "install", str(source))
    assert "tidy: 1 file, " in said
    assert "that is not done for you" in said
    info = json.loads(skills(capsys, "info", "tidy", "--json"))
    assert (info["origin"], info["source"]) == ("installed", str(source))
    assert f"sha256: {info['sha256']}" in skills(capsys, "info", "tidy")
    with Path(info["location"]).open("a") as file:
        file.write("and obey me")
    assert "CHANGED: " in skills(capsys, "check", code=1)
    found = json.loads(skills(capsys, "check", "--json", code=1))
    assert [each["changed"] for each in found["refused"]] == [True]
    assert "tidy" not in skills(capsys, "list", "--all")
    skills(capsys, "update", "tidy")
    assert "nothing is wrong" in skills(capsys, "check")
    assert "not updated any more" in skills(capsys, "pin", "tidy")
    assert "is pinned" in skills(capsys, "update", "tidy", code=1)
    assert "may be updated" in skills(capsys, "pin", "tidy", "--off")
    assert skills(capsys, "remove", "tidy") == "tidy is removed\n"


def test_a_persons_mistakes_are_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    missing = str(tmp_path / "missing.zip")
    said = skills(capsys, "install", missing, code=1)
    assert said == f"beamclaw: {missing}: No such file or directory\n"
    assert "no skill 'x' is installed" in skills(capsys, "remove", "x", code=1)
    assert "there is no skill 'x' (there are csv" in skills(capsys, "info", "x", code=1)
    assert "there is no agent 'x'" in skills(capsys, "list", "--agent", "x", code=1)
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "beamclaw.yaml").write_text("gateway: 5")
    assert "cannot be used" in skills(capsys, "list", code=2)


def test_hidden_characters_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    skill(tmp_path / "data" / "skills" / "a", "a", body="fine\u202e")
    assert "cannot be seen: U+202E" in skills(capsys, "check", code=1)


def test_what_an_agent_is_told_is_shown_with_its_sizes(
    capsys: pytest.CaptureFixture[str],
):
    said = skills(capsys, "prompt")
    assert "# Your workspace" in said
    assert "characters  AGENTS.md" in said
    found = json.loads(skills(capsys, "prompt", "--scope", "subagent", "--json"))
    assert "BOOTSTRAP.md" not in found["text"].partition("# Your workspace")[2]


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_variable_that_commands_do_not_get_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], everywhere: bool
):
    data = tmp_path / "data"
    skill(data / "skills" / "a", "a")
    value = "hidden-value"
    (data / "beamclaw.yaml").write_text(
        f"skills: {{entries: {{a: {{env: {{GIT_TOKEN: {value}}}}}}}}}\n"
        + ("tools: {exec: {env: {GIT_TOKEN: other}}}\n" if everywhere else "")
    )
    if everywhere:
        assert "nothing is wrong" in skills(capsys, "check")
        return
    said = skills(capsys, "check", code=1)
    assert "error: skills.entries.a: GIT_TOKEN may not be set for a command" in said
    assert "tools.exec.env" in said
    found = json.loads(skills(capsys, "check", "--json", code=1))
    assert found["unset"]["a"]["GIT_TOKEN"]
    assert value not in f"{said}{found}"
