"""Any process of a family of turns, killed at any point: one result, nobody left over.

A scenario is run once to see which points it reaches. Then it is run again for each of
them, and whoever is the victim dies there. The ledger says what must be so at the end.
"""

# ruff: noqa: ASYNC110, ASYNC240 -- the ledger is looked at; the folder is a test's

import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

import supervision
from beamclaw.contracts.ledger_reads import ReadOpenWork
from beamclaw.contracts.points import hooked
from beamclaw.contracts.sessions import abort
from beamclaw.testing.session_tools import session_tools
from tests.beamclaw.sessions.conftest import KEY, Model, Tenant, _tenant
from tests.beamclaw.sessions.family import (
    ask_ledger,
    children,
    do,
    faults,
    kinds,
    obey,
    sessions,
    spawn,
    surely,
)
from tests.support.chance import SEED


def scripted() -> Model:
    return Model(scripts=[obey], tools=dict(session_tools()))


pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]


# --- who dies


def pids(prefix: str, *, below: bool | None = None) -> list[supervision.Pid]:
    """Processes by their names; *below*: of sub-agents, or of all but these."""
    entries = supervision.names(prefix)
    return [
        entry.pid
        for entry in entries
        if below is None or (":subagent:" in _key(entry)) == below
    ]


def _key(entry: supervision.Entry) -> str:
    return str(getattr(entry.value, "topic", entry.name))


VICTIMS: dict[str, Callable[[], list[supervision.Pid]]] = {
    "the parent's run": lambda: pids("default/run/", below=False),
    "the parent's session": lambda: pids("default/session/", below=False),
    "the sub-agent's run": lambda: pids("default/run/", below=True),
    "the sub-agent's session": lambda: pids("default/session/", below=True),
    "all runs": lambda: pids("default/run/"),
    "all sessions": lambda: pids("default/session/"),
    "the door": lambda: pids("default/sessions"),
    "the ledger": lambda: pids("default/ledger"),
    "all that has a name": lambda: pids("default/"),
}


@attrs.define
class Reaper:
    """Kills at the points that it is given: name, and how many-th time."""

    at: frozenset[tuple[str, int]] = frozenset()
    victim: Callable[[], list[supervision.Pid]] = list
    seen: list[tuple[str, int]] = attrs.field(factory=list)
    counts: Counter[str] = attrs.field(factory=Counter)

    def __call__(self, name: str) -> None:
        self.counts[name] += 1
        self.seen.append((name, self.counts[name]))
        if self.seen[-1] in self.at:
            for pid in self.victim():
                supervision.exit(pid, supervision.KILL)


# --- what happens


@attrs.frozen
class Scenario:
    """What is said, what the answer has to be, and how many sub-agents it takes."""

    said: str
    text: str
    spawned: int
    announced: int = 0
    stopped: bool = False


FRIEND = "agent:main:friend"
SCENARIOS = {
    "waits": Scenario(do(spawn("a")), "got a", 1),
    "waits for two": Scenario(do(spawn("a"), spawn("b")), "got a, b", 2),
    "waits, two levels": Scenario(do(spawn(do(spawn("a")))), "got got a", 2),
    "forks": Scenario(do(spawn("a", context="fork")), "got a", 1),
    "is told": Scenario(do(spawn("a", mode="announce"), ("wait", {})), "", 1, 1),
    "is told below": Scenario(
        do(spawn(do(spawn("a", mode="announce"), ("wait", {})))), "got heard a", 2, 1
    ),
    "writes to another": Scenario(
        do(("tell", {"session_key": FRIEND, "text": "hi"}), ("wait", {})), "", 1, 1
    ),
    "is stopped": Scenario(do(spawn(do(spawn("held")))), "", 2, stopped=True),
}


async def play(tenant: Tenant, scenario: Scenario) -> None:
    """Say it, wait until all is over, and look at what must be so."""
    before = FRIEND in scenario.said
    if before:
        await surely(lambda: tenant.ask("hello", key=FRIEND, external_id="before"))
    if scenario.stopped:
        tenant.model.scripts = [hold]
    receipt = await surely(lambda: tenant.send(scenario.said, external_id="the one"))
    if scenario.stopped:
        while len(await sessions()) < 1 + scenario.spawned:
            await trio.sleep(0.01)
        await surely(lambda: abort(tenant.bus, "default", KEY, receipt.run_id))
    end = await tenant.end(receipt)
    while await ask_ledger(ReadOpenWork()):
        await trio.sleep(0.01)
    if scenario.stopped:
        assert end.outcome == "aborted"
    else:
        assert (end.outcome, end.text) == ("ok", scenario.text)
    family = [row for key in await sessions() for row in await children(key)]
    assert len(family) == scenario.spawned
    assert {row.state for row in family} == {"closed"}
    assert {row.outcome for row in family} == {"aborted" if scenario.stopped else "ok"}
    told = sum([(await kinds(key)).count("inbound") for key in await sessions()])
    assert told == before + 1 + scenario.spawned + scenario.announced
    assert await faults() == []
    assert not pids("default/run/")


async def hold(request):
    if request.messages[-1].text == "held":
        await trio.sleep_forever()
    async for event in obey(request):
        yield event


async def points_of(folder: Path, scenario: Scenario) -> list[tuple[str, int]]:
    """The points that it reaches, from the acknowledgement on."""
    reaper = Reaper()
    await once(folder, scenario, reaper)
    return reaper.seen[reaper.seen.index(("edge.accept.after", 1)) :]


async def once(
    folder: Path, scenario: Scenario, reaper: Callable[[str], object]
) -> None:
    folder.mkdir()
    with hooked(reaper):
        async with _tenant(folder, scripted()) as tenant:
            await play(tenant, scenario)


# All points take minutes: a share of them, another one for each victim.
SHARE = int(os.environ.get("BEAMCLAW_POINTS_SHARE", "40"))
MATRIX = list(itertools.product(SCENARIOS, VICTIMS))


@pytest.mark.parametrize("name, victim", MATRIX)
async def test_a_death_at_any_point_changes_nothing(
    tmp_path: Path, autojump_clock: MockClock, name: str, victim: str
) -> None:
    scenario = SCENARIOS[name]
    points = await points_of(tmp_path / "whole", scenario)
    assert len(points) > 50
    offset = (MATRIX.index((name, victim)) + SEED - 1) % SHARE
    for number, point in enumerate(points[offset::SHARE]):
        reaper = Reaper(frozenset({point}), VICTIMS[victim])
        try:
            with trio.fail_after(600):
                await once(tmp_path / str(number), scenario, reaper)
        except BaseException as error:
            error.add_note(f"killed at {point}")
            raise


deaths = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from(list(VICTIMS))),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=int(os.environ.get("BEAMCLAW_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.sampled_from(list(SCENARIOS)), deaths)
def test_a_result_comes_exactly_once_whoever_dies_and_however_often(name, dying):
    """*dying*: after how many points, and who."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder, trio.fail_after(600):
            await once(Path(folder) / "data", SCENARIOS[name], Striker(dict(dying)))

    trio.run(main, clock=MockClock(autojump_threshold=0))


@attrs.define
class Striker:
    """Kills after so many points, from the acknowledgement on."""

    dying: dict[int, str]
    count: int | None = None

    def __call__(self, name: str) -> None:
        if self.count is None:
            self.count = 0 if name == "edge.accept.after" else None
            return
        self.count += 1
        if self.count in self.dying:
            for pid in VICTIMS[self.dying[self.count]]():
                supervision.exit(pid, supervision.KILL)
