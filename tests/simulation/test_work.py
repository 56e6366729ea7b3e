"""What agents of a world work at, and how it ends when their node dies."""

import random
from collections.abc import Iterable

import attrs
import pytest
import trio

from beamclaw.contracts.commands import Launch
from beamclaw.contracts.points import hooked, point
from beamclaw.testing._programs import Pause, Programs, Step
from tests.simulation.disk import Disk, Files
from tests.simulation.door import Door
from tests.simulation.network import Network
from tests.simulation.node import Life
from tests.simulation.trace import Trace
from tests.simulation.work import FileWorker, NodeDiedError
from tests.simulation.world import play

AT_WORK = 7  # a seed with deaths, changes of files, and commands
STEPS = ("file.receipt", "file.rename", "file.close")


@attrs.define
class Place:
    """A life of a node, and work on files that is a few steps."""

    trace: Trace = attrs.field(factory=Trace)
    done: list[str] = attrs.field(factory=list[str])
    life: Life = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        chance = random.Random(1)
        disk = Disk(self.trace, chance, lambda _: None)
        door = Door(Network(chance, self.trace, 0.0, {}), chance)
        files = Files(self.trace, lambda _: self.life.pull())
        self.life = Life(1, disk, door, Programs(sleeps), files)

    async def work(self) -> None:
        worker = FileWorker(self.trace, random.Random(1), self.life)
        with hooked(self.trace.point):
            await worker.run(self._change)

    def _change(self) -> None:
        for name in STEPS:
            with point(name):
                self.done.append(name)


def sleeps(_: Launch) -> Iterable[Step]:
    yield Pause(1_000.0)


@pytest.mark.parametrize("steps, done", [(1, 0), (2, 1), (3, 1), (4, 2), (6, 3)])
async def test_a_node_that_dies_in_the_middle_of_a_change_stops_there(
    steps: int, done: int, autojump_clock: trio.testing.MockClock
) -> None:
    place = Place()
    place.life.files.due, place.life.files.steps = "file-crash", steps
    with pytest.raises(NodeDiedError):
        await place.work()
    assert place.done == list(STEPS[:done])


async def test_a_dead_node_changes_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    place = Place()
    place.life.pull()
    with pytest.raises(NodeDiedError):
        await place.work()
    assert not place.done


async def test_a_disk_that_fails_does_so_before_a_step(
    autojump_clock: trio.testing.MockClock,
) -> None:
    place = Place()
    place.life.files.due, place.life.files.steps = "file-fails", 2
    with pytest.raises(OSError, match="Input/output error"):
        await place.work()
    assert place.done == ["file.receipt"]


async def test_programs_die_with_their_node(
    autojump_clock: trio.testing.MockClock,
) -> None:
    place = Place()
    launcher = await place.life.programs.open()
    command = await launcher.launch(Launch(argv=("sleep",), cwd="/", env={}), 1.0)
    assert place.life.programs.running == ["sleep"]
    place.life.pull()
    assert place.life.programs.running == []
    assert (await command.wait_ended()).by == "loss"


@pytest.mark.slow
def test_a_world_with_work_repeats_itself() -> None:
    first, second = play(AT_WORK), play(AT_WORK)
    assert first.digest == second.digest
    assert not first.violations
    assert first.figures["commands"]
    assert first.figures["changes of files"]
    assert first.figures["deaths of the node"]
