"""Included files in a configuration that is loaded: what holds, and where a fault is."""

from pathlib import Path

import pytest

from beamclaw.cli import main
from beamclaw.config.last_good import Kept, find, keep, load_kept
from beamclaw.config.loader import Loaded, load
from beamclaw.config.problems import ConfigError
from beamclaw.config.reference import effective, effective_values
from beamclaw.paths import PathRefused
from beamclaw.paths import find as find_place
from beamclaw.toolbox import roots_of

CANARY = "sk-canary-27bc"


def put(folder: Path, **texts: str) -> Path:
    """The files of a configuration, by their names without the ending."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "beamclaw.yaml"


def loaded(folder: Path, **texts: str) -> Loaded:
    return load({}, file=put(folder, **texts), data=folder / "data")


def test_what_is_included_holds_and_says_where_it_stands(tmp_path: Path):
    found = loaded(
        tmp_path,
        beamclaw="gateway: {$include: gateway.yaml}\n$include: [local.yaml]\n",
        gateway="port: 1234\n",
        local="providers:\n  local: {api: openai, base_url: 'http://x/v1'}\n",
    )
    assert found.config.gateway.port == 1234
    assert found.origins["gateway.port"] == f"{tmp_path}/gateway.yaml:1:7"
    assert found.config.chosen.why == (
        f"local is the first provider in {tmp_path}/local.yaml"
    )
    files = (tmp_path / "local.yaml", tmp_path / "gateway.yaml")
    assert set(found.config.files) == set(found.included) == set(files)
    assert set(files) <= set(found.config.own_places)
    assert f"# included: {files[0]}\n" in effective(found)
    assert set(effective_values(found)["included"]) == set(map(str, files))


def test_agents_are_kept_from_all_files_even_in_their_workspace(tmp_path: Path):
    (tmp_path / "key").write_text(CANARY)
    found = loaded(
        tmp_path,
        beamclaw="agents: {$include: agents.yaml}\ngateway: {$include: gateway.yaml}",
        agents="main: {workspace: .}\n",
        gateway="auth: {mode: password, password: {file: key}}\n",
        notes="of the agent",
    )
    roots = roots_of(found.config, "main")
    with find_place(roots, "notes.yaml"):
        pass
    for name in ("beamclaw.yaml", "agents.yaml", "gateway.yaml", "key"):
        with (
            pytest.raises(PathRefused, match="belongs to BeamClaw"),
            find_place(roots, name) as spot,
        ):
            spot.open_file()


def test_variables_are_replaced_and_paths_are_relative_to_the_configuration(
    tmp_path: Path,
):
    (tmp_path / "parts").mkdir()
    (tmp_path / "key").write_text(CANARY)
    (tmp_path / "parts/local.yaml").write_text(
        "local:\n  api: openai\n  base_url: '${URL}'\n  api_key: {file: key}\n"
    )
    file = put(tmp_path, beamclaw="providers: {$include: parts/local.yaml}")
    found = load({"URL": "http://x/v1"}, file=file, data=tmp_path / "data")
    provider = found.config.providers["local"]
    assert provider.base_url == "http://x/v1"
    assert [key.reveal() for key in provider.keys] == [CANARY]
    assert found.config.files == (tmp_path / "parts/local.yaml", tmp_path / "key")


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path):
    found = loaded(
        tmp_path,
        beamclaw="gateway: {auth: {token: {$include: token.yaml}}}",
        token="file: secret.yaml",
        secret="x" * 40,
    )
    token = found.config.gateway.auth.token
    assert token is not None
    assert token.reveal() == "x" * 40


def test_each_mistake_names_its_file_line_and_key_in_reading_order(tmp_path: Path):
    with pytest.raises(ConfigError) as wrong:
        loaded(
            tmp_path,
            beamclaw="agents: {$include: agents.yaml}\n"
            "tools: {max_calls: x}\ngateway: {$include: gateway.yaml}\n",
            agents="main:\n  model: nowhere/some\n",
            gateway="port: x\nprot: 1\n",
        )
    assert [str(each) for each in wrong.value.problems] == [
        (
            f"{tmp_path}/beamclaw.yaml:2:20: tools.max_calls: expected a whole number of "
            'at least 1, found the text "x"'
        ),
        (
            f"{tmp_path}/agents.yaml:2:10: agents.main.model: there is no provider "
            "'nowhere' (there are demo)"
        ),
        (
            f"{tmp_path}/gateway.yaml:1:7: gateway.port: expected a whole number from 0 to "
            '65535, found the text "x"'
        ),
    ]
    assert [str(each) for each in wrong.value.warnings] == [
        f"{tmp_path}/gateway.yaml:2:1: gateway.prot: unknown key; did you mean port?"
    ]
    assert set(wrong.value.files) == {
        tmp_path / "agents.yaml",
        tmp_path / "gateway.yaml",
    }


def test_what_is_not_there_is_not_blamed_on_the_rest(tmp_path: Path):
    with pytest.raises(ConfigError) as wrong:
        loaded(
            tmp_path,
            beamclaw="providers: {$include: local.yaml}\n"
            "agents: {main: {model: local/some}}\n",
        )
    assert [str(each) for each in wrong.value.problems] == [
        (
            f"{tmp_path}/beamclaw.yaml:1:23: providers.$include: {tmp_path}/local.yaml "
            "cannot be read: No such file or directory"
        )
    ]
    assert wrong.value.files == (tmp_path / "local.yaml",)


def test_nothing_of_a_file_that_is_a_secret_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = put(tmp_path, beamclaw="$include: ./token\n")
    (tmp_path / "token").write_text(f"{CANARY}\n")
    assert main(["config", "check", "--config", str(file)]) == 2
    said = capsys.readouterr()
    assert f"{tmp_path}/token:1:1: expected keys" in said.err
    assert CANARY not in said.out + said.err


def test_check_and_show_name_the_files_as_the_configuration_was_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    put(tmp_path, beamclaw="gateway: {$include: gateway.yaml}\n", gateway="port: x\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BEAMCLAW_CONFIG", raising=False)
    assert main(["config", "check", "--config", "beamclaw.yaml"]) == 2
    assert "error: gateway.yaml:1:7: gateway.port: " in capsys.readouterr().err
    put(tmp_path, gateway="port: 1234\n")
    assert main(["config", "show", "--config", "beamclaw.yaml"]) == 0
    assert "  port: 1234  # gateway.yaml:1:7" in capsys.readouterr().out


def test_the_last_good_one_is_what_it_was_whatever_the_files_are_now(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    good = loaded(
        tmp_path,
        beamclaw="gateway: {$include: gateway.yaml}\n",
        gateway="port: 1234\n",
    )
    file = tmp_path / "beamclaw.yaml"
    assert good.text is not None
    kept = Kept(file=file, text=good.text, at=5.0, included=good.included)
    keep(data, kept)
    put(tmp_path, gateway="port: x\n")
    found = load_kept({}, data=data, file=file)
    assert found is not None
    assert found[0].config.gateway.port == 1234
    assert found[1] == kept
    (tmp_path / "gateway.yaml").unlink()
    assert load_kept({}, data=data, file=file) == found
    # The same text with other files is another one.
    other = Kept(file=file, text=good.text, at=9.0)
    keep(data, other)
    assert find(data) == other
    with pytest.raises(ConfigError, match="was not kept"):
        load_kept({}, data=data, file=file)


def test_what_an_earlier_release_has_kept_is_found(tmp_path: Path):
    keep(tmp_path, Kept(file=tmp_path / "a", text="{}", at=5.0))
    place = tmp_path / "config-history/last-good.json"
    place.write_text(place.read_text().replace(',"included":{}', ""))
    assert find(tmp_path) == Kept(file=tmp_path / "a", text="{}", at=5.0)
