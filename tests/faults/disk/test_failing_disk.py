"""A whole node on a disk that fails: what depends on it waits, the rest goes on."""
# ruff: noqa: ASYNC110 -- another process is looked at

import errno
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from beamclaw.contracts.store import DataFolderError
from beamclaw.storage import FolderLock
from tests.audit.book import read_book
from tests.faults.disk.shim import Control, environment
from tests.faults.disk.test_full_disk import ended, until
from tests.support.model import Model, open_model
from tests.support.node import Node, open_node, uses
from tests.support.wire import once

pytestmark = [pytest.mark.slow, pytest.mark.peer("cc"), pytest.mark.timeout(120)]

LOG = "/ledger.db-wal"
PATIENCE = 40.0


@asynccontextmanager
async def node_on(
    data: Path, model: Model, library: Path, control: Control
) -> AsyncIterator[Node]:
    env = {
        **uses(model.url, "t5-w0-g0"),
        **environment(library, data, control=control),
    }
    async with open_node(data, env=env) as node:
        yield node


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def answered(node: Node, text: str, session: str | None = None) -> None:
    """Sent under one key until it is answered, as clients do."""
    headers = {"Idempotency-Key": text}
    if session is not None:
        headers["x-openclaw-session-key"] = session
    with trio.fail_after(PATIENCE):
        while True:
            got = await node.complete(f"<<{text}>> say", headers)
            if got.status == 200:
                return
            assert got.status == 503, got
            await trio.sleep(0.1)


@pytest.mark.parametrize(
    "call, error",
    [("sync", errno.EIO), ("write", errno.EIO), ("write", errno.EDQUOT)],
)
async def test_one_failure_is_one_crash_of_the_ledger_and_nothing_is_lost(
    data, library, control, call, error
):
    async with open_model() as model, node_on(data, model, library, control) as node:
        await answered(node, "before")
        control.fail(call, files=LOG, error=error, times=1)
        await answered(node, "during")
        assert control.hits == 1
        await answered(node, "after")
        assert (await until(node, 200))["reasons"] == {}
        assert node.stderr().count('"supervision.process.crash"') >= 1
        assert await node.stop() == 0
    path = data / "tenants" / "default" / "ledger.db"
    assert ended(read_book(path)) == ["before", "during", "after"]


async def test_a_disk_that_keeps_failing_is_said_and_the_rest_goes_on(
    data, library, control
):
    async with open_model() as model, node_on(data, model, library, control) as node:
        await answered(node, "before")
        control.fail("sync", "write", files=LOG)
        refused = await node.complete("<<during>> say", {"Idempotency-Key": "during"})
        assert refused.status == 503
        unready = await until(node, 503)
        assert "default/ledger" in unready["failing"]
        assert "disk reported an error" in unready["reasons"]["default/ledger"]
        assert (await once(f"{node.base_url}/healthz")).status == 200
        assert (await node.get("/v1/models")).status == 200
        while "beamclaw.storage.failing" not in node.stderr():
            await trio.sleep(0.01)  # a thread writes the log
        control.work()
        await answered(node, "during")
        await until(node, 200)
        assert await node.stop() == 0
    path = data / "tenants" / "default" / "ledger.db"
    assert ended(read_book(path)) == ["before", "during"]


async def test_with_node_db_failing_too_the_node_stays_and_its_folder_stays_its_own(
    data, library, control
):
    async with open_model() as model, node_on(data, model, library, control) as node:
        await answered(node, "before")
        control.fail("sync", "write", files="-wal")
        refused = await node.complete("<<during>> say", {"Idempotency-Key": "during"})
        assert refused.status == 503
        with trio.fail_after(PATIENCE):
            while "store" not in (await until(node, 503))["reasons"]:
                await trio.sleep(0.05)
        with pytest.raises(DataFolderError, match=f"the node with pid {node.pid}"):
            FolderLock(data)
        assert (await node.get("/v1/models")).status == 200
        control.work()
        await answered(node, "during")
        assert (await until(node, 200))["reasons"] == {}
        assert await node.stop() == 0


async def test_a_file_found_damaged_while_it_runs_is_not_used_until_it_is_replaced(
    data, library, control
):
    path = data / "tenants" / "default" / "ledger.db"
    async with open_model() as model:
        async with node_on(data, model, library, control) as node:
            await answered(node, "before")
            await node.stop()
        backup = path.with_name("backup.db")
        shutil.copy(path, backup)
        whole = path.read_bytes()
        async with node_on(data, model, library, control) as node:
            # Behind its back: the disk gives other bytes than were written.
            with path.open("r+b") as file:
                file.seek(4096)
                file.write(bytes(len(whole) - 4096))
            got = await node.complete("<<during>> say", {"Idempotency-Key": "during"})
            assert got.status in {200, 503}
            unready = await until(node, 503)
            assert "damaged" in unready["reasons"]["default/ledger"]
            for side in ("-wal", "-shm"):
                path.with_name(f"ledger.db{side}").unlink(missing_ok=True)
            backup.rename(path)
            await until(node, 200)
            await answered(node, "after")
            assert await node.stop() == 0


async def test_after_kill_9_the_lock_is_free_and_a_copy_has_its_own(
    data, library, control, tmp_path
):
    async with open_model() as model:
        async with node_on(data, model, library, control) as node:
            await answered(node, "before")
            node.kill9()
            await node.wait()
        assert (data / "node.lock").read_text().strip() == str(node.pid)
        copy = tmp_path / "copy"
        shutil.copytree(data, copy, ignore=shutil.ignore_patterns("*.sock"))
        async with (
            node_on(data, model, library, control) as node,
            open_node(copy, env=uses(model.url, "t5-w0-g0")) as other,
        ):
            await answered(node, "after")
            await answered(other, "after")
