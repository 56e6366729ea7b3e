"""Where cgroups can be made, in kernels that are folders of a test."""

import os
from pathlib import Path

import attrs
import pytest

from beamclaw.sandbox.cgroups import Tree, leftover, mounts
from beamclaw.sandbox.looking import look

MOUNT_1 = "39 31 0:36 / /sys/fs/cgroup/{0} rw,relatime - cgroup cgroup rw,{0}\n"
MOUNT_2 = (
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
)
OTHER = "25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw,size=24731708k\n"
FILES_1 = ("cgroup.procs", "tasks", "memory.limit_in_bytes", "pids.max")
FILES_2 = ("cgroup.procs", "cgroup.controllers", "memory.max", "pids.max")


@attrs.frozen
class Fake(Tree):
    """Folders; a new one has the files that the kernel would put there."""

    files: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    def make(self, path):
        if path.parent.name in self.closed:
            raise PermissionError
        path.mkdir()
        for name in self.files:
            (path / name).touch()

    def remove(self, path):
        for each in path.iterdir():
            each.unlink()
        path.rmdir()


def kernel(top, mountinfo, cgroup):
    folder = top / "proc" / "self"
    folder.mkdir(parents=True)
    (folder / "mountinfo").write_text(OTHER + mountinfo)
    (folder / "cgroup").write_text(cgroup)


def group(top, path, controllers="", handed=""):
    folder = top / "sys/fs/cgroup" / path.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.controllers").write_text(controllers)
    (folder / "cgroup.subtree_control").write_text(handed)
    return folder


def test_version_2_one_above_ours_that_hands_on(tmp_path):
    kernel(tmp_path, MOUNT_2, "0::/app.slice/beamclaw.service/node\n")
    group(tmp_path, "/", "cpu memory pids", "cpu memory pids")
    slice_ = group(tmp_path, "/app.slice", "cpu memory pids", "memory pids cpu")
    group(tmp_path, "/app.slice/beamclaw.service", "")
    group(tmp_path, "/app.slice/beamclaw.service/node", "")
    (found,) = Fake(tmp_path, FILES_2).find()

    assert (found.folder, found.version) == (str(slice_), 2)
    assert found.controllers == {"cpu", "memory", "pids"}
    assert found.files == {*FILES_2}
    assert not [*slice_.glob("beamclaw.trial*")]


def test_version_2_ours_is_told_to_hand_on(tmp_path):
    kernel(tmp_path, MOUNT_2, "0::/beamclaw.service/node\n")
    group(tmp_path, "/")
    ours = group(tmp_path, "/beamclaw.service", "memory pids", "")
    group(tmp_path, "/beamclaw.service/node", "")
    (found,) = Fake(tmp_path, FILES_2).find()

    assert found.folder == str(ours)
    assert (ours / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_version_2_where_nothing_may_be_made(tmp_path):
    kernel(tmp_path, MOUNT_2, "0::/a\n")
    group(tmp_path, "/", "memory pids", "memory pids")
    group(tmp_path, "/a", "memory pids", "memory pids")

    assert Fake(tmp_path, FILES_2, closed=("a", "cgroup")).find() == ()


def test_version_2_where_processes_could_not_be_put_in(tmp_path):
    kernel(tmp_path, MOUNT_2, "0::/\n")
    group(tmp_path, "/", "memory pids", "memory pids")

    assert Fake(tmp_path, ("memory.max",)).find() == ()


def ours_1(tmp_path, *names):
    kernel(
        tmp_path,
        "".join(MOUNT_1.format(name) for name in names),
        "".join(f"{n}:{name}:/user/{name}\n" for n, name in enumerate(names, 3)),
    )
    for name in names:
        (tmp_path / "sys/fs/cgroup" / name / "user" / name).mkdir(parents=True)


def test_version_1_each_below_ours(tmp_path):
    ours_1(tmp_path, "memory", "pids", "freezer")
    found = Fake(tmp_path, FILES_1).find()

    assert [(one.version, sorted(one.controllers)) for one in found] == [
        (1, ["memory"]),
        (1, ["pids"]),
    ]
    assert found[0].folder == str(tmp_path / "sys/fs/cgroup/memory/user/memory")


def test_version_1_without_one_of_both_is_nothing(tmp_path):
    ours_1(tmp_path, "memory", "cpu")

    assert Fake(tmp_path, FILES_1).find() == ()


def test_both_versions_the_second_only_where_it_binds_something(tmp_path):
    names = ("memory", "pids")
    kernel(
        tmp_path,
        "".join(MOUNT_1.format(name) for name in names)
        + MOUNT_2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
        "4:memory:/\n3:pids:/\n0::/\n",
    )
    for name in names:
        (tmp_path / "sys/fs/cgroup" / name).mkdir(parents=True)
    group(tmp_path, "/unified", "hugetlb")
    found = Fake(tmp_path, FILES_1).find()

    assert [one.version for one in found] == [1, 1]


def test_none_at_all(tmp_path):
    assert Fake(tmp_path).find() == ()
    kernel(tmp_path, "", "")
    assert Fake(tmp_path).find() == ()


@pytest.mark.parametrize(
    "own, top, place",
    [
        ("/", "/", "/"),
        ("/a/b", "/", "/a/b"),
        ("/docker/x/y", "/docker/x", "/y"),
        ("/docker/x", "/docker/x", "/"),
        ("/elsewhere", "/docker/x", "/"),
    ],
)
def test_our_place_where_only_a_part_is_mounted(own, top, place):
    info = MOUNT_2.replace(" / /sys", f" {top} /sys")
    (found,) = mounts(info, f"0::{own}\n")

    assert found.own == place


# --- what dead nodes leave


@pytest.mark.parametrize(
    "name, alive, is_one",
    [
        ("beamclaw.77.10.123", False, True),
        ("beamclaw.77.10.123", True, False),
        ("beamclaw.78.10.123", False, False),
        ("beamclaw.trial.10", False, False),
        ("beamclaw.77.10", False, False),
        ("user.slice", False, False),
    ],
)
def test_whose_cgroup_is_left_over(name, alive, is_one):
    assert leftover(name, "77", lambda pid, started: alive) is is_one


def test_those_of_the_dead_are_removed_and_no_others(tmp_path):
    ours_1(tmp_path, "memory", "pids")
    tree = Fake(tmp_path, FILES_1)
    (tmp_path / "proc/self/ns").mkdir()
    (tmp_path / "proc/self/ns/pid").touch()
    number = (tmp_path / "proc/self/ns/pid").stat().st_ino
    (tmp_path / "proc/10").mkdir()
    fields = ["S", *("0" for _ in range(18)), "123"]
    (tmp_path / "proc/10/stat").write_text(f"10 (a ) b) {' '.join(fields)} 0\n")
    found = tree.find()
    folder = Path(found[0].folder)
    names = (
        f"beamclaw.{number}.10.123",  # alive
        f"beamclaw.{number}.10.99",  # its number is another one's by now
        f"beamclaw.{number}.11.123",  # dead
        "beamclaw.1.11.123",  # nobody knows
        "somebody-elses",
    )
    for name in names:
        tree.make(folder / name)

    assert tree.sweep(found) == 2
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == sorted(
        (names[0], names[3], names[4])
    )


def test_the_machine_is_looked_at(tmp_path):
    machine = look(Fake(tmp_path))

    assert machine.root == (os.geteuid() == 0)
    assert machine.cgroups == ()
    assert "/usr" in machine.folders
