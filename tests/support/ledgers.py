"""A ledger in a process of its own, and short words for what is asked of it."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import attrs

import supervision
from beamclaw.contracts.ledger import Claim, Commit, NewEvent
from beamclaw.contracts.ledger_inbox import Accept, InboxRow, Receipt
from beamclaw.contracts.ledger_ops import EndRun, Op, OpenRun, Take
from beamclaw.contracts.ledger_reads import ReadSession, SessionRead
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.ledger import LedgerServer, Owner

NAME = "default/ledger"
KEY = "agent:main:main"
OTHER = "agent:main:other"
THREADS = Outside()
INLINE = Outside(threads=False, worker=InlineWorker)


@attrs.define
class Epochs:
    """Gives owner epochs as the store does."""

    last: int = 0

    async def claim(self, tenant: str) -> int:
        self.last += 1
        return self.last


@asynccontextmanager
async def open_ledger(
    path: Path, epochs: Epochs | None = None, **options: Any
) -> AsyncIterator["Client"]:
    """A supervised ledger, and whoever uses it."""
    epochs = epochs or Epochs()
    start = partial(LedgerServer, "default", path, claim=epochs.claim, **options)
    spec = supervision.ChildSpec("ledger", start, name=NAME)
    async with supervision.open_supervisor([spec], max_restarts=3):
        yield Client()


class Opener(Protocol):
    """Opens a ledger in a file that the test has to itself."""

    def __call__(
        self, epochs: Epochs | None = None, **options: Any
    ) -> AbstractAsyncContextManager["Client"]: ...


# The implementations; the tests of the contract are done with each.
LEDGERS = {
    "sqlite in a thread": partial(open_ledger, outside=THREADS),
    "sqlite inline": partial(open_ledger, outside=INLINE),
}


@attrs.define
class Client:
    """What sessions, runs and edges do with a ledger."""

    # Seq of each session as this client knows it.
    seq: dict[str, int] = attrs.field(factory=dict)

    async def call(self, request: supervision.Call[Any]) -> Any:
        return await supervision.call(NAME, request, timeout=None)

    @property
    def epoch(self) -> int:
        entry = supervision.lookup(NAME)
        assert entry is not None
        assert isinstance(entry.value, Owner)
        return entry.value.owner_epoch

    async def accept(self, run: str = "r1", key: str = KEY, **other: Any) -> Receipt:
        return await self.call(message(run, key, **other))

    async def read(self, key: str = KEY, after: int = 0) -> SessionRead:
        return await self.call(ReadSession(key, after))

    async def commit(
        self,
        *events: NewEvent,
        ops: tuple[Op, ...] = (),
        key: str = KEY,
        run: str | None = None,
        run_epoch: int = 1,
        epoch: int | None = None,
        seq: int | None = -1,
    ) -> int:
        claim = Claim(
            "default",
            self.epoch if epoch is None else epoch,
            run,
            run_epoch if run else 0,
        )
        written = await self.call(
            Commit(
                claim=claim,
                session_key=key,
                expected_seq=self.seq.get(key, 0) if seq == -1 else seq,
                events=events,
                ops=ops,
            )
        )
        self.seq[key] = written
        return written

    async def begin(self, run: str = "r1", key: str = KEY) -> Receipt:
        """A message comes, is taken, and its run begins."""
        receipt = await self.accept(run, key)
        row = InboxRow(
            id=receipt.inbox_id, session_key=key, run_id=run, at=0.0, body=b""
        )
        await self.take(row, event("inbound"), key=key)
        return receipt

    async def take(self, row: InboxRow, *events: NewEvent, key: str = KEY) -> int:
        """A waiting message is taken, and its run begins."""
        ops = (Take((row.id,)), OpenRun(row.run_id, 2.0))
        return await self.commit(*events, ops=ops, key=key)


def message(run: str = "r1", key: str = KEY, **other: Any) -> Accept:
    given: dict[str, Any] = {
        "source": "http",
        "account": "gateway",
        "conversation": key,
        "external_id": f"id of {run}",
        "fingerprint": "print",
        "agent": "main",
        "at": 1.0,
        "body": b'{"say":"hello"}',
    }
    return Accept(session_key=key, run_id=run, **(given | other))


def event(kind: str = "note", run: str | None = None, **other: Any) -> NewEvent:
    given: dict[str, Any] = {"version": 1, "at": 3.0, "body": b'{"text":"hi"}'}
    return NewEvent(kind=kind, run_id=run, **(given | other))


def end(run: str = "r1", **other: Any) -> EndRun:
    given: dict[str, Any] = {
        "at": 4.0,
        "outcome": "ok",
        "stop_reason": "stop",
        "text": "hi",
        "usage": Usage(3, 2),
    }
    return EndRun(run_id=run, **(given | other))


class Faulty(sqlite3.Connection):
    """A connection on a disk that fails when told."""

    fault: Callable[[str], None]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.fault(sql)
        return super().execute(sql, parameters)


def connect_with(fault: Callable[[str], None]) -> Callable[[str], sqlite3.Connection]:
    """Connections that ask *fault* before each statement; it raises, or waits."""

    def connect(uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            factory=Faulty,
        )
        connection.fault = fault
        return connection

    return connect


def disk_error(name: str, code: int, text: str) -> sqlite3.OperationalError:
    """An error as SQLite reports it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname, error.sqlite_errorcode = name, code
    return error


def disk_full() -> sqlite3.OperationalError:
    return disk_error("SQLITE_FULL", 13, "database or disk is full")


def disk_broken() -> sqlite3.OperationalError:
    return disk_error("SQLITE_IOERR_FSYNC", 1034, "disk I/O error")
