"""The data folder: private, writable, locked by one node."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from beamclaw.contracts.store import DataFolderError
from beamclaw.storage import FolderLock, private_folder

HOLDER = """
import sys
from pathlib import Path
from beamclaw.storage import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_new_folder_is_private_and_so_are_those_above(tmp_path):
    old = os.umask(0)
    try:
        private_folder(tmp_path / "a" / "b")
    finally:
        os.umask(old)
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_permissions_of_a_folder_that_was_there_are_left(tmp_path):
    tmp_path.chmod(0o755)
    private_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_file_in_its_place_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataFolderError, match="choose another folder with --data"):
            private_folder(path)


def test_a_folder_that_cannot_be_written_is_refused_in_words(tmp_path, monkeypatch):
    # Asked of the system call's answer: root, say in CI, may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DataFolderError, match=r"written by this user; .*--data"):
        private_folder(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused_in_words(tmp_path, monkeypatch):
    def refuse(self: Path, mode: int = 0o777) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataFolderError, match="Permission denied; give this user"):
        private_folder(tmp_path / "new")


def test_a_second_node_is_refused_and_told_the_pid_of_the_first(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataFolderError) as caught:
            FolderLock(tmp_path)
        holder.kill()
    assert str(caught.value) == (
        f"data folder {tmp_path} is in use by the node with pid {holder.pid}; stop it "
        "or choose another folder with --data"
    )
    # A lock dies with its process, however that ended.
    FolderLock(tmp_path).release()


def test_a_lock_is_private_and_names_the_process(tmp_path: Path):
    lock = FolderLock(tmp_path)
    file = tmp_path / "node.lock"
    assert file.read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lock.release()
    lock.release()


def test_a_lock_that_was_released_can_be_taken_again(tmp_path):
    FolderLock(tmp_path).release()
    FolderLock(tmp_path).release()


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "node.lock").symlink_to(victim)
    with pytest.raises(DataFolderError):
        FolderLock(tmp_path)
    assert victim.read_text() == "precious"
