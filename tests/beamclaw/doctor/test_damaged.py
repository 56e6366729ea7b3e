"""Data folders that were damaged: each is found, and each repair leaves it healthy."""

import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import trio

from beamclaw.cli import main
from beamclaw.doctor import REPAIRS
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import FolderLock, open_database
from beamclaw.store.schema import NODE
from beamclaw.testing.fake_openai import fake_openai

LEDGER_NAME = "tenants/default/ledger.db"
TOKEN = "k3Jd9-qLm2Zx8_PwCanary"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A healthy data folder, and an environment with nothing of ours."""
    for name in [
        name for name in os.environ if name.startswith(("BEAMCLAW_", "OPENAI_"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    folder = tmp_path / "data"
    (folder / "tenants/default").mkdir(parents=True)
    for path in (folder, folder / "tenants", folder / "tenants/default"):
        path.chmod(0o700)
    open_database(folder / "node.db", NODE).close()
    ledger = open_database(folder / LEDGER_NAME, LEDGER)
    ledger.execute("INSERT INTO meta VALUES ('default', 1)")
    ledger.close()
    (folder / "token").write_text(f"{TOKEN}\n")
    (folder / "token").chmod(0o600)
    return folder


Doctor = Callable[..., tuple[int, list[dict[str, str]]]]


@pytest.fixture
def doctor(data: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Asks it; the exit code and the findings that are not in order."""

    def ask(*options: str) -> tuple[int, list[dict[str, str]]]:
        code = main(["doctor", "--json", "--data", str(data), *options])
        said = capsys.readouterr()
        assert "Canary" not in said.out + said.err
        found = json.loads(said.out)["findings"]
        wrong = [e for e in found if e["level"] in ("warning", "error")]
        # The folders of tests are in memory where they can be.
        return code, [e for e in wrong if not e["what"].startswith("it is in memory")]

    return ask


def about(found: Sequence[dict[str, str]], check: str) -> list[str]:
    return [each["what"] for each in found if each["check"] == check]


def test_nothing_is_found_in_a_healthy_folder(data: Path, doctor: Doctor):
    before = {p: p.stat().st_mtime_ns for p in data.rglob("*") if p.is_file()}
    code, found = doctor()
    assert (code, [e for e in found if e["check"] != "sandbox"]) == (0, [])
    after = {p: p.stat().st_mtime_ns for p in data.rglob("*") if p.is_file()}
    assert after == before


def in_place(path: Path, change: Callable[[bytearray], None]) -> None:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def cut(content: bytearray) -> None:
    del content[-4096:]


def garbage(content: bytearray) -> None:
    content[3 * 4096 : 6 * 4096] = os.urandom(3 * 4096)


def nothing(content: bytearray) -> None:
    content.clear()


@pytest.mark.parametrize("name", ["node.db", LEDGER_NAME])
@pytest.mark.parametrize("damage", [cut, garbage, nothing])
def test_a_damaged_database_is_found_and_left_as_it_is(
    data: Path, doctor: Doctor, name: str, damage: Callable[[bytearray], None]
):
    in_place(data / name, damage)
    before = (data / name).read_bytes()
    code, found = doctor("--repair", "--yes")
    (wrong,) = [each for each in found if each["check"] == "database"]
    assert (code, wrong["where"], wrong["level"]) == (1, name, "error")
    assert "restore" in wrong["advice"]
    assert (data / name).read_bytes() == before


def test_a_database_of_a_newer_version_is_found(data: Path, doctor: Doctor):
    with sqlite3.connect(data / LEDGER_NAME) as ledger:
        ledger.execute("PRAGMA user_version=99")
    code, found = doctor()
    assert code == 1
    assert "newer version" in about(found, "database")[0]


def lose_index(path: Path) -> None:
    """An index without the rows that its table has."""
    with sqlite3.connect(path) as ledger:
        ledger.execute("PRAGMA writable_schema=ON")
        row = ledger.execute(
            "SELECT * FROM sqlite_master WHERE name = 'sessions_responses'"
        ).fetchone()
        ledger.execute("DELETE FROM sqlite_master WHERE name = 'sessions_responses'")
    with sqlite3.connect(path) as ledger:
        ledger.execute(
            "INSERT INTO sessions (tenant, owner_epoch, key, session_id, agent, seq, "
            "created_at, updated_at) VALUES ('default', 1, "
            "'agent:main:openai-response:x', 's', 'main', 0, 1, 1)"
        )
        ledger.execute("PRAGMA writable_schema=ON")
        ledger.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)


def no_token(data: Path) -> None:
    (data / "token").write_text("short\n")


def open_files(data: Path) -> None:
    (data / "node.db").chmod(0o644)
    (data / "token").chmod(0o604)
    (data / "tenants").chmod(0o755)


def left_over(data: Path) -> None:
    (data / ".probe-77").write_bytes(b"x")
    (data / "node.db.new").write_bytes(b"x")


def index_lost(data: Path) -> None:
    lose_index(data / LEDGER_NAME)


DAMAGED: dict[str, tuple[Callable[[Path], None], int]] = {
    "modes": (open_files, 1),
    "token": (no_token, 1),
    "leftovers": (left_over, 0),
    "indexes": (index_lost, 1),
}


@pytest.mark.parametrize("name", REPAIRS)
def test_each_repair_is_named_asked_for_and_leaves_the_folder_healthy(
    data: Path, doctor: Doctor, name: str, capsys: pytest.CaptureFixture[str]
):
    damage, code = DAMAGED[name]
    damage(data)
    assert doctor()[0] == code
    main(["doctor", "--json", "--data", str(data)])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert name in {each["repair"] for each in found}
    # Nobody can be asked in a test: without --yes nothing happens.
    assert main(["doctor", "--repair", name, "--data", str(data)]) == 1
    assert "--yes" in capsys.readouterr().err
    assert doctor()[0] == code

    assert doctor("--repair", name, "--yes")[0] == 0

    main(["doctor", "--json", "--data", str(data)])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert not [each for each in found if each["repair"]]


def test_a_folder_in_use_by_who_does_not_answer_is_told_and_not_repaired(
    data: Path, doctor: Doctor
):
    left_over(data)
    lock = FolderLock(data)
    try:
        code, found = doctor("--repair", "leftovers", "--yes")
    finally:
        lock.release()
    assert code == 1
    assert f"the process {os.getpid()} has the folder" in about(found, "node")[0]
    assert (data / ".probe-77").exists()


def test_all_mistakes_of_the_configuration_with_line_and_key(
    data: Path, doctor: Doctor
):
    (data / "beamclaw.yaml").write_text(
        "gateway:\n  port: abc\n  hots: 1\nagentz: {}\n"
    )
    code, found = doctor()
    assert code == 1
    found = [each for each in found if each["check"] == "config"]
    places = [(e["where"].rpartition("beamclaw.yaml:")[2], e["level"]) for e in found]
    assert places == [
        ("2:9", "error"),
        ("3:3", "warning"),
        ("4:1", "warning"),
    ]
    assert "gateway.port" in found[0]["what"]


def test_a_mistake_in_an_included_file_and_one_that_is_not_there(
    data: Path, doctor: Doctor
):
    (data / "beamclaw.yaml").write_text("gateway: {$include: gateway.yaml}\n")
    (data / "gateway.yaml").write_text("port: abc\n")
    code, found = doctor()
    (fault,) = [each for each in found if each["check"] == "config"]
    assert (code, fault["where"]) == (1, f"{data}/gateway.yaml:1:7")
    assert "gateway.port" in fault["what"]
    (data / "gateway.yaml").unlink()
    code, found = doctor()
    (fault,) = [each for each in found if each["check"] == "config"]
    assert (code, fault["where"]) == (1, f"{data}/beamclaw.yaml:1:21")
    assert "gateway.yaml cannot be read" in fault["what"]


def test_a_configuration_elsewhere_that_others_read_and_change(
    data: Path, doctor: Doctor, tmp_path: Path
):
    place = tmp_path / "etc"
    place.mkdir()
    main, part, key = place / "main.yaml", place / "part.yaml", place / "key"
    main.write_text("providers: {$include: part.yaml}\n")
    part.write_text(
        "a: {api: demo, api_key: Canary-7f21}\nb: {api: demo, api_key: {file: key}}\n"
    )
    key.write_text("Canary-99d3\n")
    for path in (main, part, key):
        path.chmod(0o644)

    def about_modes() -> list[tuple[str, str]]:
        _, found = doctor("--config", str(main))
        return [(e["level"], e["where"]) for e in found if e["check"] == "modes"]

    assert about_modes() == [("warning", str(part)), ("warning", str(key))]
    for path in (part, key):
        path.chmod(0o640)
    assert about_modes() == []
    part.chmod(0o602)
    assert about_modes() == [("error", str(part))]


def test_an_included_file_in_the_data_folder_is_looked_at_as_all_of_it(
    data: Path, doctor: Doctor
):
    (data / "beamclaw.yaml").write_text("gateway: {$include: gateway.yaml}\n")
    (data / "beamclaw.yaml").chmod(0o600)
    (data / "gateway.yaml").write_text("port: 1234\n")
    (data / "gateway.yaml").chmod(0o644)
    _, found = doctor()
    (fault,) = [each for each in found if each["check"] == "modes"]
    assert "gateway.yaml (644)" in fault["what"]


def test_a_weak_secret_and_an_open_listener(data: Path, doctor: Doctor):
    (data / "beamclaw.yaml").write_text(
        "gateway: {host: 0.0.0.0, auth: {token: abababababababababab}}\n"
    )
    code, found = doctor()
    assert code == 1
    assert "different characters" in about(found, "token")[0]
    assert "without TLS" in about(found, "listener")[0]


def test_a_restore_that_did_not_end_is_found(data: Path, doctor: Doctor):
    (data / ".restore").mkdir()
    (data / ".restore/moving").touch()
    code, found = doctor()
    assert code == 1
    assert "restore" in about(found, "folder")[0]


@pytest.mark.slow
async def test_providers_are_asked_on_request_only(
    data: Path, capsys: pytest.CaptureFixture[str]
):
    config = data / "beamclaw.yaml"

    async def ask(*options: str) -> dict[str, str]:
        await trio.to_thread.run_sync(
            main, ["doctor", "--json", "--data", str(data), *options]
        )
        said = capsys.readouterr().out
        assert "Canary" not in said
        found = json.loads(said)["findings"]
        return {e["what"]: e["level"] for e in found if e["check"] == "provider"}

    async with fake_openai(keys=["key-Canary"]) as fake:
        text = "providers: {p: {api: openai, base_url: 'URL', api_key: KEY}}\n"
        config.write_text(
            text.replace("URL", fake.base_url).replace("KEY", "key-Canary")
        )
        assert await ask() == {"it has a key": "ok"}
        assert fake.requests == []
        found = await ask("--online")
        assert found == {"it has a key": "ok", "it can be reached": "ok"}
        config.write_text(
            text.replace("URL", fake.base_url).replace("KEY", "no-Canary")
        )
        assert (await ask("--online"))["it refuses the key (401)"] == "error"
        wrong = fake.base_url.removesuffix("/v1")
        config.write_text(text.replace("URL", wrong).replace("KEY", "key-Canary"))
        found = await ask("--online")
        assert found["it answers, and has no list of models (404)"] == "warning"
    assert "error" in (await ask("--online")).values()


def test_an_installed_service_is_looked_at(
    data: Path, doctor: Doctor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["service", "install", "--data", str(data)]) == 0
    capsys.readouterr()
    code, found = doctor()
    assert (code, about(found, "service")) == (0, [])
    unit = tmp_path / ".config/systemd/user/beamclaw.service"
    unit.write_text(unit.read_text().replace("ExecStart=/", "ExecStart=/nowhere/"))
    code, found = doctor()
    assert code == 1
    assert "cannot be run" in about(found, "service")[0]
