"""The writer on real files: what is refused, what is kept, what a kill leaves."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from beamclaw.config.loader import load_text
from beamclaw.config.writing import files
from beamclaw.config.writing.documents import Order, Refusal
from beamclaw.config.writing.hiding import HIDDEN
from beamclaw.config.writing.writer import Writer
from beamclaw.contracts.points import hooked

SECRET = "sk-canary-91ab"
FILE = f"""\
# mine
gateway: {{port: 1234}}
providers:
  local: {{api: openai, base_url: "http://x/v1", api_key: {SECRET}}}
"""


def writer(folder: Path, text: str | None = FILE, **more: Any) -> Writer:
    folder.mkdir(exist_ok=True)
    file = folder / "beamclaw.yaml"
    if text is not None:
        file.write_text(text)
    defaults: dict[str, Any] = {"running": None, "variables": {}, "options": {}}
    return Writer(file=file, data=folder, wall=lambda: 5.0, **(defaults | more))


def patch(text: str, **more: Any) -> Order:
    return Order(how="patch", text=text, by="me", **more)


def test_a_change_is_written_kept_and_told(tmp_path: Path):
    here = writer(tmp_path)
    before = here.document()
    written = here.write(patch("{gateway: {port: 99}}", base=before.hash, note="why"))
    assert [(c.path, c.before, c.after) for c in written.changes] == [
        ("gateway.port", 1234, 99)
    ]
    assert here.file.read_text() == FILE.replace("1234", "99")
    assert here.document().hash == written.hash
    (entry,) = here.history()
    assert (entry.number, entry.at, entry.how, entry.by) == (1, 5.0, "patch", "me")
    assert (entry.hash, entry.next) == (before.hash, written.hash)
    here.write(Order(how="rollback", entry=1))
    assert here.file.read_text() == FILE
    assert here.changes_since(2)[0].before == 99


def test_nobody_waits_for_a_pipe_that_took_the_place_of_the_file(tmp_path: Path):
    here = writer(tmp_path)
    here.file.unlink()
    os.mkfifo(here.file)
    for read in (here.document, here.load, partial(here.write, patch("{}"))):
        with pytest.raises(Refusal, match="it is a pipe"):
            read()


def test_what_is_shown_has_no_secret_and_says_what_waits(tmp_path: Path):
    loaded = load_text(FILE, tmp_path / "f", {}, folder=tmp_path)
    here = writer(tmp_path, running=loaded.config)
    here.file.write_text(FILE.replace("1234", "99") + f"# not {SECRET}\n")
    document = here.document()
    assert document.valid
    assert SECRET not in repr(document)
    assert [change.path for change in document.waiting] == ["gateway.port"]
    assert document.parsed["providers"]["local"]["api_key"] == HIDDEN
    assert document.values is not None
    assert document.values["gateway"]["port"] == 99


REFUSED = {
    "an unknown key": (patch("{gateway: {prot: 1}}"), "invalid", "did you mean port"),
    "a wrong value": (patch("{gateway: {port: x}}"), "invalid", "gateway.port"),
    "an old hash": (patch("{gateway: {port: 1}}", base="0"), "stale", "read it again"),
    "no hash": (
        patch("{gateway: {port: 1}}", must_say_base=True),
        "base_required",
        "its hash",
    ),
    "a marker": (
        Order(text=FILE.replace(SECRET, HIDDEN)),
        "redacted",
        "providers.local.api_key",
    ),
    "no patch": (patch("[]"), "unreadable", "keys with values"),
    "no such entry": (Order(how="rollback", entry=7), "unknown", "no entry 7"),
    "not YAML": (Order(text="a: ["), "invalid", "not valid YAML"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_changes_nothing(tmp_path: Path, name: str):
    order, code, words = REFUSED[name]
    here = writer(tmp_path)
    with pytest.raises(Refusal, match=words) as refused:
        here.write(order)
    assert refused.value.code == code
    assert here.file.read_text() == FILE
    assert not here.history()
    assert SECRET not in str(refused.value)


def test_a_file_that_was_cut_off_is_refused_unless_it_is_meant(tmp_path: Path):
    long = FILE + "".join(f"# line {number}\n" for number in range(60))
    here = writer(tmp_path, long)
    with pytest.raises(Refusal, match="would shrink") as refused:
        here.write(Order(text=long[:43]))
    assert refused.value.code == "shrunk"
    here.write(Order(text=FILE, shrink=True))
    assert here.file.read_text() == FILE


def test_an_old_warning_stays_a_new_one_is_refused(tmp_path: Path):
    here = writer(tmp_path, "old_key: 1\n")
    here.write(patch("{gateway: {port: 1}}"))
    with pytest.raises(Refusal, match="new_key"):
        here.write(patch("{new_key: 1}"))


def test_a_trial_writes_nothing(tmp_path: Path):
    here = writer(tmp_path)
    written = here.write(patch("{gateway: {port: 99}}", dry=True))
    assert written.changes[0].after == 99
    assert here.file.read_text() == FILE
    assert not here.history()


def test_a_first_file_is_made_private(tmp_path: Path):
    here = writer(tmp_path / "new", None)
    assert here.document().hash is None
    here.write(patch("{gateway: {port: 99}}", must_say_base=True))
    assert here.file.stat().st_mode & 0o777 == 0o600
    assert not here.history()


def test_permissions_and_links_stay(tmp_path: Path):
    here = writer(tmp_path)
    target = tmp_path / "elsewhere.yaml"
    here.file.rename(target)
    here.file.symlink_to(target)
    target.chmod(0o640)
    here.write(patch("{gateway: {port: 99}}"))
    assert here.file.is_symlink()
    assert "99" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o640


def test_so_many_are_kept_as_the_configuration_says(tmp_path: Path):
    here = writer(tmp_path, FILE + "config: {history: 3}\n")
    for port in range(1, 8):
        here.write(patch(f"{{gateway: {{port: {port}}}}}"))
    assert [entry.number for entry in here.history()] == [7, 6, 5]
    folder = tmp_path / files.FOLDER
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path):
    here = writer(tmp_path)
    (tmp_path / files.FOLDER).write_text("in the way")
    with pytest.raises(Refusal, match=files.FOLDER) as refused:
        here.write(patch("{gateway: {port: 99}}"))
    assert refused.value.code == "disk"
    assert here.file.read_text() == FILE


class Killed(BaseException):
    """The process is gone."""


def points_of_a_write(folder: Path) -> list[str]:
    seen = list[str]()
    with hooked(seen.append):
        writer(folder).write(patch("{gateway: {port: 99}}"))
    return seen


def test_a_kill_at_any_point_leaves_the_old_file_or_the_new(tmp_path: Path):
    points = points_of_a_write(tmp_path / "whole")
    assert {point.split(".")[1] for point in points} >= {"keep", "replace"}
    for at in range(len(points)):
        folder, seen = tmp_path / str(at), list[str]()

        def kill(name: str, at: int = at, seen: list[str] = seen) -> None:
            seen.append(name)
            if len(seen) == at + 1:
                raise Killed

        here = writer(folder)
        with hooked(kill), pytest.raises(Killed):
            here.write(patch("{gateway: {port: 99}}"))
        assert here.file.read_text() in (FILE, FILE.replace("1234", "99"))
        here.write(patch("{gateway: {port: 77}}"))
        assert here.file.read_text() == FILE.replace("1234", "77")
        # Each file that ever stood there is found again, once.
        texts = [here.changes_since(entry.number) for entry in here.history()]
        assert all(texts)
        assert here.history()[-1].hash == writer(tmp_path / "new").document().hash
