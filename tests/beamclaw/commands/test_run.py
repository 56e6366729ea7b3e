"""A program is run to its end: what it says, what it comes to, what is left of it."""
# ruff: noqa: ASYNC110 -- other processes are looked at

import pytest
import trio

import supervision
from beamclaw.contracts.commands import (
    CannotStart,
    Launch,
    Limits,
    StartCommand,
    Terminal,
    run,
    start,
)
from tests.beamclaw.commands.conftest import ENV, alive, python, shell


async def in_process(fn):
    """What *fn* gives, called by a process."""
    results = []

    async def work():
        try:
            results.append(await fn())
        except Exception as error:  # noqa: BLE001 -- raised below
            results.append(error)

    pid = supervision.spawn(work)
    while supervision.is_alive(pid):
        await trio.sleep(0.005)
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result


async def ran(tenant, launch, **options):
    options = {"id": "c", "seconds": 10.0, **options}
    return await in_process(lambda: run(tenant, launch, **options))


async def test_output_and_exit_code(tenant):
    found = await ran(tenant, shell("echo out; echo err >&2; exit 3"))

    assert found.output == b"out\nerr\n"
    assert (found.ended.by, found.ended.code, found.ended.left) == ("itself", 3, 0)


async def test_errors_can_be_dropped(tenant):
    found = await ran(tenant, shell("echo out; echo err >&2", errors="dropped"))

    assert found.output == b"out\n"


async def test_input_is_given_and_ends(tenant):
    data = b"0123456789" * 100_000
    found = await ran(tenant, shell("wc -c"), data=data)

    assert found.output.split() == [b"1000000"]


async def test_input_that_is_not_read_does_no_harm(tenant):
    found = await ran(tenant, shell("echo no"), data=b"x" * 1_000_000)

    assert found.output == b"no\n"


async def test_a_signal_that_ended_it_is_told(tenant):
    found = await ran(tenant, shell("kill -9 $$"))

    assert (found.ended.code, found.ended.signal) == (None, 9)


@pytest.mark.parametrize(
    "argv, cwd, words",
    [
        (("/nowhere/x",), "/tmp", "No such file or directory"),
        (("/etc/passwd",), "/tmp", "Permission denied"),
        (("/bin/true",), "/nowhere", "its working folder: No such file or directory"),
        (("/bin/true", "a\0b"), "/tmp", "embedded null byte"),
    ],
)
async def test_what_cannot_be_started_is_told(tenant, argv, cwd, words):
    found = await ran(tenant, Launch(argv=argv, cwd=cwd, env=ENV))

    assert (found.ended.by, found.ended.words) == ("start", words)


async def test_a_command_finds_nothing_open_and_nothing_set(tenant):
    found = await ran(tenant, shell("ls /proc/self/fd; env; ulimit -c"))

    # The last of the files is the folder that it looks at.
    words = ["0", "1", "2", "3", "PWD=/tmp", "PATH=/usr/bin:/bin", "0"]
    assert sorted(found.output.decode().split()) == sorted(words)


async def test_signals_are_as_they_are_by_default(tenant):
    found = await ran(tenant, shell("grep -E 'Sig(Blk|Ign)' /proc/self/status"))

    masks = [int(word, 16) for word in found.output.split()[1::2]]
    standard = (1 << 31) - 1
    assert [mask & standard for mask in masks] == [0, 0]


async def test_what_it_inherits_is_in_its_open_files(tenant):
    found = await ran(tenant, shell("cat <&3; cat <&4", inherited=(b"three", b"four")))

    assert found.output == b"threefour"


async def test_limits_hold(tenant):
    limits = Limits(memory=1 << 28, cpu_seconds=7, file_size=5 << 10, open_files=33)
    script = "ulimit -v; ulimit -t; ulimit -f; ulimit -n"
    found = await ran(tenant, shell(script, limits=limits))

    assert found.output.split() == [b"262144", b"7", b"10", b"33"]


async def test_its_time_is_limited(tenant):
    found = await ran(tenant, shell("echo a; sleep 100"), seconds=0.2)

    assert (found.ended.by, found.output) == ("timeout", b"a\n")


async def test_its_output_is_limited(tenant):
    found = await ran(tenant, shell("yes"), most=1000)

    assert (found.ended.by, found.output) == ("output", b"y\n" * 500)


async def test_a_terminal_has_its_size(tenant):
    found = await ran(tenant, shell("stty size; tty", pty=Terminal(11, 22)))

    assert found.output.startswith(b"11 22\r\n/dev/pts/")


@pytest.mark.slow
async def test_what_it_left_behind_is_ended(tenant):
    script = """
        echo $$
        sleep 100 & echo $!
        setsid sleep 100 & echo $!
        (setsid sh -c 'echo $$; trap "" TERM; while :; do sleep 1; done' &)
        sleep 0.1
    """
    found = await ran(tenant, shell(script))
    pids = [int(word) for word in found.output.split()]

    assert len(pids) == 4
    assert not any(map(alive, pids))
    assert found.ended.code == 0
    assert found.ended.left >= 3
    assert found.ended.stuck == 0


async def test_who_has_ordered_it_dies_and_it_is_ended(tenant):
    pids = []

    async def owner():
        order = StartCommand(
            id="c",
            launch=shell("echo $$; sleep 100"),
            owner=supervision.self_pid(),
            seconds=None,
        )
        pids.append(await start(tenant, order))
        await trio.sleep_forever()

    pid = supervision.spawn(owner)
    while not pids or supervision.state(pids[0])["pid"] is None:
        await trio.sleep(0.01)
    number = supervision.state(pids[0])["pid"]
    assert alive(number)
    supervision.exit(pid, supervision.KILL)

    while supervision.is_alive(pids[0]):
        await trio.sleep(0.01)
    assert not alive(number)


@pytest.mark.slow
async def test_a_program_that_forks_without_end_is_ended(tenant):
    script = """
import os, time
until = time.monotonic() + 20
while time.monotonic() < until:
    try:
        if len(os.listdir('/proc')) < 400: os.fork()
    except OSError: pass
"""
    found = await ran(tenant, python(script), seconds=0.3)

    assert found.ended.by == "timeout"
    assert found.ended.stuck == 0


async def test_too_many_are_refused(tenant):
    async def one(number):
        order = StartCommand(
            id=f"c{number}",
            launch=shell("sleep 100"),
            owner=supervision.self_pid(),
            seconds=None,
        )
        return await start(tenant, order)

    async def many():
        for number in range(64):
            await one(number)
        with pytest.raises(CannotStart, match="64 commands run already"):
            await one(64)
        return True

    assert await in_process(many)
