"""What a command may use of the machine: cgroups, the disk, time; and guards."""
# ruff: noqa: ASYNC110 -- other processes are looked at

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
import trio

import supervision
from beamclaw.commands._launcher import cgroups, disk
from beamclaw.commands.messages import End, Read
from beamclaw.contracts.commands import Cgroup, Disk, Limits, StartCommand, start
from tests.beamclaw.commands.conftest import alive, python, shell
from tests.beamclaw.commands.test_run import in_process, ran

VERSION_1 = Path("/sys/fs/cgroup/pids/cgroup.procs")
needs_version_1 = pytest.mark.skipif(
    not os.access(VERSION_1, os.W_OK), reason="no cgroup of version 1 can be made here"
)
# Where version 2 is mounted: beside version 1, too, then often without controllers.
VERSION_2 = next(
    (
        Path(fields[4])
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if " - cgroup2 " in line and (fields := line.split(" "))
    ),
    Path("/nowhere"),
)
needs_version_2 = pytest.mark.skipif(
    not os.access(VERSION_2, os.W_OK), reason="no cgroup of version 2 can be made here"
)


@contextmanager
def below(top):
    """A real cgroup of the test's own: others make some beside it. Left empty."""
    folder = top / f"beamclaw-test.{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
        assert not [path for path in folder.iterdir() if path.is_dir()]
    finally:
        cgroups.remove_cgroup(str(folder), 50)
        assert not folder.exists()


@pytest.fixture
def group(tmp_path):
    """A folder that stands for a cgroup: files are made where the kernel has some."""
    folder = tmp_path / "cgroup"
    folder.mkdir()
    return folder


async def test_a_cgroup_that_cannot_be_made_is_told(tenant):
    launch = shell("echo hi", cgroups=(Cgroup(folder="/nowhere", settings={}),))
    found = await ran(tenant, launch)

    assert found.ended.by == "start"
    assert found.ended.words == "its cgroup: No such file or directory"
    assert not found.output


@pytest.mark.slow
async def test_its_cgroup_is_set_before_it_begins(tenant, group):
    cgroup = Cgroup(folder=str(group), settings={"pids.max": "7"})
    script = f"cat {group}/*/pids.max; cat {group}/*/cgroup.procs"
    found = await ran(tenant, shell(script, cgroups=(cgroup,)))

    assert found.output == b"70"  # it puts itself in by number 0


@needs_version_1
async def test_processes_are_bound_by_a_real_cgroup_and_it_is_removed(tenant):
    script = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo never"
    with below(VERSION_1.parent) as folder:
        cgroup = Cgroup(folder=str(folder), settings={"pids.max": "5"})
        found = await ran(tenant, shell(script, cgroups=(cgroup,)))

    assert b"never" not in found.output
    assert found.ended.code not in {None, 0}
    assert found.ended.left == 4


@needs_version_1
async def test_who_needs_more_memory_than_there_is_is_ended_and_counted(tenant):
    cgroup = Cgroup(
        folder="/sys/fs/cgroup/memory",
        settings={"memory.limit_in_bytes": str(32 * 1024 * 1024)},
    )
    launch = python("x = bytearray(200_000_000); print(len(x))", cgroups=(cgroup,))
    found = await ran(tenant, launch)

    assert (found.ended.signal, found.ended.starved) == (9, 1)


@needs_version_2
async def test_a_real_cgroup_of_version_2_has_all_of_a_command_and_is_removed(tenant):
    with below(VERSION_2) as folder:
        script = f"""
            setsid sh -c 'grep ^0:: /proc/self/cgroup; exec sleep 100' & sleep 0.1
            grep ^0:: /proc/self/cgroup; cat {folder}/*/cgroup.max.descendants
        """
        cgroup = Cgroup(folder=str(folder), settings={"cgroup.max.descendants": "3"})
        found = await ran(tenant, shell(script, cgroups=(cgroup,)))
    child, own, most = found.output.decode().splitlines()

    assert child == own
    assert f"/{folder.name}/beamclaw." in own
    assert most == "3"
    assert found.ended.left == 1


@needs_version_2
def test_what_is_in_a_real_cgroup_of_version_2_is_killed_in_one_step(monkeypatch):
    # One by one would be too late for what forks without end.
    monkeypatch.setattr(cgroups, "tell", lambda *_: None)
    with below(VERSION_2) as folder, subprocess.Popen(["/bin/sleep", "100"]) as one:
        try:
            (folder / "cgroup.procs").write_text(str(one.pid))
            cgroups.kill_cgroup(str(folder))
            assert one.wait(30) == -signal.SIGKILL
        finally:
            one.kill()


@pytest.mark.slow
async def test_a_disk_filler_is_ended(tenant, tmp_path):
    disk = Disk(folders=(str(tmp_path),), most=4_000_000, spare=0)
    script = f"""
import os
for i in range(1000):
    with open(f'{tmp_path}/{{i}}', 'wb') as file:
        file.write(os.urandom(1_000_000)); file.flush(); os.fsync(file.fileno())
import time
time.sleep(20)
"""
    found = await ran(tenant, python(script, disk=disk), seconds=20.0)

    assert found.ended.by == "disk"
    assert f"more than 4000000 bytes to {tmp_path}" in found.ended.words


async def test_time_that_its_launch_has_counts_as_well(tenant):
    found = await ran(tenant, shell("sleep 100", seconds=0.1), seconds=50.0)

    assert found.ended.by == "timeout"


async def test_limits_of_processes_do_not_count_those_that_are_there_already(tenant):
    script = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC)[0])"
    found = await ran(tenant, python(script, limits=Limits(processes=1)))

    assert int(found.output) > 1


async def test_a_signal_goes_past_a_guard(tenant):
    # The guard would die of it, and its end would take the other one's last words.
    script = "sh -c 'trap \"echo in order; exit 5\" TERM; echo here; sleep 9 & wait'"
    launch = attrs.evolve(shell(f"{script}; exit $?"), guarded=True)

    state = await in_process(lambda: ended_when(launch, "here"))

    assert (state["ended"].by, state["ended"].code) == ("order", 5)
    assert not alive(state["pid"])


async def ended_when(launch, word):
    """How *launch* stands, ended in order as soon as it has said *word*."""
    order = StartCommand(
        id="c", launch=launch, owner=supervision.self_pid(), seconds=None
    )
    pid = await start("default", order)
    while word not in await supervision.call(pid, Read()):
        await trio.sleep(0.02)  # another process is waited for
    await supervision.call(pid, End(), timeout=None)
    return supervision.state(pid)


# --- what fills a disk, decided without one


def file(folder, name, size):
    path = folder / name
    path.write_bytes(b"x" * size)
    return path


@pytest.fixture
def alone(monkeypatch):
    """No children: files without names that those hold open would count, too."""
    monkeypatch.setattr(disk, "descendants", lambda _pid: [])


@pytest.mark.usefixtures("alone")
def test_only_what_was_changed_counts(tmp_path):
    file(tmp_path, "a", 100_000)
    size = disk.written(str(tmp_path), 0.0, 10**9)

    assert 100_000 <= size < 120_000
    assert disk.written(str(tmp_path), 2.0**40, 10**9) == 0


@pytest.mark.usefixtures("alone")
def test_every_file_counts_and_links_count_once(tmp_path):
    for number in range(10):
        file(tmp_path, str(number), 0)
    os.link(tmp_path / "1", tmp_path / "again")

    assert disk.written(str(tmp_path), 0.0, 10**9) == 10 * disk.A_FILE


def test_what_cannot_be_looked_at_was_hidden(tmp_path):
    deep, name = tmp_path, "d" * 250
    here = Path.cwd()
    try:
        for _ in range(20):  # longer than a path may be
            os.chdir(deep)
            Path(name).mkdir()
            deep = name
    finally:
        os.chdir(here)

    assert disk.written(str(tmp_path), 2.0**40, 1000) == 1001
