"""A few faults by chance. ``python -m tests.faults.chaos --faults 10000`` has more."""

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE

import pytest
import trio

from tests.faults.chaos import KINDS, one, stopped
from tests.support.chance import SEED

FAULTS = int(os.environ.get("BEAMCLAW_CHAOS_FAULTS", "60"))


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_faults_by_chance_break_no_promise():
    # Not pytest's folder: its name is too long for a socket in it.
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        report = await one(Path(folder), faults=FAULTS, seed=SEED)

    print(*report.table(), sep="\n")  # noqa: T201 -- shown when it fails
    assert report.violations == ()
    assert report.done.total() == FAULTS
    assert report.calls > 0
    assert report.untouched, "no turn was untouched: nothing is said of those"


@asynccontextmanager
async def program() -> AsyncIterator[trio.Process]:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", "input()"], stdin=PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def stands_still(process: trio.Process, *, wanted: bool) -> None:
    """Wait until it does, or not any more."""
    with trio.fail_after(20):
        while _stands_still(process.pid) is not wanted:  # noqa: ASYNC110 -- another program
            await trio.sleep(0.001)


def _stands_still(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "T"


async def test_a_program_stands_still_and_goes_on_even_if_nobody_waits():
    async with program() as process, trio.open_nursery() as nursery:
        nursery.start_soon(stopped, process.pid, 3600.0)
        await stands_still(process, wanted=True)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await stands_still(process, wanted=False)


async def test_a_program_that_ends_meanwhile_is_left_alone():
    async with program() as process:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stopped, process.pid, 0.05)
            await stands_still(process, wanted=True)
            process.kill()
            await process.wait()
        await stopped(process.pid, 0.0)


def test_programs_that_stand_still_are_among_the_faults():
    assert {"stop node", "stop child"} <= set(KINDS)
