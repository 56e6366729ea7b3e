"""What the machine can do is tried once, and told; without it words of strangers wait."""

import attrs
import pytest
import trio

import supervision
from beamclaw.config.schema import SandboxConfig
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.sandbox import (
    CannotIsolate,
    GetIsolation,
    GetMachine,
    LookAtMachine,
    Machine,
    Need,
)
from tests.beamclaw.sandbox.conftest import Bench, config_of, opened, shell

BARE = Machine(why="it is not installed", why_no_cgroups="none can be made")


@pytest.fixture
def events():
    found = []
    detach = supervision.telemetry.attach(found.append)
    yield found
    detach()


def told(events, name):
    return [each for each in events if each.name == f"beamclaw.sandbox.{name}"]


async def test_what_is_missing_is_told_once_and_in_words(tmp_path, events):
    outside = Outside(worker=InlineWorker, machine=BARE)
    async with opened(config_of(SandboxConfig(), tmp_path), outside):
        before = await supervision.call("default/sandbox", GetIsolation())
        for _ in range(3):
            supervision.cast("default/sandbox", LookAtMachine())
        after = await supervision.call("default/sandbox", GetIsolation())

    assert before.trusted == "not looked at yet"
    assert after.trusted == "not isolated"
    (event,) = told(events, "missing")
    assert "bubblewrap: it is not installed" in event.metadata["missing"]


@pytest.mark.peer("bubblewrap")
async def test_where_it_works_it_is_known_before_anybody_asks(tmp_path, events):
    async with opened(config_of(SandboxConfig(), tmp_path)):
        supervision.cast("default/sandbox", LookAtMachine())
        machine = await supervision.call("default/sandbox", GetMachine(), timeout=None)

    assert machine.bubblewrap
    assert machine.filtered
    assert machine.options


async def test_without_it_strangers_wait_for_a_person(tmp_path):
    bench = Bench(tmp_path, SandboxConfig())
    bench.workspace.mkdir(parents=True)
    outside = Outside(worker=InlineWorker, machine=BARE)
    async with opened(config_of(bench.policy, bench.data), outside):
        with pytest.raises(CannotIsolate, match="a person has to agree"):
            await bench.sh("echo no")
        agreed = await bench.says("echo agreed", agreed=True)
        trusted = await bench.says("echo trusted", "trusted")
        wants = [
            await bench.sandbox().wants_consent(trust)
            for trust in ("trusted", "untrusted")
        ]

    assert (agreed, trusted) == ("agreed\n", "trusted\n")
    assert wants == [False, True]


async def test_while_nobody_knows_nothing_is_started(tmp_path):
    box = Bench(tmp_path, SandboxConfig()).sandbox()
    with pytest.raises(CannotIsolate, match="not known yet"):
        await box.wrap(shell("true", "/"), Need(trust="trusted"))


@pytest.mark.peer("bubblewrap")
async def test_a_launcher_that_comes_back_is_asked_again(tmp_path):
    async with opened(config_of(SandboxConfig(), tmp_path)):
        supervision.exit("default/launcher", supervision.KILL)
        machine = None
        while machine is None or not machine.bubblewrap:
            with trio.move_on_after(5):
                try:
                    machine = await supervision.call(
                        "default/sandbox", GetMachine(), timeout=None
                    )
                except Exception:  # noqa: BLE001 -- it is not there at the moment
                    await trio.sleep(0.02)

    assert attrs.asdict(machine)["filtered"]
