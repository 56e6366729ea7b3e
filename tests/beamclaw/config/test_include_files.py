"""What of included files is read, and what is refused: on a real disk."""

import os
from pathlib import Path

import pytest

from beamclaw.config.document import MAX_BYTES
from beamclaw.config.include_files import Shelf, texts_of
from beamclaw.config.including import CannotInclude


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a configuration is; beside it there is something that is not of it."""
    (tmp_path / "outside.yaml").write_text("a: 1")
    made = tmp_path / "config"
    made.mkdir()
    return made


def why(folder: Path, name: str) -> str:
    with pytest.raises(CannotInclude) as refused:
        Shelf(folder)(folder / name)
    return str(refused.value)


def test_a_file_is_read_once_for_one_order(folder: Path):
    shelf = Shelf(folder)
    (folder / "a").write_bytes("\ufeffb: ü".encode())
    assert shelf(folder / "a") == "b: ü"
    (folder / "a").write_text("c: 1")
    assert shelf(folder / "a") == "b: ü"
    assert Shelf(folder)(folder / "a") == "c: 1"
    with pytest.raises(CannotInclude):
        shelf(folder / "b")
    (folder / "b").write_text("c: 1")
    with pytest.raises(CannotInclude):
        shelf(folder / "b")


def test_a_link_may_lead_to_somewhere_in_the_folder(tmp_path: Path, folder: Path):
    """So a volume is mounted whose content is replaced as a whole."""
    (folder / "..1").mkdir()
    (folder / "..1/a.yaml").write_text("a: 1")
    (folder / "..data").symlink_to("..1")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    assert Shelf(folder)(folder / "a.yaml") == "a: 1"
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert Shelf(link)(link / "a.yaml") == "a: 1"


def test_what_is_refused(folder: Path):
    out = f"is a link that leads out of the folder {folder}"
    (folder / "link").symlink_to("../outside.yaml")
    assert why(folder, "link") == out
    (folder / "up").symlink_to("..")
    assert why(folder, "up/outside.yaml") == out
    (folder / "link-to-link").symlink_to("link")
    assert why(folder, "link-to-link") == out

    os.link(folder.parent / "outside.yaml", folder / "hard")
    assert why(folder, "hard").startswith("has a second name, a hard link")

    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    assert why(folder, "sub") == why(folder, "pipe") == "is no file"

    assert why(folder, "gone") == "cannot be read: No such file or directory"
    (folder / "circle").symlink_to("circle")
    assert why(folder, "circle").startswith("cannot be read: ")

    (folder / "large").write_text("#" * (MAX_BYTES + 1))
    assert why(folder, "large") == f"is larger than {MAX_BYTES} bytes"
    (folder / "latin").write_bytes(b"a: 1\nb: \xfc")
    assert why(folder, "latin") == "is not UTF-8 text, in line 2"


def test_what_was_kept_is_all_that_there_is(folder: Path):
    (folder / "b").write_text("a: 1")
    read = texts_of({folder / "a": "a: 2"})
    assert read(folder / "a") == "a: 2"
    with pytest.raises(CannotInclude, match="was not kept"):
        read(folder / "b")
