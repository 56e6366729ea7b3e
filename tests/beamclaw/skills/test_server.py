"""The process that knows what agents are told, and those who ask it."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import attrs
import pytest
import trio

import supervision
from beamclaw.agents import AgentDefinition, Heard, UnknownAgent, Unready
from beamclaw.config.current import Current
from beamclaw.config.schema import AgentConfig, Config, WorkspaceConfig
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.skills import Definer, SkillsServer, setting_of
from beamclaw.skills.defining import Readying
from supervision.testing import as_process

T = TypeVar("T")
MAIN, SUB = "agent:main:main", "agent:main:subagent:1"


def config_of(data: Path, **agent: Any) -> Config:
    return Config(
        data=data,
        agents={"main": AgentConfig(**agent)},
        workspace=WorkspaceConfig(wait_seconds=2.0),
    )


@asynccontextmanager
async def running(
    config: Config, worker: Callable[[], Any] = InlineWorker
) -> AsyncIterator[Definer]:
    spec = supervision.ChildSpec(
        "skills",
        partial(
            SkillsServer,
            "default",
            tuple(config.agents),
            partial(setting_of, config),
            1.0,
            Outside(worker=worker),
        ),
        name="default/skills",
    )
    async with supervision.open_supervisor([spec]):
        yield Definer(Current(config), "default")


async def define(
    definer: Definer, agent: str, model: str | None, session: str
) -> AgentDefinition:
    """As a session does it: in a process, to which all that comes of it are messages."""
    found = definer.define(agent, model, session)
    if isinstance(found, AgentDefinition):
        return found
    async with as_process():
        found.begin()
        while not found.ready:
            found.hear(cast("Heard", await supervision.receive()))
        return found.definition()


async def test_an_agent_is_told_its_files_behind_what_is_configured(
    tmp_path: Path, autojump_clock: object
):
    config = config_of(tmp_path, system="You are terse.")
    async with running(config) as definer:
        definition = await define(definer, "main", None, MAIN)
    assert definition.system is not None
    assert definition.system.startswith("You are terse.\n\n# Skills")
    assert "## BOOTSTRAP.md\n\n# The first conversation" in definition.system
    assert (tmp_path / "workspace" / "SOUL.md").exists()


async def test_the_next_turn_sees_what_has_changed(
    tmp_path: Path, autojump_clock: object
):
    async with running(config_of(tmp_path)) as definer:
        first = await define(definer, "main", None, MAIN)
        again = await define(definer, "main", None, MAIN)
        assert again is first
        (tmp_path / "workspace" / "MEMORY.md").write_text("likes tea")
        (tmp_path / "workspace" / "BOOTSTRAP.md").unlink()
        after = await define(definer, "main", None, MAIN)
        below = await define(definer, "main", None, SUB)
    assert after.system is not None
    assert after.hash != first.hash
    assert "likes tea" in after.system
    assert "BOOTSTRAP" not in after.system.partition("# Your workspace")[2]
    assert below.system is not None
    assert "likes tea" not in below.system


async def test_one_that_is_told_nothing_asks_nobody(tmp_path: Path):
    definer = Definer(
        Current(config_of(tmp_path, context="none", system="S")), "default"
    )
    async with supervision.open_supervisor([]):
        assert (await define(definer, "main", None, MAIN)).system == "S"
    assert not (tmp_path / "workspace").exists()


async def test_who_does_not_exist_is_told_at_once(tmp_path: Path):
    definer = Definer(Current(config_of(tmp_path)), "default")
    async with supervision.open_supervisor([]):
        with pytest.raises(UnknownAgent):
            await define(definer, "nobody", None, MAIN)


async def test_without_the_process_a_turn_waits_and_is_refused_in_words(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
):
    definer = Definer(Current(config_of(tmp_path)), "default")
    async with supervision.open_supervisor([]):
        with pytest.raises(Unready, match="is not there"):
            await define(definer, "main", None, MAIN)
    assert trio.current_time() >= 2.0


async def test_a_killed_process_delays_a_turn_and_nothing_else(
    tmp_path: Path, autojump_clock: object
):
    async with running(config_of(tmp_path)) as definer:
        pid = supervision.whereis("default/skills")
        assert pid is not None
        supervision.exit(pid, supervision.KILL)
        definition = await define(definer, "main", None, MAIN)
        assert definition.system is not None


async def test_without_the_process_an_agent_is_told_what_it_was_told_last(
    tmp_path: Path, autojump_clock: object
):
    async with running(config_of(tmp_path)) as definer:
        known = await define(definer, "main", None, MAIN)
    told: list[supervision.Event] = []
    detach = supervision.telemetry.attach(told.append)
    try:
        async with supervision.open_supervisor([]):
            assert await define(definer, "main", None, MAIN) is known
    finally:
        detach()
    unread = [one for one in told if one.name == "beamclaw.workspace.unread"]
    assert [one.metadata["agent"] for one in unread] == ["main"]


async def test_a_workspace_that_cannot_be_made_is_said(
    tmp_path: Path, autojump_clock: object
):
    (tmp_path / "workspace").write_text("a file in its place")
    async with running(config_of(tmp_path)) as definer:
        with pytest.raises(
            Unready, match=r"what the agent 'main' is to be told is missing: .*exists"
        ):
            await define(definer, "main", None, MAIN)


@attrs.define
class Stuck:
    """A worker that stops answering."""

    stuck: bool = False
    calls: int = 0
    gate: trio.Event | None = None

    async def run(self, fn: Callable[[], T]) -> T:
        self.calls += 1
        if self.stuck:
            await trio.sleep_forever()
        if self.gate is not None:
            await self.gate.wait()
        return fn()


async def test_a_slow_disk_at_the_start_is_waited_for_by_the_first_turn(
    tmp_path: Path, autojump_clock: object
):
    """Longer than one look may take, and no longer than a turn waits."""
    worker = Stuck(stuck=True)
    config = attrs.evolve(config_of(tmp_path), workspace=WorkspaceConfig())
    async with running(config, lambda: worker) as definer:
        await trio.sleep(1.5)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(define, definer, "main", None, MAIN)
            await trio.sleep(0.9)
            worker.stuck = False
        assert trio.current_time() == pytest.approx(1.5 + 2.0, abs=0.1)


async def test_a_disk_that_is_stuck_is_told_as_that(
    tmp_path: Path, autojump_clock: object
):
    worker = Stuck(stuck=True)
    config = attrs.evolve(
        config_of(tmp_path), workspace=WorkspaceConfig(wait_seconds=5.0)
    )
    async with running(config, lambda: worker) as definer:
        with pytest.raises(
            Unready, match="the disk with its workspace does not answer"
        ):
            await define(definer, "main", None, MAIN)
        assert trio.current_time() == pytest.approx(5.0, abs=0.1)


@attrs.frozen
class Slow:
    """A worker that takes so long for whatever it does."""

    seconds: float

    async def run(self, fn: Callable[[], T]) -> T:
        await trio.sleep(self.seconds)
        return fn()


async def test_a_first_turn_waits_for_a_machine_that_needs_longer_than_a_look_may_take(
    tmp_path: Path, autojump_clock: object
):
    config = attrs.evolve(config_of(tmp_path), workspace=WorkspaceConfig())
    async with running(config, partial(Slow, 12.0)) as definer:
        definition = await define(definer, "main", None, MAIN)
        assert definition.system is not None
        assert 10.0 < trio.current_time() < 60.0
        # What is known by now is told in the time that a look may take.
        before = trio.current_time()
        assert await define(definer, "main", None, MAIN) is definition
        assert trio.current_time() - before <= 2.0


async def test_a_process_that_is_busy_is_told_apart_from_one_that_is_not_there(
    tmp_path: Path, autojump_clock: object
):
    """It looks at all agents when it starts, one after the other."""
    agents = {f"a{number}": AgentConfig() for number in range(9)}
    config = attrs.evolve(config_of(tmp_path), agents={**agents, "main": AgentConfig()})
    async with running(config, partial(Slow, 0.9)) as definer:
        begun = trio.current_time()
        with pytest.raises(
            Unready, match=r"\(default/skills\) is there but has not answered for 2 s"
        ):
            await define(definer, "main", None, MAIN)
        assert trio.current_time() - begun == pytest.approx(2.0, abs=0.1)
    with pytest.raises(Unready, match=r"\(default/skills\) is not there"):
        async with supervision.open_supervisor([]):
            await define(definer, "main", None, MAIN)


async def test_what_is_given_up_is_heard_of_no_more(
    tmp_path: Path, autojump_clock: object
):
    worker = Stuck(stuck=True)
    async with running(config_of(tmp_path), lambda: worker) as definer, as_process():
        found = definer.define("main", None, MAIN)
        assert isinstance(found, Readying)
        found.begin()
        assert not found.ready
        found.give_up()
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=100)


async def test_what_comes_for_one_that_was_given_up_means_nothing_to_the_next(
    tmp_path: Path, autojump_clock: object
):
    async with running(config_of(tmp_path)) as definer, as_process():
        first = definer.define("main", None, MAIN)
        assert isinstance(first, Readying)
        first.begin()
        await trio.sleep(0.5)  # the reply is in the mailbox by now
        first.give_up()
        second = definer.define("main", None, MAIN)
        assert isinstance(second, Readying)
        second.begin()
        second.hear(cast("Heard", await supervision.receive()))
        assert not second.ready
        second.hear(cast("Heard", await supervision.receive()))
        assert second.definition().system is not None


async def test_what_is_configured_while_files_are_waited_for_holds_for_the_turn(
    tmp_path: Path, autojump_clock: object
):
    """As for its tools and limits: a turn has one configuration."""
    config = config_of(tmp_path, system="Before.")
    current = Current(config)
    async with running(config), as_process():
        found = Definer(current, "default").define("main", None, MAIN)
        assert isinstance(found, Readying)
        found.begin()
        current.change(config_of(tmp_path, system="After."))
        while not found.ready:
            found.hear(cast("Heard", await supervision.receive()))
        assert (found.definition().system or "").startswith("After.")


async def test_a_disk_that_does_not_answer_holds_turns_up_once_and_not_each(
    tmp_path: Path, autojump_clock: object
):
    worker = Stuck()
    async with running(config_of(tmp_path), lambda: worker) as definer:
        known = await define(definer, "main", None, MAIN)
        worker.stuck, before = True, trio.current_time()
        for _ in range(20):
            assert await define(definer, "main", None, MAIN) is known
        assert trio.current_time() - before <= 1.1
        worker.stuck = False
        await trio.sleep(5.1)
        (tmp_path / "workspace" / "MEMORY.md").write_text("back")
        assert (await define(definer, "main", None, MAIN)).hash != known.hash


async def test_turns_that_begin_together_share_one_look(tmp_path: Path):
    worker = Stuck()
    async with running(config_of(tmp_path), lambda: worker) as definer:
        await define(definer, "main", None, MAIN)
        before, worker.gate = worker.calls, trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(define, definer, "main", None, MAIN)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(50):
                nursery.start_soon(define, definer, "main", None, MAIN)
            await trio.testing.wait_all_tasks_blocked()
            worker.gate.set()
    # The one that was under way when they asked, and one for all who came meanwhile.
    assert worker.calls - before == 2


def test_no_file_is_read_on_the_loop(tmp_path: Path):
    """With the real worker, what looks is another thread."""
    seen: list[int] = []

    class Watching:
        async def run(self, fn: Callable[[], T]) -> T:
            def there() -> T:
                seen.append(threading.get_ident())
                return fn()

            return await trio.to_thread.run_sync(there)

    async def main() -> None:
        async with running(config_of(tmp_path), Watching) as definer:
            await define(definer, "main", None, MAIN)

    trio.run(main)
    assert seen
    assert threading.get_ident() not in seen
