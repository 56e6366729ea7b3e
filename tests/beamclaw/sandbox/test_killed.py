"""The node is killed while commands are in its sandbox: nothing stays of them."""
# ruff: noqa: ASYNC110 -- other processes and files are looked at

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from beamclaw.sandbox.cgroups import Tree
from tests.beamclaw.commands.conftest import with_words

pytestmark = pytest.mark.peer("bubblewrap")

NODE = """
import sys
from pathlib import Path
import attrs, trio
import supervision
from beamclaw.contracts.commands import StartCommand, start
from beamclaw.contracts.sandbox import Need
from tests.beamclaw.sandbox.conftest import SMALL, Bench, config_of, opened, shell

async def main(top, mark):
    bench = Bench(Path(top))
    bench.workspace.mkdir(parents=True)
    async with opened(config_of(SMALL, bench.data)):
        async def work():
            for number in range(4):
                script = f"setsid sleep {mark} & trap '' TERM; sleep {mark}; :"
                launch = await bench.sandbox().wrap(
                    shell(script, bench.workspace),
                    Need(trust="untrusted", writable=(str(bench.workspace),)),
                )
                await start("default", StartCommand(
                    id=f"c{number}", launch=launch, owner=supervision.self_pid(),
                    seconds=None,
                ))
            await trio.sleep_forever()
        supervision.spawn(work)
        await trio.sleep_forever()

trio.run(main, *sys.argv[1:])
"""


def cgroups_of(pids):
    """Those that hold one of *pids*: others may be of another node."""
    return {
        path
        for each in Tree().find()
        for path in Path(each.folder).glob("beamclaw.*")
        if pids & {int(pid) for pid in (path / "cgroup.procs").read_text().split()}
    }


@pytest.mark.slow
async def test_nothing_is_left_when_the_node_is_killed(tmp_path):
    mark = f"8{os.getpid()}"
    node = subprocess.Popen(  # noqa: ASYNC220 -- it is the node of this test
        [sys.executable, "-c", NODE, str(tmp_path), mark],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        while len(with_words("sleep", mark)) < 8:
            assert node.poll() is None
            await trio.sleep(0.05)
        cgroups = cgroups_of(set(with_words("sleep", mark)))
    finally:
        node.send_signal(signal.SIGKILL)
        node.wait()

    while with_words("sleep", mark) or any(path.exists() for path in cgroups):
        await trio.sleep(0.05)
