"""Sessions whose time is over are deleted, and their room in the file is used again."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts import lifecycle
from beamclaw.contracts.ledger import GetLedgerStatus
from beamclaw.contracts.ledger_reads import ReadRun, ReadSessions
from beamclaw.contracts.ledger_usage import ReadUsage
from beamclaw.contracts.lifecycle import DeleteSession, PutAway
from beamclaw.sessions import Retention

from .conftest import KEY, Model, Tenant
from .test_session import Held

Open = Callable[..., AbstractAsyncContextManager[Tenant]]
HOUR = 3_600.0
DAY = 24 * HOUR


async def keys() -> set[str]:
    rows = await supervision.call("default/ledger", ReadSessions(limit=1_000))
    return {row.key for row in rows}


async def test_the_session_of_a_single_request_goes_after_its_time(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    async with open_tenant(retention=Retention(request=DAY, every=60)) as tenant:
        await tenant.ask("one", key="agent:main:openai:1", ephemeral=True)
        await tenant.ask("lasting")
        await trio.sleep(HOUR)
        assert await keys() == {KEY, "agent:main:openai:1"}
        tenant.wall.add(DAY)
        await trio.sleep(120)
        assert await keys() == {KEY}


async def test_an_archived_session_goes_after_its_time(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    retention = Retention(archived=DAY, every=60)
    async with open_tenant(retention=retention, idle_seconds=10) as tenant:
        await tenant.ask("one")
        await tenant.ask("two", key="agent:main:x")
        away = PutAway(away=True)
        await lifecycle.order(tenant.bus, "default", "agent:main:x", away)
        tenant.wall.add(2 * DAY)
        await trio.sleep(120)
        assert await keys() == {KEY}


async def test_by_default_nothing_but_single_requests_is_ever_deleted(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    async with open_tenant(retention=Retention(request=DAY)) as tenant:
        await tenant.ask("one")
        await tenant.ask("two", key="agent:main:x")
        away = PutAway(away=True)
        await lifecycle.order(tenant.bus, "default", "agent:main:x", away)
        tenant.wall.add(1_000 * DAY)
        await trio.sleep(HOUR)
        assert await keys() == {KEY, "agent:main:x"}


async def test_a_session_that_works_is_left_alone(
    open_tenant: Open, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    async with open_tenant(retention=Retention(request=DAY, every=60)) as tenant:
        receipt = await tenant.send("one", key="agent:main:openai:1", ephemeral=True)
        await held.reached.wait()
        tenant.wall.add(2 * DAY)
        await trio.sleep(600)
        held.go.set()
        assert (await tenant.end(receipt)).text == "half done"


async def test_what_is_erased_is_told_and_what_was_spent_stays(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        await tenant.ask("one")
        spent = await supervision.call("default/ledger", ReadUsage())
        told: list[supervision.Event] = []
        detach = supervision.telemetry.attach(told.append)
        await lifecycle.order(tenant.bus, "default", KEY, DeleteSession())
        await trio.sleep(60)
        detach()
        rows = [e.measurements["rows"] for e in told if e.name.endswith("s.cleaned")]
        assert sum(rows) > 5
        assert await supervision.call("default/ledger", ReadUsage()) == spent
        run = await supervision.call("default/ledger", ReadRun("run-1"))
        assert run is not None
        assert (run.text, run.error_kind) == ("", "gone")


async def test_where_nothing_was_deleted_nothing_is_written(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    async with open_tenant(retention=Retention(request=DAY, every=60)) as tenant:
        await tenant.ask("one")
        await trio.sleep(HOUR)
        before = await supervision.call("default/ledger", GetLedgerStatus())
        await trio.sleep(HOUR)
        after = await supervision.call("default/ledger", GetLedgerStatus())
        assert after == before


async def test_a_cleanup_that_dies_is_gone_on_with(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    async with open_tenant(retention=Retention(every=60)) as tenant:
        for number in range(3):
            await tenant.ask("x" * 1_000, key=f"agent:main:{number}")
        for number in range(3):
            key = f"agent:main:{number}"
            await lifecycle.order(tenant.bus, "default", key, DeleteSession())
            await tenant.kill("default/cleanup")
            await tenant.there("default/cleanup")
        await trio.sleep(HOUR)
        counted = file_of(tenant).execute("SELECT count(*) FROM events").fetchone()
    assert counted == (0,)


def file_of(tenant: Tenant) -> sqlite3.Connection:
    return sqlite3.connect(tenant.folder / "ledger.db")


def pages(folder: Path) -> tuple[int, int]:
    """All pages of the file and the free ones."""
    file = sqlite3.connect(folder / "ledger.db")
    (count,) = file.execute("PRAGMA page_count").fetchone()
    (free,) = file.execute("PRAGMA freelist_count").fetchone()
    file.close()
    return count, free


@pytest.mark.slow
async def test_the_file_does_not_grow_with_what_comes_and_goes(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    used: list[int] = []
    retention = Retention(request=HOUR, every=60)
    async with open_tenant(retention=retention, repeats_seconds=HOUR) as tenant:
        await tenant.ask("lasting")
        for _ in range(8):
            for number in range(5):
                key = f"agent:main:openai:{tenant.sent}"
                text = f"{number} " * 12_000
                await tenant.ask(text, key=key, ephemeral=True)
            tenant.wall.add(4 * HOUR)
            await trio.sleep(600)
            count, free = pages(tenant.folder)
            used.append(count - free)
        assert await keys() == {KEY}
        assert max(used[2:]) <= used[2] + 8, used
        # What is free is not more than what is kept for what comes next.
        assert pages(tenant.folder)[1] <= 300


@pytest.mark.slow
async def test_the_file_gives_room_back(
    open_tenant: Open, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        await tenant.ask("x" * 1_000_000)
        full = pages(tmp_path)[0]
        await lifecycle.order(tenant.bus, "default", KEY, DeleteSession())
        await trio.sleep(600)
        await tenant.ask("y", key="agent:main:x")
        count, free = pages(tmp_path)
    assert free <= 300
    assert count < full - 200
