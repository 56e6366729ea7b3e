"""A turn whose agent's files are not known yet: it holds nobody up but itself."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.config.current import Current
from beamclaw.config.schema import AgentConfig, Config, ProviderConfig, WorkspaceConfig
from beamclaw.contracts import lifecycle, names
from beamclaw.contracts.lifecycle import (
    DeleteSession,
    PatchSession,
    ResetSession,
    TurnInProgress,
)
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.sessions import (
    HandTo,
    QueueMode,
    SetIntake,
    Waiting,
    abort,
)
from beamclaw.skills import Definer, SkillsServer, setting_of
from tests.beamclaw.sessions.conftest import KEY, Model, Tenant

T = TypeVar("T")
Opens = Callable[..., AbstractAsyncContextManager[Tenant]]
SESSION = names.session("default", KEY)


@attrs.define
class Disk:
    """A worker whose disk answers from some moment on."""

    back: trio.Event = attrs.field(factory=trio.Event)

    async def run(self, fn: Callable[[], T]) -> T:
        await self.back.wait()
        return fn()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def slow(
    tmp_path: Path, open_tenant: Opens, disk: Disk
) -> Callable[[], AbstractAsyncContextManager[Tenant]]:
    """A tenant whose agents' files lie on *disk*."""
    config = Config(
        data=tmp_path / "data",
        agents={
            "main": AgentConfig(model="test/m"),
            "other": AgentConfig(model="test/m", system="Other."),
        },
        providers={"test": ProviderConfig()},
        workspace=WorkspaceConfig(wait_seconds=60.0),
    )
    start = partial(
        SkillsServer,
        "default",
        tuple(config.agents),
        partial(setting_of, config),
        1.0,
        Outside(worker=lambda: disk),
    )
    definer = Definer(Current(config), "default")

    @asynccontextmanager
    async def opened() -> AsyncIterator[Tenant]:
        skills = supervision.ChildSpec("skills", start, name="default/skills")
        async with open_tenant(define=definer.define, others=[skills]) as tenant:
            yield tenant

    return opened


async def order(tenant: Tenant, request: supervision.Call[Any]) -> Any:
    return await lifecycle.order(tenant.bus, "default", KEY, request)


def state() -> Any:
    return supervision.state(SESSION)


async def begun(tenant: Tenant, text: str, **options: Any) -> Any:
    """A message whose turn waits."""
    receipt = await tenant.send(text, **options)
    await trio.sleep(5.0)
    assert state()["preparing"] == "files of agent main"
    return receipt


async def test_a_stop_ends_it_at_once(
    slow: Any, model: Model, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        receipt = await begun(tenant, "one")
        before = trio.current_time()
        assert await abort(tenant.bus, "default", KEY, receipt.run_id)
        ended = await tenant.end(receipt)
        assert (ended.outcome, ended.stop_reason) == ("aborted", "aborted")
        assert trio.current_time() - before < 0.1
        assert state()["preparing"] is None
    assert not model.calls


@pytest.mark.parametrize(("queued", "left"), [(False, 1), (True, 0)])
async def test_a_stop_of_what_is_in_progress_stops_it_and_leaves_what_waits_behind(
    slow: Any, disk: Disk, queued: bool, left: int, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        first = await begun(tenant, "one")
        second = await tenant.send("two")
        stopped = await lifecycle.stop(tenant.bus, "default", KEY, queued=queued)
        assert stopped[-1] == first.run_id
        assert (await tenant.end(first)).outcome == "aborted"
        await trio.sleep(1.0)
        assert state()["pending"] == left
        disk.back.set()
        outcome = (await tenant.end(second)).outcome
        assert outcome == ("ok" if left else "aborted")
        assert await lifecycle.stop(tenant.bus, "default", KEY, queued=queued) == []


async def test_who_looks_has_an_answer_at_once_that_names_what_is_waited_for(
    slow: Any, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        await begun(tenant, "one")
        before = trio.current_time()
        assert (await supervision.sys.get_status(SESSION, timeout=1.0)) is not None
        with pytest.raises(TurnInProgress, match="waits for files of agent main"):
            await order(tenant, ResetSession())
        assert await order(tenant, PatchSession(changes={"label": "mine"}))
        assert trio.current_time() - before < 0.1


async def test_whoever_follows_it_is_told_what_it_waits_for(
    slow: Any, disk: Disk, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        with tenant.bus.subscribe(names.topic("default", KEY)) as subscription:
            receipt = await begun(tenant, "one")
            while not isinstance(told := await subscription.receive(), Waiting):
                pass
            assert told == Waiting(receipt.run_id, "files", "files of agent main")
        disk.back.set()
        assert (await tenant.end(receipt)).text == "you said: one"


async def test_files_that_come_late_begin_it(
    slow: Any, disk: Disk, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        receipt = await begun(tenant, "one")
        await trio.sleep(25.0)
        disk.back.set()
        assert (await tenant.end(receipt)).text == "you said: one"
        # From now on they are known, and waited for no more.
        before = trio.current_time()
        assert (await tenant.ask("two")).text == "you said: two"
        assert trio.current_time() - before < 0.5


async def test_files_that_never_come_end_it_in_words(
    slow: Any, model: Model, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        before = trio.current_time()
        ended = await tenant.ask("one")
        assert trio.current_time() - before == pytest.approx(60.0, abs=1.0)
        assert ended.outcome == "error"
        assert "what the agent 'main' is to be told is missing" in (ended.error or "")
    assert not model.calls


@pytest.mark.parametrize("mode", ["followup", "steer", "collect"])
async def test_a_second_message_is_queued_as_behind_a_turn_in_progress(
    slow: Any, disk: Disk, model: Model, mode: QueueMode, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        first = await begun(tenant, "one", queue=mode)
        second = await tenant.send("two", queue=mode)
        await trio.testing.wait_all_tasks_blocked()
        assert state()["pending"] == 2
        disk.back.set()
        for receipt in (first, second):
            assert (await tenant.end(receipt)).outcome == "ok"
    asked = [
        [each.text for each in call.messages if each.role == "user"]
        for call in model.calls
    ]
    assert asked == [["one"], ["one", "two"]]


async def test_a_message_that_interrupts_stops_it_when_it_begins(
    slow: Any, disk: Disk, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        first = await begun(tenant, "one")
        second = await tenant.send("two", queue="interrupt")
        await trio.sleep(5.0)
        disk.back.set()
        assert (await tenant.end(first)).outcome == "aborted"
        assert (await tenant.end(second)).text == "you said: two"


@pytest.mark.parametrize(
    "request_", [ResetSession(stop=True), DeleteSession(stop=True)]
)
async def test_an_order_that_ends_a_turn_ends_it(
    slow: Any, disk: Disk, request_: Any, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        first = await begun(tenant, "one")
        before = trio.current_time()
        assert await order(tenant, request_)
        assert (await tenant.end(first)).outcome == "aborted"
        assert trio.current_time() - before < 0.1
        disk.back.set()
        assert (await tenant.ask("two")).text == "you said: two"


async def test_what_is_set_meanwhile_holds_for_it(
    slow: Any, disk: Disk, model: Model, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        receipt = await begun(tenant, "one")
        assert await order(tenant, PatchSession(changes={"model": "test/better"}))
        await tenant.bus.call(SESSION, HandTo(agent="other", by="test"), timeout=1.0)
        assert state()["preparing"] == "files of agent main"
        disk.back.set()
        assert (await tenant.end(receipt)).outcome == "ok"
    assert model.calls[-1].model == "better"
    assert model.calls[-1].messages[0].text.startswith("Other.")


async def test_a_node_that_drains_begins_it_later(
    slow: Any, disk: Disk, model: Model, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        receipt = await begun(tenant, "one")
        door = names.of_tenant("default", "sessions")
        await tenant.bus.call(door, SetIntake(open=False))
        disk.back.set()
        await trio.sleep(5.0)
        assert state()["preparing"] is None
        assert not model.calls
        await tenant.bus.call(door, SetIntake(open=True))
        assert (await tenant.end(receipt)).text == "you said: one"


@pytest.mark.parametrize("who", [SESSION, "default/skills", "default/sessions"])
async def test_whoever_dies_meanwhile_the_message_is_answered_once(
    slow: Any, disk: Disk, model: Model, who: str, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        receipt = await begun(tenant, "one")
        await tenant.kill(who)
        await tenant.there(who)
        await trio.sleep(1.0)
        assert state()["preparing"] == "files of agent main"
        disk.back.set()
        assert (await tenant.end(receipt)).text == "you said: one"
    assert len(model.calls) == 1


async def test_a_stop_works_while_nobody_reads_files_at_all(
    slow: Any, autojump_clock: MockClock
) -> None:
    async with slow() as tenant:
        await supervision.terminate_child(tenant.top, "skills")
        receipt = await begun(tenant, "one")
        before = trio.current_time()
        assert await abort(tenant.bus, "default", KEY, receipt.run_id)
        assert (await tenant.end(receipt)).outcome == "aborted"
        assert trio.current_time() - before < 0.1
