"""No path leads out of the roots: not by its text, not by links, not in a race."""

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from beamclaw.paths import (
    NotThere,
    PathRefused,
    Root,
    Roots,
    find,
    folder_inside,
    walk,
    where,
)
from tests.support.descriptors import open_files

INSIDE, OUTSIDE = b"inside", b"outside"


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A workspace with a few things in it, and a neighbour that is nobody's business."""
    space, out = tmp_path / "space", tmp_path / "out"
    (space / "a" / "b").mkdir(parents=True)
    (space / "a" / "file").write_bytes(INSIDE)
    (space / "file").write_bytes(INSIDE)
    out.mkdir()
    (out / "file").write_bytes(OUTSIDE)
    skill = tmp_path / "skill"
    skill.mkdir()
    (skill / "SKILL.md").write_bytes(INSIDE)
    return Roots(space, (Root(skill, name="skill folder"),))


def content(roots: Roots, path: str) -> bytes:
    with find(roots, path) as spot:
        opened = spot.open_file()
        try:
            return os.read(opened, 100)
        finally:
            os.close(opened)


def refusal(roots: Roots, path: str) -> str:
    with pytest.raises(PathRefused) as refused:
        content(roots, path)
    return str(refused.value)


@pytest.fixture(autouse=True)
def no_leak() -> Iterator[None]:
    before = len(open_files())
    yield
    assert len(open_files()) == before


def test_what_is_counted_is_what_a_walk_could_leave(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    before = len(open_files())
    here, there = socket.socketpair()
    reads, writes = os.pipe()
    waits = select.epoll()
    # What others of this process open meanwhile.
    assert len(open_files()) == before
    for other in (here, there, waits):
        other.close()
    for number in (reads, writes):
        os.close(number)
    for path in (tmp_path, pipe, Path("/dev/null"), Path(__file__)):
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        assert len(open_files()) == before + 1
        os.close(opened)
    assert len(open_files()) == before


def link(roots: Roots, name: str, target: str | Path) -> str:
    (roots.workspace.path / name).symlink_to(target)
    return name


# --- paths


@pytest.mark.parametrize(
    "path, where",
    [
        ("file", ("file",)),
        ("a/file", ("a", "file")),
        ("a/../file", ("file",)),
        ("a/b/../../a/file", ("a", "file")),
        ("./a//file", ("a", "file")),
    ],
)
def test_what_lies_inside_is_found(roots: Roots, path: str, where: tuple[str, ...]):
    with find(roots, path) as spot:
        assert spot.place.parts == where
        assert spot.is_file
        assert spot.place.path == roots.workspace.path.joinpath(*where)
    assert content(roots, path) == INSIDE


@pytest.mark.parametrize(
    "path",
    ["..", "../out/file", "a/../../out/file", "a/b/../../../out/file", "/..", "/"],
)
def test_a_path_above_the_workspace_is_refused(roots: Roots, path: str):
    assert "outside the workspace" in refusal(roots, path)


def test_an_absolute_path_counts_where_it_lies(roots: Roots, tmp_path: Path):
    assert content(roots, str(tmp_path / "space" / "file")) == INSIDE
    assert content(roots, str(tmp_path / "skill" / "SKILL.md")) == INSIDE
    for path in (
        "/etc/passwd",
        str(tmp_path / "out" / "file"),
        f"{tmp_path}/spaceship",
    ):
        assert "outside the workspace" in refusal(roots, path)
    above = f"{tmp_path}/space/../out/file"
    assert "outside the workspace" in refusal(roots, above)


def test_a_workspace_behind_a_link_is_known_by_both_its_names(
    roots: Roots, tmp_path: Path
):
    (tmp_path / "alias").symlink_to(tmp_path / "space")
    other = Roots(tmp_path / "alias")
    assert content(other, "a/file") == INSIDE
    assert content(other, f"{tmp_path}/alias/a/file") == INSIDE
    assert content(other, f"{tmp_path}/space/a/file") == INSIDE


def test_what_is_missing_is_told_apart_from_what_is_refused(roots: Roots):
    with find(roots, "a/new") as spot:
        assert spot.status is None
        with pytest.raises(NotThere, match="no file at 'a/new'"):
            spot.open_file()
    with pytest.raises(NotThere, match="no folder at 'a/none'"):
        content(roots, "a/none/file")
    with pytest.raises(PathRefused, match="is a file, not a folder"):
        content(roots, "file/x")
    with pytest.raises(PathRefused, match="is a file, not a folder"):
        content(roots, "file/")
    with pytest.raises(PathRefused, match="is a folder, not a file"):
        content(roots, "a")


def test_folders_on_the_way_are_made_if_that_is_wanted(roots: Roots):
    with find(roots, "new/er/file", make=True) as spot:
        assert spot.place.parts == ("new", "er", "file")
    assert (roots.workspace.path / "new" / "er").is_dir()
    skill = roots.others[0].path
    with pytest.raises(NotThere), find(roots, f"{skill}/x/file", make=True):
        pass


def test_a_workspace_that_is_not_there_yet_is_made_for_us_alone(tmp_path: Path):
    roots = Roots(tmp_path / "x" / "space")
    assert where(roots, "a/b").parts == ("a", "b")
    with pytest.raises(NotThere, match="does not exist"):
        content(roots, "a")
    assert not (tmp_path / "x").exists()
    with find(roots, "a/b", make=True) as spot:
        assert spot.place.parts == ("a", "b")
    for folder in (tmp_path / "x", tmp_path / "x" / "space"):
        assert folder.stat().st_mode & 0o077 == 0


def test_where_something_would_be_is_known_before_it_is_there(
    roots: Roots, tmp_path: Path
):
    link(roots, "near", "a")
    link(roots, "far", tmp_path / "out")
    assert where(roots, "near/new/er").parts == ("a", "new", "er")
    assert where(roots, "near/../x/y").parts == ("x", "y")
    for path in ("far/x/y", "../x/y", "x/../../y"):
        with pytest.raises(PathRefused):
            where(roots, path)
    assert not (roots.workspace.path / "a" / "new").exists()


def test_only_the_workspace_is_written(roots: Roots):
    with find(roots, "file") as spot:
        spot.require_writable()
    skill = str(roots.others[0].path / "SKILL.md")
    with find(roots, skill) as spot, pytest.raises(PathRefused, match="read only"):
        spot.require_writable()
    (roots.workspace.path / "file").chmod(0o444)
    with find(roots, "file") as spot, pytest.raises(PathRefused, match="read only"):
        spot.require_writable()
    with find(roots, "a") as spot, pytest.raises(PathRefused, match="a folder"):
        spot.require_writable()


def test_the_folder_for_a_command_lies_inside(roots: Roots):
    assert folder_inside(roots, None).path == roots.workspace.path
    assert folder_inside(roots, "a/b/..").path == roots.workspace.path / "a"
    for path, why in (
        ("..", "outside"),
        ("file", "not a folder"),
        ("none", "no folder"),
    ):
        with pytest.raises(PathRefused, match=why):
            folder_inside(roots, path)


def test_the_node_s_own_data_stays_closed_in_whatever_workspace(tmp_path: Path):
    data = tmp_path / "data"
    space = data / "workspace"
    space.mkdir(parents=True)
    (data / "token").write_bytes(b"canary")
    (space / "file").write_bytes(INSIDE)
    closed = Roots(tmp_path, closed=(data,))
    for path in ("data/token", "data", "data/workspace/file", "x/../data/token"):
        (tmp_path / "x").mkdir(exist_ok=True)
        assert "belongs to BeamClaw" in refusal(closed, path)
    one = Roots(tmp_path, closed=(data / "token",))
    assert "belongs to BeamClaw" in refusal(one, "data/token")
    # A workspace that lies in the data folder, as it does by default.
    assert content(Roots(space, closed=(data,)), "file") == INSIDE


# --- links


def test_links_that_stay_inside_are_followed(roots: Roots, tmp_path: Path):
    link(roots, "near", "a")
    link(roots, "far", tmp_path / "space" / "a" / "file")
    link(roots, "a/up", "../file")
    link(roots, "skill", tmp_path / "skill")
    for path, parts in (
        ("near/file", ("a", "file")),
        ("far", ("a", "file")),
        ("a/up", ("file",)),
        ("near/up", ("file",)),
        ("near/../file", ("file",)),
        ("skill/SKILL.md", ("SKILL.md",)),
    ):
        with find(roots, path) as spot:
            assert spot.place.parts == parts
        assert content(roots, path) == INSIDE


def test_a_link_out_is_refused_wherever_it_stands(roots: Roots, tmp_path: Path):
    link(roots, "l1", tmp_path / "out" / "file")
    link(roots, "l2", tmp_path / "out")
    link(roots, "l3", "../out/file")
    link(roots, "l4", "l2")
    link(roots, "l5", "a/../../out")
    link(roots, "l6", "/proc/self/root")
    link(roots, "l7", tmp_path / "space" / ".." / "out")
    link(roots, "a/l8", "../../out/file")
    for path in (
        "l1", "l2/file", "l3", "l4/file", "l5/file", "l6/etc/passwd", "l7/file", "a/l8"
    ):  # fmt: skip
        assert "outside" in refusal(roots, path)
        with pytest.raises(PathRefused), find(roots, path, make=True):
            pass


def test_links_that_go_round_end(roots: Roots):
    link(roots, "x", "y")
    link(roots, "y", "x")
    link(roots, "deep", "deep/deep")
    assert "goes round" in refusal(roots, "x")
    assert "goes round" in refusal(roots, "deep/file")


def test_a_link_to_what_is_missing_is_written_where_it_points(roots: Roots):
    link(roots, "new", "a/new")
    with find(roots, "new") as spot:
        assert (spot.place.parts, spot.status) == (("a", "new"), None)


# --- things that are no files


def test_pipes_devices_and_sockets_are_refused_without_waiting(
    roots: Roots, monkeypatch: pytest.MonkeyPatch
):
    space = roots.workspace.path
    os.mkfifo(space / "pipe")
    monkeypatch.chdir(space)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert "a named pipe" in refusal(roots, "pipe")
        assert "a socket" in refusal(roots, "socket")
    device = Roots(Path("/dev"))
    assert "a device" in refusal(device, "null")
    link(roots, "null", "/dev/null")
    assert "outside" in refusal(roots, "null")


# --- races


class Swapping:
    """`os` as the walk sees it: before its call number *at*, something is swapped."""

    def __init__(self, at: int, swap: Callable[[], None]) -> None:
        self.calls = 0
        self.at = at
        self.swap = swap

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        if name not in {"open", "stat", "readlink", "fstat", "mkdir", "close"}:
            return function

        def called(*args: Any, **more: Any) -> Any:
            if self.calls == self.at:
                self.swap()
            self.calls += 1
            return function(*args, **more)

        return called


@pytest.mark.parametrize("path", ["a/b/../file", "a/file", "near/file", "a/up"])
@pytest.mark.parametrize("back", [False, True])
def test_a_folder_swapped_for_a_link_before_any_step_leads_nowhere(
    roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, back: bool
):
    space = roots.workspace.path
    link(roots, "near", "a")
    link(roots, "a/up", "../a/file")

    def swap() -> None:
        (space / "a").rename(tmp_path / "aside")
        (space / "a").symlink_to(tmp_path / "out")

    def swap_back() -> None:
        if (space / "a").is_symlink():
            (space / "a").unlink()
            (tmp_path / "aside").rename(space / "a")

    step = 0
    while True:
        seen = Swapping(step, swap_back if back else swap)
        if back:
            swap()
        with monkeypatch.context() as patched:
            patched.setattr(walk, "os", seen)
            with suppress(PathRefused):
                assert content(roots, path) == INSIDE
        swap_back()
        if seen.calls <= step:
            break
        step += 1
    assert step > 3


def test_nothing_outside_is_read_while_somebody_swaps(roots: Roots, tmp_path: Path):
    space, ended = roots.workspace.path, threading.Event()
    out, aside = tmp_path / "out", tmp_path / "aside"

    def swap() -> None:
        while not ended.is_set():
            (space / "a").rename(aside)
            (space / "a").symlink_to(out)
            (space / "a").unlink()
            aside.rename(space / "a")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(3000):
            with suppress(PathRefused):
                assert content(roots, "a/file") == INSIDE
    finally:
        ended.set()
        swapper.join()
    assert content(roots, "a/file") == INSIDE


def test_what_changes_all_the_time_is_given_up(
    roots: Roots, monkeypatch: pytest.MonkeyPatch
):
    def gone(*args: Any, **more: Any) -> int:
        if args[0] == "a":
            raise FileNotFoundError(2, "gone")
        return os.open(*args, **more)

    monkeypatch.setattr(walk, "os", SimpleNamespace(**{**vars(os), "open": gone}))
    assert "changes all the time" in refusal(roots, "a/file")


def test_a_file_swapped_for_a_pipe_before_it_is_opened_is_refused(roots: Roots):
    path = roots.workspace.path / "file"
    with find(roots, "file") as spot:
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(PathRefused):
            spot.open_file()
        path.unlink()
        path.symlink_to("/etc/passwd")
        with pytest.raises(PathRefused), suppress(NotThere):
            spot.open_file()


def test_a_deep_path_holds_few_descriptors(roots: Roots):
    deep = "/".join(["d"] * 100)
    before = len(open_files())
    with find(roots, f"{deep}/x", make=True) as spot:
        assert len(open_files()) == before + 1
        assert len(spot.place.parts) == 101
    with find(roots, f"{deep}/../../y") as spot:
        assert len(spot.place.parts) == 99
