"""What a command in the sandbox tries, and that it is contained.

The node is this process, the launcher and bubblewrap are real ones. Each test says what
the command reaches; that the bench is closed after it without a hitch proves that the
node lives, and its command with nothing left of it.
"""
# ruff: noqa: ASYNC110, ASYNC240 -- other processes and files are looked at

import os
import socket
import subprocess
from pathlib import Path

import attrs
import pytest
import trio

import supervision
from beamclaw.contracts.commands import Terminal
from beamclaw.contracts.sandbox import CannotIsolate, Need
from beamclaw.sandbox.cgroups import Tree
from tests.beamclaw.commands.conftest import with_words
from tests.beamclaw.commands.test_bounds import ended_when
from tests.beamclaw.commands.test_run import in_process
from tests.beamclaw.sandbox.conftest import MIB, SMALL, python, shell

pytestmark = pytest.mark.peer("bubblewrap")


def cgroups():
    """All cgroups of commands that there are."""
    return {
        path
        for each in Tree().find()
        for path in Path(each.folder).iterdir()
        if path.name.startswith("beamclaw.")
    }


def left(before, folders):
    """Of *folders* those that are new; not those in which a program of others goes on."""
    return {each for each in folders if each not in before and not of_others(each)}


def of_others(folder):
    """Whether its reaper lives, and was not begun by us."""
    pid = int(folder.name.split(".")[2])
    while pid > 1 and pid != os.getpid():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        pid = int(stat.rpartition(") ")[2].split()[1])
    return pid != os.getpid()


def test_a_cgroup_that_is_left_is_seen_and_that_of_another_program_is_not(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as child:
        dead, ours, others, old = (
            tmp_path / f"beamclaw.1.{pid}.5"
            for pid in (2**22 + 1, child.pid, os.getppid(), 2**22 + 2)
        )
        assert left({old}, {dead, ours, others, old}) == {dead, ours}
        child.kill()


# --- what it sees


async def test_the_workspace_can_be_changed_and_programs_are_there(bench):
    (bench.workspace / "in").write_text("given")
    said = await bench.says("cat in; echo made > out; grep --version | head -1")

    assert said.startswith("givengrep (GNU grep)")
    assert (bench.workspace / "out").read_text() == "made\n"


async def test_nothing_of_a_home_is_there(bench):
    for name in (".ssh/id_ed25519", ".aws/credentials", "letter"):
        path = bench.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("canary")
    found = await bench.sh(
        f"cat {bench.home}/.ssh/id_ed25519 {bench.home}/.aws/credentials "
        f"{bench.home}/letter ~/.ssh/* /roo?/.ssh/* /hom?/*/.ssh/*; ls -A {bench.home}"
    )

    assert b"canary" not in found.output
    assert found.output.endswith(b"\n.beamclaw\n")  # the way to its workspace


async def test_nothing_of_the_data_folder_is_there_but_the_workspace(bench):
    (bench.data / "token").write_text("canary")
    said = await bench.says(
        f"cat {bench.data}/token; ls -A {bench.data}; echo x > ../y"
    )

    assert "canary" not in said
    assert "workspace\n" in said
    assert not (bench.data / "y").exists()


async def test_the_nodes_socket_cannot_be_reached(bench, monkeypatch):
    (bench.workspace / "deep").mkdir()
    path = bench.data / "node.sock"
    monkeypatch.chdir(bench.data)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("node.sock")
        listening.listen()
        found = await bench.run(
            python(
                "import os, socket\n"
                f"os.chdir({str(bench.data)!r})\n"
                "socket.socket(socket.AF_UNIX).connect('node.sock')",
                bench.workspace,
            )
        )

    assert path.exists()
    assert b"FileNotFoundError" in found.output


async def test_secrets_are_hidden_also_where_the_home_is_the_workspace(bench):
    (bench.home / ".ssh").mkdir()
    (bench.home / ".ssh" / "key").write_text("canary")
    (bench.home / ".netrc").write_text("canary")
    (bench.data / "token").write_text("canary")
    found = await bench.run(
        shell("cat .ssh/key .netrc .beamclaw/token; echo ok > new", bench.home),
        writable=(str(bench.home),),
    )

    assert b"canary" not in found.output
    assert (bench.home / "new").read_text() == "ok\n"


async def test_a_link_leads_nowhere_outside(bench):
    outside = bench.top / "outside"
    outside.mkdir()
    (outside / "file").write_text("canary")
    (bench.workspace / "link").symlink_to(outside)
    (bench.workspace / "data").symlink_to(bench.data)
    said = await bench.says(
        f"cat link/file; echo x > link/new; echo x > data/new; ln -s {outside} l2;"
        f"echo x > l2/new; ln {outside}/file hard; echo x > /etc/passwd; echo x > /usr/x"
    )

    assert "canary" not in said
    assert sorted(path.name for path in outside.iterdir()) == ["file"]
    assert sorted(path.name for path in bench.data.iterdir()) == ["workspace"]


async def test_devices_of_the_machine_are_not_there(bench):
    said = await bench.says("ls /dev; mknod x b 254 0; mknod y c 1 1; cat /dev/mem")

    names = said.split("\n")
    assert {"null", "zero", "urandom", "tty"} <= set(names)
    assert not {"mem", "kmem", "vda", "sda", "kvm", "fuse", "kmsg"} & set(names)
    assert not (bench.workspace / "x").exists()
    assert not (bench.workspace / "y").exists()


async def test_the_kernel_cannot_be_set(bench):
    # Nothing is tried that would do harm if it could be done.
    said = await bench.says(
        "cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness;"
        "for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/*;"
        " do test -w $file && echo can write $file; done;"
        "mount -t tmpfs x /tmp; umount /proc/sys"
    )

    assert "swappiness: Read-only file system" in said
    assert "can write" not in said
    assert "mount: /tmp: " in said
    assert "umount: /proc/sys: " in said


async def test_no_rights_are_left_and_none_can_be_had(bench):
    said = await bench.says("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")
    fields = dict(line.split(":\t") for line in said.splitlines())

    assert {fields[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {
        "0" * 16
    }
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"


async def test_a_program_with_anothers_rights_does_not_get_them(bench):
    # Made here, as the sandbox cannot: as if the workspace had one already.
    tool = bench.workspace / "id"
    tool.write_bytes(Path("/usr/bin/id").read_bytes())
    tool.chmod(0o4755)
    said = await bench.says("grep ' /usr \\|workspace' /proc/self/mountinfo; ./id -u")

    assert said.count("nosuid") >= 2
    assert said.splitlines()[-1] == str(os.getuid())


async def test_no_further_namespace_of_users_can_be_made(bench):
    said = await bench.says("unshare -U true; unshare -r id; echo done")

    assert said.count("unshare failed") == 2


async def test_nobody_elses_processes_are_seen(bench):
    said = await bench.says(f"kill -0 {os.getpid()}; ls /proc | grep -c '^[0-9]'")

    assert "No such process" in said
    assert int(said.split()[-1]) <= 6


# --- what it reaches


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


def connecting(server, folder):
    address = server.getsockname()
    script = (
        "import socket\n"
        f"socket.create_connection({address!r}, 5).sendall(b'x'); print('reached')"
    )
    return python(script, folder)


async def test_words_of_strangers_do_not_reach_the_network_or_this_machine(
    bench, listening
):
    found = await bench.run(connecting(listening, bench.workspace))

    assert b"ConnectionRefusedError" in found.output
    with pytest.raises(BlockingIOError):
        listening.accept()


async def test_a_trusted_command_has_the_machines_network(bench, listening):
    found = await bench.run(connecting(listening, bench.workspace), "trusted")

    assert found.output == b"reached\n"


async def test_but_not_where_policy_or_its_caller_says_never(bench, listening):
    launch = connecting(listening, bench.workspace)
    found = await bench.run(launch, "trusted", network=False)
    bench.policy = attrs.evolve(bench.policy, network="never")
    also = await bench.run(launch, "trusted")

    assert b"ConnectionRefusedError" in found.output
    assert b"ConnectionRefusedError" in also.output


async def test_sockets_that_no_namespace_holds_are_refused(bench):
    script = """
import socket, errno
for family in (40, 38, 31, 17, 29):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try: socket.socket(family, kind); print('made', family)
        except OSError as error: assert error.errno == errno.EAFNOSUPPORT, error
a, b = socket.socketpair(); a.sendall(b'hi'); print(b.recv(2))
"""
    found = await bench.run(python(script, bench.workspace))

    assert found.output == b"b'hi'\n"


async def test_characters_cannot_be_typed_into_a_terminal(bench):
    script = (
        "import fcntl, os, sys\n"
        "print(os.isatty(0))\n"
        "for request in (0x5412, 0x100005412, 0x541C):\n"
        "    try: fcntl.ioctl(0, request, b'x'); print('typed')\n"
        "    except (OSError, OverflowError) as error: print(type(error).__name__)\n"
    )
    launch = attrs.evolve(python(script, bench.workspace), pty=Terminal())
    found = await bench.run(launch)

    assert b"True" in found.output
    assert b"typed" not in found.output
    assert found.output.count(b"PermissionError") >= 2


async def test_keys_that_the_kernel_keeps_are_out_of_reach(bench):
    script = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "number = {'x86_64': 250, 'aarch64': 219}[os.uname().machine]\n"
        "print(libc.syscall(number, 0, -3, 0), ctypes.get_errno())"
    )
    found = await bench.run(python(script, bench.workspace))

    assert found.output == b"-1 1\n"


# --- what it uses


@pytest.fixture
def bounded():
    if not Tree().find():
        pytest.skip("no cgroup can be made here")


@pytest.fixture
def counted():
    """Processes are bound, by cgroup or since we are not root."""
    if os.geteuid() == 0 and not Tree().find():
        pytest.skip("nothing binds root's processes here")


@pytest.mark.slow
async def test_a_fork_bomb_is_contained(bench, counted):
    before = cgroups()
    found = await bench.sh("b() { b | b & }; b; sleep 1; echo alive", seconds=5.0)

    assert found.ended.stuck == 0
    assert left(before, cgroups()) == set()


@pytest.mark.slow
async def test_programs_that_fork_without_end_are_no_more_than_they_may(bench, counted):
    script = """
import os, time
until = time.monotonic() + 1
made = 1
while time.monotonic() < until:
    try:
        if os.fork() == 0: time.sleep(5); os._exit(0)
        made += 1
    except OSError: pass
print('made', made)
"""
    found = await bench.run(python(script, bench.workspace))

    # A little more where it is by the user's processes: some of others end meanwhile.
    assert int(found.output.split()[-1]) <= SMALL.processes + 8
    assert found.ended.code == 0


async def test_a_memory_bomb_is_contained_without_cgroups(bench):
    bench.without_cgroups = True
    script = "x = []\nwhile True: x.append(bytearray(8_000_000))"
    found = await bench.run(python(script, bench.workspace), agreed=True)

    assert found.output.rstrip().endswith(b"MemoryError")


async def test_a_memory_bomb_is_contained(bench, bounded):
    before = cgroups()
    script = "x = []\nwhile True: x.append(bytearray(8_000_000))"
    found = await bench.run(python(script, bench.workspace))

    assert found.ended.starved >= 1
    assert found.ended.code == 128 + 9
    assert left(before, cgroups()) == set()


async def test_memory_in_files_counts_as_well(bench, bounded):
    script = """
import os
f = os.memfd_create('x')
while True: os.write(f, bytes(1_000_000))
"""
    bench.policy = attrs.evolve(bench.policy, disk=2**40)
    found = await bench.run(python(script, bench.workspace))

    assert found.ended.starved >= 1


async def test_its_own_folders_have_a_size(bench):
    said = await bench.says(
        "for to in /tmp /dev/shm; do head -c 300000000 /dev/zero > $to/x; rm -f $to/x;"
        " done; echo x > /x; echo x > /dev/x"
    )

    assert said.count("No space left") + said.count("File size limit") >= 1
    assert said.count("Read-only") == 2


@pytest.mark.slow
async def test_a_disk_filler_is_contained(bench):
    found = await bench.sh(
        "i=0; while :; do head -c 1000000 /dev/urandom > f$i; i=$((i+1)); done"
    )

    assert found.ended.by == "disk"
    assert "more than 4194304 bytes" in found.ended.words
    size = sum(path.stat().st_size for path in bench.workspace.iterdir())
    assert size < 4000 * MIB


async def test_one_long_file_is_cut(bench):
    found = await bench.sh("yes > f")

    assert found.ended.code != 0
    assert (bench.workspace / "f").stat().st_size <= 4 * MIB


@pytest.mark.slow
async def test_a_file_without_a_name_counts(bench):
    script = """
import os
files = []
for i in range(1000):
    f = os.open('f', os.O_RDWR | os.O_CREAT); os.unlink('f'); files.append(f)
    os.write(f, os.urandom(1_000_000)); os.fsync(f)
import time; time.sleep(30)
"""
    found = await bench.run(python(script, bench.workspace))

    assert found.ended.by == "disk"


@pytest.mark.slow
async def test_nothing_is_left_of_what_it_has_started(bench):
    before = cgroups()
    mark = f"sleep 7{os.getpid()}"
    found = await bench.sh(
        f"setsid {mark} & (setsid sh -c 'trap \"\" TERM HUP; {mark}; :' &) ; sleep 0.2"
    )

    assert found.ended.by == "itself"
    assert not with_words(*mark.split())
    assert left(before, cgroups()) == set()


async def test_ended_in_order_it_gets_its_last_words(bench):
    script = (
        "trap 'echo in order > last; exit 0' TERM; echo begun;"
        "while :; do sleep 0.1; done"
    )
    need = Need(trust="untrusted", writable=(str(bench.workspace),))
    launch = await bench.sandbox().wrap(shell(script, bench.workspace), need)
    state = await in_process(lambda: ended_when(launch, "begun"))

    assert (state["ended"].by, state["ended"].code) == ("order", 0)
    assert (bench.workspace / "last").read_text() == "in order\n"


# --- what a person could name by mistake


@pytest.mark.parametrize(
    "path",
    ["/", "/proc", "/var/run/docker.sock", "/run", "/dev", "/var/lib/docker", "/var"],
)
@pytest.mark.parametrize("key", ["read", "write"])
async def test_what_is_of_the_machine_is_never_mounted(bench, path, key):
    if not Path(path).exists():
        bench.policy = attrs.evolve(bench.policy, **{key: (path,)})
        assert "No such" in await bench.says(f"ls {path}")
        return
    bench.policy = attrs.evolve(bench.policy, **{key: (path,)})
    with pytest.raises(CannotIsolate, match="of the machine"):
        await bench.sh("true")


async def test_nor_is_a_home_or_a_socket_or_by_a_link(bench, monkeypatch):
    (bench.home / ".ssh").mkdir()
    link = bench.top / "link"
    link.symlink_to(bench.home / ".ssh")
    for path in (bench.home, bench.top, bench.home / ".ssh", link):
        bench.policy = attrs.evolve(bench.policy, read=(str(path),))
        with pytest.raises(CannotIsolate):
            await bench.sh("true")
    monkeypatch.chdir(bench.top)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        bench.policy = attrs.evolve(bench.policy, read=(str(bench.top / "s"),))
        with pytest.raises(CannotIsolate, match="neither a file nor a folder"):
            await bench.sh("true")


async def test_what_bubblewrap_runs_with_is_nothing_of_the_commands(bench):
    library = bench.workspace / "evil.so"
    library.write_bytes(b"not a library")
    launch = shell("echo $LD_PRELOAD $HOME", bench.workspace)
    env = {**launch.env, "LD_PRELOAD": str(library), "BWRAP_SECRET": "canary"}
    found = await bench.run(attrs.evolve(launch, env=env))

    # Once, for the command: bubblewrap, outside, has not been given it.
    assert found.output.count(b"evil.so' from LD_PRELOAD") <= 1
    assert found.output.endswith(f"{library} /tmp\n".encode())


@pytest.mark.slow
async def test_what_it_is_told_is_in_no_list_of_processes(bench):
    async def look():
        while not (found := with_words("sleep", "6.25")):
            await trio.sleep(0.01)
        return [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found]

    launch = shell("sleep 6.25", bench.workspace)
    env = {**launch.env, "TOKEN": "canary"}
    lines = []

    async def watch():
        lines.extend(await look())

    supervision.spawn(watch)
    await bench.run(attrs.evolve(launch, env=env), seconds=0.5)

    assert lines
    assert not any(b"canary" in line for line in lines)
