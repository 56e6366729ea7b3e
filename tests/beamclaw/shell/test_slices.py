"""What is proved: a look at very many gives way, and keeps no more than it shows."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import supervision
from beamclaw.bus import LocalBus
from beamclaw.config import Config
from beamclaw.config.current import Current
from beamclaw.config.schema import ShellConfig
from beamclaw.contracts import names
from beamclaw.contracts.outside import Outside
from beamclaw.shell import looking
from beamclaw.shell.request import Node
from beamclaw.shell.slices import Ranking, Slices, pieces
from beamclaw.shell.top import Sampler

PROCESSES = 300


@given(st.lists(st.integers(0, 9)), st.integers(0, 12))
def test_a_ranking_keeps_the_first_and_no_more(values: list[int], most: int):
    ranking = Ranking[int](most)
    for number, value in enumerate(values):
        ranking.add(number, value)
    ranked = sorted(range(len(values)), key=lambda number: values[number])
    assert list(ranking.ranked()) == ranked[:most]


def test_a_sequence_in_pieces():
    assert list(pieces([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(pieces([], 2)) == []


@attrs.define
class Others:
    """Counts how often others got to run."""

    turns: int = 0

    async def run(self) -> None:
        while True:
            await trio.lowlevel.checkpoint()
            self.turns += 1


async def test_others_run_when_the_budget_is_used_up():
    others = Others()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others.run)
        await trio.lowlevel.checkpoint()
        for budget, least, most in ((0.0, 9, 11), (3600.0, 0, 0)):
            slices, before = Slices(budget), others.turns
            for _ in range(10):
                await slices.pause()
            # Each time one of them is first, so once more or less is the same.
            assert least <= others.turns - before <= most
            assert slices.over() >= 0.0
        nursery.cancel_scope.cancel()


class Member(supervision.Server):
    async def init(self) -> None:
        supervision.join(names.of_tenant(names.DEFAULT_TENANT, "awake"))


async def _nowhere(value: object) -> None:
    del value


async def _top(node: Node) -> None:
    await Sampler(10).look(0.0, Slices(node.config.shell.slice_seconds))


LOOKS: dict[str, Callable[[Node], Awaitable[object]]] = {
    "tree": lambda node: looking.tree(node, {"most": 1_000}, _nowhere),
    "sessions": lambda node: looking.sessions(node, {}, _nowhere),
    "mailbox": lambda node: looking.mailbox(
        node, {"process": "m0", "most": 1_000}, _nowhere
    ),
    "top": _top,
}


@pytest.mark.parametrize("name", LOOKS)
async def test_each_look_at_many_gives_way(tmp_path: Path, name: str):
    spec = supervision.ChildSpec(
        "many", supervision.DynamicSupervisor, type="supervisor"
    )
    turns: list[int] = []
    async with supervision.open_supervisor([spec]):
        pid = supervision.tree().children[0].pid
        assert pid is not None
        for number in range(PROCESSES):
            each = supervision.ChildSpec(f"m{number}", Member, name=f"m{number}")
            await supervision.start_child(pid, each)
        await supervision.sys.suspend("m0")
        for number in range(PROCESSES):
            supervision.send("m0", number)
        others = Others()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(others.run)
            # With hardly any it gives way at each chance, however fast a machine is.
            for budget in (1e-9, 1.0):
                config = Config(data=tmp_path, shell=ShellConfig(slice_seconds=budget))
                node = Node(current=Current(config), bus=LocalBus(), outside=Outside())
                before = others.turns
                await LOOKS[name](node)
                turns.append(others.turns - before)
            nursery.cancel_scope.cancel()
    often, hardly = turns
    assert often > 10
    assert hardly < 5
