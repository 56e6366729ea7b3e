"""Whoever waits hears of the end, whatever dies between the commit and the word of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock, wait_all_tasks_blocked

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.sessions import Joined, RunEnded, abort
from beamclaw.testing.world import World
from tests.beamclaw.sessions.conftest import KEY, Model, Tenant
from tests.beamclaw.sessions.test_tools import Hold, report, say, use

SESSION = names.session("default", KEY)


@pytest.mark.parametrize("victim", ["default/ledger", "default/sessions"])
async def test_an_end_that_was_written_and_not_told_is_told_by_who_comes_after(
    tenant: Tenant, autojump_clock: MockClock, monkeypatch, victim: str
) -> None:
    publish = tenant.bus.publish

    def die(topic: str, value: object) -> int:
        if not isinstance(value, RunEnded):
            return publish(topic, value)
        monkeypatch.undo()
        for name in (SESSION, victim):
            pid = supervision.whereis(name)
            assert pid is not None
            supervision.exit(pid, supervision.KILL)
        return 0

    monkeypatch.setattr(tenant.bus, "publish", die)
    with trio.fail_after(60):
        end = await tenant.ask("hello")
    assert (end.outcome, end.text) == ("ok", "you said: hello")


@pytest.mark.parametrize("reason", [supervision.Shutdown("aborted"), supervision.KILL])
async def test_a_message_that_was_taken_over_and_not_told_so_gets_that_answer(
    *,
    tenant: Tenant,
    model: Model,
    tmp_path: Path,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    reason: supervision.ExitReason,
) -> None:
    publish = tenant.bus.publish

    def die(topic: str, value: object) -> int:
        if not isinstance(value, Joined):
            return publish(topic, value)
        monkeypatch.undo()
        run = supervision.whereis("default/run/run-1")
        assert run is not None
        supervision.exit(run, reason)
        return 0

    world = World(tmp_path / "world")
    model.tools.update(world.tools())
    hold = world.before = Hold()
    model.scripts = [use(("put", {})), say("both")]
    first = await tenant.send("one")
    await hold.reached.wait()
    second = await tenant.send("two", queue="steer")
    ends: dict[str, RunEnded] = {}

    async def follow(receipt: Receipt) -> None:
        ends[receipt.run_id] = await tenant.end(receipt)

    async with trio.open_nursery() as nursery:
        for each in (first, second):
            nursery.start_soon(follow, each)
        await wait_all_tasks_blocked()
        monkeypatch.setattr(tenant.bus, "publish", die)
        hold.release.set()
    outcomes = {end.outcome for end in ends.values()}
    assert outcomes == {"aborted" if reason != supervision.KILL else "ok"}


async def test_a_message_whose_sender_left_meanwhile_is_answered(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    """It is in the inbox; its sender sends it again, or nobody ever does."""
    receipts: list[Receipt] = []

    async def send_and_leave() -> None:
        receipts.append(await tenant.send("hello", external_id="one"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_and_leave)
        await trio.lowlevel.checkpoint()  # it is on its way to the ledger
        nursery.cancel_scope.cancel()
    assert not receipts
    await wait_all_tasks_blocked()
    receipt = await tenant.send("hello", external_id="one")
    assert receipt.duplicate
    with trio.fail_after(60):
        assert (await tenant.end(receipt)).text == "you said: hello"


async def test_a_call_that_cannot_be_begun_is_refused_and_the_turn_goes_on(
    tenant: Tenant, model: Model, tmp_path: Path, autojump_clock: MockClock
) -> None:
    hold = Hold(times=10)
    world = World(tmp_path / "world", before=hold)
    model.tools.update(world.tools())
    model.scripts = [use(*[("look", {})] * 10), use(("send", {})), report]
    other = await tenant.send("hello", key="agent:main:other")
    await hold.reached.wait()
    await wait_all_tasks_blocked()
    with trio.fail_after(60):
        end = await tenant.ask("hello")
    assert end.outcome == "ok"
    assert "call_0=it was not carried out, try again later" in end.text
    assert world.effects("send") == []
    hold.release.set()
    assert (await tenant.end(other)).outcome == "ok"


async def test_a_message_that_finds_no_place_can_be_stopped(
    open_tenant: Callable[..., object],
    model: Model,
    tmp_path: Path,
    autojump_clock: MockClock,
) -> None:
    held = trio.Event()

    async def hold(request):
        await held.wait()
        async for event in echo(request):
            yield event

    echo = model.scripts[0]
    model.scripts = [hold, echo]
    async with open_tenant(max_awake=1) as tenant:  # type: ignore[attr-defined]
        first = await tenant.send("one")
        await wait_all_tasks_blocked()
        second = await tenant.send("two", key="agent:main:other")
        with pytest.raises(Exception, match="no place"):
            await abort(tenant.bus, "default", second.session_key, second.run_id)
        held.set()
        assert (await tenant.end(first)).outcome == "ok"
