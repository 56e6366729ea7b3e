"""Whatever dies, and however: nothing of a command is left."""
# ruff: noqa: ASYNC110 -- other processes are looked at

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio

import supervision
from beamclaw.contracts.commands import CannotStart, StartCommand, start
from tests.beamclaw.commands.conftest import alive, shell, with_words
from tests.beamclaw.commands.test_run import ran

# What a node may leave is gone after so many seconds.
GONE = 5.0


def parent_of(pid):
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


async def begun(tenant, script, id_="c"):
    """The number of a command that runs, and the process that holds it."""

    async def begin():
        order = StartCommand(
            id=id_, launch=shell(script), owner=supervision.self_pid(), seconds=None
        )
        held.append(await start(tenant, order))
        await trio.sleep_forever()

    held = []
    supervision.spawn(begin)
    while not held or supervision.state(held[0])["pid"] is None:
        await trio.sleep(0.005)
    return supervision.state(held[0])["pid"], held[0]


async def gone(*pids):
    while any(map(alive, pids)):
        await trio.sleep(0.01)


async def over(held) -> Any:
    while supervision.is_alive(held) and supervision.state(held)["ended"] is None:
        await trio.sleep(0.005)
    return supervision.state(held)["ended"]


async def children(tenant, folder) -> tuple[Any, ...]:
    """A command with a child in a session of its own: the numbers of all four."""
    file = folder / "pid"
    script = f"setsid sh -c 'echo $$ > {file}; sleep 100' & sleep 100"
    command, held = await begun(tenant, script)
    while not (file.exists() and file.read_text().endswith("\n")):
        await trio.sleep(0.01)
    reaper = parent_of(command)
    return command, int(file.read_text()), reaper, parent_of(reaper), held


async def test_the_launcher_is_killed(tenant, tmp_path):
    command, child, reaper, launcher, held = await children(tenant, tmp_path)
    os.kill(launcher, signal.SIGKILL)
    ended = await over(held)

    await gone(command, child, reaper)
    assert ended.signal == signal.SIGTERM
    while True:  # another one is started
        found = await in_process_or_refused(tenant)
        if found is not None:
            break
        await trio.sleep(0.05)
    assert found.output == b"again\n"


async def in_process_or_refused(tenant):
    try:
        found = await ran(tenant, shell("echo again"), id="other")
    except CannotStart:  # none is there at this moment
        return None
    return None if found.ended.by == "start" else found


async def test_a_reaper_is_killed(tenant, tmp_path):
    command, child, reaper, launcher, held = await children(tenant, tmp_path)
    os.kill(reaper, signal.SIGKILL)
    ended = await over(held)

    await gone(command, child)
    assert ended.by == "loss"
    assert alive(launcher)


async def test_a_reaper_that_is_stopped_goes_on(tenant, tmp_path):
    command, child, reaper, _, held = await children(tenant, tmp_path)
    os.kill(reaper, signal.SIGSTOP)
    os.kill(command, signal.SIGKILL)
    ended = await over(held)

    await gone(command, child, reaper)
    assert (ended.by, ended.signal, ended.left) == ("itself", signal.SIGKILL, 3)


async def test_signals_that_end_others_do_not_end_those_who_watch(tenant, tmp_path):
    command, _, reaper, launcher, _ = await children(tenant, tmp_path)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(reaper, number)
        os.kill(launcher, number)
    await trio.sleep(0.05)

    assert alive(command)
    assert alive(reaper)
    assert alive(launcher)


async def test_who_holds_it_is_killed(tenant, tmp_path):
    command, child, reaper, _, held = await children(tenant, tmp_path)
    supervision.exit(held, supervision.KILL)

    await gone(command, child, reaper)


async def test_the_door_is_killed(tenant, tmp_path):
    command, child, reaper, launcher, _ = await children(tenant, tmp_path)
    door = supervision.whereis("default/launcher")
    assert door is not None
    supervision.exit(door, supervision.KILL)

    await gone(command, child, reaper, launcher)


def killed(count, mark):
    """A program with *count* commands is killed; of how many processes none is left."""
    program = [sys.executable, "-m", "tests.beamclaw.commands.holder"]
    with subprocess.Popen(
        [*program, str(count), mark], stdout=subprocess.PIPE, start_new_session=True
    ) as node:
        assert node.stdout is not None
        assert node.stdout.readline() == b"ready\n"
        began = with_words(mark)
        node.kill()
        at = time.monotonic()
    while (left := with_words(mark)) and time.monotonic() - at < GONE:
        time.sleep(0.05)
    assert not left, Counter(map(parent_of, left))
    return len(began)


@pytest.mark.slow
def test_nothing_is_left_when_the_node_is_killed():
    began = killed(6, f"mark-{os.getpid()}-few")

    assert began > 6


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_of_191_commands_nothing_is_left_when_the_node_is_killed():
    began = killed(191, f"mark-{os.getpid()}-many")

    assert began > 191
