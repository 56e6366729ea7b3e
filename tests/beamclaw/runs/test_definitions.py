"""Many runs that go on read their agent's definition once."""

import pytest
import trio
import trio.testing

from beamclaw.agents.definition import AgentDefinition
from beamclaw.runs.definitions import KEPT, Definitions

MAIN = AgentDefinition(id="main", provider="openai", model="gpt")


class Ledger:
    """Counts who reads; holds them up until it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        self.reads = 0
        self.go = trio.Event()
        if not held:
            self.go.set()

    async def read(self) -> bytes:
        self.reads += 1
        await self.go.wait()
        return MAIN.body


async def test_of_many_at_once_one_reads() -> None:
    definitions, ledger = Definitions(), Ledger(held=True)
    found: list[AgentDefinition] = []

    async def run() -> None:
        found.append(await definitions.of(MAIN.hash, ledger.read))

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()
        ledger.go.set()
    assert found == [MAIN] * 100
    assert ledger.reads == 1


async def test_what_is_known_is_not_read_again() -> None:
    definitions, ledger = Definitions(), Ledger()
    assert await definitions.of(MAIN.hash, ledger.read) == MAIN
    assert await definitions.of(MAIN.hash, ledger.read) == MAIN
    assert ledger.reads == 1


async def test_when_the_one_who_reads_is_cancelled_the_next_one_reads() -> None:
    definitions, ledger = Definitions(), Ledger(held=True)
    found: list[AgentDefinition] = []

    async def run(scope: trio.CancelScope) -> None:
        with scope:
            found.append(await definitions.of(MAIN.hash, ledger.read))

    scopes = [trio.CancelScope() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        for scope in scopes:
            nursery.start_soon(run, scope)
            await trio.testing.wait_all_tasks_blocked()
        scopes[0].cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert ledger.reads == 2
        ledger.go.set()
    assert found == [MAIN] * 2


async def test_a_failure_is_of_whoever_reads() -> None:
    definitions, ledger = Definitions(), Ledger()

    async def fail() -> bytes:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await definitions.of(MAIN.hash, fail)
    assert await definitions.of(MAIN.hash, ledger.read) == MAIN


async def test_so_many_are_kept() -> None:
    definitions, ledger = Definitions(), Ledger()
    for number in range(KEPT + 1):
        await definitions.of(str(number), ledger.read)
    await definitions.of(str(KEPT), ledger.read)
    assert ledger.reads == KEPT + 1
    await definitions.of("0", ledger.read)
    assert ledger.reads == KEPT + 2
