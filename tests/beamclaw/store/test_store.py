"""node.db and the lock of the data folder."""
# ruff: noqa: ASYNC110 -- what goes on in a thread is looked for

import stat
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

import supervision
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.store import (
    ClaimTenant,
    DataFolderError,
    GetStoreStatus,
    StoreStatus,
)
from beamclaw.contracts.troubles import Troubles
from beamclaw.storage import Driver, FolderLock, StillOpen
from beamclaw.store import StoreServer
from supervision.testing import wait_exit, wait_name
from tests.support.ledgers import connect_with, disk_broken, disk_full

OUTSIDES = [Outside(), Outside(threads=False, worker=InlineWorker)]


@asynccontextmanager
async def open_store(data, outside=OUTSIDES[0], name="store", **options):
    spec = supervision.ChildSpec(
        "store", partial(StoreServer, data, outside, **options), name=name
    )
    async with supervision.open_supervisor([spec]):
        yield


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


async def claim(tenant: str = "default") -> int:
    return await supervision.call("store", ClaimTenant(tenant))


def why(caught) -> str:
    reason = caught.value.reason
    assert isinstance(reason, supervision.Crash)
    assert isinstance(reason.error, DataFolderError)
    return str(reason.error)


@pytest.mark.parametrize("outside", OUTSIDES, ids=["thread", "inline"])
async def test_each_claim_of_a_tenant_gets_a_higher_epoch(data, outside):
    async with open_store(data, outside):
        assert [await claim(), await claim(), await claim("other")] == [1, 2, 1]
    async with open_store(data, outside):
        assert await claim() == 3
        assert await supervision.call("store", GetStoreStatus()) == StoreStatus(
            path=str(data / "node.db"), schema=3, epochs={"default": 3, "other": 1}
        )


async def test_the_folder_and_all_in_it_are_private(data):
    async with open_store(data):
        await claim()
        files = {file.name: file for file in data.iterdir()}
        assert set(files) == {"node.lock", "node.db", "node.db-wal", "node.db-shm"}
        modes = {stat.S_IMODE(file.stat().st_mode) for file in files.values()}
        assert modes == {0o600}
        assert stat.S_IMODE(data.stat().st_mode) == 0o700


@pytest.mark.parametrize("outside", OUTSIDES, ids=["thread", "inline"])
async def test_it_holds_the_folder_while_it_lives(data, outside):
    async with open_store(data, outside):
        with pytest.raises(DataFolderError, match="in use by the node with pid"):
            FolderLock(data)
    FolderLock(data).release()


@pytest.mark.parametrize("outside", OUTSIDES, ids=["thread", "inline"])
async def test_a_killed_store_is_back_and_holds_the_folder_again(data, outside):
    async with open_store(data, outside):
        assert await claim() == 1
        pid = supervision.whereis("store")
        assert pid is not None
        supervision.exit(pid, supervision.KILL)
        await wait_exit(pid)
        await wait_name("store")
        assert await claim() == 2
        with pytest.raises(DataFolderError, match="in use"):
            FolderLock(data)


async def test_a_second_one_is_refused_in_words(data):
    async with open_store(data):
        with pytest.raises(supervision.StartFailed) as caught:
            async with open_store(data, name="second"):
                pass
        assert f"data folder {data} is in use by the node with pid" in why(caught)
        assert await claim() == 1


async def test_a_folder_held_by_another_node_is_refused_in_words(data):
    data.mkdir()
    lock = FolderLock(data)
    with pytest.raises(supervision.StartFailed) as caught:
        async with open_store(data):
            pass
    assert "choose another folder with --data" in why(caught)
    assert not (data / "node.db").exists()
    lock.release()


async def test_a_damaged_file_is_refused_and_the_folder_let_go(data):
    data.mkdir()
    (data / "node.db").write_bytes(b"")
    with pytest.raises(supervision.StartFailed) as caught:
        async with open_store(data):
            pass
    assert "is damaged: it is empty" in why(caught)
    assert (data / "node.db").read_bytes() == b""
    FolderLock(data).release()


async def test_a_disk_that_fails_crashes_it_and_it_is_tried_again(data):
    broken = False

    def fault(sql: str) -> None:
        nonlocal broken
        if broken and sql == "COMMIT":
            broken = False
            raise disk_broken()

    async with open_store(data, connect=connect_with(fault)):
        pid = supervision.whereis("store")
        assert pid is not None
        broken = True
        with pytest.raises(DataFolderError, match="the disk reported an error"):
            await claim()
        await wait_exit(pid)
        await wait_name("store")
        assert await claim() in {1, 2}


async def test_what_there_is_to_see_of_it(data):
    async with open_store(data):
        assert supervision.state("store") == {"data": str(data)}


async def test_on_a_full_disk_a_claim_is_refused_in_words_and_works_later(data):
    full = True

    def fault(sql: str) -> None:
        if full and "INSERT INTO tenants" in sql:
            raise disk_full()

    async with open_store(data, connect=connect_with(fault)):
        with pytest.raises(
            DataFolderError, match="cannot be written: the disk is full"
        ):
            await claim()
        full = False
        assert await claim() == 1


async def test_while_it_is_down_no_other_node_gets_the_folder(data, autojump_clock):
    failing, troubles = False, Troubles()

    def fault(sql: str) -> None:
        if failing:
            raise disk_broken()

    options = {"connect": connect_with(fault), "troubles": troubles}
    spec = supervision.ChildSpec(
        "store",
        partial(StoreServer, data, OUTSIDES[1], **options),
        name="store",
        cool_down=supervision.CoolDown(first=1.0, factor=1.0, most=1.0, jitter=0.0),
    )
    async with supervision.open_supervisor([spec]):
        await claim()
        failing = True
        with pytest.raises(DataFolderError, match="the disk reported an error"):
            await claim()
        for _ in range(5):
            await trio.sleep(0.7)
            assert "the disk reported an error" in str(troubles.of("store"))
            with pytest.raises(DataFolderError, match="in use by the node with pid"):
                FolderLock(data)
        failing = False
        await wait_name("store")
        while troubles.of("store") is not None:
            await trio.sleep(0.1)
        assert await claim() in {2, 3}
    FolderLock(data).release()


async def test_a_thread_that_hangs_is_not_told_as_another_node(data, monkeypatch):
    def hangs(self: object) -> None:
        raise StillOpen("the writer of node.db has not answered for 10 s")

    monkeypatch.setattr(Driver, "open", hangs)
    with pytest.raises(supervision.StartFailed) as caught:
        async with open_store(data):
            pass
    assert "has not answered for 10 s" in why(caught)
    assert "in use" not in why(caught)


async def test_a_full_disk_does_not_keep_the_folder_from_being_locked(
    data, monkeypatch
):
    """Who needs room there says that it is full, in its own words."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    data.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        lock = FolderLock(data)
    with pytest.raises(DataFolderError, match="in use by the node;"):
        FolderLock(data)
    lock.release()
