"""The ledger's process: how it starts, dies and comes back."""
# ruff: noqa: ASYNC110 -- what goes on in a thread is looked for

import shutil
import sqlite3
import threading
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import trio
import trio.lowlevel

import supervision
from beamclaw.contracts.ledger import GetLedgerStatus
from beamclaw.contracts.ledger_errors import (
    LedgerError,
    StaleClaim,
    StorageFailed,
    StorageFull,
)
from beamclaw.contracts.ledger_usage import ReadUsage
from beamclaw.contracts.store import DataFolderError
from beamclaw.contracts.troubles import Troubles
from beamclaw.ledger import Owner
from beamclaw.ledger.schema import LEDGER
from beamclaw.ledger.server import LOOK_AGAIN
from beamclaw.storage import connect_sqlite, is_pending
from supervision.testing import settle
from tests.support.ledgers import (
    INLINE,
    NAME,
    THREADS,
    Client,
    Epochs,
    connect_with,
    disk_broken,
    disk_error,
    disk_full,
    event,
    open_ledger,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tenants" / "default" / "ledger.db"


async def wait_for_new(epoch: int) -> None:
    """Until a ledger with a newer epoch is there."""
    with trio.fail_after(60):
        while True:
            entry = supervision.lookup(NAME)
            value = None if entry is None else entry.value
            if isinstance(value, Owner) and value.owner_epoch > epoch:
                return
            await trio.sleep(0.001)


async def test_its_name_says_under_which_epoch_it_writes(path):
    async with open_ledger(path, Epochs(6)):
        entry = supervision.lookup(NAME)
        assert entry is not None
        assert entry.value == Owner(7)


async def test_a_ledger_that_opens_is_told_of_and_whether_it_was_mended(path, tmp_path):
    opened: list[supervision.Event] = []

    def note(heard: supervision.Event) -> None:
        if heard.name == "beamclaw.ledger.opened":
            opened.append(heard)

    detach = supervision.telemetry.attach(note)
    left = tmp_path / "killed" / "ledger.db"
    async with open_ledger(path) as ledger:
        await ledger.accept()
        # As a node that is killed now would leave it: with its log.
        shutil.copytree(path.parent, left.parent)
    for each in (path, left):
        async with open_ledger(each, Epochs(6)) as ledger:
            assert (await ledger.call(GetLedgerStatus())).inbox_depth == 1
    detach()
    assert [each.metadata["mended"] for each in opened] == [False, False, True]
    last = opened[-1]
    told = {**last.metadata, "mended": None}
    assert told == {
        "tenant": "default",
        "name": "ledger.db",
        "schema": LEDGER.version,
        "mended": None,
    }
    assert 0 < last.measurements["seconds"] < 60


@pytest.mark.parametrize("outside", [THREADS, INLINE], ids=["thread", "inline"])
async def test_a_killed_ledger_is_back_under_a_newer_epoch(path, outside):
    async with open_ledger(path, outside=outside) as ledger:
        await ledger.begin()
        for epoch in (1, 2):
            pid = supervision.whereis(NAME)
            assert pid is not None
            supervision.exit(pid, supervision.KILL)
            await wait_for_new(epoch)
            assert (await ledger.read()).seq == 1
        with pytest.raises(StaleClaim):
            await ledger.commit(event(), run="r1", epoch=1)
        assert await ledger.commit(event(), run="r1") == 2


async def test_the_next_one_starts_only_when_the_old_thread_is_done(path):
    """Killed in the middle of a commit, whose fate is then known to the next one."""
    at_commit, go_on, armed = threading.Event(), threading.Event(), False

    def fault(sql: str) -> None:
        nonlocal armed
        if armed and sql == "COMMIT":
            armed = False
            at_commit.set()
            assert go_on.wait(20)

    epochs = Epochs()
    async with open_ledger(path, epochs, connect=connect_with(fault)) as ledger:
        await ledger.accept()
        errors: list[Exception] = []

        async def write() -> None:
            try:
                await ledger.commit(event())
            except supervision.CallFailed as error:
                errors.append(error)

        armed = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            while not at_commit.is_set():
                await trio.lowlevel.checkpoint()
            pid = supervision.whereis(NAME)
            assert pid is not None
            supervision.exit(pid, supervision.KILL)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert epochs.last == 2  # the next one is starting, and waits
            entry = supervision.lookup(NAME)
            assert entry is None or entry.value is None
            go_on.set()
            await wait_for_new(1)
        assert len(errors) == 1  # the caller knew that it did not know
        assert (await ledger.read()).seq == 1


@pytest.mark.parametrize("outside", [THREADS, INLINE], ids=["thread", "inline"])
async def test_an_error_at_commit_fails_all_who_wait_and_it_reads_again(path, outside):
    broken = False

    def fault(sql: str) -> None:
        nonlocal broken
        if broken and sql == "COMMIT":
            broken = False
            raise disk_broken()

    options = {"outside": outside, "connect": connect_with(fault)}
    async with open_ledger(path, **options) as ledger:
        for number in range(5):
            await ledger.accept(f"r{number}", f"k{number}")
        broken = True
        outcomes: list[object] = []

        async def write(number: int) -> None:
            try:
                outcomes.append(await ledger.commit(event(), key=f"k{number}"))
            except (StorageFailed, supervision.CallFailed) as error:
                outcomes.append(error)

        pid = supervision.whereis(NAME)
        assert pid is not None
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(write, number)
        assert any(isinstance(outcome, StorageFailed) for outcome in outcomes)
        await wait_for_new(1)
        assert not supervision.is_alive(pid)
        for number in range(5):
            key = f"k{number}"
            seq = (await ledger.read(key)).seq
            assert await ledger.commit(event(), key=key, seq=seq) == seq + 1


async def test_an_error_at_commit_says_what_to_do(path):
    broken = False

    def fault(sql: str) -> None:
        if broken and sql == "COMMIT":
            raise disk_broken()

    async with open_ledger(path, connect=connect_with(fault)) as ledger:
        await ledger.accept()
        broken = True
        with pytest.raises(StorageFailed, match="the disk reported an error") as caught:
            await ledger.commit(event())
        assert "read again what was written" in str(caught.value)
        broken = False
        await wait_for_new(1)


async def test_a_bug_in_the_writers_thread_crashes_the_process(path):
    armed = False

    def fault(sql: str) -> None:
        nonlocal armed
        if armed and "INSERT INTO events" in sql:
            armed = False
            raise LookupError("never expected")

    async with open_ledger(path, connect=connect_with(fault)) as ledger:
        await ledger.accept()
        armed = True
        with pytest.raises(StorageFailed, match="LookupError: never expected"):
            await ledger.commit(event())
        await wait_for_new(1)
        assert await ledger.commit(event()) == 1


@pytest.fixture
def full():
    """A switch: while it is set, the disk has no room."""
    return threading.Event()


def no_room(full: threading.Event, *where: str):
    """Connections of a disk that is full when told, found out *where*."""

    here = threading.local()

    def fault(sql: str) -> None:
        if sql.startswith("BEGIN"):
            here.writes = sql == "BEGIN IMMEDIATE"
        elif full.is_set() and here.writes and sql.strip().startswith(where):
            raise disk_full()

    return connect_with(fault)


@pytest.mark.parametrize("where", ["INSERT INTO inbox", "COMMIT"])
async def test_on_a_full_disk_a_message_is_refused_in_words(path, full, where):
    async with open_ledger(path, connect=no_room(full, where)) as ledger:
        full.set()
        with pytest.raises(StorageFull, match="nothing was written: the disk is full"):
            await ledger.accept()
        full.clear()
        assert not (await ledger.accept()).duplicate
        assert ledger.epoch == 1


# With a writer's thread: tests/faults/disk/test_full_disk.py. This clock would outrun it.
@pytest.mark.parametrize("where", ["INSERT INTO events", "COMMIT"])
async def test_on_a_full_disk_commits_wait_until_there_is_room(
    path, full, where, autojump_clock
):
    troubles = Troubles()
    options = {"connect": no_room(full, where), "troubles": troubles}
    async with open_ledger(path, outside=INLINE, **options) as ledger:
        for number in range(3):
            await ledger.accept(f"r{number}", f"k{number}")
        full.set()
        written: list[str] = []

        async def write(key: str) -> None:
            await ledger.commit(event(), key=key)
            written.append(key)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(write, f"k{number}")
            while supervision.state(NAME)["held"] != 3:
                await trio.sleep(0.01)
            assert (await ledger.read("k1")).seq == 0
            assert "the disk is full" in str(troubles.of(NAME))
            await trio.sleep(10 * LOOK_AGAIN)
            assert written == []
            full.clear()
        assert sorted(written) == ["k0", "k1", "k2"]
        assert ledger.epoch == 1
        while troubles.of(NAME) is not None:
            await trio.sleep(0.01)


@pytest.mark.slow
async def test_of_who_died_meanwhile_nothing_is_written(path, full, autojump_clock):
    options: dict[str, Any] = {"connect": no_room(full, "INSERT INTO events")}
    async with open_ledger(path, outside=INLINE, **options) as ledger:
        await ledger.accept()
        full.set()
        pid = supervision.spawn(ledger.commit, event())
        while supervision.state(NAME)["held"] != 1:
            await trio.sleep(0.01)
        supervision.exit(pid, supervision.KILL)
        full.clear()
        await trio.sleep(3 * LOOK_AGAIN)
        assert (await ledger.read()).seq == 0
        assert await ledger.commit(event()) == 1


async def test_at_an_orderly_end_what_waits_for_room_is_told(path, full):
    told: list[str] = []

    async def write(ledger: Client) -> None:
        try:
            await ledger.commit(event())
        except (StorageFull, supervision.CallFailed) as error:
            told.append(type(error).__name__)

    async with open_ledger(path, connect=no_room(full, "INSERT INTO events")) as ledger:
        await ledger.accept()
        full.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, ledger)
            while supervision.state(NAME)["held"] != 1:
                await trio.lowlevel.checkpoint()
            await supervision.stop(NAME, supervision.SHUTDOWN)
        full.clear()
        await wait_for_new(1)
        assert told == ["StorageFull"]


@pytest.mark.parametrize("at", ["INSERT INTO events", "SELECT owner_epoch FROM meta"])
async def test_a_sync_that_failed_ends_it_wherever_it_failed(path, at):
    broken = False

    def fault(sql: str) -> None:
        nonlocal broken
        if broken and sql.strip().startswith(at):
            broken = False
            raise disk_broken()

    async with open_ledger(path, connect=connect_with(fault)) as ledger:
        await ledger.accept()
        broken = True
        with pytest.raises(StorageFailed, match="the disk reported an error"):
            await ledger.commit(event())
        await wait_for_new(1)


async def test_a_claim_whose_sync_failed_stays_in_the_log(path):
    """It can be read there and may not be on the disk: the next one writes it again."""
    broken = False

    class Loses(sqlite3.Connection):
        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            nonlocal broken
            done = super().execute(sql, *rest)
            if broken and sql == "COMMIT":
                broken = False
                raise disk_broken()
            return done

    def connect(uri: str) -> sqlite3.Connection:
        options: Any = {"check_same_thread": False, "factory": Loses}
        return sqlite3.connect(uri, uri=True, isolation_level=None, **options)

    async with open_ledger(path, connect=connect) as ledger:
        await ledger.accept()
    broken = True
    with pytest.raises(supervision.StartFailed, match="the disk reported an error"):
        async with open_ledger(path, Epochs(1), connect=connect):
            pass
    assert is_pending(path)
    async with open_ledger(path, Epochs(2), connect=connect) as ledger:
        assert await ledger.commit(event()) == 1


async def test_a_transaction_that_cannot_be_taken_back_ends_it(path):
    broken = False

    def fault(sql: str) -> None:
        if broken and sql.strip().startswith(("INSERT INTO events", "ROLLBACK")):
            raise disk_error("SQLITE_IOERR_WRITE", 778, "disk I/O error")

    async with open_ledger(path, connect=connect_with(fault)) as ledger:
        await ledger.accept()
        broken = True
        with pytest.raises(StorageFailed, match="the disk reported an error"):
            await ledger.commit(event())
        broken = False
        await wait_for_new(1)
        assert await ledger.commit(event()) == 1


async def test_a_disk_that_fails_before_the_commit_is_one_callers_and_an_alarm(
    path, autojump_clock
):
    broken, troubles = False, Troubles()

    def fault(sql: str) -> None:
        if broken and "INSERT INTO events" in sql:
            raise disk_error("SQLITE_IOERR_READ", 266, "disk I/O error")

    options = {"connect": connect_with(fault), "troubles": troubles}
    async with open_ledger(path, **options) as ledger:
        await ledger.accept()
        broken = True
        with pytest.raises(LedgerError, match="the disk reported an error"):
            await ledger.commit(event())
        assert "the disk reported an error" in str(troubles.of(NAME))
        broken = False
        await trio.sleep(2 * LOOK_AGAIN)
        while troubles.of(NAME) is not None:
            await trio.sleep(0.01)
        assert ledger.epoch == 1


@pytest.mark.parametrize("request_", [None, ReadUsage()], ids=["writing", "reading"])
async def test_a_file_found_damaged_is_looked_through_before_it_is_used_again(
    path, request_
):
    damaged, looked, troubles = False, 0, Troubles()

    def fault(sql: str) -> None:
        nonlocal looked
        looked += "quick_check" in sql
        if damaged and ("INSERT INTO events" in sql or "FROM usage WHERE" in sql):
            raise disk_error("SQLITE_CORRUPT", 11, "database disk image is malformed")

    options = {"connect": connect_with(fault), "troubles": troubles}
    async with open_ledger(path, **options) as ledger:
        await ledger.accept()
        damaged = True
        with pytest.raises(StorageFailed, match="the file is damaged"):
            if request_ is None:
                await ledger.commit(event())
            else:
                await ledger.call(request_)
        damaged = False
        await wait_for_new(1)
        assert looked == 1
        assert troubles.of(NAME) is None  # nothing was found in it
        assert await ledger.commit(event()) == 1


async def test_a_slow_read_holds_up_no_commit(path):
    reading, go_on = threading.Event(), threading.Event()

    def fault(sql: str) -> None:
        if "FROM usage WHERE" in sql:
            reading.set()
            assert go_on.wait(20)

    async with open_ledger(path, connect=connect_with(fault)) as ledger:
        await ledger.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger.call, ReadUsage())
            while not reading.is_set():
                await trio.lowlevel.checkpoint()
            for number in range(5):
                assert await ledger.commit(event()) == number + 1
            go_on.set()


async def test_a_caller_that_leaves_hurts_nobody(path):
    async with open_ledger(path) as ledger:
        await ledger.accept()
        with trio.CancelScope() as scope:
            scope.cancel()
            await ledger.commit(event())
        await ledger.commit(seq=None)  # whatever came before it is decided now
        seq = (await ledger.read()).seq
        assert await ledger.commit(event(), seq=seq) == seq + 1


async def test_what_was_queued_is_written_before_an_orderly_end(path):
    epochs = Epochs()
    async with open_ledger(path, epochs) as ledger:
        await ledger.accept()

        async def write() -> None:
            with suppress(supervision.CallFailed):
                await ledger.commit(event())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await settle()
            pid = supervision.whereis(NAME)
            assert pid is not None
            await supervision.stop(NAME, supervision.SHUTDOWN)
        await wait_for_new(1)
        assert (await ledger.read()).seq == 1
    assert [file.name for file in path.parent.iterdir()] == ["ledger.db"]


async def test_it_does_not_start_on_a_damaged_file(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"I am no ledger" * 100)
    with pytest.raises(supervision.StartFailed) as caught:
        async with open_ledger(path):
            pass
    reason = caught.value.reason
    assert isinstance(reason, supervision.Crash)
    assert isinstance(reason.error, DataFolderError)
    assert "the ledger" in str(reason.error)
    assert path.read_bytes() == b"I am no ledger" * 100


async def test_an_older_owner_epoch_than_the_files_is_refused(path):
    async with open_ledger(path, Epochs(4)):
        pass
    for last in (0, 4):
        with pytest.raises(supervision.StartFailed) as caught:
            async with open_ledger(path, Epochs(last)):
                pass
        assert "written at owner epoch 5" in str(caught.value.reason)


async def test_a_ledger_that_another_node_took_over_writes_no_more(path):
    """Should two nodes ever be on one folder: the newer one keeps it."""
    async with open_ledger(path) as ledger:
        await ledger.accept()
        other = sqlite3.connect(path)
        with other:
            other.execute("UPDATE meta SET owner_epoch = 2")
        other.close()
        pid = supervision.whereis(NAME)
        with pytest.raises(StorageFailed, match="another node has taken the ledger"):
            await ledger.commit(event())
        await wait_for_new(2)
        assert supervision.whereis(NAME) != pid
        assert (await ledger.read()).seq == 0


async def test_a_file_that_is_locked_from_outside_is_told_to_all_at_once(path):
    def connect(uri: str) -> sqlite3.Connection:
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=0
        )

    async with open_ledger(path, connect=connect) as ledger:
        for number in range(4):
            await ledger.accept(f"r{number}", f"k{number}")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        told: list[str] = []

        async def write(number: int) -> None:
            try:
                await ledger.commit(event(), key=f"k{number}")
            except LedgerError as error:
                told.append(str(error))

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(write, number)
        other.close()
        assert len(told) == 4
        assert all("another program holds the file open" in words for words in told)
        assert await ledger.commit(event(), key="k0") == 1


async def test_what_a_ledger_does_not_know_is_the_callers_error(path):
    class Unheard(supervision.Call[None]):
        pass

    async with open_ledger(path) as ledger:
        with pytest.raises(LedgerError, match="does not know Unheard"):
            await ledger.call(Unheard())
        assert ledger.epoch == 1


async def test_what_there_is_to_see_of_it(path):
    async with open_ledger(path) as ledger:
        await ledger.begin()
        await ledger.call(GetLedgerStatus())
        assert supervision.state(NAME) == {
            "path": str(path),
            "owner_epoch": 1,
            "commits": 2,
            "transactions": 2,
            "waiting": 0,
            "reads_waiting": 0,
            "held": 0,
            "trouble": None,
        }


async def test_inline_it_needs_no_time(path, autojump_clock):
    async with open_ledger(path, outside=INLINE) as ledger:
        await ledger.begin()
        await ledger.read()
    assert trio.current_time() == 0.0


async def test_of_its_file_so_much_is_held_in_memory_as_may_be(path):
    told: list[str] = []

    def connect(database: str) -> sqlite3.Connection:
        connection = connect_sqlite(database)
        connection.set_trace_callback(told.append)
        return connection

    async with open_ledger(path, connect=connect, cache_bytes=131_072) as ledger:
        await ledger.begin()
        await ledger.read()
    sizes = [each for each in told if each.startswith("PRAGMA cache_size")]
    # Who writes it, who reads it, and the guard that holds next to nothing.
    assert sorted(sizes) == [
        "PRAGMA cache_size=-128",
        "PRAGMA cache_size=-64",
        "PRAGMA cache_size=-8",
    ]


async def test_many_clients_at_once(path):
    async with open_ledger(path, max_batch=16) as ledger:

        async def turn(number: int) -> None:
            mine = Client()
            await mine.begin(f"r{number}", f"k{number}")
            for _ in range(5):
                await mine.commit(event(), key=f"k{number}", run=f"r{number}")

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(partial(turn, number))
        status = await ledger.call(GetLedgerStatus())
        assert (status.events, status.commits) == (300, 350)
        assert status.transactions < 200
