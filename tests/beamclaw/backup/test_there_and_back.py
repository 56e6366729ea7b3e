"""Packing a folder and putting it in another one's place; archives that are not right."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from beamclaw.backup import BackupRefused, Manifest, look, pack, restore
from beamclaw.backup.manifest import MANIFEST, decode
from beamclaw.contracts.databases import databases_in
from beamclaw.contracts.store import DataFolderError
from beamclaw.databases import schema_of
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import copy_database, lock_folder, open_database
from beamclaw.store.schema import NODE

STAMP = "20261122T000000Z"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with something of each kind in it."""
    folder = tmp_path / "data"
    (folder / "tenants/default").mkdir(parents=True)
    (folder / "workspace/deep").mkdir(parents=True)
    open_database(folder / "node.db", NODE).close()
    ledger = open_database(folder / "tenants/default/ledger.db", LEDGER)
    ledger.execute("INSERT INTO meta VALUES ('default', 7)")
    ledger.close()
    (folder / "token").write_text("canary-of-the-token\n")
    (folder / "workspace/deep/run.sh").write_bytes(b"#!/bin/sh\n")
    (folder / "workspace/deep/run.sh").chmod(0o755)
    (folder / "workspace/empty").write_bytes(b"")
    (folder / "workspace/out").symlink_to("/etc/passwd")
    (folder / "node.lock").write_text("1\n")
    os.mkfifo(folder / "workspace/pipe")
    return folder


def databases(data: Path) -> Callable[[Path], dict[str, int]]:
    def copies(folder: Path) -> dict[str, int]:
        for name in databases_in(data):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy_database(data / name, folder / name, alone=True)
        return {name: schema_of(name).version for name in databases_in(data)}

    return copies


def packed(data: Path, to: Path) -> Manifest:
    return pack(data, to, databases(data), version="1.0", at=1.0)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix != ".db"
    }


def back(file: Path, data: Path, *, force: bool = False, stamp: str = STAMP):
    return restore(file, data, force=force, stamp=stamp)


def test_what_was_packed_comes_back_as_it_was(data: Path, tmp_path: Path):
    file, new = tmp_path / "a.backup", tmp_path / "new"
    manifest = packed(data, file)

    assert file.stat().st_mode & 0o777 == 0o600
    assert look(file) == manifest
    assert {each.name for each in manifest.left_out} == {
        "workspace/out",
        "workspace/pipe",
    }
    assert back(file, new).aside is None
    assert files(new).keys() == files(data).keys()
    assert all(files(new)[n] == files(data)[n] for n in files(new) if n != "node.lock")
    assert (new / "workspace/deep/run.sh").stat().st_mode & 0o777 == 0o700
    assert all(not path.stat().st_mode & 0o077 for path in new.rglob("*"))
    with sqlite3.connect(new / "tenants/default/ledger.db") as ledger:
        assert ledger.execute("SELECT owner_epoch FROM meta").fetchone() == (7,)
    open_database(new / "tenants/default/ledger.db", LEDGER).close()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_copy_has_what_is_only_in_the_log_and_the_writer_goes_on(
    data: Path, tmp_path: Path
):
    path = data / "tenants/default/ledger.db"
    writer = open_database(path, LEDGER)
    writer.execute("UPDATE meta SET owner_epoch = 8")
    assert (data / "tenants/default/ledger.db-wal").stat().st_size

    copy_database(path, tmp_path / "copy.db")
    writer.execute("UPDATE meta SET owner_epoch = 9")

    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT owner_epoch FROM meta").fetchone() == (8,)
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    writer.close()


def test_a_damaged_database_is_not_packed(data: Path, tmp_path: Path):
    path = data / "tenants/default/ledger.db"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(DataFolderError):
        packed(data, tmp_path / "a.backup")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_nothing_is_replaced_and_nothing_put_into_the_folder_itself(
    data: Path, tmp_path: Path
):
    there = tmp_path / "there"
    there.write_text("kept")
    (tmp_path / "link").symlink_to("nowhere")
    for to in (there, tmp_path / "link", data / "x", data / "workspace/x"):
        with pytest.raises(BackupRefused):
            packed(data, to)
    assert there.read_text() == "kept"


def test_a_folder_in_use_or_with_something_in_it_is_left_alone(
    data: Path, tmp_path: Path
):
    file = tmp_path / "a.backup"
    packed(data, file)
    with pytest.raises(BackupRefused, match="not empty"):
        back(file, data)
    lock, _ = lock_folder(data)
    with pytest.raises(DataFolderError, match="in use"):
        back(file, data, force=True)
    lock.release()

    done = back(file, data, force=True)

    assert done.aside is not None
    assert (done.aside / "workspace/out").is_symlink()
    assert (data / "token").read_text() == "canary-of-the-token\n"


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.9, 0.999])
def test_an_archive_that_was_cut_off_is_refused(
    data: Path, tmp_path: Path, keep: float
):
    file = tmp_path / "a.backup"
    packed(data, file)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    _refused(file, tmp_path / "new")


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_an_archive_with_a_wrong_byte_is_refused(data: Path, tmp_path: Path, at: float):
    file = tmp_path / "a.backup"
    packed(data, file)
    content = bytearray(file.read_bytes())
    content[int(at * len(content))] ^= 0x55
    file.write_bytes(content)
    _refused(file, tmp_path / "new")


def _refused(file: Path, new: Path, match: str = "damaged") -> None:
    with pytest.raises(BackupRefused, match=match):
        look(file)
    with pytest.raises(BackupRefused, match=match):
        back(file, new)
    assert [path.name for path in new.iterdir()] == ["node.lock"]


Change = Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]


def rewritten(file: Path, change: Change) -> None:
    """The archive anew, each member through *change*."""
    with tarfile.open(file) as old:
        members = [(m, old.extractfile(m).read()) for m in old]  # type: ignore[union-attr]
    with tarfile.open(file, "w:gz") as new:
        for member, content in members:
            for other, text in change(member, content):
                other.size = len(text)
                new.addfile(other, io.BytesIO(text))


def _named(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member


HOSTILE = {
    "above": _named("../evil"),
    "root": _named("/tmp/evil"),
    "inside": _named("workspace/../../evil"),
    "symlink": _named("workspace/evil", tarfile.SYMTYPE, "/etc/passwd"),
    "hardlink": _named("workspace/evil", tarfile.LNKTYPE, "/etc/passwd"),
    "device": _named("workspace/evil", tarfile.CHRTYPE),
    "pipe": _named("workspace/evil", tarfile.FIFOTYPE),
    "folder": _named("workspace/evil", tarfile.DIRTYPE),
    "lock": _named("node.lock"),
    "unlisted": _named("workspace/evil"),
    "second list": _named(MANIFEST),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_backup_has_is_refused_and_not_written(
    data: Path, tmp_path: Path, name: str
):
    file = tmp_path / "a.backup"
    packed(data, file)

    def change(member: tarfile.TarInfo, content: bytes):
        evil = [(HOSTILE[name], b"")] if member.name == "token" else []
        return [*evil, (member, content)]

    rewritten(file, change)
    _refused(file, tmp_path / "new")
    assert not list(tmp_path.rglob("evil"))


def test_a_link_and_then_a_file_through_it_writes_nothing_outside(
    data: Path, tmp_path: Path
):
    file, outside = tmp_path / "a.backup", tmp_path / "outside"
    outside.mkdir()
    packed(data, file)

    def change(member: tarfile.TarInfo, content: bytes):
        if member.name != "token":
            return [(member, content)]
        link = _named("way", tarfile.SYMTYPE, str(outside))
        return [(link, b""), (_named("way/evil"), b"x"), (member, content)]

    rewritten(file, change)
    _refused(file, tmp_path / "new")
    assert not list(outside.iterdir())


def test_other_content_under_the_same_name_is_refused(data: Path, tmp_path: Path):
    file = tmp_path / "a.backup"
    packed(data, file)
    rewritten(
        file,
        lambda m, content: [(m, b"x" * len(content) if m.name == "token" else content)],
    )
    _refused(file, tmp_path / "new", "token is not as its list says")


def test_a_ledger_of_a_newer_version_is_refused_in_words(data: Path, tmp_path: Path):
    file, path = tmp_path / "a.backup", data / "tenants/default/ledger.db"
    with sqlite3.connect(path) as ledger:
        ledger.execute("PRAGMA user_version=99")
    packed(data, file)
    with pytest.raises(BackupRefused, match="newer version"):
        back(file, tmp_path / "new")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["node.lock"]


def test_a_backup_without_its_ledger_is_refused(data: Path, tmp_path: Path):
    file = tmp_path / "a.backup"
    packed(data, file)

    def change(member: tarfile.TarInfo, content: bytes):
        if member.name == MANIFEST:
            whole = decode(content)
            less = tuple(e for e in whole.entries if not e.name.endswith("ledger.db"))
            return [(member, attrs.evolve(whole, entries=less).encode())]
        return [] if member.name.endswith("ledger.db") else [(member, content)]

    rewritten(file, change)
    with pytest.raises(BackupRefused, match=r"has no tenants/default/ledger\.db"):
        back(file, tmp_path / "new")


# A restore that dies at its n-th rename, by the hand of nobody who could tidy up.
DIES = """
import os, signal, sys
from pathlib import Path
from tests.beamclaw.backup.test_there_and_back import back
left = int(sys.argv[3])
real = Path.rename
def rename(self, to):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(self, to)
Path.rename = rename
back(Path(sys.argv[1]), Path(sys.argv[2]), force=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("renames", [0, 2, 4, 5, 7])
def test_killed_while_it_moves_a_node_refuses_and_the_same_again_ends_it(
    data: Path, tmp_path: Path, renames: int
):
    file = tmp_path / "a.backup"
    packed(data, file)
    died = subprocess.run(
        [sys.executable, "-c", DIES, str(file), str(data), str(renames)],
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    with pytest.raises(DataFolderError, match="restore was interrupted"):
        lock_folder(data)
    (tmp_path / "cut").write_bytes(file.read_bytes()[:2000])
    with pytest.raises(BackupRefused, match="damaged"):
        back(tmp_path / "cut", data, force=True, stamp="between")
    with pytest.raises(DataFolderError, match="restore was interrupted"):
        lock_folder(data)
    there = [p.name for p in data.iterdir() if p.name not in ("node.lock", ".restore")]
    if any(not name.startswith("before-restore-") for name in there):
        with pytest.raises(BackupRefused, match="earlier restore"):
            back(file, data)

    back(file, data, force=True, stamp="later")

    lock_folder(data)[0].release()
    assert (data / "token").read_text() == "canary-of-the-token\n"
    assert not (data / ".restore").exists()
