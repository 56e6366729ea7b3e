"""The files of a workspace: made once, whole, and read inside of it only."""

import os
import tempfile
from pathlib import Path
from threading import Thread

import pytest

from beamclaw.contracts import points
from beamclaw.contracts.points import hooked
from beamclaw.paths import PathRefused, Roots
from beamclaw.skills.files import (
    MARKER,
    MOST_BYTES,
    NotWritten,
    contents,
    put,
    seed,
)

SEEDED = ["AGENTS.md", "BOOTSTRAP.md", "IDENTITY.md", "SOUL.md", "USER.md"]


def texts(workspace: Path, *closed: Path) -> dict[str, str | None]:
    return {each.name: each.text for each in contents(workspace, closed)}


def named(workspace: Path) -> list[str]:
    return sorted(path.name for path in workspace.glob("*.md"))


def test_a_new_workspace_gets_its_files_once(tmp_path: Path):
    workspace = tmp_path / "a" / "workspace"
    assert seed(workspace)
    assert named(workspace) == SEEDED
    (workspace / "BOOTSTRAP.md").unlink()
    (workspace / "SOUL.md").unlink()
    assert not seed(workspace)
    assert named(workspace) == ["AGENTS.md", "IDENTITY.md", "USER.md"]
    assert workspace.stat().st_mode & 0o777 == 0o700
    assert (workspace / "AGENTS.md").stat().st_mode & 0o777 == 0o600


def test_one_that_was_used_elsewhere_keeps_its_files(tmp_path: Path):
    (tmp_path / "SOUL.md").write_text("mine")
    seed(tmp_path)
    assert (tmp_path / "SOUL.md").read_text() == "mine"
    # It knows its person: there is no first conversation any more.
    assert named(tmp_path) == ["AGENTS.md", "IDENTITY.md", "SOUL.md", "USER.md"]


class Killed(Exception):
    pass


def killed_at(number: int):
    reached = iter(range(1_000))

    def hook(name: str) -> None:
        if next(reached) == number:
            raise Killed(name)

    return hook


def count() -> int:
    seen: list[str] = []
    with tempfile.TemporaryDirectory() as folder, points.hooked(seen.append):
        seed(Path(folder) / "w")
    return len(seen)


@pytest.mark.parametrize("number", range(count()))
def test_ended_anywhere_it_is_gone_on_with(tmp_path: Path, number: int):
    workspace = tmp_path / "w"
    with points.hooked(killed_at(number)), pytest.raises(Killed):
        seed(workspace)
    whole = {
        path.name: path.read_bytes()
        for path in workspace.glob("*.md")
        if not path.name.startswith(".")
    }
    seed(workspace)
    assert named(workspace) == SEEDED
    assert {name: (workspace / name).read_bytes() for name in whole} == whole
    assert all(body.endswith(b"\n") for body in whole.values())
    assert (workspace / MARKER).exists()


def test_files_are_text_whatever_stands_in_them(tmp_path: Path):
    (tmp_path / "SOUL.md").write_bytes(b"\xef\xbb\xbfa\r\nb\xff\0")
    assert texts(tmp_path)["SOUL.md"] == "a\nb\ufffd\ufffd"
    assert texts(tmp_path)["AGENTS.md"] is None


def test_of_a_huge_file_only_the_beginning_is_read(tmp_path: Path):
    with (tmp_path / "AGENTS.md").open("wb") as file:
        file.truncate(10 * MOST_BYTES)
    (first, *_) = contents(tmp_path, ())
    assert first.text is not None
    assert len(first.text) == MOST_BYTES
    assert first.chars == 10 * MOST_BYTES


def test_a_link_that_leads_out_is_not_read(tmp_path: Path):
    workspace, data = tmp_path / "w", tmp_path / "data"
    workspace.mkdir()
    data.mkdir()
    (data / "token").write_text("secret")
    (workspace / "SOUL.md").symlink_to(data / "token")
    (workspace / "real.md").write_text("inside")
    (workspace / "AGENTS.md").symlink_to("real.md")
    found = {each.name: each for each in contents(workspace, ())}
    assert found["SOUL.md"].text is None
    assert "outside the workspace" in found["SOUL.md"].trouble
    assert found["AGENTS.md"].text == "inside"


def test_what_belongs_to_the_node_is_not_read_inside_of_it_either(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "token").write_text("secret")
    (tmp_path / "SOUL.md").symlink_to("data/token")
    found = {each.name: each for each in contents(tmp_path, (data,))}
    assert found["SOUL.md"].text is None
    assert "belongs to BeamClaw" in found["SOUL.md"].trouble


def test_a_pipe_holds_nobody_up(tmp_path: Path):
    os.mkfifo(tmp_path / "SOUL.md")
    found = {each.name: each for each in contents(tmp_path, ())}
    assert "named pipe" in found["SOUL.md"].trouble


def test_a_thread_that_its_process_has_left_is_waited_for(tmp_path: Path) -> None:
    came, others = list[Exception](), list[Thread]()

    def other() -> None:
        try:
            seed(tmp_path)
        except OSError as error:
            came.append(error)

    def hook(name: str) -> None:
        if name == "workspace.sync.before" and not others:
            others.append(Thread(target=other))
            others[0].start()
            others[0].join(0.2)  # all that it needs, were it let in

    with hooked(hook):
        assert seed(tmp_path)
        others[0].join()
    assert not came
    assert (tmp_path / MARKER).exists()


# --- set by a client


def test_a_file_is_set_whole_with_the_modes_that_it_had(tmp_path: Path):
    workspace = tmp_path / "w"
    put(Roots(workspace), "MEMORY.md", "new\n", 100)
    memory = workspace / "MEMORY.md"
    assert (memory.read_text(), memory.stat().st_mode & 0o777) == ("new\n", 0o600)
    memory.chmod(0o640)
    put(Roots(workspace), "MEMORY.md", "ünder\n", 100)
    assert memory.read_text() == "ünder\n"
    assert memory.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in workspace.iterdir()] == ["MEMORY.md"]


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("notes.md", "x", "unsupported file"),
        ("../AGENTS.md", "x", "unsupported file"),
        ("agents.md", "x", "unsupported file"),
        ("memory/MEMORY.md", "x", "unsupported file"),
        ("", "x", "unsupported file"),
        ("AGENTS.md", "x" * 11, "workspace.set_bytes"),
        ("AGENTS.md", "ü" * 6, "workspace.set_bytes"),
    ],
)
def test_what_may_not_be_set_is_refused_in_words(tmp_path: Path, name, text, words):
    with pytest.raises(NotWritten, match=words):
        put(Roots(tmp_path / "w"), name, text, 10)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_set_outside_of_the_workspace(tmp_path: Path):
    workspace, secret = tmp_path / "w", tmp_path / "secret"
    workspace.mkdir()
    secret.write_text("of somebody else")
    (workspace / "SOUL.md").symlink_to(secret)
    (workspace / "USER.md").mkdir()
    os.mkfifo(workspace / "TOOLS.md")
    for name in ("SOUL.md", "USER.md", "TOOLS.md"):
        with pytest.raises(PathRefused):
            put(Roots(workspace), name, "x", 10)
    closed = Roots(workspace, closed=(workspace,))
    with pytest.raises(PathRefused):
        put(closed, "AGENTS.md", "x", 10)
    assert secret.read_text() == "of somebody else"


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    "name", ["workspace.write", "workspace.replace", "workspace.sync-folder"]
)
def test_whoever_dies_while_a_file_is_set_leaves_it_whole(tmp_path, name, side):
    class Died(BaseException):
        pass

    def die(point: str) -> None:
        if point == f"{name}.{side}":
            raise Died

    soul = tmp_path / "SOUL.md"
    soul.write_text("old")
    with pytest.raises(Died), hooked(die):
        put(Roots(tmp_path), "SOUL.md", "new", 10)
    late = name == "workspace.sync-folder" or (name, side) == (
        "workspace.replace",
        "after",
    )
    assert soul.read_text() == ("new" if late else "old")
    put(Roots(tmp_path), "SOUL.md", "newer", 10)
    assert [path.name for path in tmp_path.iterdir()] == ["SOUL.md"]
    assert soul.read_text() == "newer"
